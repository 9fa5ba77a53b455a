"""The command as a user runs it: what it prints, writes and ends with."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bmp_astro import reduce_night
from bmp_astro.cli import main
from bmp_astro.cli.reduce import _show
from bmp_astro.simulate import simulate_night


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night") / "raw"
    simulate_night(folder, shape=(32, 48), n_bias=4, n_dark=3, n_flat=3, n_light=2)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night") / "raw"
    simulate_night(folder, shape=(32, 48), n_bias=4, n_dark=3, n_flat=3, n_light=2, bad_files=False)
    return folder


def test_a_good_night_ends_with_0_and_tells_where_everything_lies(good, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reduce", str(good), "--outdir", str(out)]) == 0
    said = capsys.readouterr().out
    assert str(out) in said
    assert "report.html" in said
    table = Table.read(out / "night.ecsv")
    assert set(table["status"]) == {"done"}
    assert (out / "report.html").stat().st_size > 10_000


def test_a_night_with_bad_files_ends_with_1_and_names_them(raw, tmp_path, capsys):
    assert main(["reduce", str(raw), "--outdir", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "cluster-V-003.fit" in said
    assert "truncated" in said
    assert "rejected" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reduce", "nowhere", "--outdir", "out"], "nowhere: there is no such file"),
        (["reduce", ".", "--outdir", "out"], "no FITS files"),
        (["inventory", "nowhere"], "nowhere"),
        (["plan", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["combine", "nowhere.fits", "-o", "m.fits"], "nowhere.fits"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_one_line(
    arguments, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.startswith("bmp-astro: ")
    assert list(tmp_path.iterdir()) == []


def workers_of(journal, folder):
    """Process ids that a journal names for the files of one directory."""
    rows = map(json.loads, journal.read_text().splitlines())
    return {
        int(row["worker"].rpartition(":")[2])
        for row in rows
        if os.path.basename(os.path.dirname(str(row["outname"]))) == folder
    }


def test_a_night_on_a_dask_cluster(good, tmp_path, dask_cluster, capsys):
    """The lights are calibrated by the cluster's workers, to the same pixels as here."""
    address = dask_cluster.scheduler_address
    here, there = tmp_path / "here", tmp_path / "there"
    reduce_night(good, here, executor="serial")
    assert main(["reduce", str(good), "--outdir", str(there), "--executor", f"dask:{address}"]) == 0
    table = Table.read(there / "night.ecsv")
    assert set(table["status"]) == {"done"}
    with dask_cluster.get_client() as client:
        theirs = set(client.run(os.getpid).values())
    assert workers_of(there / ".bmp_astro.jsonl", "lights") <= theirs
    assert workers_of(here / ".bmp_astro.jsonl", "lights") == {os.getpid()}
    names = sorted(path.name for path in (here / "lights").iterdir())
    assert sorted(path.name for path in (there / "lights").iterdir()) == names
    for name in names:
        ours, made = fits.getdata(here / "lights" / name), fits.getdata(there / "lights" / name)
        assert np.array_equal(ours, made, equal_nan=True)


def test_a_night_on_a_dask_cluster_is_stopped_in_order(good, tmp_path, dask_cluster):
    """SIGTERM: a table, no half file, and a cluster that goes on; the same command ends it."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    shutil.copytree(good, raw)
    for number in range(40):
        shutil.copy(raw / "cluster-V-001.fit", raw / f"more-{number:02d}.fit")
    command = [sys.executable, "-m", "bmp_astro", "reduce", str(raw), "--outdir", str(out)]
    command += ["--executor", f"dask:{dask_cluster.scheduler_address}", "--num-processes", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("lights/*.fits")) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on from here" in said
    table = Table.read(out / "night.ecsv")
    lights = table[table["frame_type"] == "light"]
    assert set(lights["status"]) == {"done", "not_run"}
    made = {path.name for path in (out / "lights").iterdir()}
    done = lights[lights["status"] == "done"]["outname"]
    assert made == {os.path.basename(name) for name in done}
    again = reduce_night(raw, out, executor=command[command.index("--executor") + 1])
    assert set(again["status"]) == {"done", "skipped"}


def test_inventory_and_plan_print_tables(raw, capsys):
    assert main(["inventory", str(raw)]) == 0
    said = capsys.readouterr().out
    assert "bias-001.fit" in said
    assert "date_obs" in said
    assert main(["plan", str(raw)]) == 0
    assert "masters/master_flat_V.fits" in capsys.readouterr().out


def test_combine_writes_a_master(good, tmp_path, capsys):
    out = tmp_path / "median.fits"
    names = [str(good / f"bias-00{i}.fit") for i in (1, 2, 3)]
    assert main(["combine", *names, "-o", str(out), "--method", "median"]) == 0
    stack = [fits.getdata(name) for name in names]
    np.testing.assert_array_equal(fits.getdata(out), np.median(stack, axis=0))
    assert main(["combine", *names, "-o", str(out)]) == 2
    assert "overwrite" in capsys.readouterr().err
    assert main(["combine", *names, "-o", str(out), "--overwrite", "--mem-limit", "50M"]) == 0
    np.testing.assert_allclose(fits.getdata(out), np.mean(stack, axis=0), rtol=1e-6)


def test_combine_of_a_camera_that_a_file_describes(good, tmp_path):
    camera = tmp_path / "own.toml"
    camera.write_text('name = "own"\ngain = "2 electron / adu"\nread_noise = "9 electron"\n')
    names = [str(good / f"bias-00{i}.fit") for i in (1, 2, 3)]
    for out, camera_of in (("own", ["--instrument", str(camera)]), ("given", [])):
        noise = [] if camera_of else ["--gain", "2", "--read-noise", "9"]
        out = ["-o", str(tmp_path / f"{out}.fits")]
        assert main(["combine", *names, *out, "--clip", "noise", *camera_of, *noise]) == 0
    sigma = [fits.getdata(tmp_path / f"{name}.fits", "UNCERT") for name in ("own", "given")]
    np.testing.assert_array_equal(*sigma)


def test_a_page_can_be_made_again(good, tmp_path, capsys):
    out = tmp_path / "out"
    main(["reduce", str(good), "--outdir", str(out)])
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").exists()


def test_facts_on_the_command_line_win_over_the_headers(good, tmp_path):
    said, given = tmp_path / "said", tmp_path / "given"
    facts = ["--gain", "3", "--read-noise", "20", "--saturation", "30000"]
    assert main(["reduce", str(good), "--outdir", str(said)]) == 0
    assert main(["reduce", str(good), "--outdir", str(given), *facts]) == 0
    paths = sorted((given / "lights").iterdir())
    assert len(paths) == 2
    for path in paths:
        header, before = fits.getheader(path), fits.getdata(said / "lights" / path.name)
        raw_gain = fits.getheader(good / header["FILENAME"])["EGAIN"]
        # of most pixels: the masters reject others with another noise
        assert np.median(fits.getdata(path) / before) == pytest.approx(3 / raw_gain, rel=0.002)
        assert (header["RDNOISE"], header["RDNSRC"]) == (20, "given")
        assert 25000 < header["SATURATE"] / 3 < 30000  # less the bias


@pytest.mark.parametrize("option", ["--gain", "--read-noise", "--saturation"])
@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "high"])
def test_a_fact_that_is_no_positive_number_is_refused(option, number, capsys):
    with pytest.raises(SystemExit):
        main(["reduce", "raw", "--outdir", "out", f"{option}={number}"])
    assert (
        f"argument {option}: '{number}' is not a number greater than 0" in capsys.readouterr().err
    )


@pytest.mark.parametrize("size", ["", "-4G", "much", "0"])
def test_a_size_that_makes_no_sense_is_refused(size, capsys):
    with pytest.raises(SystemExit) as error:
        main(["reduce", "raw", "--outdir", "out", f"--mem-available={size}"])
    assert error.value.code == 2
    assert "is not a size such as 500M or 4G" in capsys.readouterr().err


def test_an_instrument_file_serves(good, tmp_path, capsys):
    camera = tmp_path / "mine.toml"
    camera.write_text('name = "mine"\ngain = "2.0 electron / adu"\n')
    out = tmp_path / "out"
    assert main(["reduce", str(good), "--outdir", str(out), "--instrument", str(camera)]) == 0
    header = fits.getheader(next((out / "lights").iterdir()))
    assert header["RAWGAIN"] == 2


def test_the_demo_is_a_night_reduced_and_can_be_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in ("was simulated", "is used again"):
        assert main(["demo"]) == 0
        assert words in capsys.readouterr().out
    table = Table.read("bmp_astro_demo/reduced/night.ecsv")
    assert sorted(set(table["status"])) == ["done", "failed", "rejected"]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as error:
        main(["--version"])
    assert error.value.code == 0
    assert capsys.readouterr().out.startswith("bmp-astro 0.")


def test_it_runs_as_a_module_without_arguments():
    done = subprocess.run([sys.executable, "-m", "bmp_astro"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_instrument_tells_what_is_understood_of_a_file_and_writes_a_toml(good, tmp_path, capsys):
    light, toml = sorted(good.glob("cluster-*"))[0], tmp_path / "mine.toml"
    assert main(["instrument", str(light), "--toml", str(toml)]) == 0
    said = capsys.readouterr().out
    assert f"{light} is read as: generic" in said
    facts = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip()}
    assert facts["exptime"] == ["120", "s", "EXPTIME", "card"]
    assert facts["gain"][1:] == ["electron", "/", "adu", "EGAIN", "card"]
    assert "note:" not in said
    text = toml.read_text()
    assert "# 120.0 s" in text
    assert main(["instrument", str(light), "--toml", str(toml)]) == 2
    assert "mine.toml" in capsys.readouterr().err
    toml.write_text(text.replace('keyword = "EXPTIME"', 'keyword = "EXPOSURE"'))
    assert main(["instrument", str(light), "--instrument", str(toml)]) == 0
    assert "EXPOSURE card" in capsys.readouterr().out


def test_instrument_notes_what_cannot_be_right(tmp_path, capsys):
    path = tmp_path / "odd.fits"
    hdu = fits.PrimaryHDU(np.zeros((4, 5), dtype=np.uint16))
    hdu.header.update({"GAIN": 0.0, "CCD-TEMP": 250.0, "OBJECT": "None", "EXPTIME": 1})
    fits.HDUList([hdu, fits.ImageHDU(np.zeros((6, 7)), name="SCI")]).writeto(path)
    assert main(["instrument", str(path)]) == 0
    said = capsys.readouterr().out
    assert "note: GAIN = 0.0 as gain: it is not within" in said
    assert "note: CCD-TEMP = 250.0: it is taken to be in K: -23.15 deg_C" in said
    assert "note: placeholders, which count as missing: OBJECT" in said
    assert "4 x 5" in said
    for hdu in ("1", "SCI"):
        assert main(["instrument", str(path), "--hdu", hdu]) == 0
        assert "6 x 7" in capsys.readouterr().out
    assert main(["instrument", str(tmp_path / "none.fits")]) == 2
    assert main(["instrument", str(path), "--instrument", "ninna"]) == 2
    assert "did you mean 'NINA'" in capsys.readouterr().err


def test_one_command_line_in_error_names_what_may_be_meant(capsys):
    for arguments, hint in (
        (["redcue", "raw"], "did you mean reduce?"),
        (["reduce", "raw", "--outdri", "out"], "did you mean --outdir?"),
        (["reduce", "raw", "--outdir", "out", "--overwrit"], "did you mean --overwrite?"),
        (["combine", "raw", "-o", "m.fits", "--n-hihg=2"], "did you mean --n-high?"),
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        said = capsys.readouterr().err
        assert hint in said
        assert len(said.splitlines()) == 2


def test_a_reader_that_goes_away_costs_neither_the_page_nor_a_traceback(good, tmp_path):
    reduce = f"{sys.executable} -m bmp_astro reduce {good} --outdir {tmp_path}/out"
    command = f"{reduce} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
    assert (tmp_path / "out" / "report.html").exists()


def test_an_inventory_shows_what_is_known_and_names_what_is_not(raw, capsys):
    assert main(["inventory", str(raw)]) == 0
    head, *_, last = capsys.readouterr().out.splitlines()
    assert "gain_setting" not in head
    assert last.startswith("no file tells: ")
    assert "gain_setting" in last


def test_what_many_files_share_is_said_once(good, tmp_path, capsys):
    lights = sorted(str(path) for path in good.glob("cluster-*"))
    assert len(lights) > 1
    assert main(["plan", *lights]) == 2
    planned = capsys.readouterr().out
    assert main(["reduce", *lights, "--outdir", str(tmp_path / "a")]) == 2
    assert main(["reduce", *lights, "--outdir", str(tmp_path / "b"), "--require", "none"]) == 0
    for said in (planned, *capsys.readouterr().out.split("the page is")[:2]):
        [line] = [line for line in said.splitlines() if "there is no master flat" in line]
        assert f"{lights[0]} and {len(lights) - 1} more: " in line
        assert line.count("there is no master flat") == 1


def test_combine_replaces_none_of_its_frames(good, tmp_path, capsys):
    copies = [shutil.copy(good / f"bias-00{i}.fit", tmp_path) for i in (1, 2)]
    before = [Path(copy).read_bytes() for copy in copies]
    assert main(["combine", *copies, "-o", copies[0], "--overwrite"]) == 2
    assert "is one of the frames: give the master another name" in capsys.readouterr().err
    assert [Path(copy).read_bytes() for copy in copies] == before
    assert main(["combine", *copies, "-o", str(tmp_path / "no" / "m.fits")]) == 2
    assert "there is no directory" in capsys.readouterr().err


def test_what_the_system_says_names_the_file_and_no_number(tmp_path, capsys):
    assert main(["reduce", str(tmp_path), "--outdir", "o", "--instrument", "nope.toml"]) == 2
    assert capsys.readouterr().err == "bmp-astro: nope.toml: No such file or directory\n"


def test_alarms_that_differ_in_numbers_only_are_told_once(tmp_path, capsys):
    table = Table(
        {
            "in_name": ["bias_1.fits", "bias_2.fits", "bias_3.fits", "old.fits"],
            "frame_type": ["bias", "bias", "bias", "light"],
            "status": ["done", "done", "skipped", "failed"],
            "step": ["", "", "", ""],
            "message": ["", "", "", "no gain; give gain=7"],
            "alarms": [
                "it varies by 9.0 adu (limit 3.3): why?; it has the date of bias_3.fits",
                "it varies by 26.5 adu (limit 3.3): why?",
                "masters/bias.fits: one; 2 others",
                "",
            ],
        }
    )
    _show(table, str(tmp_path))
    assert capsys.readouterr().out.splitlines()[4:-3] == [
        "done: bias_1.fits and 1 more: it varies by 9.0 to 26.5 adu (limit 3.3): why?",
        "done: bias_1.fits: it has the date of bias_3.fits",
        "skipped: bias_3.fits: masters/bias.fits: one",
        "skipped: bias_3.fits: masters/bias.fits: 2 others",
        "failed: old.fits: no gain; give gain=7",
    ]

import hashlib
import json
import os
import shutil
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

from bmp_astro import CalibrationPipe, Instrument, Keyword, Rejected, plan_night, reduce_night
from bmp_astro.night import attention, exit_status, summary
from bmp_astro.simulate import simulate_night

SMALL = {"shape": (64, 96), "n_bias": 5, "n_dark": 4, "n_flat": 4, "n_light": 4}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return simulate_night(tmp_path_factory.mktemp("night") / "raw", **SMALL)


@pytest.fixture(scope="module")
def reduced(night, tmp_path_factory):
    out = tmp_path_factory.mktemp("night") / "reduced"
    return out, reduce_night(night.folder, out, progress=False)


def row_of(table, name):
    return table[[str(given).endswith(name) for given in table["in_name"]]][0]


def digest(folder):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_file_has_one_row(night, reduced):
    _, table = reduced
    assert list(table["in_name"]) == sorted(str(path) for path in night.folder.iterdir())


def test_bad_files_are_named_with_the_reason_and_cost_no_other(night, reduced):
    _, table = reduced
    expected = {
        "bias-006.fit": ("rejected", "light leak"),
        "flat-V-005.fit": ("rejected", "saturated"),
        "cluster-V-005.fit": ("failed", "truncated"),
        "notes.fits": ("failed", "not a FITS file"),
    }
    assert {path.name for path in night.bad_files} == set(expected)
    for row in table:
        name = os.path.basename(row["in_name"])
        status, words = expected.get(name, ("done", ""))
        assert row["status"] == status, name
        assert words in row["message"], name


def test_the_summary_counts_them(reduced):
    _, table = reduced
    counts = {row["frame_type"]: (row["done"], row["rejected"]) for row in summary(table)}
    assert counts["bias"] == (5, 1)
    assert counts["dark"] == (4, 0)
    assert counts["flat"] == (8, 1)
    assert counts["light"] == (4, 0)
    assert row_of(table, "cluster-V-005.fit")["frame_type"] == "light"
    assert row_of(table, "notes.fits")["frame_type"] == ""
    assert len(attention(table)) == 4
    assert exit_status(table) == 1
    assert exit_status(table[table["status"] == "done"]) == 0
    assert exit_status(table[table["status"] == "failed"]) == 2


def test_calibration_frames_name_their_master(reduced):
    out, table = reduced
    row = row_of(table, "flat-R-001.fit")
    assert row["used_in"] == str(out / "masters/master_flat_R.fits")
    assert row["outname"] is np.ma.masked
    assert row_of(table, "bias-006.fit")["used_in"] == ""


def test_lights_have_their_masters_and_measures(reduced):
    out, table = reduced
    row = row_of(table, "cluster-R-002.fit")
    assert row["outname"] == str(out / "lights/cluster-R-002_reduced.fits")
    names = (row["MBIAS"], row["MDARK"], row["MFLAT"])
    assert names == ("master_bias.fits", "master_dark_120s.fits", "master_flat_R.fits")
    assert row["dark_scale"] == 1
    assert row["EXPTIME"] == 120 * u.s
    assert (row["OBJECT"], row["FILTER"]) == ("Simulated cluster", "R")
    assert row["overscan_level"].unmasked.to_value(u.adu) == pytest.approx(1000, abs=30)


def test_lights_agree_with_the_truth_within_their_uncertainty(night, reduced):
    out, _ = reduced
    pulls = []
    for path in night.paths("light"):
        with fits.open(out / "lights" / f"{path.stem}_reduced.fits") as hdus:
            good = hdus["MASK"].data == 0
            pull = (hdus[0].data - night.scene(path)) / hdus["UNCERT"].data
        rays = night.frame(path).cosmic_rays
        good[rays[:, 0], rays[:, 1]] = False
        pulls.append(pull[good])
    pulls = np.concatenate(pulls)
    # 24,576 pixels; Poisson noise taken from the data gives a mean pull of about -0.02.
    assert np.mean(pulls) == pytest.approx(0, abs=0.05)
    assert np.std(pulls) == pytest.approx(1, abs=0.05)


def test_raw_files_are_not_touched(night, tmp_path):
    before = digest(night.folder)
    reduce_night(night.folder, tmp_path / "out", num_processes=1)
    assert digest(night.folder) == before


def test_the_table_on_disk_is_the_one_returned(reduced):
    out, table = reduced
    again = QTable.read(out / "night.ecsv")
    whole = {"max_lines": -1, "max_width": -1}
    assert again.pformat(**whole) == table.pformat(**whole)


def test_the_log_tells_what_the_table_tells(reduced):
    out, table = reduced
    log = (out / "bmp_astro.log").read_text()
    for row in attention(table):
        assert row["in_name"] in log
        assert row["why"].split(";")[0] in log


def test_products_inside_the_raw_directory_are_not_raw_frames(night, tmp_path):
    raw = shutil.copytree(night.folder, tmp_path / "raw")
    first = reduce_night(raw, raw / "reduced")
    second = reduce_night(raw, raw / "reduced", overwrite=True)
    assert list(first["in_name"]) == list(second["in_name"])
    assert (second["status"] == first["status"]).all()
    elsewhere = reduce_night(raw, tmp_path / "elsewhere")
    products = [row for row in elsewhere if "reduced" in str(row["in_name"])]
    assert len(products) == 8
    assert {row["status"] for row in products} == {"rejected"}
    assert exit_status(elsewhere) == 1


def test_products_beside_the_raw_frames_are_refused(night):
    with pytest.raises(ValueError, match="a directory of their own"):
        reduce_night(night.folder, night.folder)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"executor": "proces"}, "executor is 'proces': expected one of"),
        ({"num_processes": 0}, "num_processes is 0, expected a number above 0"),
        ({"plan": "bias-001.fit"}, "bias-001.fit is no plan: expected a plan.ecsv"),
    ],
)
def test_what_is_given_wrong_is_refused_before_anything_is_made(night, tmp_path, given, words):
    given = {
        name: night.folder / value if name == "plan" else value for name, value in given.items()
    }
    with pytest.raises(ValueError, match=words):
        reduce_night(night.folder, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pipe", [CalibrationPipe(), dict])
def test_what_is_no_class_of_pipes_is_refused(night, tmp_path, pipe):
    with pytest.raises(TypeError, match="expected CalibrationPipe or a subclass of it, the class"):
        reduce_night(night.folder, tmp_path / "out", pipe=pipe)


def test_a_file_as_outdir_is_refused(night, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="a file: give the name of a directory"):
        reduce_night(night.folder, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_nothing_to_reduce_leaves_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(ValueError, match="no FITS files"):
        reduce_night(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_users_steps_and_keywords_reach_every_light(night, tmp_path):
    def only_red(ccd, wanted_filter=None, **kwargs):
        if ccd.header["FILTER"] != wanted_filter:
            raise Rejected(f"filter is not {wanted_filter}")
        return ccd

    def brightest(ccd, bmp_meta=None, **kwargs):
        bmp_meta["peak"] = float(ccd.data.max()) * ccd.unit
        return ccd

    table = reduce_night(
        night.folder,
        tmp_path,
        pre_process_list=only_red,
        post_process_list=[brightest],
        wanted_filter="R",
        num_processes=2,
    )
    lights = table[table["frame_type"] == "light"]
    assert sorted(lights["status"]) == ["done", "done", "failed", "rejected", "rejected"]
    row = row_of(table, "cluster-V-001.fit")
    assert (row["step"], row["message"]) == ("only_red", "filter is not R")
    product = fits.getdata(tmp_path / "lights/cluster-R-002_reduced.fits")
    assert row_of(table, "cluster-R-002.fit")["peak"].unmasked.value == product.max()


def test_a_teams_pipe_is_used(night, tmp_path):
    class Doubled(CalibrationPipe):
        thread_safe = True

        def data_process(self, data, **kwargs):
            ccd = super().data_process(data, **kwargs)
            ccd.data *= 2
            return ccd

    plain = reduce_night(night.folder, tmp_path / "plain", select={"filter": "V"})
    table = reduce_night(night.folder, tmp_path / "team", select={"filter": "V"}, pipe=Doubled)
    twice = fits.getdata(row_of(table, "cluster-V-001.fit")["outname"])
    once = fits.getdata(row_of(plain, "cluster-V-001.fit")["outname"])
    np.testing.assert_array_equal(twice, 2 * once)


def test_an_edited_plan_is_followed(night, tmp_path):
    plan = plan_night(night.folder)
    left_out = [str(name).endswith("bias-001.fit") for name in plan["in_name"]]
    plan["product"][left_out] = ""
    plan["message"][left_out] = "it looks odd"
    plan.write(tmp_path / "mine.ecsv")
    table = reduce_night(night.folder, tmp_path / "out", plan=tmp_path / "mine.ecsv")
    row = row_of(table, "bias-001.fit")
    assert (row["status"], row["message"]) == ("rejected", "it looks odd")
    assert fits.getheader(tmp_path / "out/masters/master_bias.fits")["NCOMBINE"] == 4


def test_masters_of_another_night_are_borrowed(night, reduced, tmp_path):
    out, table = reduced
    lights = [str(path) for path in night.paths("light")]
    borrowed = reduce_night(lights, tmp_path / "out", masters=out / "masters")
    assert set(borrowed["status"]) == {"done"}
    for name in lights:
        again = fits.getdata(row_of(borrowed, name)["outname"])
        np.testing.assert_array_equal(again, fits.getdata(row_of(table, name)["outname"]))


def test_a_borrowed_master_is_read_with_the_cameras_own_facts(night, reduced, tmp_path):
    out, _ = reduced
    camera = Instrument("mine", keys={"site": Keyword("SITELAT")}, match={"flat": {"site": None}})
    masters = shutil.copytree(out / "masters", tmp_path / "masters")
    with fits.open(masters / "master_flat_R.fits", mode="update") as hdus:
        hdus[0].header["SITELAT"] = "elsewhere"
    plan = plan_night(night.paths("light"), masters=masters, instrument=camera)
    flats = {str(row["in_name"])[-9:]: str(row["master_flat"]) for row in plan}
    assert flats["R-002.fit"] == ""
    assert flats["V-001.fit"].endswith("master_flat_V.fits")


def test_a_master_that_is_named_is_used_whatever_its_facts(night, reduced, tmp_path):
    out, _ = reduced
    red = out / "masters/master_flat_R.fits"
    table = reduce_night(night.folder, tmp_path / "out", use={"flat": red})
    lights = table[(table["frame_type"] == "light") & (table["status"] == "done")]
    assert set(lights["MFLAT"]) == {"master_flat_R.fits"}
    assert len(lights) == 4
    with pytest.raises(ValueError, match="given as master dark but is a master flat"):
        reduce_night(night.folder, tmp_path / "other", use={"dark": red})
    assert not (tmp_path / "other").exists()


def test_lights_alone_fail_and_say_what_is_missing(night, tmp_path):
    table = reduce_night(night.paths("light"), tmp_path)
    assert set(table["status"]) == {"failed"}
    assert table["message"][0] == "there is no master bias; there is no master flat"
    assert exit_status(table) == 2


def test_when_a_master_cannot_be_made_its_lights_fail_and_say_so(night, tmp_path):
    raw = shutil.copytree(night.folder, tmp_path / "raw")
    for path in raw.glob("flat-R-*.fit"):
        data, header = fits.getdata(path, header=True)
        fits.writeto(path, np.full_like(data, 65535), header, overwrite=True)
    table = reduce_night(raw, tmp_path / "out")
    row = row_of(table, "cluster-R-002.fit")
    assert row["status"] == "failed"
    assert "flat" in row["message"]
    assert row_of(table, "cluster-V-001.fit")["status"] == "done"
    flat = row_of(table, "flat-R-001.fit")
    assert flat["status"] == "failed"
    assert flat["message"].startswith("saturated: 100.0 % of its pixels")
    assert "master_flat_R.fits could not be made" in flat["message"]


def test_a_frame_of_another_shape_has_its_own_row(night, tmp_path):
    raw = shutil.copytree(night.folder, tmp_path / "raw")
    path = raw / "cluster-R-002.fit"
    data, header = fits.getdata(path, header=True)
    fits.writeto(path, data[:40], header, overwrite=True)
    (raw / "empty.fits").touch()
    table = reduce_night(raw, tmp_path / "out")
    assert row_of(table, "cluster-R-002.fit")["status"] == "failed"
    assert "does not fit a frame of (40, 128)" in row_of(table, "cluster-R-002.fit")["message"]
    assert row_of(table, "empty.fits")["status"] == "failed"
    assert row_of(table, "cluster-R-004.fit")["status"] == "done"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can drop root")
def test_an_unreadable_file_has_a_row_and_the_rest_is_reduced(night, public_folder):
    """A child process without root's privileges reduces a night with a secret in it."""
    raw = shutil.copytree(night.folder, public_folder / "raw")
    (raw / "cluster-R-002.fit").chmod(0o000)
    raw.chmod(0o755)
    out = public_folder / "out"
    out.mkdir()
    out.chmod(0o777)
    code = (
        "import json, os, sys\n"
        "from bmp_astro import reduce_night\n"
        "raw, out, warm_up = sys.argv[1:]\n"
        "reduce_night(raw, warm_up, executor='thread')  # imports what root alone may read\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "table = reduce_night(raw, out, executor='thread')\n"
        "print(json.dumps([[os.path.basename(r['in_name']), r['status'], r['message']]\n"
        "                  for r in table]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, raw, out, public_folder / "warm_up"],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(out)},
    )
    assert done.returncode == 0, done.stderr
    rows = {name: (status, message) for name, status, message in json.loads(done.stdout)}
    assert rows["cluster-R-002.fit"][0] == "failed"
    assert "ermission denied" in rows["cluster-R-002.fit"][1]
    assert rows["cluster-R-004.fit"] == ("done", "")


def test_recipes_of_masters_can_be_changed(night, tmp_path):
    recipes = {"bias": {"method": "median", "clip": None, "offset": None}}
    reduce_night(night.folder, tmp_path, combine=recipes, select={"filter": "none"})
    found = fits.getdata(tmp_path / "masters/master_bias.fits")
    assert found.shape == (64, 96)
    header = fits.getheader(tmp_path / "masters/master_bias.fits")
    assert any("median, no clipping" in str(line) for line in header["HISTORY"])


def test_a_plan_is_kept_with_the_products(reduced, night):
    out, _ = reduced
    kept = Table.read(out / "plan.ecsv")
    assert list(kept["product"]) == list(plan_night(night.folder)["product"])


def test_an_executor_that_is_none_is_refused_before_anything_is_made(night, tmp_path):
    with pytest.raises(ValueError, match="executor is 'threads': expected one of process, thread"):
        reduce_night(night.folder, tmp_path / "out", executor="threads")
    assert not (tmp_path / "out").exists()

"""Masters from raw files: their pixels, noise, headers, and the gates."""

import json
import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from bmp_astro.fits import read_frame, write_frame
from bmp_astro.masters import MasterPipe, build_master
from bmp_astro.masters.report import level_trend
from bmp_astro.steps.master import load_master

GAIN, READ_NOISE, SHAPE = 2.0, 8.0, (96, 140)


PLAIN_MEDIAN = {"method": "median", "clip": None, "offset": None}


def stack_of(paths):
    return np.array([read_frame(path).data.astype(float) for path in paths])


@pytest.fixture
def masters(expose, tmp_path):
    """Master bias and dark on disk, and the reports of how they were made."""
    bias, bias_report = build_master("bias", expose("bias", 9, seed=1))
    write_frame(bias, tmp_path / "master_bias.fits", checksum=True)
    dark, dark_report = build_master(
        "dark", expose("dark", 7, 100.0, seed=2), master_bias=tmp_path / "master_bias.fits"
    )
    write_frame(dark, tmp_path / "master_dark.fits", checksum=True)
    return {
        "bias": tmp_path / "master_bias.fits",
        "dark": tmp_path / "master_dark.fits",
        "bias_report": bias_report,
        "dark_report": dark_report,
    }


def test_bias_equals_numpy(expose):
    paths = expose("bias", 7)
    master, _ = build_master("bias", paths, combine={"clip": None})
    np.testing.assert_allclose(master.data, stack_of(paths).mean(axis=0), rtol=1e-6)
    clipped, report = build_master("bias", paths, read_noise=READ_NOISE)
    stack = stack_of(paths)
    levels = np.median(stack, axis=(1, 2))
    stack += (levels.mean() - levels)[:, None, None]
    kept = np.abs(stack - np.median(stack, axis=0)) <= 3 * READ_NOISE / GAIN
    np.testing.assert_allclose(clipped.data, (stack * kept).sum(0) / kept.sum(0), rtol=1e-6)
    assert report.rejected == pytest.approx(1 - kept.mean(), abs=1e-9)


def test_bias_measures_its_read_noise_and_drift(expose, masters):
    report = masters["bias_report"]
    header = read_frame(masters["bias"]).header
    quantized = np.hypot(READ_NOISE / GAIN, np.sqrt(1 / 12))
    assert header["RDNADU"] == pytest.approx(quantized, rel=0.02)
    assert header["RDNOISE"] == pytest.approx(GAIN * quantized, rel=0.02)
    assert (header["RDNSRC"], report.read_noise_source) == ("measured", "measured")
    assert header["IMAGETYP"] == "Master Bias"
    assert header["NCOMBINE"] == 9
    assert header["CCD-TEMP"] == pytest.approx(-10.4)
    assert header["DATE-AVG"] == "2026-03-14T20:04:00.000"
    assert report.level == pytest.approx(500, abs=1)
    assert report.level_scatter < 1
    given, _ = build_master("bias", expose("bias", 3, seed=9), read_noise=7 * u.electron)
    assert (given.header["RDNOISE"], given.header["RDNSRC"]) == (7, "given")
    said, _ = build_master("bias", expose("bias", 3, seed=8, RDNOISE=9.0))
    assert (said.header["RDNOISE"], said.header["RDNSRC"]) == (9, "header")


def test_drift_is_an_alarm(expose):
    paths = [expose("bias", n + 1, seed=20 + n, extra=2.0 * n)[n] for n in range(5)]
    _, report = build_master("bias", paths)
    assert report.level_drift == pytest.approx(120, rel=0.02)
    assert "drifts by +1" in report.alarms[0]
    assert all(row.used for row in report.rows)


def test_drift_within_the_noise_is_no_alarm(expose):
    paths = [expose("bias", n + 1, seed=20 + n, extra=0.2 * n)[n] for n in range(5)]
    _, report = build_master("bias", paths)
    assert report.level_drift > 8
    assert report.alarms == []


def test_dark_is_the_total_of_its_exposure_without_bias(masters, truth):
    dark = read_frame(masters["dark"])
    header = dark.header
    assert header["EXPTIME"] == 100
    assert header["BIASSUB"] is True
    assert header["MBIAS"] == "master_bias.fits"
    assert header["MBIASSUM"] == read_frame(masters["bias"]).header.get(
        "DATASUM", header["MBIASSUM"]
    )
    assert (header["IMAGETYP"], dark.unit) == ("Master Dark", u.adu)
    assert header["RDNSRC"] == "measured"
    bias = read_frame(masters["bias"])
    pulls = (dark.data - 100 * truth["current"]) / dark.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.03)
    assert (dark.uncertainty.array > bias.uncertainty.array).all()


def test_bias_pulls_have_unit_width(masters, truth):
    bias = read_frame(masters["bias"])
    pulls = (bias.data - truth["bias"]) / bias.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.03)


def test_dark_without_bias_keeps_it(expose, truth):
    dark, _ = build_master("dark", expose("dark", 5, 50.0, seed=3), read_noise=READ_NOISE)
    assert dark.header["BIASSUB"] is False
    assert "MBIAS" not in dark.header
    assert np.median(dark.data - 50 * truth["current"] - truth["bias"]) == pytest.approx(0, abs=0.2)


def test_darks_of_another_exposure_are_left_out(expose):
    paths = expose("dark", 4, 50.0, seed=3) + expose("dark", 1, 20.0, seed=4)
    master, report = build_master("dark", paths)
    assert master.header["NCOMBINE"] == 4
    assert report.rows[4].reason == "its exposure time is 20 s but that of the other darks 50 s"


def test_flat_equals_the_ratio_of_sums(expose, masters):
    paths = expose("flat", 5, 10.0, [4000, 9000, 20000, 30000, 45000], seed=5, FILTER="V")
    master, report = build_master(
        "flat",
        paths,
        master_bias=masters["bias"],
        master_dark=masters["dark"],
        combine={"clip": None},
    )
    bias = read_frame(masters["bias"]).data.astype(float)
    dark = read_frame(masters["dark"]).data.astype(float)
    total = (GAIN * (stack_of(paths) - bias - 0.1 * dark)).sum(axis=0)
    good = master.flags == 0
    assert 0.005 < np.mean(~good) < 0.02  # the hot pixels of the dark
    expected = total / np.median(total[good])
    np.testing.assert_allclose(master.data, expected, rtol=2e-6)
    header = master.header
    assert header["DARKSCAL"] == pytest.approx(0.1)
    assert [header[f"M{kind}"] for kind in ("BIAS", "DARK")] == [
        "master_bias.fits",
        "master_dark.fits",
    ]
    assert (header["FILTER"], header["BUNIT"], header["IMAGETYP"]) == ("V", "1", "Master Flat")
    assert header["FLATNORM"] == pytest.approx(np.median(total[good]) / 5, rel=1e-5)
    assert master.unit == u.dimensionless_unscaled
    assert report.level == pytest.approx(np.median(total) / 5, rel=0.02)


def test_flat_pulls_have_unit_width(expose, masters, truth):
    paths = expose("flat", 6, 10.0, [3000, 5000, 9000, 20000, 30000, 40000], seed=6)
    master, report = build_master(
        "flat", paths, master_bias=masters["bias"], master_dark=masters["dark"]
    )
    pulls = (master.data - truth["flat"]) / master.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.03)
    assert report.rejected < 0.01


def test_flat_counts_the_noise_of_its_masters(expose, masters, truth):
    paths = expose("flat", 20, 100.0, 400.0, seed=7)
    bias = read_frame(masters["bias"])
    dark = read_frame(masters["dark"])
    master, _ = build_master("flat", paths, master_bias=bias, master_dark=masters["dark"])
    pulls = (master.data - truth["flat"]) / master.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.04)
    # 20 frames alone would have half the variance that bias and dark add
    alone, _ = build_master("flat", paths)
    floor = (dark.uncertainty.array * GAIN / master.header["FLATNORM"]) ** 2
    assert (master.uncertainty.array**2 > 0.9 * floor).mean() > 0.99
    assert alone.header["NCOMBINE"] == 20


def test_saturated_pixels_are_flagged(expose, write_raw):
    pixels = np.full(SHAPE, 20000.0)
    pixels[4, 5] = 65535
    paths = [write_raw(f"f{n}.fits", pixels + n, EGAIN=GAIN) for n in range(4)]
    master, _ = build_master("flat", paths, read_noise=READ_NOISE)
    assert master.flags[4, 5] == 32 | 2
    assert master.mask.sum() == 1
    assert np.isfinite(master.data).all()


def test_overscan_is_subtracted_and_trimmed(write_raw):
    rng = np.random.default_rng(3)
    sections = {"BIASSEC": "[101:120,1:80]", "TRIMSEC": "[1:100,11:80]", "EGAIN": 1.5}
    paths = []
    for n in range(6):
        pixels = rng.normal(300 + 10 * n + np.linspace(0, 5, 80)[:, None], 5, (80, 120))
        pixels[:, :100] += 20
        paths.append(write_raw(f"b{n}.fits", pixels, **sections))
    master, report = build_master("bias", paths)
    assert master.shape == (70, 100)
    assert np.median(master.data) == pytest.approx(20, abs=0.3)
    assert all(row.used for row in report.rows)
    assert "BIASSEC" not in master.header
    assert "TRIMSEC" not in master.header
    plain, _ = build_master("bias", paths, overscan_method="mean", combine={"clip": None})
    raw = stack_of(paths)
    level = raw[:, :, 100:].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(plain.data, (raw - level)[:, 10:, :100].mean(0), rtol=1e-4)


def test_bands_make_no_difference(expose, masters):
    paths = expose("flat", 4, 10.0, [9000, 20000, 30000, 40000], seed=6)
    how = {"master_bias": masters["bias"], "master_dark": masters["dark"]}
    whole, _ = build_master("flat", paths, num_threads=1, **how)
    bands, _ = build_master("flat", paths, num_threads=2, mem_limit=1e6, **how)
    np.testing.assert_array_equal(whole.data, bands.data)
    np.testing.assert_array_equal(whole.uncertainty.array, bands.uncertainty.array)


def test_without_gain_the_scatter_serves(expose):
    paths = expose("flat", 6, 1.0, 20000, seed=11, EGAIN=0.0)
    master, report = build_master("flat", paths)
    assert master.header["UNCSRC"] == "scatter"
    assert report.read_noise is None
    assert "neither bias nor overscan" in report.alarms[0]
    sigma = np.sqrt(20000 / GAIN**2 + 16) / np.sqrt(6) / (10000 + 500)
    assert np.median(master.uncertainty.array) == pytest.approx(sigma, rel=0.1)


def test_light_leak_is_refused_and_the_reason_told(expose, caplog):
    gradient = np.linspace(0, 30, SHAPE[1])[None, :]
    paths = expose("bias", 5) + expose("bias", 1, seed=3, extra=gradient)
    with caplog.at_level(logging.WARNING):
        master, report = build_master("bias", paths)
    assert master.header["NCOMBINE"] == 5
    assert [row.used for row in report.rows] == [True] * 5 + [False]
    assert report.rows[5].reason.startswith("light leak")
    assert "light leak" in caplog.text


def test_level_far_from_the_others_is_refused(expose):
    paths = expose("bias", 5) + expose("bias", 1, seed=3, extra=60.0)
    _, report = build_master("bias", paths)
    assert "its level is +60" in report.rows[5].reason
    _, report = build_master("bias", paths, gates={"max_level_offset": 100.0})
    assert report.rows[5].used


def test_two_frames_cannot_tell_which_is_wrong(expose):
    paths = expose("bias", 1) + expose("bias", 1, seed=3, extra=60.0)
    _, report = build_master("bias", paths)
    assert all(row.used for row in report.rows)
    assert "two frames cannot tell" in " ".join(report.rows[0].alarms)
    assert "made of 2 frames only" in report.alarms


def test_saturated_and_faint_flats_are_refused(expose, masters):
    paths = (
        expose("flat", 3, 1.0, 30000, seed=1)
        + expose("flat", 1, 1.0, 200000, seed=2)
        + expose("flat", 1, 1.0, 122000, seed=3)
        + expose("flat", 1, 1.0, 20, seed=4)
    )
    _, report = build_master(
        "flat", paths, master_bias=masters["bias"], gates={"max_saturated": 0.5}
    )
    assert [row.used for row in report.rows] == [True] * 3 + [False] * 3
    assert "of its pixels reach 65535 adu" in report.rows[3].reason
    assert "of saturation" in report.rows[4].reason
    assert report.rows[5].reason.startswith("too faint: its level is 2")
    _, report = build_master(
        "flat", paths[5:], master_bias=masters["bias"], gates={"min_flat_electrons": 1.0}
    )
    assert report.used == paths[5:]


def test_files_that_cannot_be_used_do_not_lose_the_master(expose, write_raw, tmp_path):
    good = expose("bias", 4)
    truncated = expose("bias", 1, seed=5)[0]
    with open(truncated, "r+b") as file:
        file.truncate(9000)
    text = tmp_path / "text.fits"
    text.write_text("not FITS")
    empty = tmp_path / "empty.fits"
    empty.touch()
    odd = write_raw("odd.fits", np.full((10, 12), 500.0))
    done = write_raw("done.fits", np.full(SHAPE, 500.0), CALSTAT="B")
    paths = [truncated, *good[:2], text, empty, odd, *good[2:], done, tmp_path / "missing.fits"]
    master, report = build_master("bias", paths)
    assert master.header["NCOMBINE"] == 4
    assert report.used == good
    reasons = {row.path: row.reason for row in report.rows if not row.used}
    errors = {row.path for row in report.rows if row.error}
    assert errors == {truncated, str(text), str(empty), str(tmp_path / "missing.fits")}
    assert "missing" in reasons[truncated]
    assert "not a FITS file" in reasons[str(text)]
    assert "is empty" in reasons[str(empty)]
    assert "its shape is (10, 12)" in reasons[odd]
    assert "CALSTAT" in reasons[done]
    assert "No such file" in reasons[str(tmp_path / "missing.fits")]


def test_too_few_frames_is_an_error_with_the_reasons(expose, tmp_path):
    empty = tmp_path / "empty.fits"
    empty.touch()
    with pytest.raises(ValueError, match=r"(?s)0 of 1 frames can be used.*is empty"):
        build_master("bias", [empty])
    with pytest.raises(ValueError, match=r"2 of 2 frames can be used .* but 3 are needed"):
        build_master("bias", expose("bias", 2), gates={"min_frames": 3})


def test_single_frame_makes_a_master_with_an_alarm(expose):
    master, report = build_master("bias", expose("bias", 1))
    assert report.alarms == ["made of 1 frame only"]
    assert master.header["NCOMBINE"] == 1
    assert report.read_noise is None


def test_master_of_another_shape_is_refused(expose, write_raw):
    bias, _ = build_master("bias", [write_raw("b.fits", np.full((10, 12), 500.0))])
    with pytest.raises(ValueError, match=r"master bias is \(10, 12\)"):
        build_master("dark", expose("dark", 3, 10.0), master_bias=bias)


def test_unknown_parameters_are_refused(expose):
    with pytest.raises(TypeError, match="combine has no parameter"):
        build_master("bias", expose("bias", 2), combine={"sigma": 3})
    with pytest.raises(ValueError, match="kind='sky'"):
        build_master("sky", [])


def test_level_trend_without_times():
    assert level_trend([1.0], ["2026-01-01"]) == (None, None)
    scatter, drift = level_trend([1.0, 3.0], ["2026-01-01T00:00:00", None])
    assert (scatter, drift) == (pytest.approx(np.sqrt(2)), None)
    same = ["2026-01-01T00:00:00"] * 2
    assert level_trend([1.0, 3.0], same)[1] is None


def test_pipe_makes_a_master_of_each_list(expose, tmp_path):
    first, second = expose("bias", 4, seed=1), expose("bias", 3, seed=2)
    broken = tmp_path / "broken.fits"
    broken.touch()
    pipe = MasterPipe(kind="bias", outdir=tmp_path, num_processes=1)
    pout = pipe.pipeline(
        [first, [*second, str(broken)]],
        file_keywords={
            first[0]: {"outname": "one.fits"},
            second[0]: {"outname": "two.fits", "combine": PLAIN_MEDIAN},
        },
    )
    (one, meta), (two, other) = pout
    assert [outcome.status for outcome in pout] == ["done", "done"]
    assert (one, two) == (str(tmp_path / "one.fits"), str(tmp_path / "two.fits"))
    assert (meta["n_used"], other["n_used"]) == (4, 3)
    rows = json.loads(other["inputs"])
    assert [row["used"] for row in rows] == [True, True, True, False]
    assert "empty" in rows[3]["reason"]
    np.testing.assert_allclose(read_frame(two).data, np.median(stack_of(second), axis=0))
    assert read_frame(one).header["IMAGETYP"] == "Master Bias"
    with fits.open(one, checksum=True) as hdus:
        assert "DATASUM" in hdus[0].header


@pytest.mark.parametrize("num_threads", [1, 3])
def test_what_is_told_of_the_files_is_in_the_row_in_their_order(expose, tmp_path, num_threads):
    paths = expose("bias", 6, MARKED=1)
    named = []
    for number in (0, 2, 3, 5):
        with open(paths[number], "r+b") as file:
            header = file.read(2880).replace(b"MARKED  =", f"B@D {number}   =".encode())
            file.seek(0)
            file.write(header)
        named.append(f"B@D {number}")
    pipe = MasterPipe(kind="bias", outdir=tmp_path, num_processes=1)
    (outcome,) = pipe.pipeline([paths], outname="bias.fits", num_threads=num_threads)
    assert outcome.status == "done"
    told = [note for note in outcome.warnings if "malformed cards were dropped" in note]
    assert [note.split(": ")[-1] for note in told] == named


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf])
def test_a_master_is_opened_as_its_file_has_it(expose, tmp_path, value):
    """Taken from memory, unless a pixel without a value was written as another one."""
    made = []

    def with_value(ccd):
        ccd.data[5, 6] = value
        made.append(ccd)
        return ccd

    pipe = MasterPipe(kind="bias", outdir=tmp_path, num_processes=1, post_process_list=with_value)
    (outcome,) = pipe.pipeline([expose("bias", 3)], outname="bias.fits")
    opened, read = load_master(outcome.outname), read_frame(outcome.outname)
    np.testing.assert_array_equal(opened.data, read.data)
    np.testing.assert_array_equal(opened.flags, read.flags)
    assert np.shares_memory(opened.data, made[0].data) == np.isfinite(value)


def test_pipe_in_worker_processes(expose, tmp_path):
    groups = [expose("bias", 3, seed=1), expose("bias", 3, seed=2)]
    pipe = MasterPipe(kind="bias", outdir=tmp_path, num_processes=2, executor="process")
    pout = pipe.pipeline(groups, num_threads=1)
    assert [meta["n_used"] for _, meta in pout] == [3, 3]


def test_pipe_records_a_group_that_fails(expose, tmp_path):
    broken = tmp_path / "broken.fits"
    broken.touch()
    pipe = MasterPipe(kind="bias", outdir=tmp_path, num_processes=1, on_error="record")
    good = expose("bias", 3)
    pout = pipe.pipeline([[str(broken)], good])
    assert [outcome.status for outcome in pout] == ["failed", "done"]
    assert "is empty" in pout[0].message


def test_darks_and_flats_go_through_the_same_linearity(expose, truth):
    linearity = [1.0, 4e-6]
    bias, _ = build_master("bias", expose("bias", 5))
    options = {"master_bias": bias, "linearity": linearity}
    for kind, exptime, electrons in (("dark", 100.0, 0.0), ("flat", 1.0, 48_000.0)):
        paths = expose(kind, 3, exptime=exptime, electrons=electrons, MAXLIN=26_000.0)
        plain, _ = build_master(kind, paths, master_bias=bias, combine={"clip": None})
        linear, _ = build_master(kind, paths, combine={"clip": None}, **options)
        norm = plain.header.get("FLATNORM", 1.0), linear.header.get("FLATNORM", 1.0)
        gain = 2.0 if kind == "flat" else 1.0
        signal = plain.data * norm[0] / gain
        want = gain * signal * (1 + 4e-6 * signal)
        # the mean of corrected values is not the correction of their mean, by their variance
        known = signal < 24_500  # values beyond MAXLIN are not combined
        found = linear.data * norm[1]
        np.testing.assert_allclose(found[known], want[known], rtol=3e-5, atol=0.02)
        assert linear.header["LINCORR"] is True
        if kind == "flat":
            share = np.mean((linear.flags & 16) != 0)
            assert 0.5 * np.mean(signal > 25_500) < share < np.mean(~known)


def test_mostly_non_linear_flats_are_refused(expose):
    bias, _ = build_master("bias", expose("bias", 4))
    paths = [
        *expose("flat", 1, 1.0, 2 * 20_000, MAXLIN=30_000.0),
        *expose("flat", 2, 1.0, 2 * 40_000, seed=1, MAXLIN=30_000.0),
    ]
    _, report = build_master("flat", paths, master_bias=bias)
    assert [row.used for row in report.rows] == [True, False, False]
    assert "not linear: " in report.rows[1].reason
    assert "(limit 50%)" in report.rows[1].reason
    _, report = build_master("flat", paths, master_bias=bias, gates={"max_non_linear": 1.0})
    assert len(report.used) == 3


def test_flats_beyond_the_table_that_corrects_them_are_refused(expose):
    bias, _ = build_master("bias", expose("bias", 4))
    table = np.array([[1000.0, 1000.0], [30_000.0, 31_000.0]])
    paths = expose("flat", 1, 1.0, 2 * 20_000) + expose("flat", 1, 1.0, 2 * 40_000, seed=1)
    _, report = build_master("flat", paths, master_bias=bias, linearity=table)
    assert [row.used for row in report.rows] == [True, False]
    assert "not linear" in report.rows[1].reason

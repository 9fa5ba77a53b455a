"""Frames that are not what their header says: refused, reported or believed, as is asked for."""

import shutil

import numpy as np
import pytest
from astropy.io import fits

from bmp_astro import reduce_night
from bmp_astro.masters import build_master, guess_types
from bmp_astro.simulate import simulate_night


def relabeled(source, target, kind):
    data, header = fits.getdata(source, header=True)
    header["IMAGETYP"] = kind
    fits.writeto(target, data, header, output_verify="ignore")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night in which a flat and a bias are called light frames, and a text is in the way."""
    raw = tmp_path_factory.mktemp("mislabeled") / "raw"
    small = {"n_bias": 4, "n_dark": 3, "n_flat": 4, "n_light": 1}
    night = simulate_night(raw, shape=(64, 96), filters=("V",), bad_files=False, **small)
    relabeled(night.paths("flat")[-1], raw / "is-a-flat.fit", "Light Frame")
    relabeled(night.paths("bias")[-1], raw / "is-a-bias.fit", "Light Frame")
    with fits.open(raw / "is-a-bias.fit", mode="update") as hdus:
        hdus[0].header["FILTER"] = "V"
    return night


def rows_of(table):
    return {str(row["in_name"]).rpartition("/")[2]: row for row in table}


FLAT = "no star is seen, and a smooth level of "
BIAS = "no star is seen, and no sky ("


@pytest.mark.parametrize("classification", ["warn", "strict", "trust"])
def test_lights_that_are_none(night, classification, tmp_path):
    table = reduce_night(
        night.folder, tmp_path, classification=classification, dark_scale=1, executor="thread"
    )
    rows = rows_of(table)
    for name, words in {"is-a-flat.fit": FLAT, "is-a-bias.fit": BIAS}.items():
        row = rows[name]
        assert row["status"] == ("rejected" if classification == "strict" else "done")
        assert (words in row["message"]) == (classification == "strict")
        assert (words in row["alarms"]) == (classification == "warn")
    [light] = night.paths("light")
    assert rows[light.name]["status"] == "done"
    assert "star" not in rows[light.name]["alarms"]


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("bias", "flat", "adu above the overscan (limit 53): is there light in it?"),
        ("bias", "light", "stars are seen on a part of it (limit 10): is it a light frame and no"),
        ("dark", "flat", "% of saturation (limit 10 %): is there light in it?"),
        ("dark", "light", "stars are seen on a part of it (limit 10): is it a light frame and no"),
        ("flat", "light", "stars are seen on a part of it (limit 10): is it a light frame and no"),
    ],
)
def test_frames_of_masters_that_are_something_else(night, kind, what, words):
    paths = night.paths(what)
    _, report = build_master(kind, paths, read_noise=8.0)
    assert all(any(words in alarm for alarm in row.alarms) for row in report.rows)
    with pytest.raises(ValueError, match=rf"0 of {len(paths)} frames can be used") as error:
        build_master(kind, paths, read_noise=8.0, classification="strict")
    assert str(error.value).count("is it a") + str(error.value).count("is there") >= len(paths)
    _, report = build_master(kind, paths, read_noise=8.0, classification="trust")
    assert not any("light" in alarm for row in report.rows for alarm in row.alarms)


def test_light_shows_in_the_noise_of_a_bias_without_overscan(tmp_path):
    rng = np.random.default_rng(1)
    header = fits.Header({"RDNOISE": 5.0, "EGAIN": 1.0, "IMAGETYP": "Bias Frame"})
    for i in range(3):
        pixels = 1000 + rng.poisson(900, (64, 80)) + rng.normal(0, 5, (64, 80))
        fits.writeto(tmp_path / f"{i}.fits", pixels.astype(np.uint16), header)
    _, report = build_master("bias", sorted(tmp_path.iterdir()))
    assert "times the read noise (limit 3): is there light in it?" in report.rows[0].alarms[0]
    _, report = build_master("bias", sorted(tmp_path.iterdir()), gates={"max_bias_noise": 10})
    assert "read noise" not in report.rows[0].alarms[0]


def test_good_frames_raise_no_doubt(night):
    for kind in ("bias", "dark", "flat"):
        _, report = build_master(kind, night.paths(kind), classification="strict")
        assert report.used == [str(path) for path in night.paths(kind)]


def test_a_classification_that_there_is_not(night, tmp_path):
    with pytest.raises(ValueError, match="classification is 'strickt': expected one of"):
        reduce_night(night.folder, tmp_path / "out", classification="strickt")
    assert not (tmp_path / "out").exists()


def test_what_the_pixels_of_a_nameless_frame_look_like_is_said(night, tmp_path):
    raw = shutil.copytree(night.folder, tmp_path / "raw")
    for kind in ("bias", "flat", "light"):
        path = raw / night.paths(kind)[0].name
        with fits.open(path, mode="update") as hdus:
            del hdus[0].header["IMAGETYP"]
    rows = rows_of(reduce_night(raw, tmp_path / "out", require=("bias",), executor="thread"))
    for kind, guess in {"bias": "bias or dark", "flat": "flat", "light": "light"}.items():
        row = rows[night.paths(kind)[0].name]
        assert row["status"] == "rejected"
        assert row["message"].endswith(f"; its pixels look like: {guess}")


def test_guesses_are_right_or_none(real_data):
    folder = real_data / "ngc520_g"
    if not folder.is_dir():
        pytest.skip("the NGC 520 frames are not there")
    truth = {"bi": "bias or dark", "d": "bias or dark", "flat": "flat"}
    paths = sorted(folder.glob("*/*-00[1-3]-*.fit"))
    for path, guess in guess_types(paths).items():
        name = path.rpartition("/")[2]
        kind = "flat" if name.startswith("flat") else name.removesuffix(".fit").rpartition("-")[2]
        assert guess in (truth[kind],) if kind in truth else guess in ("light", "flat or light")


def test_alone_in_their_kind_frames_are_not_guessed(night):
    assert set(guess_types(night.paths("bias")).values()) == {""}
    assert guess_types([night.folder / "none.fit"]) == {str(night.folder / "none.fit"): ""}

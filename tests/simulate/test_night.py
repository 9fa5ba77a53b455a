"""The files of a simulated night are what the truth says."""

import hashlib
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from bmp_astro.simulate import simulate_night

SMALL = {"shape": (64, 96), "overscan": 16, "n_bias": 3, "n_dark": 2, "n_flat": 2, "n_light": 3}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return simulate_night(tmp_path_factory.mktemp("night") / "raw", **SMALL)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_every_file_is_accounted_for(night):
    known = {frame.path for frame in night.frames} | set(night.bad_files)
    assert set(night.folder.iterdir()) == known
    assert len(night.paths("bias")) == 3
    assert len(night.paths("dark")) == 2
    assert len(night.paths("flat", "V")) == len(night.paths("flat", "R")) == 2
    assert len(night.paths("light")) == 3
    assert len(night.bad_files) == 4


def test_equal_seeds_give_equal_files(night, tmp_path):
    simulate_night(tmp_path / "same", **SMALL)
    simulate_night(tmp_path / "other", **SMALL, seed=1)
    assert digests(tmp_path / "same") == digests(night.folder)
    fits_only = {k: v for k, v in digests(tmp_path / "other").items() if k != "notes.fits"}
    assert not set(fits_only.values()) & set(digests(night.folder).values())


def test_bad_files_change_nothing_else(night, tmp_path):
    clean = simulate_night(tmp_path / "clean", **SMALL, bad_files=False)
    assert clean.bad_files == {}
    assert digests(clean.folder).items() <= digests(night.folder).items()


def test_a_file_there_already_is_not_overwritten(night):
    before = digests(night.folder)
    with pytest.raises(OSError, match=r"bias-001\.fit"):
        simulate_night(night.folder, **SMALL)
    assert digests(night.folder) == before


def test_frames_are_unsigned_16_bit_with_the_sections_of_the_header(night):
    with fits.open(night.paths("bias")[0], do_not_scale_image_data=True) as hdus:
        assert hdus[0].header["BZERO"] == 32768
        assert hdus[0].header["BITPIX"] == 16
        assert hdus[0].data.shape == (64, 112)
        assert hdus[0].header["BIASSEC"] == "[97:112,1:64]"
        assert hdus[0].header["TRIMSEC"] == "[1:96,1:64]"


def test_overscan_shows_the_level_of_each_row(night):
    for kind in ("bias", "dark", "flat", "light"):
        for path in night.paths(kind):
            overscan = fits.getdata(path)[:, 96:].astype(float)
            error = np.sqrt((8.0 / 1.5) ** 2 + 1 / 12) / 4
            pull = (overscan.mean(axis=1) - night.frame(path).level[:, 0]) / error
            assert np.sum(pull**2) < 64 + 5 * np.sqrt(2 * 64)


def test_levels_differ_from_frame_to_frame_and_drift(night):
    levels = np.hstack([frame.level for frame in night.frames])
    assert levels.mean(axis=0).std() > 1
    assert np.all(levels[-1] - levels[0] > 1)


def test_a_light_is_the_scene_through_the_camera(night):
    path = night.paths("light", "V")[0]
    frame, camera = night.frame(path), night.detector
    raw = fits.getdata(path)[:, :96].astype(float)
    electrons = (raw - frame.level - camera.bias) * camera.gain
    expected = night.scene(path) * camera.flats["V"] + camera.dark_rate * frame.exptime
    sigma = np.sqrt(expected + camera.read_noise**2 + camera.gain**2 / 12)
    hit = np.zeros(raw.shape, bool)
    hit[tuple(frame.cosmic_rays.T)] = True
    good = ~hit & (raw < 65535)
    pull = ((electrons - expected) / sigma)[good]
    assert abs(pull.mean()) < 5 / np.sqrt(pull.size)
    assert pull.std() == pytest.approx(1, abs=5 / np.sqrt(2 * pull.size))


def test_cosmic_rays_hit_where_the_truth_says(tmp_path):
    night = simulate_night(tmp_path, shape=(256, 256), n_bias=0, n_flat=0, n_dark=0, n_light=1)
    path = night.paths("light")[0]
    frame, camera = night.frame(path), night.detector
    electrons = (fits.getdata(path)[:, :256] - frame.level - camera.bias) * camera.gain
    scene = night.scene(path) * camera.flats["V"] + camera.dark_rate * frame.exptime
    excess = (electrons - scene)[tuple(frame.cosmic_rays.T)]
    assert len(excess) > 3
    assert np.mean(excess > 5 * camera.read_noise) > 0.9


def test_the_light_leak_is_light(night):
    bad = next(path for path, what in night.bad_files.items() if "light leaked" in what)
    assert fits.getheader(bad)["IMAGETYP"] == "Bias Frame"
    assert np.median(fits.getdata(bad)[:, :96]) > np.median(fits.getdata(bad)[:, 96:]) + 300


def test_the_saturated_flat_is_saturated(night):
    bad = next(path for path, what in night.bad_files.items() if what == "saturated")
    assert (fits.getdata(bad)[:, :96] == 65535).all()


def test_the_truncated_light_lacks_bytes_but_has_its_header(night):
    bad = next(path for path, what in night.bad_files.items() if what == "truncated")
    header = fits.Header.fromfile(bad)
    assert header["IMAGETYP"] == "Light Frame"
    pixels = 2 * header["NAXIS1"] * header["NAXIS2"]
    assert len(header.tostring()) < bad.stat().st_size < len(header.tostring()) + pixels


def test_the_text_file_is_no_fits_file(night):
    assert (night.folder / "notes.fits") in night.bad_files
    with pytest.raises(OSError, match="SIMPLE"):
        fits.open(night.folder / "notes.fits")


def test_a_frame_is_found_by_its_name(night):
    path = night.paths("dark")[1]
    assert night.frame(path.name).path == path
    with pytest.raises(KeyError, match=r"notes\.fits"):
        night.frame(night.folder / "notes.fits")


def test_headers_say_what_the_truth_says(night):
    for frame in night.frames:
        header = fits.Header.fromfile(frame.path)
        assert header["EXPTIME"] == frame.exptime
        assert header["CCD-TEMP"] == frame.temperature
        assert header.get("FILTER", "") == frame.filter
        assert header["EGAIN"] == 1.5
        assert "RDNOISE" not in header
    dates = [fits.Header.fromfile(frame.path)["DATE-OBS"] for frame in night.frames]
    assert all(earlier < later for earlier, later in pairwise(dates))


def test_read_noise_card_on_request(tmp_path):
    night = simulate_night(tmp_path, **SMALL, read_noise_card=True, bad_files=False)
    assert all(fits.getheader(frame.path)["RDNOISE"] == 8.0 for frame in night.frames)


def test_without_overscan_there_are_no_sections_and_no_drift(tmp_path):
    night = simulate_night(tmp_path, **{**SMALL, "overscan": 0}, bad_files=False)
    header = fits.getheader(night.paths("bias")[0])
    assert (header["NAXIS2"], header["NAXIS1"]) == (64, 96)
    assert "BIASSEC" not in header
    assert "TRIMSEC" not in header
    assert {frame.level for frame in night.frames} == {1000.0}


def test_the_wcs_follows_the_dither(night):
    sky = []
    for path in night.paths("light"):
        dx, dy = night.frame(path).shift
        wcs = WCS(fits.getheader(path), fix=False)
        sky.append(wcs.pixel_to_world_values(40.0 + dx, 30.0 + dy))
    assert np.ptp(sky, axis=0) == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_finds_no_fault_in_good_files(night):
    for frame in night.frames:
        if frame.problem != "truncated":
            run = subprocess.run(
                ["fitsverify", "-q", frame.path], capture_output=True, text=True, check=False
            )
            assert "verification OK" in run.stdout

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro.fits import with_flags
from bmp_astro.simulate import simulate_night
from bmp_astro.steps.light import why_no_light
from bmp_astro.steps.stars import count_stars, some_rows

Y, X = np.mgrid[:200, :300]


def sky(level=100.0, noise=5.0, seed=1):
    return np.random.default_rng(seed).normal(level, noise, Y.shape)


def stars(count, fwhm, height, seed=2):
    rng = np.random.default_rng(seed)
    places = rng.uniform([10, 10], [190, 280], (count, 2))
    sigma = fwhm / 2.3548
    return sum(height * np.exp(-0.5 * ((Y - y) ** 2 + (X - x) ** 2) / sigma**2) for y, x in places)


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 5.0])
def test_stars_are_counted(fwhm):
    found = count_stars(sky() + stars(20, fwhm, 500))
    assert 15 <= found <= 25


def test_noise_structure_hot_pixels_and_columns_are_no_stars():
    rng = np.random.default_rng(3)
    structure = 30 * np.sin(X / 60) + 0.1 * (Y - 100) ** 2 / 10
    assert count_stars(sky() + structure) == 0
    hot = np.where(rng.random(Y.shape) < 0.005, 2000, 0)
    assert count_stars(sky() + hot) == 0
    column = np.where((X >= 50) & (X < 53), 400, 0)
    assert count_stars(sky() + column) == 0


def test_tracks_of_cosmic_rays_are_no_stars():
    track = np.zeros(Y.shape)
    track[100, 40:80] = 900
    track[np.arange(20, 60), np.arange(120, 160)] = 900
    assert count_stars(sky() + track) == 0


def test_integers_without_noise_are_no_stars():
    assert count_stars(np.full((50, 80), 1000, dtype=np.uint16)) == 0
    steps = 1000 + (np.random.default_rng(1).random((50, 80)) < 0.3).astype(np.uint16)
    assert count_stars(steps) == 0


def test_images_too_small_for_a_star_have_none():
    assert count_stars(np.zeros((2, 100))) == 0


def test_a_part_of_the_rows():
    image = np.arange(1000 * 50).reshape(1000, 50)
    part = some_rows(image, 4000)
    assert part.shape == (80, 50)
    assert np.isin(part, image).all()
    assert some_rows(image[:30], 4000) is not None
    assert some_rows(image[:30], 4000).shape == (30, 50)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (sky(20_000, 140), "electron: is it a flat, or were there clouds?"),
        (sky(0, 5), "no sky"),
        (sky(-3, 5), "no sky (-3.0 electron): is it a bias or dark"),
        (sky(200, 15), ""),
        (sky(20_000, 140) + stars(3, 3, 20_000), ""),
        (sky(0, 5) + stars(1, 3, 500), ""),
    ],
)
def test_what_speaks_against_a_light(pixels, words):
    doubt = why_no_light(CCDData(pixels, unit="electron"))
    assert words in doubt
    assert bool(doubt) == bool(words)


def test_a_single_star_anywhere_in_a_large_frame_is_enough():
    pixels = np.random.default_rng(1).normal(0, 5, (1500, 400))
    assert why_no_light(CCDData(pixels, unit="electron"))
    star = 500 * np.exp(-0.5 * ((Y - 100) ** 2 + (X - 150) ** 2) / 1.5**2)
    pixels[60:260, 40:340] += star
    assert why_no_light(CCDData(pixels, unit="electron")) == ""


def test_of_a_frame_that_is_masked_nothing_is_said():
    ccd = with_flags(CCDData(sky(0, 5), unit="electron"), np.ones(Y.shape, np.uint8))
    assert why_no_light(ccd) == ""


@pytest.mark.parametrize(("pattern", "most"), [("*-bi", 2), ("*-d", 10), ("flat-", 10)])
def test_calibration_frames_of_a_real_camera_have_few(real_data, pattern, most):
    paths = sorted((real_data / "ngc520_g").glob(f"calibration/{pattern}*.fit"))[:3]
    if not paths:
        pytest.skip("the NGC 520 frames are not there")
    assert all(count_stars(fits.getdata(path)) <= most for path in paths)


def test_dust_in_flats_and_wide_structure_are_no_stars(tmp_path):
    night = simulate_night(tmp_path, n_bias=0, n_dark=0, n_light=0, bad_files=False)
    flats = night.paths("flat")
    assert len(flats) == 10
    assert max(count_stars(fits.getdata(path)[:256]) for path in flats) <= 10
    assert count_stars(sky() + stars(20, 21, 100)) == 0

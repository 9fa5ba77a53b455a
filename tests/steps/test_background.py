"""Sky and fringes: what goes, what stays, and the uncertainty."""

import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro import read_frame, write_frame
from bmp_astro.fits import with_flags
from bmp_astro.simulate import make_stars, star_image
from bmp_astro.steps import subtract_background, subtract_fringe

SHAPE = (240, 300)


@pytest.fixture
def sky():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 300 + 0.3 * x + 0.002 * (y - 100.0) ** 2


@pytest.fixture
def stars():
    table = make_stars(np.random.default_rng(2), SHAPE, ["V"], n=60)
    return star_image(SHAPE, table["x"], table["y"], 60 * table["flux_V"], 3.0)


def frame(light, seed=1):
    rng = np.random.default_rng(seed)
    ccd = CCDData(rng.poisson(light) + rng.normal(0, 5, SHAPE), unit="electron")
    ccd.data = ccd.data.astype(np.float32)
    ccd.uncertainty = StdDevUncertainty(np.sqrt(light + 25).astype(np.float32))
    ccd.header["SATURATE"] = 60_000.0
    return ccd


def test_the_surface_goes_and_stars_and_noise_stay(sky, stars, unchanged):
    ccd, meta = frame(sky + stars), {}
    with unchanged(ccd):
        done = subtract_background(ccd, bmp_meta=meta)
    faint = stars < 1
    assert np.median(done.data[faint]) == pytest.approx(0, abs=2)
    left = done.data - (ccd.data - sky)
    assert np.std(left) < 0.3 * np.sqrt(sky.mean())
    assert meta["sky_subtracted"].value == done.header["BACKGRND"]
    assert done.header["BACKGRND"] == pytest.approx(sky.mean(), rel=0.01)
    assert done.header["SATURATE"] == pytest.approx(60_000 - sky.mean(), rel=1e-3)
    np.testing.assert_array_equal(done.uncertainty.array, ccd.uncertainty.array)
    assert (done.data.dtype, done.unit) == (np.float32, ccd.unit)


def test_masked_pixels_do_not_count(sky):
    ccd = frame(sky)
    flags = np.zeros(SHAPE, np.uint8)
    flags[40:110, 30:90] = 2
    plain = subtract_background(ccd).data[flags == 0]
    ccd.data[flags != 0] = 5e4
    masked = subtract_background(with_flags(ccd, flags)).data[flags == 0]
    assert np.abs(masked - plain).max() < 10


@pytest.mark.parametrize("mesh", [1, 0, -5, 301])
def test_a_mesh_must_make_sense(sky, mesh):
    with pytest.raises(ValueError, match=r"background_mesh is .* must be from 2"):
        subtract_background(frame(sky), background_mesh=mesh)


def test_all_masked_has_no_background(sky):
    with pytest.raises(ValueError, match="every pixel is masked"):
        subtract_background(with_flags(frame(sky), np.ones(SHAPE, np.uint8)))


@pytest.fixture
def pattern():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.sin(0.11 * x + 0.05 * y) + 0.4 * np.cos(0.23 * y)


def test_the_fit_finds_the_scale_among_stars_and_its_error_is_true(stars, pattern):
    scales, errors = [], []
    for seed in range(8):
        ccd = frame(400 + stars + 12.0 * pattern, seed)
        done = subtract_fringe(ccd, CCDData(pattern + 7, unit=""))
        scales.append(done.header["FRNGSCAL"])
        errors.append(done.header["FRNGSERR"])
    assert np.mean(scales) == pytest.approx(12, abs=0.3)  # wings of stars
    assert np.std(scales) == pytest.approx(np.mean(errors), rel=0.6)


def test_what_is_subtracted_is_recorded_and_the_uncertainty_grows(tmp_path, pattern, unchanged):
    fringe = CCDData((pattern + 7).astype(np.float32), unit="electron")
    fringe.uncertainty = StdDevUncertainty(np.full(SHAPE, 0.3, np.float32))
    path = write_frame(fringe, tmp_path / "fringe.fits", checksum=True)
    ccd, meta = frame(400 + 12.0 * pattern), {}
    with unchanged(ccd):
        done = subtract_fringe(ccd, path, bmp_meta=meta)
    scale, error = meta["fringe_scale"], meta["fringe_scale_error"]
    shape = read_frame(path).data - np.median(fringe.data)
    np.testing.assert_allclose(done.data, ccd.data - scale * shape, atol=1e-3)
    variance = ccd.uncertainty.array**2 + (scale * 0.3) ** 2 + (error * shape) ** 2
    np.testing.assert_allclose(done.uncertainty.array, np.sqrt(variance), rtol=1e-5)
    assert (done.header["MFRNG"], done.header["FRNGSCAL"]) == ("fringe.fits", scale)
    assert np.median(done.data) == pytest.approx(np.median(ccd.data), abs=2)
    half = subtract_fringe(ccd, path, fringe_scale=6.0)
    np.testing.assert_allclose(half.data, ccd.data - 6 * shape, atol=1e-3)


def test_fringe_frames_that_do_not_serve(pattern):
    ccd = frame(400 + 0 * pattern)
    with pytest.raises(ValueError, match="fringe frame is unknown"):
        subtract_fringe(ccd)
    with pytest.raises(ValueError, match=r"fringe frame is \(9, 9\)"):
        subtract_fringe(ccd, CCDData(np.ones((9, 9)), unit=""))
    with pytest.raises(ValueError, match="has no pattern"):
        subtract_fringe(ccd, CCDData(np.ones(SHAPE), unit=""))
    with pytest.raises(ValueError, match="pixels are good in the frame and in unnamed"):
        subtract_fringe(with_flags(ccd, np.ones(SHAPE, np.uint8)), CCDData(pattern, unit=""))

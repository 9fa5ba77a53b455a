"""Injected cosmic rays and hot pixels: how many are found, and how many of the found are true."""

import numpy as np
import pytest
from astropy.nddata import CCDData
from scipy.ndimage import binary_dilation

from bmp_astro.fits import MaskBit
from bmp_astro.masters import find_bad_pixels
from bmp_astro.simulate import cosmic_ray_tracks, star_image
from bmp_astro.steps import calibrate, remove_cosmic_rays

SKY = 150.0


@pytest.fixture
def struck(make_night):
    """A calibrated light with stars and cosmic rays, where they hit, and where they show."""
    night = make_night(11, 4.0)
    shape = night.detector.shape
    rng = np.random.default_rng(12)
    stars = star_image(
        shape, rng.uniform(5, 187, 40), rng.uniform(5, 123, 40), rng.uniform(1e3, 5e4, 40), 3.0
    )
    rays = cosmic_ray_tracks(rng, shape, 60)
    masters = night.masters()
    ccd = calibrate(night.raw("light", SKY + stars, cosmic_rays=rays), **masters)
    sigma = np.sqrt(SKY + stars + night.detector.dark_rate * 300 + night.detector.read_noise**2)
    return ccd, rays > 0, rays > 10 * sigma, night.detector.hot_pixels


def test_cosmic_rays(struck):
    ccd, hit, bright, hot = struck
    found = (remove_cosmic_rays(ccd).flags & MaskBit.COSMIC_RAY) != 0
    usable = (ccd.flags == 0) & ~hot
    assert (bright & usable).sum() > 100
    completeness = (found & bright & usable).sum() / (bright & usable).sum()
    near = binary_dilation(hit, np.ones((3, 3)))
    purity = (found & near).sum() / (found & ~hot).sum()
    assert completeness > 0.9
    assert purity > 0.95


def test_hot_and_dead_pixels(make_night):
    night = make_night(14, 4.0)
    hot = night.detector.hot_pixels
    dead = np.zeros(hot.shape, bool)
    dead[5::20, 7::20] = True
    night.detector.flats["V"][dead] *= np.linspace(0, 0.4, dead.sum())
    masters = night.masters()
    of_dark = find_bad_pixels(masters["master_dark"])
    of_both = find_bad_pixels(masters["master_dark"], masters["master_flat"])
    assert hot.sum() > 15
    assert (of_dark & hot).sum() / hot.sum() > 0.95  # completeness
    assert (of_dark & hot).sum() / of_dark.sum() > 0.95  # purity
    np.testing.assert_array_equal(of_both, of_dark | dead)
    ccd = calibrate(night.raw("light", SKY), **masters, bad_pixel_mask=of_both)
    np.testing.assert_array_equal((ccd.flags & MaskBit.BAD_PIXEL) != 0, of_both)


def test_masters_that_do_not_fit():
    with pytest.raises(ValueError, match="neither a master dark nor a master flat"):
        find_bad_pixels()
    one, other = CCDData(np.ones((9, 9)), unit="adu"), CCDData(np.ones((8, 9)), unit="")
    with pytest.raises(ValueError, match=r"dark is \(9, 9\) .* flat \(8, 9\)"):
        find_bad_pixels(one, other)


def test_hot_pixels_leave_the_light_with_the_dark(make_night, light_with_truth):
    night = make_night(13, 4.0)
    hot = night.detector.hot_pixels
    found = light_with_truth(night)
    pull = ((found.ccd.data - found.truth) / found.sigma)[hot & ~found.ccd.mask]
    assert pull.size > 10
    assert np.abs(np.median(pull)) < 5 / np.sqrt(pull.size)
    raw = night.raw("light", SKY).data
    assert np.median(raw[hot]) > np.median(raw) + 50  # they were there

"""Cosmic rays: found, masked, replaced when asked, in either unit."""

import astropy.units as u
import numpy as np
import pytest

from bmp_astro.fits import flags_of, with_flags
from bmp_astro.steps import correct_gain, remove_cosmic_rays

GAIN, NOISE = 2.0, 5.0
STRUCK = [(20, 30), (21, 30), (60, 61), (70, 12)]


@pytest.fixture
def frame(make_image):
    """A sky of 200 electron in adu, a star that saturates, and cosmic rays."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:90, :80]
    star = 30000 * np.exp(-((y - 40) ** 2 + (x - 40) ** 2) / (2 * 2.5**2))
    electrons = rng.poisson(200 + np.minimum(star, 20000)) + rng.normal(0, NOISE, y.shape)
    for place in STRUCK:
        electrons[place] += 3000
    adu = (electrons / GAIN).astype(np.float32)
    return make_image(adu, "adu", GAIN=GAIN, RDNOISE=NOISE, SATURATE=9900.0)


def struck(ccd):
    return {tuple(place) for place in np.argwhere(flags_of(ccd) & 8).tolist()}


def test_found_masked_and_left_in_place(frame, unchanged):
    with unchanged(frame):
        ccd = remove_cosmic_rays(frame)
    found = struck(ccd)
    assert set(STRUCK) <= found
    assert len(found) <= len(STRUCK) + 12
    np.testing.assert_array_equal(ccd.data, frame.data)
    assert not any(abs(y - 40) < 8 and abs(x - 40) < 8 for y, x in found)


def test_replaced_when_asked(frame, unchanged):
    with unchanged(frame):
        ccd = remove_cosmic_rays(frame, cosmicray_replace=True)
    for place in STRUCK:
        assert ccd.data[place] == pytest.approx(100, abs=25)
    elsewhere = ccd.flags == 0
    np.testing.assert_array_equal(ccd.data[elsewhere], frame.data[elsewhere])
    assert ccd.mask[STRUCK[0]]


def test_the_same_in_electron(frame):
    in_adu = remove_cosmic_rays(frame, cosmicray_replace=True)
    frame.header["SATURATE"] = 9900.0
    in_electron = remove_cosmic_rays(correct_gain(frame), cosmicray_replace=True)
    assert struck(in_adu) == struck(in_electron)
    np.testing.assert_allclose(in_electron.data, GAIN * in_adu.data, rtol=1e-5)
    by_hand = remove_cosmic_rays(correct_gain(frame), saturation=9900 * u.adu)
    assert struck(by_hand) == struck(in_adu)
    by_electron = remove_cosmic_rays(correct_gain(frame), saturation=19800 * u.electron)
    assert struck(by_electron) == struck(in_adu)


def test_masked_pixels_are_not_searched(frame):
    flags = np.zeros(frame.shape, np.uint8)
    flags[STRUCK[2]] = 1
    frame.data[3, 3] = np.nan
    ccd = remove_cosmic_rays(with_flags(frame, flags))
    assert ccd.flags[STRUCK[2]] == 1
    assert struck(ccd) >= {STRUCK[0], STRUCK[3]}


def test_a_higher_threshold_finds_no_more(frame):
    few = struck(remove_cosmic_rays(frame, cosmicray_sigma=20.0))
    assert few <= struck(remove_cosmic_rays(frame))


def test_color_mosaics_are_refused(frame):
    frame.header["BAYERPAT"] = "RGGB"
    with pytest.raises(ValueError, match=r"color mosaic \(RGGB\)"):
        remove_cosmic_rays(frame)


def test_read_noise_is_needed(frame):
    del frame.header["RDNOISE"]
    with pytest.raises(ValueError, match="read noise is unknown"):
        remove_cosmic_rays(frame)


def test_the_fraction_that_is_flagged_goes_into_the_row(frame):
    meta = {}
    ccd = remove_cosmic_rays(frame, bmp_meta=meta)
    assert meta == {"cosmicray_fraction": len(struck(ccd)) / ccd.data.size}
    assert "from 4.5 sigma" in ccd.header["HISTORY"][-1]

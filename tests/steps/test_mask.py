"""Saturated pixels: on raw values, by the level that is known."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.fits import Instrument
from bmp_astro.steps import correct_gain, mask_bad_pixels, mask_saturated, subtract_overscan


def test_level_given_then_the_headers_then_the_top_of_the_range(sample, unchanged, caplog):
    raw = sample.raw
    raw.data[0, 0] = 65535
    with unchanged(raw):
        assert np.argwhere(mask_saturated(raw).flags).tolist() == [[0, 0], [5, 6]]
        by_hand = mask_saturated(raw, saturation=60001 * u.adu)
    np.testing.assert_array_equal(by_hand.flags != 0, raw.data >= 60001)
    assert by_hand.header["SATURATE"] == 60001
    assert not caplog.text
    del raw.header["SATURATE"]
    assert np.argwhere(mask_saturated(raw).flags).tolist() == [[0, 0]]
    assert "65535 adu, the top of the range" in caplog.text
    camera = Instrument("12 bit", saturation=4095 * u.adu)
    by_camera = mask_saturated(raw, instrument=camera)
    np.testing.assert_array_equal(by_camera.flags == 2, raw.data >= 4095)


def test_the_level_itself_is_saturated():
    ccd = mask_saturated(CCDData([[9.0, 10.0, 11.0]], unit="adu"), saturation=10)
    np.testing.assert_array_equal(ccd.flags, [[0, 2, 2]])


def test_bits_join_those_that_are_there(sample):
    bad = np.zeros(sample.raw.shape, bool)
    bad[5, 6] = bad[0, 0] = True
    ccd = mask_saturated(mask_bad_pixels(sample.raw, bad))
    assert (ccd.flags[5, 6], ccd.flags[0, 0]) == (3, 1)
    assert np.count_nonzero(ccd.mask) == 2


def test_only_raw_frames(sample):
    for ccd in (subtract_overscan(sample.raw), correct_gain(sample.raw)):
        with pytest.raises(ValueError, match="this frame is not raw"):
            mask_saturated(ccd)


@pytest.mark.parametrize("saturation", [0, -5.0, 3 * u.electron, np.ones((3, 3))])
def test_levels_that_make_no_sense(sample, saturation):
    with pytest.raises(ValueError, match="saturation"):
        mask_saturated(sample.raw, saturation=saturation)


def test_floats_of_unknown_level():
    with pytest.raises(ValueError, match="saturation is unknown"):
        mask_saturated(CCDData([[1.0]], unit="adu"))

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.fits import MaskBit, flags_of, with_flags


@pytest.fixture
def ccd():
    return CCDData(np.zeros((2, 3), np.float32), unit="adu")


def test_the_bits_are_those_of_the_products():
    values = {bit.name: bit.value for bit in MaskBit}
    assert values == {
        "BAD_PIXEL": 1,
        "SATURATED": 2,
        "LOW_FLAT": 4,
        "COSMIC_RAY": 8,
        "NON_LINEAR": 16,
        "NO_DATA": 32,
        "TRAIL": 64,
        "UNSTABLE": 128,
    }


def test_flags_make_the_mask(ccd):
    flags = np.array([[0, 1, 2], [0, 0, 255]], dtype=np.uint8)
    assert with_flags(ccd, flags) is ccd
    assert flags_of(ccd).dtype == np.uint8
    np.testing.assert_array_equal(flags_of(ccd), flags)
    np.testing.assert_array_equal(ccd.mask, flags != 0)


def test_no_flags_no_mask(ccd):
    assert flags_of(ccd) is None
    with_flags(with_flags(ccd, np.ones((2, 3), np.uint8)), None)
    assert ccd.mask is None
    assert flags_of(ccd) is None


def test_a_mask_that_others_made_means_bad_pixels(ccd):
    ccd.mask = np.array([[True, False, False], [False, False, True]])
    np.testing.assert_array_equal(flags_of(ccd), [[1, 0, 0], [0, 0, 1]])
    ccd.flags = np.array([[0, 0, 0], [0, 0, 8]])
    np.testing.assert_array_equal(flags_of(ccd), [[1, 0, 0], [0, 0, 8]])


def test_flags_of_another_shape_are_an_error(ccd):
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 3\)"):
        with_flags(ccd, np.zeros((3, 2), np.uint8))

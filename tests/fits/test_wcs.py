import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from bmp_astro.fits import shift_wcs, wcs_of
from bmp_astro.fits.wcs import replace_wcs, same_sky, standardize_wcs

SHAPE = (40, 30)
CARDS = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "CRVAL1": 10.0,
    "CRVAL2": 20.0,
    "CRPIX1": 15.0,
    "CRPIX2": 20.0,
    "CD1_1": -1e-4,
    "CD1_2": 1e-5,
    "CD2_1": 1e-5,
    "CD2_2": 1e-4,
    "A_ORDER": 2,
    "A_2_0": 1e-6,
    "B_ORDER": 2,
    "B_0_2": 1e-6,
}


def test_a_trimmed_header_gives_the_old_sky_at_the_new_pixels():
    whole = wcs_of(fits.Header(CARDS), SHAPE)
    header = shift_wcs(fits.Header(CARDS), 3, 5)
    cut = wcs_of(header, (30, 20))
    x, y = np.meshgrid(np.arange(20.0), np.arange(30.0))
    np.testing.assert_allclose(
        cut.all_pix2world(x, y, 0), whole.all_pix2world(x + 3, y + 5, 0), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"OBJECT": "M 1"}, True),
        ({"CRVAL1": 10.0001}, False),
        ({"A_2_0": 2e-6}, False),
        ({"RADESYS": "FK5"}, False),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, False),
    ],
)
def test_the_same_sky(change, same):
    first, second = fits.Header(CARDS), fits.Header(CARDS | change)
    assert same_sky(wcs_of(first, SHAPE), wcs_of(second, SHAPE), SHAPE) is same


def test_replacing_keeps_what_is_not_the_wcs():
    new = WCS(naxis=2)
    new.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    new.wcs.crval = [30.0, -20.0]
    new.wcs.cdelt = [-2e-4, 2e-4]
    header = fits.Header({"OBJECT": "M 1", "DATE-OBS": "2020-01-01", **CARDS, "LTV1": -4.0})
    replace_wcs(header, new)
    assert same_sky(wcs_of(header, SHAPE), new, SHAPE)
    assert (header["OBJECT"], header["DATE-OBS"], header["LTV1"]) == ("M 1", "2020-01-01", -4.0)
    assert not [
        name
        for name in header
        if name.startswith(("CD", "A_", "B_")) and name != "CDELT1" and name != "CDELT2"
    ]


def test_one_matrix_and_the_number_of_axes_first():
    header = fits.Header({**CARDS, "PC1_1": 1.0, "PC2_2": 1.0, "PC1_1A": 1.0, "WCSAXES": 2})
    standardize_wcs(header)
    assert next(iter(header)) == "WCSAXES"
    assert "PC1_1" not in header
    assert "PC1_1A" in header


def test_the_header_is_not_touched():
    header = fits.Header(CARDS | {"RADECSYS": "FK5", "EPOCH": 2000.0})
    before = header.tostring()
    assert wcs_of(header, SHAPE).wcs.radesys == "FK5"
    assert header.tostring() == before

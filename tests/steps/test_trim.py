"""Trimming: pixels, planes, coordinates and cards move together."""

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from bmp_astro.fits import Instrument, read_frame, wcs_of, with_flags
from bmp_astro.steps import trim


@pytest.fixture
def frame(make_image):
    rng = np.random.default_rng(5)
    cards = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 20.0,
        "CRVAL2": 30.0,
        "CRPIX1": 12.5,
        "CRPIX2": 9.0,
        "CD1_1": -3e-4,
        "CD1_2": 1e-5,
        "CD2_1": 1e-5,
        "CD2_2": 3e-4,
        "TRIMSEC": "[5:24, 3:17]",
        "NAXIS1": 30,
        "NAXIS2": 20,
    }
    pixels = rng.integers(0, 65535, (20, 30)).astype(np.uint16)
    flags = rng.integers(0, 3, (20, 30)).astype(np.uint8)
    ccd = make_image(pixels, "adu", sigma=rng.uniform(1, 2, (20, 30)), flags=flags, **cards)
    ccd.wcs = wcs_of(ccd.header, ccd.shape)
    return ccd


def test_every_plane_is_cut_and_the_input_is_not(frame, unchanged):
    with unchanged(frame):
        ccd = trim(frame)
        ccd.data[:] = 0
        ccd.flags[:] = 0
    cut = np.s_[2:17, 4:24]
    again = trim(frame)
    assert again.data.dtype == np.uint16
    np.testing.assert_array_equal(again.data, frame.data[cut])
    np.testing.assert_array_equal(again.flags, frame.flags[cut])
    np.testing.assert_array_equal(again.mask, frame.mask[cut])
    np.testing.assert_array_equal(again.uncertainty.array, frame.uncertainty.array[cut])
    theirs = ccdproc.trim_image(frame, fits_section="[5:24, 3:17]")
    np.testing.assert_array_equal(again.data, theirs.data)


def test_the_sky_stays_where_it_is_in_wcs_and_cards(frame):
    ccd = trim(frame)
    before = frame.wcs.pixel_to_world(10, 8)
    assert ccd.wcs.pixel_to_world(6, 6).separation(before) < 1e-6 * u.arcsec
    cards = WCS(ccd.header)
    assert cards.pixel_to_world(6, 6).separation(before) < 1e-6 * u.arcsec
    assert (ccd.header["LTV1"], ccd.header["LTV2"]) == (-4, -2)
    assert (ccd.header["NAXIS1"], ccd.header["NAXIS2"]) == (20, 15)
    assert "TRIMSEC" not in ccd.header


def test_reference_pixel_of_a_trimmed_frame_stays(frame):
    camera = Instrument("Sinistro", wcs_frame="trimmed")
    ccd = trim(frame, instrument=camera)
    assert (ccd.header["CRPIX1"], ccd.header["CRPIX2"]) == (12.5, 9.0)
    np.testing.assert_array_equal(ccd.wcs.wcs.crpix, frame.wcs.wcs.crpix)
    assert ccd.header["LTV1"] == -4


def test_slices_and_reversed_text_name_the_same_section(frame):
    want = trim(frame).data
    np.testing.assert_array_equal(trim(frame, trim_section=np.s_[2:17, 4:-6]).data, want)
    np.testing.assert_array_equal(trim(frame, trim_section="[24:5,17:3]").data, want)


def test_once_trimmed_a_frame_has_no_section(frame):
    with pytest.raises(ValueError, match=r"trim section is unknown.*trim_section="):
        trim(trim(frame))


@pytest.mark.parametrize("section", ["[1:31,1:20]", np.s_[5:5, :], np.s_[::2, :]])
def test_a_section_that_does_not_fit(frame, section):
    with pytest.raises(ValueError, match=r"does not fit a frame of \(20, 30\)"):
        trim(frame, trim_section=section)


def test_a_plain_image_with_a_mask_alone():
    ccd = CCDData(np.eye(4), unit="adu", mask=np.eye(4) > 0)
    ccd.uncertainty = StdDevUncertainty(np.eye(4))
    cut = trim(ccd, trim_section=np.s_[1:3, 1:4])
    np.testing.assert_array_equal(cut.flags, np.eye(4, dtype=int)[1:3, 1:4])
    assert cut.uncertainty.array.shape == (2, 3)
    with_flags(ccd, None)
    assert trim(ccd, trim_section=np.s_[1:3, 1:4]).flags is None


def test_a_real_distorted_wcs_moves_with_its_cards(real_data):
    frame = read_frame(real_data / "quirks" / "sip-wcs.fit")
    ccd = trim(frame, trim_section=np.s_[10:40, 20:90])
    before = frame.wcs.all_pix2world([30, 70], [15, 35], 0)
    by_cards = wcs_of(ccd.header, ccd.shape)
    assert by_cards.sip is not None
    for wcs in (ccd.wcs, by_cards):
        np.testing.assert_allclose(wcs.all_pix2world([10, 50], [5, 25], 0), before, rtol=1e-12)

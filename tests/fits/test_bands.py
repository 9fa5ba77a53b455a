import gzip
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty

from bmp_astro.fits import open_frame, read_frame, with_flags, write_frame


@pytest.fixture
def image():
    rng = np.random.default_rng(5)
    ccd = CCDData(rng.normal(100, 9, (57, 31)).astype(np.float32), unit="electron")
    ccd.uncertainty = StdDevUncertainty(np.sqrt(np.abs(ccd.data)))
    return with_flags(ccd, rng.integers(0, 255, ccd.shape).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_bands_put_together_are_the_frame(tmp_path, image, suffix):
    path = write_frame(image, tmp_path / f"a{suffix}")
    edges = [0, 1, 20, 20, 57]
    pairs = list(itertools.pairwise(edges))
    with open_frame(path) as frame:
        assert frame.shape == (57, 31)
        assert frame.unit == image.unit
        assert frame.dtype == np.float32
        for read, whole in (
            (frame.rows, image.data),
            (frame.uncertainty_rows, image.uncertainty.array),
            (frame.flag_rows, image.flags),
        ):
            np.testing.assert_array_equal(np.vstack([read(*pair) for pair in pairs]), whole)


def test_threads_may_share_an_open_frame(tmp_path, fits_bytes):
    pixels = np.arange(200 * 300, dtype=np.int64).reshape(200, 300).astype(">i4")
    for name, content in (("a.fits", bytes), ("a.fits.gz", gzip.compress)):
        path = tmp_path / name
        path.write_bytes(content(fits_bytes([], pixels)))
        with open_frame(path) as frame, ThreadPoolExecutor(8) as pool:
            bands = pool.map(lambda y: frame.rows(y, y + 10), range(0, 200, 10))
            np.testing.assert_array_equal(np.vstack(list(bands)), pixels)


def test_raw_frames_have_neither_flags_nor_uncertainty(fits_file):
    with open_frame(fits_file(["BZERO   = 32768"])) as frame:
        assert frame.flag_rows(0, 3) is None
        assert frame.uncertainty_rows(0, 3) is None
        assert frame.rows(1, 2).dtype == np.uint16


def test_rows_outside_are_an_error(fits_file):
    with open_frame(fits_file()) as frame:
        with pytest.raises(ValueError, match="rows 2:4 are not within the 3 rows"):
            frame.rows(2, 4)
        with pytest.raises(ValueError, match="rows -1:2"):
            frame.rows(-1, 2)


def test_planes_that_others_wrote(tmp_path):
    data = np.array([[1.0, 4.0], [9.0, 16.0]], np.float32)
    theirs = CCDData(data, unit="adu", mask=data > 10, uncertainty=VarianceUncertainty(data))
    theirs.write(tmp_path / "ccdproc.fits")
    ours = read_frame(tmp_path / "ccdproc.fits")
    np.testing.assert_allclose(ours.uncertainty.array, np.sqrt(data))
    assert isinstance(ours.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(ours.flags, [[0, 0], [0, 1]])


def test_inverse_variance_and_a_mask_of_floats(tmp_path):
    ones = np.ones((2, 2), np.float32)
    inverse = fits.ImageHDU(ones * 0.25, fits.Header({"UTYPE": "InverseVariance"}), name="UNCERT")
    mask = fits.ImageHDU(np.array([[0, 1.5], [0, 0]], np.float32), name="MASK")
    fits.HDUList([fits.PrimaryHDU(ones), inverse, mask]).writeto(tmp_path / "a.fits")
    ccd = read_frame(tmp_path / "a.fits")
    np.testing.assert_allclose(ccd.uncertainty.array, 2.0)
    np.testing.assert_array_equal(ccd.flags, [[0, 1], [0, 0]])


def test_a_mask_of_wide_integers_never_loses_a_masked_pixel(tmp_path):
    mask = fits.ImageHDU(np.array([[0, 256], [3, 257]], np.int32), name="MASK")
    fits.HDUList([fits.PrimaryHDU(np.ones((2, 2), np.float32)), mask]).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.fits").flags, [[0, 1], [3, 1]])


def test_reading_and_writing_in_threads(tmp_path, image):
    suffixes = [".fits", ".fits.gz", ".fits.fz"] * 8

    def trip(number, suffix):
        path = write_frame(image, tmp_path / f"{number}{suffix}", checksum=True)
        again = read_frame(path)
        return np.array_equal(again.data, image.data) and np.array_equal(again.flags, image.flags)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(trip, range(len(suffixes)), suffixes))


def test_planes_of_another_shape_are_not_planes(tmp_path):
    mask = fits.ImageHDU(np.ones((3, 3), np.uint8), name="MASK")
    hdus = fits.HDUList([fits.PrimaryHDU(np.ones((2, 2), np.float32)), mask])
    hdus.writeto(tmp_path / "a.fits")
    assert read_frame(tmp_path / "a.fits").mask is None


def test_a_file_cut_under_our_hands_is_an_error(fits_file):
    path = fits_file([], np.zeros((100, 100), ">i2"))
    with open_frame(path) as frame:
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(OSError, match="truncated"):
            frame.rows(90, 100)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_windows_and_stored_rows_are_parts_of_the_frame(tmp_path, suffix):
    pixels = np.random.default_rng(3).integers(0, 65536, (50, 40)).astype(np.uint16)
    path = write_frame(CCDData(pixels, unit="adu"), tmp_path / f"a{suffix}", dtype="uint16")
    with open_frame(path) as frame:
        window = frame.window(slice(7, 31), slice(3, 11))
        stored = frame.stored_rows(5, 9)
        native = frame.stored_rows(5, 9, with_offset=False)
        with pytest.raises(ValueError, match="rows"):
            frame.window(slice(7, 51), slice(3, 11))
        with pytest.raises(ValueError, match="rows"):
            frame.stored_rows(-1, 3)
    np.testing.assert_array_equal(window, pixels[7:31, 3:11])
    assert window.dtype == np.uint16
    np.testing.assert_array_equal(stored.pixels + stored.bzero, pixels[5:9])
    assert native.bzero == 0
    np.testing.assert_array_equal(native.pixels, pixels[5:9])


def test_stored_rows_of_blank_or_scaled_pixels_are_decoded(fits_file):
    pixels = np.arange(-6, 6, dtype=">i2").reshape(3, 4)
    with open_frame(fits_file(["BLANK   = 2", "BSCALE  = 0.5", "BZERO   = 10"], pixels)) as frame:
        rows, expected = frame.stored_rows(0, 3), frame.read(0, 3)
    assert rows.bzero == 0
    np.testing.assert_array_equal(rows.pixels, expected[0])
    np.testing.assert_array_equal(rows.flags, expected[1])

"""The checksum of a file, made while its rows are read: what FITS calls DATASUM."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.fits import open_frame, read_frame
from bmp_astro.fits.rowsums import RowSums


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    dtype=st.sampled_from([">u1", ">i2", ">i4", ">f8"]),
    bands=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 7)), max_size=6),
    seed=st.integers(0, 99),
)
def test_rows_in_any_order_add_up_to_the_datasum(shape, dtype, bands, seed):
    size = np.dtype(dtype).itemsize
    data = np.random.default_rng(seed).integers(0, 256, (shape[0], shape[1] * size), np.uint8)
    pixels = data.view(dtype)
    sums = RowSums(shape[0], pixels[0].nbytes)
    for start, length in bands:
        if start < shape[0]:
            sums.add(start, pixels[start : start + length])
    for first, last in sums.missing():
        sums.add(first, pixels[first:last])
    assert sums.missing() == []
    hdu = fits.ImageHDU(np.zeros((1, data.size), np.uint8))
    assert sums.total == hdu._compute_checksum(data.ravel())


@pytest.fixture
def path(tmp_path):
    """A raw frame of an odd number of columns, with its own DATASUM."""
    pixels = np.random.default_rng(5).integers(0, 65535, (41, 33)).astype(np.uint16)
    fits.writeto(tmp_path / "raw.fits", pixels, checksum=True)
    return tmp_path / "raw.fits"


def test_a_frame_tells_the_datasum_of_its_file_however_it_was_read(path):
    datasum = fits.getheader(path)["DATASUM"]
    with open_frame(path) as frame:
        said = frame.checksum()
    assert said.split()[0] == datasum
    with open_frame(path, summed=True) as frame:
        frame.window(slice(3, 9), slice(30, 33))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda y: frame.stored_rows(y % 41, min(y % 41 + 5, 41)), range(0, 90)))
        assert frame.checksum() == said
    header = read_frame(path, record_input=True).header
    assert (header["INPUT"], header["INPUTSUM"]) == ("raw.fits", said)
    assert "INPUTHDU" not in header
    assert read_frame(path, hdu=0, record_input=True).header["INPUTHDU"] == 0
    assert "INPUT" not in read_frame(path).header


def test_gzipped_files_have_the_sum_of_what_is_in_them(path, tmp_path):
    packed = tmp_path / "raw.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with open_frame(path) as plain, open_frame(packed, summed=True) as frame:
        frame.rows(7, 12)
        assert frame.checksum() == plain.checksum()


def test_compressed_files_have_the_sum_of_what_is_stored(path, tmp_path):
    packed = tmp_path / "raw.fits.fz"
    fits.CompImageHDU(fits.getdata(path)).writeto(packed, checksum=True)
    with fits.open(packed, disable_image_compression=True) as hdus:
        datasum = hdus[1].header["DATASUM"]
    with open_frame(packed) as frame:
        assert frame.checksum().split()[0] == datasum


def test_a_card_that_changes_changes_the_sum_of_the_header(path):
    with open_frame(path) as frame:
        before = frame.checksum().split()
    fits.setval(path, "EXPTIME", value=30.0)
    with open_frame(path) as frame:
        after = frame.checksum().split()
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_primary_header_without_pixels_counts_too(tmp_path):
    said = []
    for exptime in (10.0, 20.0):
        primary = fits.PrimaryHDU()
        primary.header["EXPTIME"] = exptime
        fits.HDUList([primary, fits.ImageHDU(np.ones((3, 5)))]).writeto(
            tmp_path / f"{exptime}.fits"
        )
        with open_frame(tmp_path / f"{exptime}.fits") as frame:
            said.append(frame.checksum().split())
    assert said[0][0] == said[1][0]
    assert said[0][1] != said[1][1]

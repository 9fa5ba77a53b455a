"""Thumbnails show the image: its shape, its way up, its contrast."""

import base64
import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from bmp_astro.report.thumbnails import read_small, stretch, thumbnail


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


@pytest.fixture
def small(tmp_path):
    """Read an array made small, from a file."""

    def read(image, size):
        fits.writeto(tmp_path / "image.fits", image)
        return read_small(tmp_path / "image.fits", size)

    return read


def test_shrinking_takes_means_of_blocks(small):
    image = np.arange(24.0).reshape(4, 6)
    expected = [[image[:2, i : i + 2].mean() for i in (0, 2, 4)]]
    expected += [[image[2:, i : i + 2].mean() for i in (0, 2, 4)]]
    np.testing.assert_allclose(small(image, 3).means, expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (7, 5), (999, 1001), (300, 300)])
def test_no_side_is_longer_than_asked(small, shape):
    found = small(np.ones(shape), 100)
    assert max(found.means.shape) <= 100
    assert found.shape == shape
    np.testing.assert_array_equal(found.means, 1)


def test_a_small_image_stays_as_it_is(small):
    image = np.random.default_rng(1).random((5, 7))
    found = small(image, 100)
    np.testing.assert_array_equal(found.means, image)
    np.testing.assert_array_equal(found.sample, image.ravel())


def test_a_large_image_is_read_in_bands_and_its_sample_is_even(small):
    image = np.arange(2000.0 * 1500, dtype=np.float32).reshape(2000, 1500)
    found = small(image, 100)
    cut = image[:2000, :1500].astype(float)
    np.testing.assert_allclose(found.means, cut.reshape(100, 20, 75, 20).mean(axis=(1, 3)))
    every = image.size // 2**20
    np.testing.assert_array_equal(found.sample, image[::every].ravel())


def test_the_first_row_is_at_the_bottom():
    image = np.tile(np.arange(20.0)[:, np.newaxis], (1, 30))
    picture = decoded(thumbnail(image))
    assert picture.shape == (20, 30)
    assert (picture[0] == 255).all()
    assert (picture[-1] == 0).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_flat_and_empty_images_are_drawn(value):
    gray = stretch(np.full((4, 5), value))
    assert gray.shape == (4, 5)
    assert len(np.unique(gray)) == 1


def test_a_bad_pixel_does_not_spoil_the_contrast():
    image = np.random.default_rng(1).normal(100, 1, (200, 200))
    image[3, 4], image[5, 6] = np.nan, 1e9
    gray = stretch(image)
    assert 60 < gray.mean() < 200
    assert gray.std() > 20


def test_integers_of_a_raw_frame_are_read_as_they_are_meant(tmp_path):
    pixels = np.array([[0, 40_000], [65_535, 1]], dtype=np.uint16)
    fits.writeto(tmp_path / "raw.fit", pixels)
    found = read_small(tmp_path / "raw.fit", 100)
    np.testing.assert_array_equal(found.means, pixels)
    assert found.header["NAXIS"] == 2

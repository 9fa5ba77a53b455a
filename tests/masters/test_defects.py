"""Pixels that a master shows to be bad, against medians of the surroundings of every pixel."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from bmp_astro.masters.defects import dead_pixels, hot_pixels

SHAPES = [(1, 1), (2, 9), (3, 4), (63, 40), (64, 31), (65, 30), (70, 3), (131, 57)]


def master(shape, seed):
    """A level with noise, and pixels and their neighbors that are far above or below it."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(100, 2, shape)
    pixels += 0.5 * np.arange(shape[1])  # a gradient is no defect
    for share, signal in ((0.02, 60.0), (0.01, -90.0)):
        defects = rng.random(shape) < share
        pixels += np.where(defects, rng.exponential(signal, shape) if signal > 0 else signal, 0)
    return pixels.astype(np.float32)


def usual(pixels):
    return median_filter(pixels, size=7, mode="nearest")


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_hot_pixels_stand_out_from_the_median_of_their_surroundings(shape, num_threads):
    pixels = master(shape, seed=1)
    excess = pixels - usual(pixels)
    limit = 5 * 1.4826 * float(np.median(np.abs(excess - np.median(excess))))
    found = hot_pixels(pixels, 5.0, num_threads)
    np.testing.assert_array_equal(found, np.flatnonzero(excess > limit))


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_dead_pixels_are_below_a_fraction_of_that_median(shape, num_threads):
    pixels = master(shape, seed=2)
    found = dead_pixels(pixels, 0.5, num_threads)
    np.testing.assert_array_equal(found, np.flatnonzero(pixels < 0.5 * usual(pixels)))


def test_pixels_of_one_color_are_compared_with_each_other():
    pixels = master((130, 80), seed=3)
    pixels[1::2] *= 0.3  # the other colors are fainter
    plane = pixels[::2, 1::2]
    found = dead_pixels(plane, 0.5)
    assert found.size
    np.testing.assert_array_equal(found, np.flatnonzero(plane < 0.5 * usual(plane)))


def test_a_large_dark_tells_its_scatter_on_some_of_its_rows():
    rng = np.random.default_rng(4)
    pixels = rng.normal(100, 2, (400, 900)).astype(np.float32)
    excess = pixels - usual(pixels)
    limit = 4.5 * 1.4826 * float(np.median(np.abs(excess)))
    found = hot_pixels(pixels, 4.5)
    scatter = 5 / np.sqrt(2**16)
    assert set(np.flatnonzero(excess > (1 + scatter) * limit)) <= set(found)
    assert set(found) <= set(np.flatnonzero(excess > (1 - scatter) * limit))


def test_where_nothing_varies_nothing_is_bad():
    assert hot_pixels(np.full((20, 30), 7.0, np.float32), 10.0).size == 0
    assert dead_pixels(np.zeros((20, 30), np.float32), 0.5).size == 0

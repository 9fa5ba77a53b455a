"""Medians of whole frames."""

import numpy as np
import pytest

from bmp_astro.masters.source import median_of_good


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (65, 30), (500, 1001)])
def test_the_median_of_good_pixels_is_that_of_numpy(shape, share):
    rng = np.random.default_rng(5)
    plane = rng.normal(1, 0.1, shape).astype(np.float32)
    flags = (rng.random(shape) < share).astype(np.uint8) * np.uint8(64)
    plane[rng.random(shape) < share] = np.nan
    good = plane[(flags == 0) & np.isfinite(plane)]
    assert median_of_good(plane, flags, 2) == (np.median(good) if good.size else None)


@pytest.mark.parametrize("kind", ["ordered", "steps", "unlike the sample", "view"])
def test_it_does_not_depend_on_where_the_values_are(kind):
    plane = np.random.default_rng(6).normal(1, 0.1, (600, 900)).astype(np.float32)
    flags = np.zeros(plane.shape, np.uint8)
    if kind == "ordered":
        plane = np.sort(plane.ravel()).reshape(plane.shape)
    elif kind == "steps":
        plane = np.round(plane, 1)
    elif kind == "unlike the sample":  # which is made of every few rows
        plane[:: plane.size // 2**17] += 10
    else:
        plane, flags = plane[::2, 1::2], flags[::2, 1::2]
    assert median_of_good(plane, flags, 2) == np.median(plane)


def test_without_good_pixels_there_is_no_median():
    assert median_of_good(np.ones((9, 9), np.float32), np.ones((9, 9), np.uint8), 2) is None

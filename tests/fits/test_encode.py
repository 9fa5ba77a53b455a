"""The numbers that a file stores."""

import numpy as np
import pytest

from bmp_astro.fits.encode import encode

LARGE = 3e38  # the sum of two of them is beyond float32


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("odd", [[], [np.nan], [np.inf, -np.inf], [LARGE, LARGE]])
def test_what_is_not_finite_is_filled_and_told(dtype, odd):
    if dtype == "int16" and LARGE in odd:
        pytest.skip("no number of int16")
    pixels = np.random.default_rng(1).normal(1000, 50, (40, 6000)).astype(np.float32)
    pixels[33, : len(odd)] = odd
    stored = encode(pixels, dtype, fill=-1.0)
    numbers, lacking = stored.whole()
    expected = ~np.isfinite(pixels)
    assert lacking is None if not expected.any() else np.array_equal(lacking, expected)
    assert (numbers[expected] == -1).all()
    if dtype != "int16":
        assert np.array_equal(numbers[~expected], pixels[~expected])

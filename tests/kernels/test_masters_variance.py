"""What bias and dark add to the variance: against the formula, and against errors themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from bmp_astro.kernels import masters_variance

SCALES = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.7])


@given(
    shape=array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40),
    given_ones=st.tuples(st.booleans(), st.booleans()),
    scale=SCALES,
    shared=st.booleans(),
    has_bias=st.booleans(),
    dtype=st.sampled_from(["<f4", ">f4", "f8"]),
)
def test_the_formula(shape, given_ones, scale, shared, has_bias, dtype):
    rng = np.random.default_rng(1)
    sigmas = [
        rng.uniform(1, 3, shape).astype(dtype) if is_there else None for is_there in given_ones
    ]
    bias, dark = (0.0 if sigma is None else sigma.astype(float) ** 2 for sigma in sigmas)
    want = (0 if has_bias else 1) * bias + scale**2 * dark
    if shared and given_ones[1]:
        want = want - 2 * scale * bias
    got = masters_variance(*sigmas, dark_scale=scale, shared_bias=shared, has_bias=has_bias)
    if got is None:
        np.testing.assert_array_equal(want, 0)
    else:
        assert got.dtype == np.float32
        largest = 10 * max(1, scale, scale**2)
        np.testing.assert_allclose(got, want, rtol=0, atol=3e-7 * largest)


def test_bands_are_like_one_pixel():
    rng = np.random.default_rng(2)
    bias, dark = rng.uniform(1, 3, (2, 5, 2**16)).astype(np.float32)
    whole = masters_variance(bias, dark, dark_scale=0.3, shared_bias=True)
    for y, x in ((0, 0), (2, 2**15), (4, 2**16 - 1)):
        one = np.s_[y : y + 1, x : x + 1]
        np.testing.assert_array_equal(
            masters_variance(bias[one], dark[one], dark_scale=0.3, shared_bias=True), whole[one]
        )


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.0])
def test_it_is_the_scatter_of_what_bias_and_dark_leave(scale):
    rng = np.random.default_rng(3)
    bias_error, own_error = 3.0, 2.0
    bias, dark = rng.normal(0, bias_error, 400_000), rng.normal(0, own_error, 400_000)
    left = -bias - scale * (dark - bias)  # the dark was freed of the same bias
    sigmas = np.full((1, 1), bias_error), np.full((1, 1), np.hypot(bias_error, own_error))
    [[variance]] = masters_variance(*sigmas, dark_scale=scale, shared_bias=True)
    assert variance == pytest.approx(left.var(), rel=0.01)


def test_what_is_not_finite_stays_so():
    bias = np.array([[np.inf, np.nan, 1e30, 1.0]], np.float32)
    got = masters_variance(bias, np.ones_like(bias))
    np.testing.assert_array_equal(np.isfinite(got), [[False, False, False, True]])

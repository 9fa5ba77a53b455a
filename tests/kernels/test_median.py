import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmp_astro.kernels.median import median, middle_of

KINDS = [np.float32, np.float64, np.uint16, np.int64]


@pytest.mark.parametrize("dtype", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_it_is_the_median_of_numpy(dtype, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
    numbers = st.integers(0, 2**16 - 1)
    values = data.draw(hnp.arrays(dtype, shape, elements=numbers))
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    before = values.copy()
    found, expected = median(values, axis), np.median(values, axis)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(values, before)


def test_values_in_order_are_not_sorted_again():
    assert middle_of(np.array([3.0, 9.0, 1.0])) == 9.0  # it believes that they are

"""The variance that all frames of a master share, beside the sum of its parts."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro.masters.expected import common_variance
from bmp_astro.steps.master import Master

SHAPE = (4, 5)


def master(sigma):
    """A master with the same standard deviation everywhere, or none."""
    known = None if sigma is None else StdDevUncertainty(np.full(SHAPE, sigma, np.float32))
    return Master(CCDData(np.zeros(SHAPE), unit="adu", uncertainty=known), "master.fits")


@pytest.mark.parametrize(
    ("bias", "dark", "shares", "expected"),
    [
        (3.0, 4.0, True, 9 * (1 - 2 * 0.25) + 16 * 0.25**2),
        (3.0, 4.0, False, 9 + 16 * 0.25**2),
        (3.0, None, True, 9.0),  # of a dark whose error is not known nothing is taken off
        (None, 4.0, True, 16 * 0.25**2),
        (None, None, True, None),
    ],
)
def test_common_variance(bias, dark, shares, expected):
    raw = SimpleNamespace(
        bias=master(bias), dark=master(dark), dark_scale=0.25, shares_bias=shares, gains=None
    )
    found = common_variance("dark", [raw, raw], slice(1, 3))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, np.full((2, 5), expected), rtol=1e-6)

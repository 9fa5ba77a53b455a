"""Lights whose pixels stop below the level of saturation."""

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.steps import calibrate, raise_alarms

ADVICE = "give saturation=, or an instrument that knows it"


@pytest.fixture
def stopped():
    """A function that makes a light of a 12-bit camera with one star that is too bright."""

    def make(top):
        y, x = np.mgrid[:60, :60]
        star = 30_000 * np.exp(-((y - 30) ** 2 + (x - 25) ** 2) / 20)
        sky = np.random.default_rng(2).normal(200, 5, (60, 60))
        return CCDData(np.minimum(sky + star, top).astype(np.uint16), unit="adu")

    return make


@pytest.mark.parametrize(
    ("top", "saturation", "said"),
    [
        (4095, None, f"pixels stop at 4095 adu, not at 65535: {ADVICE}"),
        (4095, 4095, ""),
        (4000, 4095, ""),  # within 5 %
        (40_000, None, ""),  # the star does not reach it
    ],
)
def test_alarm(stopped, top, saturation, said):
    ccd = calibrate(stopped(top), gain=1.0, read_noise=5.0, saturation=saturation)
    meta = {}
    raise_alarms(ccd, bmp_meta=meta)
    assert meta.get("alarms", "") == said


def test_the_limit_can_be_set(stopped):
    ccd = calibrate(stopped(4000), gain=1.0, read_noise=5.0, saturation=4095)
    meta = {}
    raise_alarms(ccd, bmp_meta=meta, max_saturation_error=0.01)
    assert meta["alarms"] == f"pixels stop at 4000 adu, not at 4095: {ADVICE}"

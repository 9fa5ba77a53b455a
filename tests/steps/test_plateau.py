"""Lights whose pixels stop below the level of saturation."""

import numpy as np
import pytest
from astropy.nddata import CCDData
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.steps import calibrate, raise_alarms
from bmp_astro.steps.plateau import find_plateau

ADVICE = "give saturation= (--saturation), or an instrument that knows it"


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


@given(seed=st.integers(0, 99), dtype=st.sampled_from([np.uint16, np.int32, np.float32]))
@settings(max_examples=30, deadline=None)
def test_the_plateau_is_made_of_all_bright_pixels_wherever_they_are(seed, dtype):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(1000, 20, (150, 30)).astype(dtype)
    stars = rng.random(pixels.shape) < rng.choice([0, 0.001, 0.01, 0.2])
    pixels[stars] = rng.integers(2000, 3000, stars.sum())
    bright = pixels[pixels > 0.8 * pixels.max()]
    plateau = bright[bright >= 0.96 * pixels.max()]
    found = find_plateau(pixels, 65535)
    if found is None:
        few = max(4, 4 * (bright.size - plateau.size) * 0.04 / 0.16)
        assert plateau.size < few or plateau.size > pixels.size / 2
    else:
        assert found == (np.median(plateau), np.ptp(plateau) / 2, plateau.size)


def test_no_pixels_have_no_plateau():
    assert find_plateau(np.zeros((0, 5), np.uint16), 65535) is None

"""The constant that MaxIm DL adds to its frames, in the frames of masters."""

import numpy as np
import pytest

from bmp_astro.fits import read_frame
from bmp_astro.masters import build_master
from bmp_astro.steps import calibrate


@pytest.fixture
def lifted(expose):
    """A function that takes frames to which MaxIm added a constant, and says so."""

    def take(kind, n, added, **how):
        return expose(kind, n, extra=added, SWCREATE="MaxIm DL Version 6", PEDESTAL=-added, **how)

    return take


@pytest.mark.parametrize("kind", ["dark", "flat"])
def test_frames_with_a_pedestal_make_the_same_master(expose, lifted, kind):
    bias, _ = build_master("bias", expose("bias", 4))
    how = {"exptime": 10.0, "electrons": 20_000.0 if kind == "flat" else 0.0}
    plain, told = build_master(kind, expose(kind, 3, **how), master_bias=bias)
    master, report = build_master(kind, lifted(kind, 3, 100, **how), master_bias=bias)
    np.testing.assert_allclose(master.data, plain.data, atol=1e-3)
    assert report.level == pytest.approx(told.level, abs=1e-2)
    assert "PEDESTAL" not in master.header


def test_a_flat_near_saturation_is_told_by_its_raw_level(expose, lifted):
    bias, _ = build_master("bias", expose("bias", 3))
    bright, saturation = {"exptime": 1.0, "electrons": 2 * 800.0}, 1500.0
    paths = lifted("flat", 1, 100, **bright)
    with pytest.raises(ValueError, match=r"its level of 1\d\d\d adu is 9\d % of saturation"):
        build_master("flat", paths, master_bias=bias, saturation=saturation)
    master, _ = build_master(
        "flat", expose("flat", 1, **bright), master_bias=bias, saturation=saturation
    )
    assert master.header["NCOMBINE"] == 1


def test_a_dark_with_its_bias_and_another_pedestal(expose, lifted):
    dark, _ = build_master("dark", expose("dark", 4, exptime=10.0))
    light = read_frame(lifted("light", 1, 300, exptime=10.0, electrons=500.0)[0])
    ccd = calibrate(light, master_dark=dark, read_noise=8.0)
    assert np.median(ccd.data) == pytest.approx(500, abs=5)
    assert ccd.header["CALSTAT"] == "BD"

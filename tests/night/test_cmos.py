"""CMOS cameras: flat-darks, darks that do not scale, 12 bits in the upper part of 16."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import plan_night, reduce_night
from bmp_astro.fits import MaskBit, read_frame
from bmp_astro.masters import build_master
from bmp_astro.steps import calibrate, mask_saturated

SHAPE, GAIN, NOISE, BIAS, STEP = (64, 80), 0.05, 1.0, 2000.0, 16
FLAT = 1 - 0.2 * np.linspace(0, 1, SHAPE[1])


def glow(exptime):
    """Light of the amplifier, electron, which does not grow in proportion to the time."""
    return 40 * np.exp(-np.arange(SHAPE[1]) / 15.0) * (exptime > 2) + 0.1 * exptime


@pytest.fixture
def expose():
    """A function that takes a frame with the camera, whose integers are multiples of 16."""
    rng = np.random.default_rng(8)

    def take(electrons, exptime):
        signal = rng.poisson(np.broadcast_to(electrons * FLAT + glow(exptime), SHAPE)) / GAIN
        raw = (BIAS + signal + rng.normal(0, NOISE / GAIN, SHAPE)) / STEP
        return (np.rint(raw).clip(0, 4095) * STEP).astype(np.uint16)

    return take


@pytest.fixture
def night(tmp_path, expose):
    """Raw frames as NINA writes them: no bias, darks of the lights and of the flats."""
    raw = tmp_path / "raw"
    raw.mkdir()
    kinds = {"DARK": (0, 60.0, 10), "DARKFLAT": (0, 1.0, 10), "FLAT": (1500, 1.0, 6)}
    for word, (electrons, exptime, n) in {**kinds, "LIGHT": (300, 60.0, 2)}.items():
        for number in range(n):
            cards = {"IMAGETYP": word, "EXPTIME": exptime, "EGAIN": GAIN, "GAIN": 100}
            cards |= {"SWCREATE": "N.I.N.A. 3.0", "RDNOISE": NOISE, "FILTER": "L", "OFFSET": 30}
            path = raw / f"{word}-{number}.fits"
            fits.writeto(path, expose(electrons, exptime), fits.Header(cards))
    return raw


def test_a_night(night, tmp_path):
    out = tmp_path / "out"
    table = reduce_night(night, out, executor="serial", require=("dark", "flat"))
    assert set(table["status"]) == {"done"}
    kinds = dict(zip(*np.unique(table["frame_type"], return_counts=True), strict=True))
    assert kinds == {"dark": 20, "flat": 6, "light": 2}
    flat = fits.getheader(out / "masters/master_flat_L.fits")
    assert flat["MDARK"] == "master_dark_1s.fits"
    for number in range(2):
        light = read_frame(out / f"lights/LIGHT-{number}_reduced.fits")
        assert light.header["MDARK"] == "master_dark_60s.fits"
        assert (light.header["DARKSCAL"], light.header["CALSTAT"]) == (1, "BDF")
        good = light.flags == 0
        expected = 300 * np.median(FLAT)
        assert np.median(light.data[good]) == pytest.approx(expected, rel=0.02)
        left, right = light.data[:, :20], light.data[:, -20:]
        assert np.mean(left) == pytest.approx(np.mean(right), rel=0.03)  # the glow is gone
        assert light.header["RDNOISE"] == pytest.approx(np.hypot(NOISE, GAIN * STEP / 12**0.5))


def test_a_dark_of_another_exposure_is_not_scaled(night):
    for path in night.glob("DARK-*"):
        with fits.open(path, mode="update") as hdus:
            hdus[0].header["EXPTIME"] = 120.0
    plan = plan_night(night, require=("dark",))
    lights = plan[plan["frame_type"] == "light"]
    assert set(lights["product"]) == {""}
    assert all("do not scale" in text for text in lights["message"])


def test_the_steps_count_in_the_uncertainty(expose):
    ccd = CCDData(expose(0, 0.0), unit="adu")
    made = calibrate(ccd, gain=GAIN, read_noise=NOISE)
    sigma = np.hypot(NOISE, GAIN * STEP / np.sqrt(12))
    assert made.header["RDNOISE"] == pytest.approx(sigma)
    assert np.std(made.data) == pytest.approx(sigma, rel=0.03)
    one = CCDData(ccd.data // STEP, unit="adu")
    assert calibrate(one, gain=GAIN, read_noise=NOISE).header["RDNOISE"] == NOISE


@pytest.mark.parametrize("told", [None, 65535.0])
def test_saturation_is_at_the_last_step(expose, tmp_path, told):
    pixels = expose(300, 60.0)
    pixels[5, 6] = 4095 * STEP
    header = {} if told is None else {"SATURATE": told}
    ccd = CCDData(pixels, unit="adu", meta=dict(header))
    frame = mask_saturated(ccd)
    assert frame.header["SATURATE"] == 65520
    np.testing.assert_array_equal(np.argwhere(frame.flags == MaskBit.SATURATED), [[5, 6]])
    fits.writeto(tmp_path / "dark.fits", pixels, fits.Header({**header, "EXPTIME": 60.0}))
    dark, _ = build_master("dark", [tmp_path / "dark.fits"], find_defects=False)
    assert dark.flags[5, 6] & MaskBit.SATURATED
    assert np.count_nonzero(dark.flags) == 1

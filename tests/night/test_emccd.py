"""A CCD that multiplies electrons: its gain, its noise, and a night with it."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import Instrument, Keyword, reduce_night
from bmp_astro.fits import read_frame
from bmp_astro.masters import measure_camera
from bmp_astro.steps import calibrate, correct_gain, create_uncertainty, subtract_bias

SHAPE = (96, 128)
EM_GAIN, OUTPUT_GAIN, OUTPUT_NOISE, BIAS = 200.0, 5.0, 50.0, 500.0
GAIN = OUTPUT_GAIN / EM_GAIN
TOML = """
name = "iXon"
gain = "5 electron / adu"
read_noise = "50 electron"
em_gain = {keyword = "EMGAIN", kind = "float"}
excess_noise = 2
dark_scaling = false
"""
CAMERA = Instrument(
    "iXon",
    gain=OUTPUT_GAIN * u.electron / u.adu,
    read_noise=OUTPUT_NOISE * u.electron,
    em_gain=Keyword("EMGAIN", kind=float),
    excess_noise=2.0,
    dark_scaling=False,
)


def exposed(rng, electrons):
    """Multiply Poisson electrons in a register of many stages, and read them out."""
    n = rng.poisson(np.broadcast_to(electrons, SHAPE))
    multiplied = rng.gamma(np.maximum(n, 1e-9), EM_GAIN)
    raw = BIAS + (multiplied + rng.normal(0, OUTPUT_NOISE, SHAPE)) / OUTPUT_GAIN
    return np.rint(raw).clip(0, 65535).astype(np.uint16)


def frame(rng, electrons, **cards):
    header = fits.Header({"EMGAIN": EM_GAIN, "EXPTIME": 1.0, **cards})
    return CCDData(exposed(rng, electrons), unit="adu", header=header)


@pytest.fixture
def night(tmp_path):
    """A night's raw frames; the lights have 200 electrons everywhere."""
    rng = np.random.default_rng(5)
    levels = {"bias": (0, 20), "flat": (1000, 8), "light": (200, 2)}
    raw = tmp_path / "raw"
    raw.mkdir()
    for kind, (electrons, n) in levels.items():
        for number in range(n):
            ccd = frame(rng, electrons, IMAGETYP=kind, FILTER="V")
            fits.writeto(raw / f"{kind}-{number:02d}.fits", ccd.data, ccd.header)
    return raw


def test_the_gain_is_that_of_electrons_before_they_are_multiplied(tmp_path):
    path = tmp_path / "ixon.toml"
    path.write_text(TOML)
    assert Instrument.from_toml(path) == CAMERA
    header = {"EMGAIN": "200"}
    assert CAMERA.value("gain", header) == GAIN * u.electron / u.adu
    assert CAMERA.value("read_noise", header) == OUTPUT_NOISE / EM_GAIN * u.electron
    assert CAMERA.value("gain", {}) == OUTPUT_GAIN * u.electron / u.adu
    with pytest.raises(ValueError, match=r"em_gain is 0.5 \(EMGAIN card\) but must be 1 or more"):
        CAMERA.value("gain", {"EMGAIN": 0.5})
    bad = replace(CAMERA, excess_noise=0.5)
    with pytest.raises(ValueError, match=r"excess_noise is 0\.5 but must be 1 or more"):
        create_uncertainty(CCDData([[1.0]], unit="adu"), instrument=bad)


@pytest.mark.parametrize("electrons", [20.0, 800.0])
def test_uncertainty_of_a_light(electrons):
    ccd = frame(np.random.default_rng(1), electrons)
    bias = CCDData(np.full(SHAPE, BIAS), unit="adu")
    made = calibrate(ccd, bias, instrument=CAMERA)
    assert made.header["RAWGAIN"] == pytest.approx(GAIN)
    assert made.header["EXCNOISE"] == 2
    sigma = np.sqrt(2 * electrons + (OUTPUT_NOISE / EM_GAIN) ** 2)
    assert np.std(made.data) == pytest.approx(sigma, rel=0.03)
    assert np.median(made.uncertainty.array) == pytest.approx(sigma, rel=0.04)
    assert np.mean(made.data) == pytest.approx(electrons, rel=0.01)
    steps = create_uncertainty(subtract_bias(ccd, bias), instrument=CAMERA)
    steps = correct_gain(steps, instrument=CAMERA)
    np.testing.assert_allclose(steps.uncertainty.array, made.uncertainty.array, rtol=1e-5)
    np.testing.assert_allclose(steps.data, made.data, rtol=1e-5, atol=1e-4)


def test_a_night(night, tmp_path):
    table = reduce_night(night, tmp_path / "out", instrument=CAMERA, executor="serial")
    assert set(table["status"]) == {"done"}
    assert not [text for text in table["alarms"] if "gain is" in text or "rejected" in text]
    flat = read_frame(tmp_path / "out/masters/master_flat_V.fits")
    assert flat.header["GAINMEAS"] == pytest.approx(GAIN, rel=0.05)
    pull = (flat.data - 1) / flat.uncertainty.array
    assert np.std(pull) == pytest.approx(1, abs=0.05)
    light = read_frame(tmp_path / "out/lights/light-00_reduced.fits")
    pull = ((light.data - 200) / light.uncertainty.array)[light.flags == 0]
    # the noise of a pixel that is low by chance is taken for smaller
    assert np.std(pull) == pytest.approx(1, abs=0.06)


def test_frames_of_another_em_gain_get_no_masters(night, tmp_path):
    with fits.open(night / "light-00.fits", mode="update") as hdus:
        hdus[0].header["EMGAIN"] = 100.0
    table = reduce_night(night, tmp_path / "out", instrument=CAMERA, executor="serial")
    row = table[[name.endswith("light-00.fits") for name in table["in_name"]]][0]
    assert row["status"] == "failed"
    assert "em_gain is 200, not 100" in row["message"]


def test_the_measured_gain_knows_of_the_excess(night):
    biases, flats = sorted(night.glob("bias*")), sorted(night.glob("flat*"))
    found = measure_camera(biases, flats, instrument=CAMERA)
    assert found.gain.value.value == pytest.approx(GAIN, rel=0.05)
    assert found.alarms == ()
    plain = measure_camera(biases, flats, instrument=replace(CAMERA, excess_noise=None))
    assert plain.gain.value.value == pytest.approx(GAIN / 2, rel=0.05)
    assert "gain" in plain.alarms[0]

"""A color mosaic, calibrated as one: each color has a flat and statistics of its own."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import Instrument, reduce_night
from bmp_astro.fits import MaskBit, color_planes, read_frame
from bmp_astro.masters import build_master
from bmp_astro.steps import image_statistics, remove_cosmic_rays

SHAPE, GAIN, NOISE, BIAS = (64, 80), 1.0, 3.0, 300.0
COLORS = {"R": 0.5, "G1": 1.0, "G2": 1.0, "B": 0.25}
PLANES = color_planes({"BAYERPAT": "RGGB"})
DEAD = (21, 33)


def mosaic(values):
    """Return a frame with a value for each color."""
    frame = np.empty(SHAPE)
    for color, plane in PLANES.items():
        frame[plane] = values[color]
    return frame


@pytest.fixture
def camera():
    """Response to a light of all colors alike; one blue pixel is dead."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    response = mosaic(COLORS) * (1 - 0.3 * np.hypot(y - 32, x - 40) / 50)
    response *= rng.normal(1, 0.01, SHAPE)
    response[DEAD] *= 0.1
    return response


@pytest.fixture
def night(tmp_path, camera):
    """Raw frames; the twilight of the flats gets bluer while it fades."""
    rng = np.random.default_rng(4)
    raw = tmp_path / "raw"
    raw.mkdir()

    def expose(kind, number, light):
        signal = rng.poisson(light * camera) / GAIN + rng.normal(BIAS, NOISE, SHAPE)
        cards = {"IMAGETYP": kind, "BAYERPAT": "RGGB", "EGAIN": GAIN, "EXPTIME": 1.0}
        cards |= {"RDNOISE": NOISE, "FILTER": "L"}
        pixels = np.rint(signal).clip(0, 65535).astype(np.uint16)
        fits.writeto(raw / f"{kind}-{number}.fits", pixels, fits.Header(cards))

    for number in range(5):
        expose("bias", number, 0.0)
        fading = {"R": 1 - 0.1 * number, "G1": 1.0, "G2": 1.0, "B": 1 + 0.1 * number}
        expose("flat", number, 40_000 * 0.8**number * mosaic(fading))
    expose("light", 1, 1000.0)
    return raw


def test_a_night(night, tmp_path, camera):
    out = tmp_path / "out"
    table = reduce_night(night, out, executor="serial")
    assert set(table["status"]) == {"done"}
    assert not [
        text for text in table["alarms"] if "rejected" in text or "dead" in text or "gain" in text
    ]
    flat = read_frame(out / "masters/master_flat_L.fits")
    for number, (color, plane) in enumerate(PLANES.items(), start=1):
        good = flat.flags[plane] == 0
        assert np.median(flat.data[plane][good]) == pytest.approx(1, abs=1e-6)
        truth = camera[plane] / np.median(camera[plane][good])
        pull = ((flat.data[plane] - truth) / flat.uncertainty.array[plane])[good]
        assert np.std(pull) == pytest.approx(1, abs=0.1)
        assert flat.header[f"FLATNRM{number}"] > 0
        assert color in flat.header.comments[f"FLATNRM{number}"]
    assert flat.header["NDEAD"] == 1
    assert flat.header["GAINMEAS"] == pytest.approx(GAIN, rel=0.1)
    assert flat.flags[DEAD] & MaskBit.BAD_PIXEL
    light = read_frame(out / "lights/light-1_reduced.fits")
    for color, plane in PLANES.items():
        level = light.data[plane][light.flags[plane] == 0]
        expected = 1000 * np.median(camera[plane])
        assert np.mean(level) == pytest.approx(expected, rel=0.01)
        rows = table[table["frame_type"] == "light"]
        assert rows[f"background_{color}"].unmasked[0].value == pytest.approx(expected, rel=0.02)
    assert rows["background_sigma"].unmasked[0].value < 40  # that of noise, not of the pattern


def test_each_color_passes_the_gates(night, camera):
    bias = sorted(night.glob("bias*"))
    master, _ = build_master("bias", bias)
    flats = sorted(night.glob("flat*"))
    raw = fits.getdata(flats[0]).astype(float)
    brightest = np.median(raw[PLANES["G1"]])
    with pytest.raises(ValueError, match=r"saturated: 2\d.\d % of its pixels reach"):
        build_master("flat", flats[:1], master_bias=master, saturation=brightest / 0.95)
    with pytest.raises(ValueError, match="too faint"):
        build_master("flat", flats[4:], master_bias=master, gates={"min_flat_electrons": 6000})


def test_the_pattern_may_be_said_by_the_instrument_and_begin_elsewhere():
    camera = Instrument("mine", color_pattern="GBRG")
    planes = color_planes({}, camera)
    assert list(planes) == ["G1", "B", "R", "G2"]
    assert planes["B"] == (slice(0, None, 2), slice(1, None, 2))
    shifted = color_planes({"XBAYROFF": 1, "YBAYROFF": 1}, camera)
    assert shifted["G1"] == (slice(1, None, 2), slice(1, None, 2))
    for text in ("MONO", "", "RGB", "L"):
        assert color_planes({"BAYERPAT": text}) == {}
    assert color_planes({"BAYERPAT": "RGGB"}, Instrument("gray", color_pattern=None)) == {}


def test_statistics_with_another_pattern_and_cosmic_rays():
    pixels = mosaic({"R": 10.0, "G1": 20.0, "G2": 20.0, "B": 40.0})
    ccd = CCDData(pixels, unit="electron", meta={"BAYERPAT": "RGGB"})
    meta = {}
    image_statistics(ccd, bmp_meta=meta)
    assert meta["background_B"].value == 40
    assert meta["background"].value == pytest.approx(22.5)
    assert meta["background_sigma"].value == 0
    with pytest.raises(ValueError, match=r"color mosaic \(RGGB\)"):
        remove_cosmic_rays(ccd, read_noise=3.0)

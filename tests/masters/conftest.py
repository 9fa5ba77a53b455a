"""Raw frames with a known truth, on disk."""

import numpy as np
import pytest
from astropy.io import fits

SHAPE = (96, 140)
GAIN = 2.0
READ_NOISE = 8.0
PEDESTAL = 500.0


@pytest.fixture
def write_raw(tmp_path):
    """A function that writes pixels as a raw frame, and returns its path."""

    def write(name, pixels, dtype=np.uint16, **cards):
        path = tmp_path / name
        if np.dtype(dtype).kind == "u":
            pixels = np.clip(np.round(pixels), 0, np.iinfo(dtype).max)
        header = fits.Header({key.replace("_", "-"): value for key, value in cards.items()})
        fits.PrimaryHDU(np.asarray(pixels).astype(dtype), header).writeto(path, overwrite=True)
        return str(path)

    return write


@pytest.fixture
def truth():
    """The bias pattern, dark current for each second and flat field of the simulated camera."""
    rng = np.random.default_rng(77)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bias = PEDESTAL + 3 * np.sin(x / 9.0) + rng.normal(0, 1, SHAPE)
    current = np.full(SHAPE, 0.2)
    current[rng.random(SHAPE) < 0.01] = 20.0
    flat = 1 - 0.2 * np.hypot(y - 48, x - 70) / 85 + rng.normal(0, 0.01, SHAPE)
    return {"bias": bias, "current": current, "flat": flat / np.median(flat)}


@pytest.fixture
def expose(write_raw, truth):
    """A function that takes raw frames of one kind with the camera, and returns their paths."""

    def take(kind, n, exptime=0.0, electrons=0.0, seed=0, extra=0.0, **cards):
        rng = np.random.default_rng([seed, len(kind)])
        paths = []
        for number in range(n):
            signal = np.full(SHAPE, 0.0)
            signal += (
                GAIN * truth["current"] * exptime
                + np.ravel(electrons)[number % np.size(electrons)] * truth["flat"]
            )
            pixels = (
                truth["bias"]
                + rng.poisson(signal) / GAIN
                + rng.normal(0, READ_NOISE / GAIN, SHAPE)
                + extra
            )
            paths.append(
                write_raw(
                    f"{kind}-{seed}-{number}.fits",
                    pixels,
                    **{
                        "IMAGETYP": f"{kind.capitalize()} Frame",
                        "EXPTIME": exptime,
                        "EGAIN": GAIN,
                        "DATE-OBS": f"2026-03-14T20:{number:02d}:00",
                        "CCD-TEMP": -10.0 - number / 10,
                        **cards,
                    },
                )
            )
        return paths

    return take

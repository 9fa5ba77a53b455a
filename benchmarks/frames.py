"""A night of raw frames for the benchmarks: as large as wanted, made in seconds."""

from pathlib import Path

import numpy as np
from astropy.io import fits

OVERSCAN = 64
GAIN, READ_NOISE = 1.5, 7.0
_PEDESTAL = 1000.0
_LEVEL = {"bias": 0.0, "dark": 12.0, "flat": 20000.0, "light": 300.0}
_EXPTIME = {"bias": 0.0, "dark": 120.0, "flat": 5.0, "light": 120.0}
_TYPE = {"bias": "Bias Frame", "dark": "Dark Frame", "flat": "Flat Field", "light": "Light Frame"}


def make_night(folder: Path, numbers: dict[str, int], shape: tuple[int, int]) -> list[Path]:
    """Write raw frames of each kind, unless they are there already.

    Parameters
    ----------
    folder : Path
        Where they go.
    numbers : dict
        How many frames of "bias", "dark", "flat" and "light".
    shape : tuple of int
        ``(ny, nx)`` of the raw frames, `OVERSCAN` columns included.

    Returns
    -------
    list of Path
        The files: uint16, with overscan at the right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(4)
    ny, nx = shape[0], shape[1] - OVERSCAN
    noise = rng.standard_normal((ny + 64, shape[1] + 64), dtype=np.float32)
    fixed = rng.normal(0, 3, (ny, nx)).astype(np.float32)
    response = rng.normal(1, 0.01, (ny, nx)).astype(np.float32)
    hot = (rng.random((ny, nx)) < 1e-3).astype(np.float32) * 400
    paths = []
    for kind, number in numbers.items():
        for index in range(number):
            path = folder / f"{kind}-{index + 1:03d}.fits"
            paths.append(path)
            if path.exists():
                continue
            y, x = rng.integers(0, 64, 2)
            dark = (12.0 + hot) / 120 * _EXPTIME[kind]
            level = _LEVEL[kind] * (kind in ("flat", "light")) * response + dark
            variance = level / GAIN + (READ_NOISE / GAIN) ** 2
            image = np.empty(shape, np.float32)
            own = noise[y : y + ny, x : x + shape[1]]
            image[:, :nx] = fixed + level + np.sqrt(variance) * own[:, :nx]
            image[:, nx:] = READ_NOISE / GAIN * own[:, nx:]
            image += _PEDESTAL + rng.normal(0, 2)
            raw = np.clip(np.rint(image), 0, 65535).astype(np.uint16)
            fits.PrimaryHDU(raw, _header(kind, index, ny, nx)).writeto(path)
    return paths


def _header(kind: str, index: int, ny: int, nx: int) -> fits.Header:
    """Return the cards of one frame, as MaxIm DL writes them."""
    cards = [
        ("IMAGETYP", _TYPE[kind]),
        ("EXPTIME", _EXPTIME[kind]),
        ("DATE-OBS", f"2026-03-15T{1 + index // 60:02d}:{index % 60:02d}:00"),
        ("CCD-TEMP", -10.0),
        ("SET-TEMP", -10.0),
        ("XBINNING", 1),
        ("YBINNING", 1),
        ("EGAIN", GAIN),
        ("RDNOISE", READ_NOISE),
        ("SATURATE", 65000),
        ("INSTRUME", "Benchmark CCD"),
        ("BIASSEC", f"[{nx + 1}:{nx + OVERSCAN},1:{ny}]"),
        ("TRIMSEC", f"[1:{nx},1:{ny}]"),
    ]
    if kind in ("flat", "light"):
        cards.append(("FILTER", "V"))
    if kind == "light":
        cards.append(("OBJECT", "Field 1"))
    return fits.Header(cards)

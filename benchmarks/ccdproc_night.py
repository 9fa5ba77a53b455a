"""A night with ccdproc alone, by the recipe of its guide, with uncertainties.

Calibration frames are reduced to files and combined from them with a limit of memory (350 MB, the
guide's own); lights get overscan, trim, bias, dark, gain and flat, and are written with
uncertainty and mask.
"""

import sys
from pathlib import Path

import astropy.units as u
import ccdproc
import numpy as np
from astropy.nddata import CCDData
from astropy.stats import mad_std
from frames import GAIN, READ_NOISE

_SINGLE = {"overwrite": True}


def _start(path: Path, deviation: bool = False) -> CCDData:
    ccd = CCDData.read(path, unit="adu")
    if deviation:
        ccd = ccdproc.create_deviation(
            ccd, gain=GAIN * u.electron / u.adu, readnoise=READ_NOISE * u.electron
        )
    section, trim = ccd.header["BIASSEC"], ccd.header["TRIMSEC"]
    ccd = ccdproc.subtract_overscan(ccd, fits_section=section, median=True)
    return ccdproc.trim_image(ccd, fits_section=trim)


def _write(ccd: CCDData, path: Path) -> Path:
    ccd.data = ccd.data.astype(np.float32)
    if ccd.uncertainty is not None:
        ccd.uncertainty.array = ccd.uncertainty.array.astype(np.float32)
    ccd.write(path, **_SINGLE)
    return path


def _master(paths: list[Path], out: Path, **options: object) -> CCDData:
    ccd = ccdproc.combine(
        [str(path) for path in paths],
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=5,
        sigma_clip_high_thresh=5,
        sigma_clip_func=np.ma.median,
        sigma_clip_dev_func=mad_std,
        mem_limit=350e6,
        **options,
    )
    _write(ccd, out)
    return ccd


def _inverse_median(image: np.ndarray) -> float:
    return 1 / np.median(image)


def main(raw: Path, out: Path) -> None:
    """Reduce the night."""
    out.mkdir(parents=True)
    names = {kind: sorted(raw.glob(f"{kind}-*.fits")) for kind in ("bias", "dark", "flat", "light")}
    bias = _master([_write(_start(p), out / p.name) for p in names["bias"]], out / "mbias.fits")
    darks = [_write(ccdproc.subtract_bias(_start(p), bias), out / p.name) for p in names["dark"]]
    dark = _master(darks, out / "mdark.fits")
    times = {"exposure_time": "EXPTIME", "exposure_unit": u.s, "scale": True}
    flats = []
    for path in names["flat"]:
        ccd = ccdproc.subtract_bias(_start(path), bias)
        flats.append(_write(ccdproc.subtract_dark(ccd, dark, **times), out / path.name))
    flat = _master(flats, out / "mflat.fits", scale=_inverse_median)
    for path in names["light"]:
        ccd = ccdproc.subtract_bias(_start(path, deviation=True), bias)
        ccd = ccdproc.subtract_dark(ccd, dark, **times)
        ccd = ccdproc.gain_correct(ccd, GAIN * u.electron / u.adu)
        _write(ccdproc.flat_correct(ccd, flat), out / path.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

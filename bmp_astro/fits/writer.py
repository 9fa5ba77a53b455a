"""Images in memory to FITS files."""

import contextlib
import gzip
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from .cards import as_header, set_card
from .encode import encode
from .flags import MaskBit, flags_of
from .header import clean_product_header
from .stream import PlainFile, TileFile
from .units import format_unit
from .wcs import replace_wcs, same_sky, standardize_wcs, wcs_of

logger = logging.getLogger(__name__)

_STRUCTURE = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "GROUPS")
_PLANES = ("uncertainty", "mask")
_GZIP_LEVEL = 4
VERSIONS = {"BMPVERS": "bmp_astro", "APYVERS": "astropy", "NPYVERS": "numpy"}


def write_frame(
    ccd: CCDData,
    path: str | PathLike,
    *,
    overwrite: bool = False,
    dtype: str = "float32",
    checksum: bool = False,
    planes: Iterable[str] = ("uncertainty", "mask"),
    mask_bits: int | None = None,
    fill: float | str | None = None,
    limits: tuple[float, float] | None = None,
    quantize: float | None = None,
) -> str | PathLike:
    """Write an image, its uncertainty and its mask.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`, shape (ny, nx)
        The image; not changed.
    path : path-like
        The file: gzipped if the name ends in ``.gz`` (from a temporary file beside it, which
        has no name), tile-compressed without loss if in ``.fz``.
    overwrite : bool, optional
        Whether a file of that name may be replaced.
    dtype : str, optional
        Type of the pixels in the file. The uncertainty is float32, or float64 with float64
        pixels.
    checksum : bool, optional
        Whether to write CHECKSUM and DATASUM.
    planes : iterable of str, optional
        Which of ``"uncertainty"`` (extension UNCERT, a standard deviation) and ``"mask"``
        (extension MASK, the bits of `MaskBit`) are written, if the image has them.
    mask_bits : int, optional
        Sum of the bits that are written; None: all.
    fill : float or "nan", optional
        What stands for a pixel that is not finite. It is flagged `MaskBit.NO_DATA` in any
        case. None: 0.
    limits : tuple of float, optional
        With ``dtype="int16"``: the lowest and highest pixel, between which the integers are
        scaled.
    quantize : float, optional
        With a name that ends in ``.fz``: floating-point pixels are rounded to this fraction of
        their noise, with a dither that is taken off again when they are read, and Rice-compressed.
        Pixels that are exactly 0 stay so, integers are kept as they are. With 16, a frame takes a
        fifth of its size, and its noise grows by 0.02 %.

    Returns
    -------
    path-like
        `path`, as it was given.

    Raises
    ------
    FileExistsError
        If the file exists and may not be replaced.
    TypeError
        If the image is something else.
    ValueError
        If the image is not 2-D, its pixels do not fit the type, or options do not fit the name.
    OSError
        If the file cannot be written; nothing is left of it then.

    Notes
    -----
    The header is the image's, without the cards that described the raw file's storage, and
    with DATE, BUNIT, and the versions BMPVERS of this package, APYVERS of astropy and NPYVERS of
    numpy. World coordinates are the header's cards as they are, unless
    ``ccd.wcs`` gives other coordinates: then its cards are written.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro import read_frame, write_frame
    >>> path = getfixture("tmp_path") / "frame.fits"
    >>> write_frame(CCDData([[1.0, 2.0]], unit="electron"), path) == path
    True
    >>> read_frame(path).unit
    Unit("electron")
    """
    chosen = _chosen_planes(planes)
    how = _Options(dtype, chosen, mask_bits, fill, limits, checksum, quantize)
    _write(ccd, Path(path), how, overwrite)
    return path


def write_master(ccd: CCDData, path: str | PathLike, *, overwrite: bool = False) -> bool:
    """Write an image as masters are, with all planes and a checksum; see `write_frame`.

    Returns
    -------
    bool
        Whether all numbers are finite: then the file has those of the image, if that is float32.
    """
    return _write(ccd, Path(path), _Options(checksum=True), overwrite)


def check_frame(data: Any, source: str) -> None:
    """Raise TypeError for what is no frame; `source` says where it comes from."""
    if not isinstance(data, CCDData):
        raise TypeError(f"{source} is {type(data).__name__} but must be a CCDData")


def _chosen_planes(planes: Iterable[str]) -> tuple[str, ...]:
    """Return the planes to write, or complain about their names."""
    chosen = (planes,) if isinstance(planes, str) else tuple(planes)
    unknown = set(chosen) - set(_PLANES)
    if unknown:
        raise ValueError(f"planes are {sorted(unknown)} but must be of {_PLANES}")
    return chosen


class _Options(NamedTuple):
    """What of an image is written, and how."""

    dtype: str = "float32"
    planes: tuple[str, ...] = _PLANES
    mask_bits: int | None = None
    fill: float | str | None = None
    limits: tuple[float, float] | None = None
    checksum: bool = False
    quantize: float | None = None


def _write(ccd: CCDData, target: Path, how: _Options, overwrite: bool) -> bool:
    """Write an image; return whether all its numbers are finite."""
    check_frame(ccd, "the image")
    if ccd.data.ndim != 2:
        raise ValueError(f"the image is {ccd.data.ndim}-D {ccd.shape} but must be 2-D (ny, nx)")
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(f"{target} exists: give another name, or overwrite=True")
    suffix, quantize = target.suffix.lower(), how.quantize
    if quantize is not None and (suffix != ".fz" or not quantize > 0):
        raise ValueError(
            f"quantize is {quantize} for {target.name}: it must be positive, and is for names "
            "that end in .fz"
        )
    with _replaced(target) as stream, _units(stream, suffix, how.checksum, quantize) as units:
        return _put(ccd, units, str(target), how)


def _put(ccd: CCDData, units: PlainFile | TileFile, where: str, how: _Options) -> bool:
    """Add the image and its planes to the units of a file; return whether all is finite."""
    unit = format_unit(ccd.unit)
    flags, deviation = flags_of(ccd), _deviation(ccd) if "uncertainty" in how.planes else None
    has_mask = "mask" in how.planes
    pixels = encode(np.asarray(ccd.data), how.dtype, fill=how.fill, limits=how.limits)
    follow = deviation is not None or has_mask
    lacking = units.add("", _product_header(ccd, unit, where), pixels, extend=follow)
    if deviation is not None:
        kind = "float64" if np.dtype(how.dtype).name == "float64" else "float32"
        stored = encode(deviation, kind, fill=how.fill)
        also = units.add("UNCERT", _uncertainty_header(unit), stored)
        if also is not None:
            lacking = also if lacking is None else lacking | also
    if lacking is not None:
        flags = np.zeros(ccd.shape, np.uint8) if flags is None else flags
        flags = flags | lacking.astype(np.uint8) * np.uint8(MaskBit.NO_DATA)
        logger.warning("%s: %d pixels have no finite value", where, np.count_nonzero(lacking))
    if flags is not None and has_mask:
        flags = flags if how.mask_bits is None else flags & np.uint8(how.mask_bits)
        units.add("MASK", _mask_header(), encode(flags, "uint8"))
    return lacking is None


def _product_header(ccd: CCDData, unit: str | None, where: str) -> fits.Header:
    """Return the image's header as a product has it."""
    header = clean_product_header(as_header(ccd.header))
    for name in [name for name in header if name.startswith(_STRUCTURE)]:
        header.remove(name, ignore_missing=True, remove_all=True)
    if isinstance(ccd.wcs, WCS):
        said = wcs_of(header, ccd.shape, None)
        if said is None or not same_sky(said, ccd.wcs, ccd.shape):
            replace_wcs(header, ccd.wcs)
    standardize_wcs(header)
    if unit is None:
        header.remove("BUNIT", ignore_missing=True, remove_all=True)
    else:
        set_card(header, "BUNIT", unit, "unit of the pixels")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    set_card(header, "DATE", now, "when this file was written, UTC")
    for keyword, package in VERSIONS.items():
        set_card(header, keyword, _version(package), f"version of {package} that wrote this file")
    return header


def _uncertainty_header(unit: str | None) -> fits.Header:
    """Return the header of the uncertainty, as CCDData.read understands it."""
    header = fits.Header()
    header["UTYPE"] = ("StdDevUncertainty", "standard deviation")
    if unit is not None:
        header["BUNIT"] = (unit, "unit of the pixels")
    return header


def _mask_header() -> fits.Header:
    """Return the header of the mask, which names its bits."""
    header = fits.Header()
    for bit in MaskBit:
        header[f"MBIT{bit.bit_length() - 1}"] = (bit.name, f"meaning of the value {bit.value}")
    return header


def _deviation(ccd: CCDData) -> np.ndarray | None:
    """Return the standard deviation in the image's unit, from whatever kind of uncertainty."""
    uncertainty = ccd.uncertainty
    if uncertainty is None or uncertainty.array is None:
        return None
    kind, values = uncertainty.uncertainty_type, np.asarray(uncertainty.array)
    if values.shape != ccd.shape:
        raise ValueError(f"the uncertainty is {values.shape} but the image {ccd.shape} (ny, nx)")
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "var":
            values, power = np.sqrt(values), 2
        elif kind == "ivar":
            values, power = 1.0 / np.sqrt(values), -2
        elif kind == "std":
            power = 1
        else:
            logger.warning("an uncertainty of kind %r is not written", kind)
            return None
    if uncertainty.unit is None or ccd.unit is None:
        return values
    expected = u.Unit(ccd.unit) ** power
    if uncertainty.unit == expected:
        return values
    return values * uncertainty.unit.to(expected) ** (1 / power)


@cache
def _version(package: str) -> str:
    """Return the version of a package."""
    return version(package)


@contextlib.contextmanager
def _replaced(target: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file when all went well, and nothing otherwise."""
    partial = target.with_name(f".{target.name[:70]}.{uuid.uuid4().hex[:12]}.part")
    try:
        with open(partial, "wb") as stream:
            yield stream
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


@contextlib.contextmanager
def _units(
    stream: BinaryIO, suffix: str, checksum: bool, quantize: float | None
) -> Iterator[PlainFile | TileFile]:
    """Yield what writes units to a stream, in the way that a name's suffix asks for."""
    if suffix == ".fz":
        units = TileFile(stream, checksum, quantize)
        yield units
        units.close()
    elif suffix == ".gz":
        # a checksum goes into the header when the pixels are written: packed, there is no way back
        with tempfile.TemporaryFile(dir=Path(stream.name).parent) as plain:
            yield PlainFile(plain, checksum)
            plain.seek(0)
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, stream, mtime=0) as packed:
                shutil.copyfileobj(plain, packed)
    else:
        yield PlainFile(stream, checksum)

"""Pixels to the numbers that a file stores."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .words import copy_numbers, rows_at_a_time

logger = logging.getLogger(__name__)

_BAND = 256
# Stored type, and the BZERO with which the standard has it (FITS standard, table 11).
_TYPES = {
    "uint8": (">u1", 0),
    "int8": (">u1", -128),
    "int16": (">i2", 0),
    "uint16": (">i2", 2**15),
    "int32": (">i4", 0),
    "uint32": (">i4", 2**31),
    "int64": (">i8", 0),
    "uint64": (">i8", 2**63),
    "float32": (">f4", 0),
    "float64": (">f8", 0),
}
_LARGEST = 32767
BLANK = -32768


@dataclass(frozen=True)
class Stored:
    """An image as a file stores it.

    Attributes
    ----------
    shape : tuple of int
        ``(ny, nx)``.
    dtype : `~numpy.dtype`
        Type in the file, big-endian.
    cards : dict
        The scaling cards that go with it.
    rows : callable
        ``rows(y0, y1)`` gives big-endian numbers, which may be gone with the next call, and where
        a pixel was not finite (None if all are).
    """

    shape: tuple[int, int]
    dtype: np.dtype
    cards: dict[str, float | int]
    rows: Callable[[int, int], tuple[np.ndarray, np.ndarray | None]]

    @property
    def nbytes(self) -> int:
        """Size in the file, without padding."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def bands(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Yield all rows, so few at a time that they stay in the processor's cache."""
        ny, nx = self.shape
        step = rows_at_a_time(nx * self.dtype.itemsize)
        for y0 in range(0, ny, step):
            y1 = min(y0 + step, ny)
            yield slice(y0, y1), *self.rows(y0, y1)

    def whole(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return all numbers, and where a pixel was not finite."""
        numbers, lacking = self.rows(0, self.shape[0])
        return numbers.copy(), lacking


def encode(
    pixels: np.ndarray,
    dtype: str,
    *,
    fill: float | str | None = None,
    limits: tuple[float, float] | None = None,
) -> Stored:
    """Turn pixels into the numbers that a file stores.

    Parameters
    ----------
    pixels : `~numpy.ndarray`, shape (ny, nx)
        Left as they are.
    dtype : str
        Type of the pixels in the file.
    fill : float, "nan" or None
        Stands for pixels that are not finite; None is 0.
    limits : tuple of float, optional
        Lowest and highest value that scaled int16 can hold.

    Returns
    -------
    Stored
        Big-endian numbers.

    Raises
    ------
    ValueError
        If the numbers do not fit the type.
    """
    name = np.dtype(dtype).name
    if name not in _TYPES:
        raise ValueError(f"dtype is {name!r} but must be one of {', '.join(_TYPES)}")
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"pixels are {pixels.dtype} but must be real numbers")
    if limits is not None:
        return _scaled(pixels, name, fill, limits)
    stored, zero = _TYPES[name]
    if name.startswith("float"):
        return _floats(pixels, np.dtype(stored), fill)
    return _integers(pixels, name, stored, zero, fill)


def _floats(pixels: np.ndarray, stored: np.dtype, fill: float | str | None) -> Stored:
    """Return floating-point numbers, which are swapped when they are asked for."""
    native, value = stored.newbyteorder("="), _fill_number(fill)
    scratch = np.empty((0, pixels.shape[1]), stored)

    def rows(y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        nonlocal scratch
        if len(scratch) < y1 - y0:
            scratch = np.empty((y1 - y0, pixels.shape[1]), stored)
        with np.errstate(over="ignore", invalid="ignore"):
            band = pixels[y0:y1].astype(native, copy=False)
        numbers = scratch[: y1 - y0]
        if copy_numbers(band, numbers):
            return numbers, None
        lacking = ~np.isfinite(band)
        numbers[lacking] = value
        return numbers, lacking

    return Stored(pixels.shape, stored, {}, rows)


def _ready(
    numbers: np.ndarray, cards: dict[str, float | int], lacking: np.ndarray | None
) -> Stored:
    """Return numbers that are as they are stored."""

    def rows(y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        return numbers[y0:y1], None if lacking is None else lacking[y0:y1]

    return Stored(numbers.shape, numbers.dtype, cards, rows)


def _integers(
    pixels: np.ndarray, name: str, stored: str, zero: int, fill: float | str | None
) -> Stored:
    """Return rounded numbers, as unsigned integers are stored where need be."""
    if fill == "nan":
        raise ValueError(f"{name} has no nan: give fill a number, or limits for scaled int16")
    lacking = _lacking(pixels)
    if pixels.dtype.kind == "f":
        pixels = np.rint(
            pixels if lacking is None else np.where(lacking, _fill_number(fill), pixels)
        )
    low, high = np.iinfo(name).min, np.iinfo(name).max
    is_sure = np.can_cast(pixels.dtype, name)
    if pixels.size and not is_sure and (pixels.min() < low or pixels.max() > high):
        raise ValueError(
            f"pixels are from {pixels.min()} to {pixels.max()} and do not fit {name}: "
            "write float32, or int16 with limits=(low, high)"
        )
    numbers = pixels.astype(name, copy=False)
    if zero:
        bits = 8 * numbers.dtype.itemsize
        flipped = numbers.view(f"u{numbers.dtype.itemsize}") ^ (1 << (bits - 1))
        numbers = flipped.view(stored[1:])
        return _ready(numbers.astype(stored), {"BSCALE": 1, "BZERO": zero}, lacking)
    return _ready(np.ascontiguousarray(numbers, dtype=stored), {}, lacking)


def _scaled(
    pixels: np.ndarray, name: str, fill: float | str | None, limits: tuple[float, float]
) -> Stored:
    """Return int16 between two limits; what lies outside is cut off, with a note."""
    low, high = map(float, limits)
    if name != "int16":
        raise ValueError(f"limits are for dtype='int16', not {name!r}")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"limits are {limits} but must be two finite numbers (low, high)")
    zero, scale = 0.5 * (low + high), (high - low) / (2 * _LARGEST)
    numbers = np.empty(pixels.shape, dtype=">i2")
    lacking = _lacking(pixels)
    outside = 0
    for start in range(0, len(pixels), _BAND):
        band = slice(start, start + _BAND)
        values = pixels[band].astype(np.float64)
        if lacking is not None:
            values[lacking[band]] = zero if fill == "nan" else _fill_number(fill)
        values = np.rint((values - zero) / scale)
        outside += int(np.count_nonzero(np.abs(values) > _LARGEST))
        numbers[band] = np.clip(values, -_LARGEST, _LARGEST)
    if outside:
        logger.warning("%d pixels beyond the limits %g and %g were cut off", outside, low, high)
    cards: dict[str, float | int] = {"BSCALE": scale, "BZERO": zero}
    if lacking is not None and fill == "nan":
        numbers[lacking] = BLANK
        cards["BLANK"] = BLANK
    return _ready(numbers, cards, lacking)


def _lacking(pixels: np.ndarray) -> np.ndarray | None:
    """Return where pixels are not finite, or None if all are."""
    if pixels.dtype.kind != "f":
        return None
    finite = np.isfinite(pixels)
    return None if finite.all() else ~finite


def _fill_number(fill: float | str | None) -> float:
    """Return the number that stands for a pixel without a value."""
    if fill is None:
        return 0.0
    if isinstance(fill, str):
        if fill != "nan":
            raise ValueError(f"fill is {fill!r} but must be a number, 'nan' or None")
        return float("nan")
    return float(fill)

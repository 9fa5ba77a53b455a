"""Frames to be combined, wherever they are, as rows that can be read in any order."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from astropy.nddata import CCDData
from astropy.units import UnitBase

from ..core.threads import in_threads
from ..fits import OpenFrame, flags_of
from ..fits.section import Section, section_shape
from ..kernels import Prepared
from ..steps.image import variance_of
from ..steps.quantum import quantum_of

_BLOCKS = 8
_BAND_ROWS = 64  # a band of them stays in the processor's cache
_MEDIAN_SAMPLE = 2**17
_NOISE_PIXELS = 2**15


class Band(NamedTuple):
    """Some rows of a frame: pixels, variance and mask bits, the latter two None if unknown.

    Pixels may be in either byte order; those that are not finite need have no mask bit.
    """

    data: np.ndarray
    variance: np.ndarray | None
    flags: np.ndarray | None


class Room(NamedTuple):
    """Where a source may put some rows; used again it costs no new memory, nor its first touch.

    ``data`` and ``flags`` are those of a band, ``stored`` bytes for what the file holds.
    """

    data: np.ndarray
    flags: np.ndarray
    stored: np.ndarray

    def of_rows(self, number: int) -> "Room":
        """Return room for fewer rows."""
        return Room(self.data[:number], self.flags[:number], self.stored)


@dataclass(frozen=True)
class Source:
    """A frame that is read in bands of rows.

    Parameters
    ----------
    name : str
        What messages and headers call it.
    header : `~astropy.io.fits.Header`
        Its cards.
    shape : tuple of int
        ``(ny, nx)``.
    unit : `~astropy.units.UnitBase`
        Unit of the pixels.
    dtype : `~numpy.dtype`
        Type of the pixels that `read` returns.
    quantum : float
        Step between possible values; 0 when they are not quantized.
    has_variance, has_flags : bool
        Whether bands have them.
    read : callable
        ``read(y0, y1, room=None)`` gives a `Band`, from any thread; in the `Room` if it has to make
        arrays.
    checksum : callable, optional
        Gives the checksum of a frame's file, as `OpenFrame.checksum` does.
    prepared : callable, optional
        ``prepared(y0, y1, stored=None)`` gives the same rows as `read`, still to be calibrated, in
        the bytes ``stored`` if they fit.
    prepared_bytes : float
        Memory that these take, by pixel.
    """

    name: str
    header: Any
    shape: tuple[int, int]
    unit: UnitBase
    dtype: np.dtype
    quantum: float
    has_variance: bool
    has_flags: bool
    read: Callable[..., Band]
    checksum: Callable[[], str] | None = None
    prepared: Callable[..., Prepared] | None = None
    prepared_bytes: float = 0.0

    def reading(self, read: Callable[..., Band], **changes: Any) -> "Source":
        """Return a source of other rows, made of those of this one."""
        return replace(self, read=read, prepared=None, **changes)


def ccd_source(ccd: CCDData, name: str) -> Source:
    """Return an image in memory as a source."""
    if ccd.data.ndim != 2:
        raise ValueError(f"{name} has shape {ccd.data.shape}: expected an image, (ny, nx)")
    variance, flags = variance_of(ccd), flags_of(ccd)

    def read(y0: int, y1: int, room: Room | None = None) -> Band:
        return Band(*(None if a is None else a[y0:y1] for a in (ccd.data, variance, flags)))

    return Source(
        name,
        ccd.header,
        ccd.data.shape,
        ccd.unit,
        ccd.data.dtype,
        quantum_of(ccd.data[:: max(1, len(ccd.data) // _BLOCKS)]),
        variance is not None,
        flags is not None,
        read,
    )


def file_source(frame: OpenFrame, path: str | os.PathLike) -> Source:
    """Return an open file as a source."""

    def read(y0: int, y1: int, room: Room | None = None) -> Band:
        rows = frame.stored_rows(y0, y1, with_offset=False)
        deviation = frame.uncertainty_rows(y0, y1)
        variance = None if deviation is None else np.square(deviation)
        return Band(rows.pixels, variance, rows.flags)

    probe = read(frame.shape[0] // 2, frame.shape[0] // 2 + 1)
    return Source(
        os.fspath(path),
        frame.header,
        frame.shape,
        frame.unit,
        frame.dtype,
        quantum_of(probe.data),
        probe.variance is not None,
        probe.flags is not None or frame.flag_rows(0, 1) is not None,
        read,
        frame.checksum,
    )


def cropped(source: Source, section: Section) -> Source:
    """Return a part of a source, of which the ranges run up."""
    rows, columns = section

    def read(y0: int, y1: int, room: Room | None = None) -> Band:
        band = source.read(rows.start + y0, rows.start + y1)
        return Band(*(None if plane is None else plane[:, columns] for plane in band))

    return source.reading(read, shape=section_shape(section))


def sample_of(source: Source, pixels: int) -> Band:
    """Return blocks of rows spread evenly over the frame, about so many pixels in all.

    The rows depend on the shape of the frame alone, so that what is measured on them does not
    depend on how the frame is read later.
    """
    ny, nx = source.shape
    height = -(-pixels // (nx * _BLOCKS))
    if height * _BLOCKS >= ny:
        bands = [source.read(0, ny)]
    else:
        starts = np.linspace(0, ny - height, _BLOCKS).astype(int)
        bands = [source.read(int(start), int(start) + height) for start in starts]
    return Band(*(_joined(planes) for planes in zip(*bands, strict=True)))


def row_bands(ny: int) -> list[slice]:
    """Return the rows of a frame in bands, for what is done to whole planes band by band."""
    return [slice(start, min(start + _BAND_ROWS, ny)) for start in range(0, ny, _BAND_ROWS)]


def _joined(planes: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return rows put together, in native byte order; None where some have no such plane."""
    if any(plane is None for plane in planes):
        return None
    rows = np.concatenate(planes) if len(planes) > 1 else planes[0]
    return rows.astype(rows.dtype.newbyteorder("="), copy=False)


def good_values(band: Band) -> np.ndarray:
    """Return the values of a band that are finite and not flagged, as one row of numbers."""
    good = np.isfinite(band.data) if band.data.dtype.kind == "f" else None
    if band.flags is not None:
        unflagged = band.flags == 0
        good = unflagged if good is None else good & unflagged
    return band.data.ravel() if good is None or good.all() else band.data[good]


def median_of_good(plane: np.ndarray, flags: np.ndarray, num_threads: int | None) -> float | None:
    """Return the median of all good pixels of a frame, None where there are none.

    Only the values between two of a sample, which have the median between them, are ordered.
    """
    every = max(1, plane.size // _MEDIAN_SAMPLE)
    few = np.sort(good_values(Band(plane[::every], None, flags[::every])))
    middle, width = few.size // 2, few.size // 50
    limits = [(few[middle - width], few[middle + width])] if few.size else []
    for low, high in [*limits, (-np.inf, np.inf)]:
        look = partial(_good_between, plane, flags, low, high)
        parts = in_threads(look, row_bands(len(plane)), num_threads)
        number, below = (sum(part[which] for part in parts) for which in (0, 1))
        near = np.sort(np.concatenate([part[2] for part in parts]))
        first, last = (number - 1) // 2 - below, number // 2 - below
        if 0 <= first <= last < near.size:
            return float(np.mean(near[[first, last]]))
    return None


def _good_between(
    plane: np.ndarray, flags: np.ndarray, low: float, high: float, rows: slice
) -> tuple[int, int, np.ndarray]:
    """Return how many pixels of some rows are good and how many are low; those between."""
    values = plane[rows]
    good = np.isfinite(values) & (flags[rows] == 0)
    below = np.count_nonzero(good & (values < low))
    return np.count_nonzero(good), below, values[good & (values >= low) & (values <= high)]


def pixel_noise(pixels: np.ndarray) -> float:
    """Return the noise of pixels by the differences of neighbors in a row.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.masters.source import pixel_noise
    >>> round(pixel_noise(np.random.default_rng(1).normal(0, 5, (100, 200))), 1)
    5.0
    """
    few = pixels[:: max(1, pixels.size // _NOISE_PIXELS)].astype(np.float32)
    low, high = np.percentile(np.diff(few, axis=1), [15.87, 84.13])  # one sigma each way
    return float(high - low) / 2 / math.sqrt(2)

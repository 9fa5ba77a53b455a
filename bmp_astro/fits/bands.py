"""A frame read in bands of rows, its file opened once."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from os import PathLike
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits

from .cameras import find_instrument
from .checksum import name_of_input
from .instrument import Instrument
from .layout import HduSpec, Layout, find_layout
from .plane import UnitPlane
from .source import Source, open_source
from .spill import Spill
from .stack import Stack
from .units import parse_unit


class StoredRows(NamedTuple):
    """Rows of a frame for a kernel that swaps bytes and adds ``bzero`` itself."""

    pixels: np.ndarray
    flags: np.ndarray | None
    bzero: float


class OpenFrame:
    """A frame in an open file; made by `open_frame`.

    Its methods may be called from several threads at once.

    Attributes
    ----------
    header : `~astropy.io.fits.Header`
        As `read_frame` gives it.
    shape : tuple of int
        ``(ny, nx)``.
    dtype : `~numpy.dtype`
        Type of the pixels.
    unit : `~astropy.units.UnitBase`
        Unit of the pixels.
    hdu : int
        Number of the image's unit in the file.
    is_stacked : bool
        Whether the image is made of several units, one upon the other.
    """

    def __init__(
        self,
        source: Source,
        path: str | PathLike,
        layout: Layout,
        summed: bool = False,
        spill: Spill | None = None,
    ) -> None:
        self.header: fits.Header = layout.header
        self.hdu = layout.image.index
        self._crc = layout.crc
        self._units = [unit.index for unit in layout.units]
        planes = [
            UnitPlane(source, path, unit, summed=summed, spill=spill) for unit in layout.units
        ]
        self._image = planes[0] if len(planes) == 1 else Stack(planes)
        self.is_stacked = len(planes) > 1
        others = (layout.uncertainty, layout.mask)
        self._uncertainty, self._mask = (
            unit and UnitPlane(source, path, unit, spill=spill) for unit in others
        )
        self.shape: tuple[int, int] = self._image.shape
        self.dtype: np.dtype = self._image.encoding.dtype
        unit = parse_unit(self.header.get("BUNIT"))
        self.unit: u.UnitBase = u.adu if unit is None else unit

    def read(self, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels and mask bits of the rows from `y0` up to, not including, `y1`.

        Parameters
        ----------
        y0, y1 : int
            Rows, from 0.

        Returns
        -------
        pixels : `~numpy.ndarray`, shape (y1 - y0, nx)
            Scaled, in native byte order; unscaled integers stay integers.
        flags : `~numpy.ndarray` of uint8, shape (y1 - y0, nx), or None
            From the mask plane, and `MaskBit.NO_DATA` where there is no value.

        Raises
        ------
        ValueError
            If there are no such rows.
        OSError
            If they cannot be read.
        """
        pixels, lacking = self._image.read(y0, y1)
        if self._mask is None:
            return pixels, lacking
        flags = _bits(self._mask.read(y0, y1)[0])
        return pixels, flags if lacking is None else flags | lacking

    def rows(self, y0: int, y1: int) -> np.ndarray:
        """Pixels of some rows: the first of what `read` returns."""
        return self._image.read(y0, y1)[0]

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Pixels of some rows and columns, such as an overscan, without a copy of the others.

        Parameters
        ----------
        rows, columns : slice
            With start and stop, from 0, and no step.

        Returns
        -------
        `~numpy.ndarray`
            As from `read`.
        """
        return self._image.window(rows, columns)

    def stored_rows(
        self, y0: int, y1: int, *, with_offset: bool = True, room: np.ndarray | None = None
    ) -> StoredRows:
        """Pixels of some rows, where possible as they are in the file, and how to scale them.

        Parameters
        ----------
        y0, y1 : int
            Rows, from 0.
        with_offset : bool
            Whether the caller adds ``bzero``; else it is always 0.
        room : `~numpy.ndarray` of uint8, optional
            Bytes that the numbers are put into where they are as in the file and fit: then they
            are gone with its next use.

        Returns
        -------
        StoredRows
            ``pixels + bzero`` is what `read` returns. Pixels that are not finite need have no
            flag.
        """
        plane, encoding = self._image, self._image.encoding
        is_simple = encoding.is_plain or (
            with_offset and encoding.is_unsigned and encoding.bitpix <= 32
        )
        if self._mask is not None or encoding.blank is not None or not is_simple:
            return StoredRows(*self.read(y0, y1), 0.0)
        plane.check(y0, y1)
        return StoredRows(plane.stored(y0, y1, room), None, encoding.bzero)

    def checksum(self) -> str:
        """Return what tells the file's image and header from any others.

        Returns
        -------
        str
            The DATASUM of the image as it is stored, the CRC-32 of the header's cards, and the
            numbers of its units (``"1,2"``) where it is not the primary one. Of a frame opened
            with ``summed`` only rows that have not been read yet are read for it.
        """
        return name_of_input(self._image.data_sum(), self._crc, self._units)

    def flag_rows(self, y0: int, y1: int) -> np.ndarray | None:
        """Mask bits of some rows: the second of what `read` returns."""
        if self._mask is None and not self._image.encoding.may_lack:
            return None
        return self.read(y0, y1)[1]

    def uncertainty_rows(self, y0: int, y1: int) -> np.ndarray | None:
        """Standard deviation of some rows, in the pixels' unit; None without such a plane."""
        if self._uncertainty is None:
            return None
        values = self._uncertainty.read(y0, y1)[0]
        kind = str(self._uncertainty.header.get("UTYPE", "")).strip().lower()
        if kind in ("variance", "varianceuncertainty"):
            return np.sqrt(values)
        if kind in ("ivar", "inversevariance"):
            with np.errstate(divide="ignore"):
                return 1.0 / np.sqrt(values)
        return values


@contextmanager
def open_frame(
    path: str | PathLike,
    *,
    hdu: HduSpec = None,
    instrument: Instrument | str | PathLike | None = None,
    summed: bool = False,
    spills: bool = False,
) -> Iterator[OpenFrame]:
    """Open a frame to read it in bands of rows.

    Parameters
    ----------
    path : path-like
        The file; closed when the context ends.
    hdu : int, str or (str, int), optional
        Number, name, or name and version of the image's unit; None: the first 2-D image, or
        the extensions of all amplifiers, one upon the other.
    instrument : Instrument, str or path-like, optional
        Knows the amplifiers; its `fix_header` is applied.
    summed : bool
        Add up the pixels' checksum while they are read, for `OpenFrame.checksum`.
    spills : bool
        Unpack a compressed file into a temporary file, and not into memory.

    Yields
    ------
    OpenFrame
        With `header`, `shape`, `dtype`, `unit`, and `rows`, `flag_rows`, `uncertainty_rows`
        (each called with the first row and the one after the last).

    Raises
    ------
    OSError
        If the file cannot be read, is not FITS, or lacks pixels.
    ValueError
        If it has no such 2-D image.

    Examples
    --------
    >>> from bmp_astro.fits import open_frame
    >>> with open_frame("bias-001.fits") as frame:  # doctest: +SKIP
    ...     top = frame.rows(1000, 1020)
    """
    with ExitStack() as opened:
        spill = opened.enter_context(closing(Spill(path))) if spills else None
        source = opened.enter_context(closing(open_source(path, spill)))
        layout = find_layout(source, path, hdu, instrument=instrument)
        header = fixed_header(layout.header, path, instrument)
        yield OpenFrame(source, path, layout._replace(header=header), summed, spill)


def fixed_header(
    header: fits.Header, path: str | PathLike, instrument: Instrument | str | PathLike | None
) -> fits.Header:
    """Return the header as the instrument's `fix_header` has it."""
    if instrument is None:
        return header
    camera = find_instrument(instrument, header)
    try:
        fixed = camera.fix_header(header, path)
    except Exception as error:  # the observer's own code: it costs this file, and not the night
        raise ValueError(
            f"{path}: fix_header of {camera.name} failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(fixed, fits.Header):
        raise TypeError(
            f"fix_header of {camera.name} returned {type(fixed).__name__} for "
            f"{os.path.basename(os.fspath(path))} but must return the header"
        )
    return fixed


def _bits(values: np.ndarray) -> np.ndarray:
    """Return mask bits of a plane in whatever type it was stored."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        return (values != 0).astype(np.uint8)
    return np.where((values != 0) & (values & 0xFF == 0), 1, values & 0xFF).astype(np.uint8)

"""The pixels of one unit of a file."""

import threading
from collections.abc import Callable
from os import PathLike

import numpy as np

from ..memory import empty
from .checksum import ones_complement_sum
from .pixels import Encoding, decode, encoding_of
from .rowsums import RowSums
from .source import Hdu, PlainSource, Source
from .spill import Spill
from .tiles import unpack
from .words import rows_at_a_time

_CALL = 4096  # so many bytes are copied in the time that another call of the system takes


class UnitPlane:
    """The pixels of one unit of an open file: a `~bmp_astro.fits.stack.Plane`.

    Parameters
    ----------
    source : Source
        The bytes of the file.
    path : path-like
        Its name.
    hdu : Hdu
        Where the unit is in it.
    summed : bool
        Add up the checksum of rows that are read by `stored`.
    spill : Spill, optional
        Where tiles are unpacked into.
    """

    def __init__(
        self,
        source: Source,
        path: str | PathLike,
        hdu: Hdu,
        *,
        summed: bool = False,
        spill: Spill | None = None,
    ) -> None:
        nx, ny = hdu.axes
        self.shape = (ny, nx)
        self.header = hdu.header
        self.encoding: Encoding = encoding_of(hdu.header, hdu.bitpix)
        self._source, self._path, self._hdu = source, path, hdu
        self._lock = threading.Lock()
        self._spill = spill
        self._unpacked: Callable[[int, int], np.ndarray] | None = None
        self._packed_sum: int | None = None
        self._sums = RowSums(ny, nx * self.encoding.stored.itemsize) if summed else None

    def read(self, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return pixels, and the flags of those without a value."""
        self.check(y0, y1)
        if self._hdu.compressed:
            return decode(self._rows_of_tiles()(y0, y1), self.encoding)
        nx, size = self.shape[1], self.encoding.stored.itemsize
        pixels, flags = empty((y1 - y0, nx), self.encoding.dtype), None
        step = rows_at_a_time(nx * size)
        room = np.empty(min(step, y1 - y0) * nx * size, np.uint8)
        for start in range(y0, y1, step):
            stored = self.stored(start, min(start + step, y1), room)
            band = slice(start - y0, start - y0 + len(stored))
            lacking = decode(stored, self.encoding, pixels[band])[1]
            if lacking is not None:
                flags = np.zeros(pixels.shape, np.uint8) if flags is None else flags
                flags[band] = lacking
        return pixels, flags

    def stored(self, y0: int, y1: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return numbers as they are in the file, in the bytes that are given if they fit."""
        stored = self._unsummed(y0, y1, room)
        if self._sums is not None and not self._hdu.compressed:
            self._sums.add(y0, stored)
        return stored

    def _unsummed(self, y0: int, y1: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return the same; what they add to the checksum is left to whoever reads them next."""
        if self._hdu.compressed:
            return self._rows_of_tiles()(y0, y1)
        nx, dtype = self.shape[1], self.encoding.stored
        nbytes = (y1 - y0) * nx * dtype.itemsize
        if room is None or room.size < nbytes:
            stored = np.empty((y1 - y0, nx), dtype)
        else:
            stored = room[:nbytes].view(dtype).reshape(y1 - y0, nx)
        offset = self._hdu.offset + y0 * nx * stored.itemsize
        self._fill(memoryview(stored.reshape(-1)).cast("B"), offset)
        return stored

    def data_sum(self) -> int:
        """Return the DATASUM of the unit; rows that have not been read are read."""
        if self._hdu.compressed:
            self._rows_of_tiles()
            return self._packed_sum
        ny, nx = self.shape
        if self._sums is None:
            self._sums = RowSums(ny, nx * self.encoding.stored.itemsize)
        step = rows_at_a_time(nx * self.encoding.stored.itemsize)
        for first, last in self._sums.missing():
            for start in range(first, last, step):
                self.stored(start, min(start + step, last))
        return self._sums.total

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the pixels of some rows and columns; only these are decoded."""
        self.check(rows.start, rows.stop)
        _check_within(columns.start, columns.stop, self.shape[1], "columns", self._path)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        size = self.encoding.stored.itemsize
        row_bytes = self.shape[1] * size
        is_plain = isinstance(self._source, PlainSource) and not self._hdu.compressed
        if is_plain and row_bytes - shape[1] * size > _CALL:
            stored = np.empty(shape, self.encoding.stored)
            offset = self._hdu.offset + rows.start * row_bytes + columns.start * size
            self._check_read(self._source.read_pieces(stored, offset, row_bytes), stored.nbytes)
            return decode(stored, self.encoding)[0]
        pixels = np.empty(shape, self.encoding.dtype)
        step = rows_at_a_time(row_bytes)
        room = np.empty(min(step, shape[0]) * row_bytes, np.uint8)
        for start in range(rows.start, rows.stop, step):
            stored = self._unsummed(start, min(start + step, rows.stop), room)
            at = start - rows.start
            decode(stored[:, columns], self.encoding, pixels[at : at + len(stored)])
        return pixels

    def check(self, y0: int, y1: int) -> None:
        """Complain about rows that are not there."""
        _check_within(y0, y1, self.shape[0], "rows", self._path)

    def _rows_of_tiles(self) -> Callable[[int, int], np.ndarray]:
        """Return what gives rows of the unpacked tiles, which are kept for the next band."""
        with self._lock:
            if self._unpacked is None:
                data = bytearray(self._hdu.nbytes)
                self._fill(memoryview(data), self._hdu.offset)
                self._packed_sum = ones_complement_sum([np.frombuffer(data, np.uint8)])
                try:
                    whole = unpack(self._hdu, bytes(data))
                except OSError as error:
                    raise OSError(f"{self._path}: {error}") from error
                if self._spill is None:
                    self._unpacked = lambda y0, y1: whole[y0:y1]
                else:
                    self._unpacked = self._spill.image(whole)
            return self._unpacked

    def _fill(self, buffer: memoryview, offset: int) -> None:
        """Read exactly what the buffer holds."""
        self._check_read(self._source.read_into(buffer, offset), len(buffer))

    def _check_read(self, found: int, expected: int) -> None:
        """Complain about bytes that are not there."""
        if found < expected:
            raise OSError(
                f"{self._path} is truncated: {expected - found} bytes of pixels are missing"
            )


def _check_within(first: int, last: int, length: int, what: str, path: str | PathLike) -> None:
    """Complain about rows or columns that are not there."""
    if not 0 <= first <= last <= length:
        raise ValueError(f"{what} {first}:{last} are not within the {length} {what} of {path}")

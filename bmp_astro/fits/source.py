"""The bytes of a file, and where its header-data units lie."""

import gzip
import os
import re
import stat
import threading
import zlib
from dataclasses import dataclass
from os import PathLike
from typing import Protocol

import numpy as np
from astropy.io import fits

from .cards import CARD_LENGTH, parse_cards
from .spill import Spill, read_at
from .words import read_pieces

BLOCK = 2880
_NAME = re.compile(r".+\.(?:fits|fit|fts)(?:\.gz|\.fz)?", re.IGNORECASE | re.DOTALL)
_END = re.compile(rb"END[ \0]{77}", re.DOTALL)
_LARGEST_HEADER = 4000 * BLOCK
_FARTHEST = 2**62


class Source(Protocol):
    """Bytes that can be read anywhere, from several threads."""

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer as far as the file goes; return the number of bytes."""

    def size_known_to(self, end: int) -> int:
        """Return the size of the file, or any number from `end` up if it is that long."""

    def close(self) -> None:
        """Let go of the file."""


class PlainSource:
    """An uncompressed file; `pread` needs no lock and no shared position."""

    def __init__(self, path: str | PathLike) -> None:
        # not blocking, lest a pipe with a FITS name hang the run
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(self._descriptor)
        if stat.S_ISDIR(found.st_mode):
            os.close(self._descriptor)
            raise IsADirectoryError(f"{path} is a directory: expected a FITS file")
        self._size = found.st_size

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer as far as the file goes; return the number of bytes."""
        done = 0
        # a damaged header may place data where no file can have any
        while done < len(buffer) and offset < _FARTHEST:
            count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            if count == 0:
                break
            done += count
        return done

    def read_pieces(self, target: np.ndarray, offset: int, step: int) -> int:
        """Fill rows, which begin so many bytes apart, as far as the file goes."""
        return read_pieces(self._descriptor, target, offset, step)

    def size_known_to(self, end: int) -> int:
        """Return the size of the file."""
        return self._size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class GzipSource:
    """A gzipped file, unpacked as far as it is needed: into memory, or into a temporary file."""

    _CHUNK = 1 << 20

    def __init__(self, path: str | PathLike, spill: Spill | None = None) -> None:
        self._path = path
        self._stream = gzip.GzipFile(path, "rb")
        self._spill = spill
        self._file = None if spill is None else spill.file()
        self._bytes = bytearray()
        self._size = 0
        self._at_end = False
        self._lock = threading.Lock()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer as far as the file goes; return the number of bytes."""
        with self._lock:
            self._unpack(offset + len(buffer))
            if self._file is not None:
                return read_at(self._file, buffer, offset)
            part = self._bytes[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def size_known_to(self, end: int) -> int:
        """Return the number of bytes unpacked, which is at least `end` if there are so many."""
        with self._lock:
            self._unpack(end)
            return self._size

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _unpack(self, end: int) -> None:
        """Unpack until `end`, or as far as a damaged file can be."""
        while not self._at_end and self._size < end:
            try:
                chunk = self._stream.read1(self._CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                if not self._size:
                    raise OSError(f"{self._path} cannot be unpacked: {error}") from error
                chunk = b""
            self._at_end = not chunk
            self._size += len(chunk)
            if self._spill is None:
                self._bytes += chunk
            else:
                self._spill.append(self._file, chunk)


@dataclass(frozen=True)
class Hdu:
    """One header-data unit: its cards, and where its data lie.

    `axes` are NAXIS1, NAXIS2, ... of the image, also where it is tile-compressed; `crc` is the
    CRC-32 of the cards as they are in the file.
    """

    index: int
    header: fits.Header
    axes: tuple[int, ...]
    bitpix: int
    offset: int
    nbytes: int
    compressed: bool
    crc: int

    @property
    def is_image(self) -> bool:
        """Whether there are pixels."""
        kind = self.header.get("XTENSION", "IMAGE")
        return self.compressed or (
            kind.strip() == "IMAGE" and 0 not in (*self.axes, len(self.axes))
        )

    @property
    def name(self) -> str:
        """The unit's name, in capitals."""
        default = "PRIMARY" if self.index == 0 else ""
        return str(self.header.get("EXTNAME", default)).strip().upper()


def is_fits_name(path: str | PathLike) -> bool:
    """Tell whether a file is named like a FITS image.

    Parameters
    ----------
    path : path-like
        Its name; the file need not exist.

    Returns
    -------
    bool
        True for ``.fits``, ``.fit`` and ``.fts`` in any case, also with ``.gz`` or ``.fz``.

    Examples
    --------
    >>> from bmp_astro.fits import is_fits_name
    >>> is_fits_name("NGC 520.FIT"), is_fits_name("notes.txt")
    (True, False)
    """
    return _NAME.fullmatch(os.path.basename(os.fspath(path))) is not None


def open_source(path: str | PathLike, spill: Spill | None = None) -> Source:
    """Open a file, gzipped or not: its first bytes tell, not its name.

    What is unpacked goes into memory, or into the files of a `Spill`.
    """
    source = PlainSource(path)
    try:
        magic = bytearray(2)
        count = source.read_into(memoryview(magic), 0)
    except BaseException:
        source.close()
        raise
    if bytes(magic[:count]) != b"\x1f\x8b":
        return source
    source.close()
    return GzipSource(path, spill)


def read_hdu(source: Source, path: str | PathLike, index: int, offset: int) -> Hdu | None:
    """Read the header at an offset; None at the end of the file.

    What follows the last unit and is not a header, such as stray bytes, ends the file too.
    """
    start = _read(source, offset, BLOCK)
    if index == 0:
        _check_start(start, path)
    elif not start.startswith(b"XTENSION"):
        return None
    cards, length = _read_cards(source, path, offset, start)
    header = parse_cards(cards, os.path.basename(path))
    compressed = header.get("ZIMAGE") is True
    prefix = "Z" if compressed else ""
    try:
        nbytes, stored = _data_size(header)
        axes = _axes(header, prefix) if prefix else stored
        bitpix = _integer(header, prefix + "BITPIX")
    except ValueError as error:
        raise OSError(f"{path}: the header of unit {index} is damaged: {error}") from error
    crc = zlib.crc32(cards)
    return Hdu(index, header, axes, bitpix, offset + length, nbytes, compressed, crc)


def next_offset(hdu: Hdu) -> int:
    """Return where the unit after this one begins."""
    return hdu.offset + -(-hdu.nbytes // BLOCK) * BLOCK


def _read(source: Source, offset: int, count: int) -> bytes:
    """Return the bytes at an offset, fewer at the end of the file."""
    buffer = bytearray(count)
    return bytes(buffer[: source.read_into(memoryview(buffer), offset)])


def _check_start(start: bytes, path: str | PathLike) -> None:
    """Complain about a file that is empty or is not FITS."""
    if not start:
        raise OSError(f"{path} is empty")
    if not re.match(rb"SIMPLE *=", start):
        raise OSError(
            f"{path} is not a FITS file: it starts with {start[:16]!r} and not with 'SIMPLE  ='"
        )


def _read_cards(
    source: Source, path: str | PathLike, offset: int, start: bytes
) -> tuple[bytes, int]:
    """Return the cards before END, and the length of the header with its padding."""
    cards = bytearray(start)
    searched = 0
    while True:
        for at in range(searched, len(cards) - CARD_LENGTH + 1, CARD_LENGTH):
            if cards[at : at + 3] == b"END" and _END.match(cards, at):
                return bytes(cards[:at]), -(-(at + CARD_LENGTH) // BLOCK) * BLOCK
        searched = len(cards) // CARD_LENGTH * CARD_LENGTH
        more = _read(source, offset + len(cards), BLOCK)
        if not more or len(cards) > _LARGEST_HEADER:
            raise OSError(
                f"{path}: the header at byte {offset} has no END card in {len(cards)} bytes: "
                "the file is truncated or damaged"
            )
        cards += more


def _integer(header: fits.Header, name: str, default: int | None = None) -> int:
    """Return a structural card's value, also where a camera wrote it as 2880.0."""
    value = header.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{name} is {value!r} but must be an integer")
    return int(value)


def _axes(header: fits.Header, prefix: str) -> tuple[int, ...]:
    """Return NAXIS1, NAXIS2, ..."""
    count = _integer(header, prefix + "NAXIS")
    if not 0 <= count <= 999:
        raise ValueError(f"{prefix}NAXIS is {count} but must be from 0 to 999")
    axes = tuple(_integer(header, f"{prefix}NAXIS{axis}") for axis in range(1, count + 1))
    if any(length < 0 for length in axes):
        raise ValueError(f"{prefix}NAXISn are {axes} but must not be negative")
    return axes


def _data_size(header: fits.Header) -> tuple[int, tuple[int, ...]]:
    """Return the bytes of a unit's data, without padding (FITS standard, eq. 2); its axes."""
    bitpix = _integer(header, "BITPIX")
    if bitpix not in (8, 16, 32, 64, -32, -64):
        raise ValueError(f"BITPIX is {bitpix} but must be 8, 16, 32, 64, -32 or -64")
    axes = _axes(header, "")
    if not axes:
        return 0, axes
    pixels = 1
    for length in axes:
        pixels *= length
    groups, parameters = _integer(header, "GCOUNT", 1), _integer(header, "PCOUNT", 0)
    if groups < 0 or parameters < 0:
        raise ValueError("GCOUNT and PCOUNT must not be negative")
    return abs(bitpix) // 8 * groups * (parameters + pixels), axes

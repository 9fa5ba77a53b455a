"""Bytes as they are stored in a file: their sum, order and room, and those of some columns."""

import os
from types import ModuleType

import numpy as np

from . import words_numpy


def _load() -> ModuleType | None:
    """Return the compiled module, if there is one and numpy is not asked for.

    The choice is that of the kernels, which are built with it and say so where they are not.
    """
    if os.environ.get("BMP_ASTRO_KERNELS") == "numpy":
        return None
    try:
        from . import _words
    except ImportError:
        return None
    return _words


_compiled = _load()
_BAND_BYTES = 2**19


def rows_at_a_time(row_bytes: int) -> int:
    """Return how many rows, one at least, stay in the processor's cache."""
    return max(1, _BAND_BYTES // max(1, row_bytes))


def add_up(stored: np.ndarray) -> int:
    """Add up big-endian words of 32 bits.

    Parameters
    ----------
    stored : `~numpy.ndarray`
        Contiguous numbers as they are in a file; a last word that is not whole counts as if zeros
        followed.

    Returns
    -------
    int
        A sum of which the carry is still to be brought around.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.fits.words import add_up
    >>> add_up(np.array([1, 2, 3], dtype=">i2"))
    262146
    """
    return (words_numpy if _compiled is None else _compiled).add_up(stored)


def copy_numbers(source: np.ndarray, target: np.ndarray, *, flip: bool = False) -> bool:
    """Copy numbers to where they are of another byte order.

    Parameters
    ----------
    source : `~numpy.ndarray`, shape (ny, nx)
        Numbers as they are in a file, or in native order.
    target : `~numpy.ndarray`, shape (ny, nx)
        Filled with them; of the same type but for the order, and elsewhere in memory.
    flip : bool
        Turn the signedness of integers over, as BZERO does: only their highest bit differs.

    Returns
    -------
    bool
        Whether all are finite.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.fits.words import copy_numbers
    >>> stored = np.empty((1, 2), dtype=">f4")
    >>> copy_numbers(np.array([[1.0, np.inf]], dtype="f4"), stored)
    False
    >>> stored
    array([[ 1., inf]], dtype='>f4')
    """
    size, is_native = source.dtype.itemsize, source.dtype.isnative
    is_plain = source.flags.c_contiguous and target.flags.c_contiguous
    if _compiled is None or is_native == target.dtype.isnative or not is_plain:
        return words_numpy.copy(source, target, flip)
    return _compiled.copy(source, target, size, is_native, source.dtype.kind == "f", flip)


def read_pieces(file: int, target: np.ndarray, offset: int, step: int) -> int:
    """Read some columns of an image.

    Parameters
    ----------
    file : int
        Descriptor of the open file.
    target : `~numpy.ndarray`, shape (ny, nx)
        Contiguous; filled with the numbers as they are in the file.
    offset : int
        Byte at which the first row begins.
    step : int
        Bytes from the beginning of a row to that of the next, no fewer than those of a row.

    Returns
    -------
    int
        How many bytes the file has of it.

    Raises
    ------
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.fits.words import read_pieces
    >>> path = getfixture("tmp_path") / "letters"
    >>> path.write_text("abcdefghijkl")
    12
    >>> found = np.empty((3, 2), dtype="S1")
    >>> with open(path, "rb") as stream:
    ...     read_pieces(stream.fileno(), found, 1, 4)
    6
    >>> found
    array([[b'b', b'c'],
           [b'f', b'g'],
           [b'j', b'k']], dtype='|S1')
    """
    if _compiled is None or not target.size:
        return words_numpy.read_pieces(file, target, offset, step)
    return _compiled.read_pieces(file, target, target[:1].nbytes, offset, step)


def reserve(file: int, offset: int, length: int) -> None:
    """Give bytes that will be written to a file their room on the disk, where that can be done.

    The file system then looks for room once, and not for each piece, and what a full disk cannot
    take is known at once. The file does not get longer.

    Parameters
    ----------
    file : int
        Descriptor of a file that is open for writing.
    offset : int
        Where the first of them is.
    length : int
        How many there are, one at least.

    Raises
    ------
    OSError
        If the disk or a quota leaves no room for them.

    Examples
    --------
    >>> from bmp_astro.fits.words import reserve
    >>> path = getfixture("tmp_path") / "letters"
    >>> with open(path, "wb") as stream:
    ...     reserve(stream.fileno(), 0, 2**20)
    ...     stream.write(b"abcdef")
    6
    >>> path.read_bytes()
    b'abcdef'
    """
    (words_numpy if _compiled is None else _compiled).reserve(file, offset, length)

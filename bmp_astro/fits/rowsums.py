"""The checksum of a file's pixels, made up while they are read for another purpose."""

import threading

import numpy as np

from .checksum import fold, ones_complement_sum

_BITS = 32


class RowSums:
    """The sum of an image's stored bytes: each row is added when it comes by for the first time.

    Rows may come in any order, again, and from several threads.

    Parameters
    ----------
    rows : int
        Rows of the image.
    row_bytes : int
        Bytes of a row in the file.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.fits.rowsums import RowSums
    >>> stored = np.array([[1.0], [2.0]], dtype=">f4")
    >>> sums = RowSums(2, 4)
    >>> sums.add(1, stored[1:])
    >>> sums.missing()
    [(0, 1)]
    >>> sums.add(0, stored)
    >>> sums.total
    2139095040
    """

    def __init__(self, rows: int, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._seen = np.zeros(rows, bool)
        self._sum = 0
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """DATASUM of the rows so far (FITS standard 4.0, section 4.4.2.7)."""
        return fold(self._sum)

    def add(self, y0: int, stored: np.ndarray) -> None:
        """Add those of some rows that are new.

        Parameters
        ----------
        y0 : int
            Number of the first one.
        stored : `~numpy.ndarray`
            Contiguous rows as they are in the file.
        """
        with self._lock:
            seen = self._seen[y0 : y0 + len(stored)]
            if seen.all():
                return
            new = _runs(~seen) if seen.any() else [(0, len(stored))]
            seen[:] = True
        part = sum(
            _rotated(ones_complement_sum([stored[first:last]]), (y0 + first) * self._row_bytes)
            for first, last in new
        )
        with self._lock:
            self._sum += part

    def missing(self) -> list[tuple[int, int]]:
        """Return the rows that have not come by, as pairs of a first and the one after the last."""
        with self._lock:
            return _runs(~self._seen)


def _runs(wanted: np.ndarray) -> list[tuple[int, int]]:
    """Return where an array is true, as pairs of a first and the one after the last."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _rotated(total: int, offset: int) -> int:
    """Return the sum of bytes that do not begin with a word, from their sum as if they did."""
    return total << (_BITS - 8 * (offset % 4)) % _BITS

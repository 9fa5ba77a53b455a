"""Sums along all straight lines across an image: the discrete Radon transform."""

from typing import NamedTuple

import numpy as np


class Line(NamedTuple):
    """A straight line across an image, by two points ``(x, y)``."""

    start: tuple[float, float]
    stop: tuple[float, float]


class LineSums:
    r"""The sums of an image along straight lines of all places and slopes.

    Parameters
    ----------
    image : `~numpy.ndarray`
        ``(ny, nx)``.

    Notes
    -----
    The fast transform of Götz & Druck (1996) and Brady (1998), with which Nir et al. (2018, AJ
    156, 229) find streaks: sums along pieces of lines are put together to pieces of twice the
    length, so that N x N pixels take N\ :sup:`2` log N additions. A line visits each row once
    (for slopes up to 45 degrees from the vertical; each column for the others), at the nearest
    pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.kernels.lines import LineSums
    >>> sums = LineSums(np.eye(8))
    >>> place = sums.best(sums.values)
    >>> float(sums.values[place]), sums.line(place)
    (8.0, Line(start=(0.0, 0.0), stop=(7.0, 7.0)))
    """

    def __init__(self, image: np.ndarray) -> None:
        self._shape = image.shape
        self._size = 1 << (max(image.shape) - 1).bit_length()
        square = np.zeros((self._size, self._size), np.float32)
        square[: image.shape[0], : image.shape[1]] = image
        views = (square, square[:, ::-1], square.T, square.T[:, ::-1])
        #: (4, slopes, places): lines to the right, to the left, and both of the turned image.
        self.values: np.ndarray = np.stack([_sums(view) for view in views])

    def best(self, values: np.ndarray) -> tuple[int, int, int]:
        """Return the place of the largest of some values, of the shape of `values`."""
        return tuple(int(number) for number in np.unravel_index(np.argmax(values), values.shape))

    def line(self, place: tuple[int, int, int]) -> Line:
        """Return the line that a place stands for."""
        view, slope, column = place
        last = self._size - 1
        first_x = column - last  # the places begin with lines that enter from beside
        ends = [(first_x, 0), (first_x + slope, last)]
        if view in (1, 3):
            ends = [(last - x, y) for x, y in ends]
        if view in (2, 3):
            ends = [(y, x) for x, y in ends]
        return Line(*((float(x), float(y)) for x, y in ends))


def _sums(image: np.ndarray) -> np.ndarray:
    """Return the sums along lines from the first row to the last, 0 to 1 pixel to the right a row.

    The shape is ``(slopes, places)``: by how much the line has moved in the last row, and where it
    is in the first, from ``1 - nx`` on.
    """
    size = len(image)
    pieces = np.zeros((size, 1, 2 * size - 1), np.float32)
    pieces[:, 0, size - 1 :] = image
    while len(pieces) > 1:
        lower, upper = pieces[0::2], pieces[1::2]
        height = pieces.shape[1]
        pieces = np.repeat(lower, 2, axis=1)
        for slope in range(2 * height):
            shift = (slope + 1) // 2
            moved = upper[:, slope // 2, shift:]
            pieces[:, slope, : moved.shape[-1]] += moved
    return pieces[0]

"""Medians of many values by sorting, in which numpy is several times faster than `numpy.median`."""

import numpy as np


def median(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the median along an axis, or of all values.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Not empty; NaN count as largest.
    axis : int or None
        The axis; all values if None.

    Returns
    -------
    `~numpy.ndarray`
        As `numpy.median` has it: the mean of the two in the middle where their number is even.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.kernels.median import median
    >>> median(np.array([[1, 5, 9], [4, 2, 3]]), axis=1)
    array([5., 3.])
    """
    return middle_of(np.sort(values, axis=axis), -1 if axis is None else axis)


def middle_of(ordered: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the median of values that are in order along an axis."""
    n = ordered.shape[axis]
    wide = None if ordered.dtype.kind == "f" else float  # integers might overflow
    return np.add(ordered.take((n - 1) // 2, axis), ordered.take(n // 2, axis), dtype=wide) / 2

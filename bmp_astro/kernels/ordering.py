"""Sorting and medians along the frames of a stack, for all pixels at once.

A sorting network compares whole planes, so that numpy does in one call what a sort along the
first axis would do pixel by pixel.  The network is Batcher's merge exchange (Knuth, The Art of
Computer Programming, volume 3, algorithm 5.2.2M).
"""

from functools import lru_cache

import numpy as np

_LARGEST_NETWORK = 64


@lru_cache(maxsize=128)
def comparators(n: int, wanted: tuple[int, ...] | None = None) -> tuple[tuple[int, int], ...]:
    """Return the pairs of planes to compare, only those that the `wanted` ranks need."""
    pairs = []
    top = 1 << max(n - 1, 1).bit_length() - 1
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    if wanted is None:
        return tuple(pairs)
    needed, kept = set(wanted), []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))


def sort_planes(
    stack: np.ndarray, wanted: tuple[int, ...] | None = None
) -> list[np.ndarray] | np.ndarray:
    """Sort `stack`, shape ``(n, ...)``, along its first axis; its memory is used up.

    Parameters
    ----------
    stack : `~numpy.ndarray`
        The values, without NaN.
    wanted : tuple of int, optional
        The ranks that will be looked at; the planes of the others are left unsorted.

    Returns
    -------
    sequence of `~numpy.ndarray`
        The planes by rank, the smallest values first.
    """
    n = len(stack)
    if n > _LARGEST_NETWORK:
        stack.sort(axis=0)
        return stack
    planes = list(stack)
    spare = np.empty_like(stack[0])
    for low, high in comparators(n, wanted):
        np.minimum(planes[low], planes[high], out=spare)
        np.maximum(planes[low], planes[high], out=planes[high])
        planes[low], spare = spare, planes[low]
    return planes


def median_of_kept(stack: np.ndarray, keep: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the median of each pixel's kept values, 0 where none is kept.

    Parameters
    ----------
    stack : `~numpy.ndarray`
        Finite values, shape ``(n, npix)``.
    keep : `~numpy.ndarray`
        Boolean, the shape of `stack`: the values that count.
    count : `~numpy.ndarray`
        The number of values kept in each pixel, shape ``(npix,)``.

    Returns
    -------
    `~numpy.ndarray`
        Shape ``(npix,)``, the dtype of `stack`.
    """
    n = len(stack)
    if count.min(initial=n) == n:
        ranks = ((n - 1) // 2, n // 2)
        planes = sort_planes(stack.copy(), ranks)
        lower, upper = planes[ranks[0]], planes[ranks[1]]
    else:
        planes = np.asarray(sort_planes(np.where(keep, stack, stack.dtype.type(np.inf))))
        last = np.maximum(count.astype(np.intp), 1) - 1
        pixels = np.arange(planes.shape[1])
        lower, upper = planes[last // 2, pixels], planes[(last + 1) // 2, pixels]
    middle = np.add(lower, upper, dtype=float)  # which cannot overflow in float32
    middle *= 0.5
    return np.where(count > 0, middle, 0).astype(stack.dtype)

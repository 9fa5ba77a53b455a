"""Whether stars are seen in an image: quickly, on a part of it, and without being fooled by noise.

A star is a peak whose eight neighbors stand out as well, and the four nearest of them by a good
part of its height: hot pixels and most tracks of cosmic rays are sharper than that. And it stands
alone: a few pixels to its left and right it is below half its height, as dust in a flat is not.
"""

import numpy as np

from ..kernels.median import median

_CELL = 64  # pixels of a cell of the background
_ROWS = 16  # rows that tell the level of a column
_PEAK, _AROUND = 8.0, 3.0  # sigma above the background
_SHARPEST = 0.2  # of the peak in its nearest neighbors: stars wider than 1.3 pixels (FWHM)
_BESIDE, _LOWER = 6, 0.5  # so many pixels beside the peak less than that part of it is left
_MAD_TO_SIGMA = 1.4826022185056018
_NEIGHBORS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def count_stars(pixels: np.ndarray) -> int:
    """Count peaks that look like stars.

    Parameters
    ----------
    pixels : `~numpy.ndarray`
        Neighboring rows of an image, ``(ny, nx)``; pedestals and smooth structure do not matter,
        nor do bright columns.

    Returns
    -------
    int
        How many peaks stand out by 8 sigma with their neighbors; wide stars may have several.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.steps.stars import count_stars
    >>> y, x = np.mgrid[:60, :100]
    >>> sky = np.random.default_rng(1).normal(100, 5, y.shape)
    >>> star = 500 * np.exp(-0.5 * ((x - 30.2) ** 2 + (y - 20.4) ** 2))
    >>> hot = np.where((x == 70) & (y == 40), 500, 0)
    >>> count_stars(sky + star + hot)
    1
    """
    if min(pixels.shape) < 3:
        return 0
    known = pixels.astype(np.float32)
    known = known if np.isfinite(known).all() else np.nan_to_num(known)
    flat = _without_structure(known)
    few = flat.ravel()[:: max(1, flat.size // 2**16)]
    sigma = _MAD_TO_SIGMA * float(median(np.abs(few)))
    sigma = max(sigma, 0.5 * _quantum(pixels), float(np.finfo(np.float32).tiny))
    high = flat[1:-1, 1:-1] > _PEAK * sigma
    y, x = np.divmod(np.flatnonzero(high), high.shape[1])  # faster than nonzero where few are
    y, x = y + 1, x + 1
    peak = flat[y, x]
    around = np.array([flat[y + dy, x + dx] for dy, dx in _NEIGHBORS])
    nearest = around[[dy == 0 or dx == 0 for dy, dx in _NEIGHBORS]]
    is_star = (around.min(axis=0) > _AROUND * sigma) & (around.max(axis=0) <= peak)
    is_star &= nearest.min(axis=0) > _SHARPEST * peak
    last = flat.shape[1] - 1
    beside = np.maximum(flat[y, np.maximum(x - _BESIDE, 0)], flat[y, np.minimum(x + _BESIDE, last)])
    is_star &= beside < _LOWER * peak
    return int(np.count_nonzero(is_star))


def some_rows(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return strips of neighboring rows, spread over an image, of about so many pixels in all."""
    ny, nx = pixels.shape
    count = max(1, size // (_ROWS * nx))
    if count * _ROWS >= ny:
        return pixels
    starts = np.linspace(0, ny - _ROWS, count + 2)[1:-1].astype(int)
    return np.concatenate([pixels[start : start + _ROWS] for start in starts])


def _without_structure(pixels: np.ndarray) -> np.ndarray:
    """Return pixels without the level of each column, and then that of each cell.

    Less than a cell's width is lost at two edges.
    """
    pixels = pixels - median(pixels[:: max(1, len(pixels) // _ROWS)], axis=0)
    height, width = (min(size, n) for size, n in zip((_ROWS, _CELL), pixels.shape, strict=True))
    down, across = len(pixels) // height, pixels.shape[1] // width
    pixels = pixels[: down * height, : across * width]
    cells = pixels.reshape(down, height, across, width)
    some = cells[:, ::2, :, ::2].swapaxes(1, 2).reshape(down, across, -1)
    cells -= median(some, axis=2)[:, None, :, None]
    return pixels


def _quantum(pixels: np.ndarray) -> float:
    """Return the least step between values that are integers, 0 where others may be."""
    return 1.0 if pixels.dtype.kind in "ui" else 0.0

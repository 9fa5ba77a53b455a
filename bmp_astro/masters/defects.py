"""Pixels that the frames of a master show to be bad: hot, dead or unstable."""

import math
import os
from collections.abc import Callable

import numpy as np
from astropy.nddata import CCDData

from ..core.threads import in_threads
from ..fits import MaskBit, flags_of, read_frame
from ..kernels import Combined, Noise, combine
from .quality import Limits
from .recipe import Recipe
from .source import row_bands

_HALF = 3  # pixels to each side: enough for a median to ignore a hot pixel and its neighbors
_GROUP = 4  # rows that have their least value in common: at least half a window
_MAD_TO_SIGMA = 1.4826
_SAMPLE_PIXELS = 2**16
_SAMPLE_BLOCKS = 16
_AT_A_TIME = 2**14
_ANY = Noise(1.0)  # a median does not ask for it, but it would be measured
_FEWEST_REJECTED = 3  # cosmic rays and chance hit a pixel once or twice


def find_bad_pixels(
    master_dark: str | os.PathLike | CCDData | None = None,
    master_flat: str | os.PathLike | CCDData | None = None,
    *,
    hot_sigma: float = 10.0,
    dead_fraction: float = 0.5,
) -> np.ndarray:
    """Find hot pixels in a master dark, and dead ones in a master flat.

    Parameters
    ----------
    master_dark, master_flat : path-like or `~astropy.nddata.CCDData`, optional
        The masters, ``(ny, nx)``; one of them at least.
    hot_sigma : float
        A pixel is hot when it is above the median of its surroundings by more than so many times
        the scatter of the dark about these medians.
    dead_fraction : float
        A pixel is dead when its flat is below this fraction of the median of its surroundings.

    Returns
    -------
    `~numpy.ndarray` of bool
        ``(ny, nx)``, true where a pixel is bad, masked ones of the masters among them: what
        `bmp_astro.steps.calibrate` takes as ``bad_pixel_mask``.

    Raises
    ------
    ValueError
        There is no master, or their shapes differ.

    Notes
    -----
    The surroundings are 7 x 7 pixels, so that the glow of an amplifier is not taken for hot pixels.
    A hot pixel is not lost for all purposes: the dark subtracts it, and leaves its noise, which is
    in the uncertainty.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.masters import find_bad_pixels
    >>> pixels = np.random.default_rng(1).normal(10, 2, (40, 40))
    >>> pixels[20, 30] = 500
    >>> np.argwhere(find_bad_pixels(CCDData(pixels, unit="adu")))
    array([[20, 30]])
    """
    dark, flat = _opened(master_dark), _opened(master_flat)
    known = [master for master in (dark, flat) if master is not None]
    if not known:
        raise ValueError("there is neither a master dark nor a master flat to find bad pixels in")
    if any(master.shape != known[0].shape for master in known):
        raise ValueError(f"the dark is {dark.shape} (ny, nx) but the flat {flat.shape}")
    bad = np.zeros(known[0].shape, bool)
    for master in known:
        flags = flags_of(master)
        if flags is not None:
            bad |= flags != 0
    if dark is not None:
        bad.flat[hot_pixels(dark.data, hot_sigma)] = True
    if flat is not None:
        bad.flat[dead_pixels(flat.data, dead_fraction)] = True
    return bad


def mark_defects(
    kind: str,
    combined: Combined,
    n: int,
    rejected: float,
    recipe: Recipe,
    limits: Limits,
    num_threads: int | None = None,
) -> dict[str, int]:
    """Set the mask bits of the bad pixels that a master shows, and count them.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What is combined: darks show hot pixels, flats dead ones, bias frames and darks those that
        are not stable.
    combined : `Combined`
        The master; its flags are changed.
    n : int
        The number of frames.
    rejected : float
        The fraction of their values that was rejected.
    recipe : `Recipe`
        How they were combined: where values are rejected for their deviation, a pixel is unstable
        that lost many of them.
    limits : `Limits`
        What is hot, dead and unstable.
    num_threads : int or None
        Bands of rows to look at at a time.

    Returns
    -------
    dict of str to int
        How many pixels are "hot", "dead", "unstable"; what was not looked for is not there.
    """
    found = {}
    if kind == "dark":
        found["hot"] = hot_pixels(combined.data, limits.hot_sigma, num_threads)
    if kind == "flat":
        found["dead"] = dead_pixels(combined.data, limits.dead_fraction, num_threads)
    elif (
        recipe.clip in ("sigma", "noise")
        and n >= 2 * _FEWEST_REJECTED
        and rejected <= limits.max_rejected  # else frames differ, not pixels
    ):
        count, most = combined.count, n - max(_FEWEST_REJECTED, math.ceil(limits.max_unstable * n))
        found["unstable"] = _pixels_where(
            lambda rows: count[rows] <= most, count.shape, num_threads
        )
    for name, pixels in found.items():
        bit = MaskBit.UNSTABLE if name == "unstable" else MaskBit.BAD_PIXEL
        combined.flags[np.unravel_index(pixels, combined.flags.shape)] |= np.uint8(bit)
    return {name: pixels.size for name, pixels in found.items()}


def hot_pixels(dark: np.ndarray, sigma: float, num_threads: int | None = None) -> np.ndarray:
    """Return which pixels of a dark are above their surroundings by more than its scatter so often.

    They are numbers of pixels as `numpy.ravel` counts them. The scatter about the medians of the
    surroundings is measured on rows spread over the frame.
    """
    some = _sampled(dark.shape)
    excess = _at(dark, some) - _medians(dark, some, num_threads)
    limit = sigma * _MAD_TO_SIGMA * float(np.median(np.abs(excess - np.median(excess))))
    return _outliers(dark, np.fmin, lambda pixel, usual: pixel - usual > limit, num_threads)


def dead_pixels(flat: np.ndarray, fraction: float, num_threads: int | None = None) -> np.ndarray:
    """Return which pixels of a flat are below a fraction of the median of their surroundings."""
    return _outliers(flat, np.fmax, lambda pixel, usual: pixel < fraction * usual, num_threads)


def _outliers(
    pixels: np.ndarray,
    extreme: np.ufunc,
    is_bad: Callable[[np.ndarray, np.ndarray], np.ndarray],
    num_threads: int | None,
) -> np.ndarray:
    """Return which pixels are bad beside the median of their surroundings.

    No median is below the least (above the largest) value around, which takes a fraction of the
    time: only pixels that are bad beside that are looked at more closely.
    """

    def may_be_bad(rows: slice) -> np.ndarray:
        around = pixels[max(rows.start - _GROUP, 0) : rows.stop + _GROUP]
        if len(around) % _GROUP:
            around = np.pad(around, ((0, -len(around) % _GROUP), (0, 0)), mode="edge")
        groups = around.reshape(-1, _GROUP, pixels.shape[1])
        own = slice(int(rows.start > 0), int(rows.start > 0) - (rows.start - rows.stop) // _GROUP)
        bad = is_bad(groups[own], _extremes(groups, extreme)[own, None])
        return bad.reshape(-1, pixels.shape[1])[: rows.stop - rows.start]

    found = _pixels_where(may_be_bad, pixels.shape, num_threads)
    return found[is_bad(_at(pixels, found), _medians(pixels, found, num_threads))]


def _pixels_where(
    is_so: Callable[[slice], np.ndarray], shape: tuple[int, int], num_threads: int | None
) -> np.ndarray:
    """Return the pixels of which a function of the rows says that it is so."""
    ny, nx = shape

    def of_band(rows: slice) -> np.ndarray:
        return np.flatnonzero(is_so(rows)) + rows.start * nx

    return np.concatenate(in_threads(of_band, row_bands(ny), num_threads))


def _extremes(groups: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Return the least, or largest, value around each column of each group of rows.

    Both groups beside it count, and half a window of columns to each side.
    """
    of_groups = extreme.reduce(groups, axis=1)
    near = np.pad(of_groups, ((1, 1), (_HALF, _HALF)), mode="edge")
    near = extreme(extreme(near[:-2], near[1:-1]), near[2:])
    for step in (1, 2, 3):  # of 2, of 4 and of 7 columns
        near = extreme(near[:, :-step], near[:, step:])
    return near


def _medians(pixels: np.ndarray, which: np.ndarray, num_threads: int | None) -> np.ndarray:
    """Return the medians of the surroundings of some pixels, where the edge is repeated."""
    ny, nx = pixels.shape
    reach = np.arange(-_HALF, _HALF + 1)[:, None]

    def of_some(start: int) -> np.ndarray:
        y, x = np.divmod(which[start : start + _AT_A_TIME], nx)
        rows, columns = (y + reach).clip(0, ny - 1), (x + reach).clip(0, nx - 1)
        windows = pixels[rows[:, None], columns]
        return combine(windows.reshape(-1, 1, y.size), method="median", noise=_ANY).data[0]

    parts = in_threads(of_some, range(0, which.size, _AT_A_TIME), num_threads)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _sampled(shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels of rows spread over a frame."""
    ny, nx = shape
    height = -(-_SAMPLE_PIXELS // (nx * _SAMPLE_BLOCKS))
    if height * _SAMPLE_BLOCKS >= ny:
        return np.arange(ny * nx)
    starts = np.linspace(0, ny - height, _SAMPLE_BLOCKS).astype(int)
    rows = starts[:, None] + np.arange(height)
    return (rows.ravel()[:, None] * nx + np.arange(nx)).ravel()


def _at(pixels: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return some pixels, which may be those of a view."""
    return pixels[np.unravel_index(which, pixels.shape)]


def _opened(master: str | os.PathLike | CCDData | None) -> CCDData | None:
    """Return a master as an image, read if it is a path."""
    return master if master is None or isinstance(master, CCDData) else read_frame(master)

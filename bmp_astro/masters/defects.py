"""Pixels that the frames of a master show to be bad: hot, dead or unstable."""

import math
import os
from collections.abc import Callable, Iterator

import numpy as np
from astropy.nddata import CCDData
from numpy.lib.stride_tricks import sliding_window_view

from ..fits import MaskBit, flags_of, read_frame
from ..kernels import Combined, combine
from .quality import Limits
from .recipe import Recipe

_WINDOW = 7  # pixels: wide enough for its median to ignore a hot pixel and its neighbors
_MAD_TO_SIGMA = 1.4826
_SAMPLE_PIXELS = 2**16
_SAMPLE_BLOCKS = 16
_AT_A_TIME = 2**14
_ROWS = 64  # a band of them stays in the processor's cache
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
        bad |= hot_pixels(dark.data, hot_sigma)
    if flat is not None:
        bad |= dead_pixels(flat.data, dead_fraction)
    return bad


def mark_defects(kind: str, combined: Combined, n: int, recipe: Recipe, limits: Limits) -> dict:
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
    recipe : `Recipe`
        How they were combined: where values are rejected for their deviation, a pixel is unstable
        that lost many of them.
    limits : `Limits`
        What is hot, dead and unstable.

    Returns
    -------
    dict of str to int
        How many pixels are "hot", "dead", "unstable"; what was not looked for is not there.
    """
    found = {}
    if kind == "dark":
        found["hot"] = hot_pixels(combined.data, limits.hot_sigma)
    if kind == "flat":
        found["dead"] = dead_pixels(combined.data, limits.dead_fraction)
    elif recipe.clip in ("sigma", "noise") and n >= 2 * _FEWEST_REJECTED:
        rejected = n - combined.count.mean(dtype=float)
        if rejected <= limits.max_rejected * n:  # else frames differ, not pixels
            least = max(_FEWEST_REJECTED, math.ceil(limits.max_unstable * n))
            found["unstable"] = combined.count <= n - least
    for name, where in found.items():
        bit = MaskBit.UNSTABLE if name == "unstable" else MaskBit.BAD_PIXEL
        combined.flags[where] |= np.uint8(bit)
    return {name: int(np.count_nonzero(where)) for name, where in found.items()}


def hot_pixels(dark: np.ndarray, sigma: float) -> np.ndarray:
    """Return where a dark is above its surroundings by more than `sigma` times its scatter.

    The scatter about the medians of the surroundings is measured on rows spread over the frame.
    """
    excess = np.concatenate([rows - medians for rows, medians in _sampled(dark)])
    middle = np.median(excess)
    limit = sigma * _MAD_TO_SIGMA * float(np.median(np.abs(excess - middle)))
    # No median is lower than the minimum, which takes a fraction of the time.
    where = _where(dark, np.fmin, lambda pixels, least: pixels - least > limit)
    return _confirmed(dark, where, lambda pixel, median: pixel - median > limit)


def dead_pixels(flat: np.ndarray, fraction: float) -> np.ndarray:
    """Return where a flat is below a fraction of the median of its surroundings."""
    where = _where(flat, np.fmax, lambda pixels, largest: pixels < fraction * largest)
    return _confirmed(flat, where, lambda pixel, median: pixel < fraction * median)


def _confirmed(
    pixels: np.ndarray,
    candidates: np.ndarray,
    is_bad: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return those of the candidates that are bad beside the median of their surroundings."""
    ny, nx = pixels.shape
    reach = np.arange(_WINDOW) - _WINDOW // 2
    bad = np.zeros(pixels.shape, bool)
    y, x = np.nonzero(candidates)
    for start in range(0, y.size, _AT_A_TIME):
        few = y[start : start + _AT_A_TIME], x[start : start + _AT_A_TIME]
        rows, columns = (few[0][:, None] + reach).clip(0, ny - 1), few[1][:, None] + reach
        windows = pixels[rows[:, :, None], columns.clip(0, nx - 1)[:, None, :]]
        bad[few] = is_bad(pixels[few], np.median(windows, axis=(1, 2)))
    return bad


def _where(
    pixels: np.ndarray,
    extreme: np.ufunc,
    is_so: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return what holds for each pixel and the least, or largest, of its surroundings."""
    where = np.empty(pixels.shape, bool)
    for start in range(0, len(pixels), _ROWS):
        band = pixels[start : start + _ROWS]
        around = _with_edges(pixels, start, start + _ROWS)
        for axis in (0, 1):  # of 2, of 4 and of 7 neighbors
            for step in (1, 2, 3):
                around = np.moveaxis(around, axis, 0)
                around = np.moveaxis(extreme(around[:-step], around[step:]), 0, axis)
        where[start : start + _ROWS] = is_so(band, around)
    return where


def _with_edges(pixels: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return some rows with half a window around them, where the frame's edge is repeated."""
    half = _WINDOW // 2
    stop = min(stop, len(pixels))
    first, last = max(start - half, 0), min(stop + half, len(pixels))
    beyond = (half - (start - first), half - (last - stop))
    return np.pad(pixels[first:last], (beyond, (half, half)), mode="edge")


def _sampled(pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of rows spread over a frame, each with the medians of its surroundings."""
    ny, nx = pixels.shape
    height = -(-_SAMPLE_PIXELS // (nx * _SAMPLE_BLOCKS))
    if height * _SAMPLE_BLOCKS >= ny:
        starts, height = [0], ny
    else:
        starts = np.linspace(0, ny - height, _SAMPLE_BLOCKS).astype(int)
    for start in starts:
        around = sliding_window_view(_with_edges(pixels, start, start + height), (_WINDOW, _WINDOW))
        medians = combine(np.moveaxis(around.reshape(*around.shape[:2], -1), 2, 0), method="median")
        yield pixels[start : start + height].ravel(), medians.data.ravel()


def _opened(master: str | os.PathLike | CCDData | None) -> CCDData | None:
    """Return a master as an image, read if it is a path."""
    return master if master is None or isinstance(master, CCDData) else read_frame(master)

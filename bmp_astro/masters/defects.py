"""Pixels that a master dark or flat shows to be bad."""

import os

import numpy as np
from astropy.nddata import CCDData

from ..fits import flags_of, read_frame

_WINDOW = 7  # pixels: wide enough for its median to ignore a hot pixel and its neighbors
_MAD_TO_SIGMA = 1.4826


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
        excess = dark.data - _surroundings(dark.data)
        bad |= excess > hot_sigma * _MAD_TO_SIGMA * np.median(np.abs(excess - np.median(excess)))
    if flat is not None:
        bad |= flat.data < dead_fraction * _surroundings(flat.data)
    return bad


def _opened(master: str | os.PathLike | CCDData | None) -> CCDData | None:
    """Return a master as an image, read if it is a path."""
    return master if master is None or isinstance(master, CCDData) else read_frame(master)


def _surroundings(pixels: np.ndarray) -> np.ndarray:
    """Return the median of the pixels around each."""
    from scipy.ndimage import median_filter

    return median_filter(pixels, _WINDOW, mode="nearest")

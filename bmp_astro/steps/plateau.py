"""The level at which the pixels of a camera stop."""

from typing import NamedTuple

import numpy as np

_TOP, _BELOW = 0.96, 0.80  # of the highest value: where a plateau is, and what it stands out from
_PLATEAU_PIXELS = 4
_BAND = 64  # rows, which stay in the processor's cache
_PLATEAU_CONTRAST = 4.0


class Estimate(NamedTuple):
    """A number, its standard error, and from how many pairs or pixels it was measured."""

    value: float
    uncertainty: float
    count: int


def find_plateau(maxima: np.ndarray, highest: float) -> Estimate | None:
    """Find the level at which pixels stop, if that is below what the numbers could hold.

    Parameters
    ----------
    maxima : `~numpy.ndarray`
        The largest raw value of each pixel in some frames, adu, shape ``(ny, nx)``.
    highest : float
        The largest value that the raw type can have.

    Returns
    -------
    Estimate or None
        adu: the median of the pixels on the plateau, half the range of their values, and how many
        there are. None where there are too few, or no more than below.

    Notes
    -----
    A plateau is where at least four pixels are within 4 % of the highest value, and four times as
    many as their numbers between 80 and 96 % of it would let expect.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.steps.plateau import find_plateau
    >>> pixels = np.full((50, 50), 1500)
    >>> pixels[::10, 7] = 55400, 55380, 55450, 55410, 40000
    >>> find_plateau(pixels, 65535)
    Estimate(value=55405.0, uncertainty=35.0, count=4)
    """
    top = float(maxima.max(initial=0))
    if top >= highest:
        return None
    below = _BELOW * top
    # a whole number is compared with integers, which is much faster
    limit = int(below) if maxima.dtype.kind in "iu" else below
    bands = (maxima[start : start + _BAND] for start in range(0, max(len(maxima), 1), _BAND))
    bright = np.concatenate([band[band > limit] for band in bands])
    plateau = bright[bright >= _TOP * top]
    expected = (bright.size - plateau.size) * (1 - _TOP) / (_TOP - _BELOW)
    if plateau.size < max(_PLATEAU_PIXELS, _PLATEAU_CONTRAST * expected):
        return None
    if plateau.size > maxima.size / 2:  # the level of a flat, or of nothing at all
        return None
    return Estimate(float(np.median(plateau)), float(np.ptp(plateau) / 2), plateau.size)

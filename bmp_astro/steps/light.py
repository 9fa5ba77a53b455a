"""Whether a calibrated light frame looks like one."""

from typing import Any

import astropy.units as u
from astropy.nddata import CCDData

from ..fits import flags_of
from .stars import count_stars, some_rows
from .statistics import image_statistics

BRIGHT = 50.0  # sigma of the background: 2500 electron, where it is its own noise alone
_SAMPLE = 2**18


def why_no_light(ccd: CCDData, bmp_meta: dict[str, Any] | None = None) -> str:
    """Tell what speaks against a calibrated light frame's being one.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``, without bias and dark.
    bmp_meta : dict, optional
        The frame's metadata: ``background`` and ``background_sigma`` are taken from there, where
        `image_statistics` wrote them.

    Returns
    -------
    str
        The reason, or ``""``. A frame with a single star is a light; one without any may be a
        flat if its background is beyond 50 sigma, and a bias or dark if it is below one sigma.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps.light import why_no_light
    >>> rng = np.random.default_rng(1)
    >>> print(why_no_light(CCDData(rng.normal(0, 5, (50, 60)), unit="electron")))
    no star is seen, and no sky (0.0 electron): is it a bias or dark, or was the shutter closed?
    """
    known: dict[str, Any] = {} if bmp_meta is None else bmp_meta
    if "background" not in known:
        known = {}
        image_statistics(ccd, bmp_meta=known)
    if "background" not in known:
        return ""
    level, sigma = known["background"], known["background_sigma"]
    is_dark, is_bright = level < sigma, level > BRIGHT * sigma
    if not (is_dark or is_bright) or _has_stars(ccd):
        return ""
    if is_dark:
        return (
            f"no star is seen, and no sky ({_shown(level)}): is it a bias or dark, or was the "
            "shutter closed?"
        )
    return (
        f"no star is seen, and a smooth level of {_shown(level)}: is it a flat, or were there "
        "clouds?"
    )


def _has_stars(ccd: CCDData) -> bool:
    """Tell whether there is a star; the whole frame is searched where a part shows none."""
    part = some_rows(ccd.data, _SAMPLE)
    if count_stars(part) > 0:
        return True
    flags = flags_of(ccd)
    if flags is not None and flags.all():
        return True  # nothing can be told
    return part.size < ccd.data.size and count_stars(ccd.data) > 0


def _shown(level: u.Quantity) -> str:
    """Return a level as a message has it."""
    return f"{level.value + 0.0:.{0 if abs(level.value) >= 10 else 1}f} {level.unit}"

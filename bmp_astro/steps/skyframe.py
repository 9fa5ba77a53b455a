"""Subtract a frame of the sky alone, brought to the level that the sky has in this frame."""

import os
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from ..fits import MaskBit, add_history, flags_of, follow_limits, set_card
from ..fits.header import SUM_COMMENT
from .facts import required
from .image import joined_flags, remade, variance_of
from .master import Master, good_in_both, open_sky
from .statistics import clipped_background, even_sample

_INPUTS = {  # cards of the sky frame, and what they are in a light
    "IMCMB": ("SKYIM", "the sky was taken from it"),
    "IMSUM": ("SKYSM", SUM_COMMENT),
}


def subtract_sky(
    ccd: CCDData,
    master_sky: str | os.PathLike | CCDData | None = None,
    bmp_meta: dict[str, Any] | None = None,
    sky_scale: float | None = None,
    **kwargs: Any,
) -> CCDData:
    r"""Subtract a sky frame, scaled to the level of the sky in this frame.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``. It is not changed. Masked pixels do not count.
    master_sky : path-like or `~astropy.nddata.CCDData`
        The sky alone, ``(ny, nx)``, in the unit of the frame: see `~bmp_astro.masters.make_sky`.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``sky_level``, the mean of what was subtracted.
    sky_scale : float, optional
        The factor of the sky frame; by default that which leaves a sky of zero.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the sky, float32. In its header are ``SKYLEV``, the mean level that was
        subtracted, ``SKYSCAL``, the factor, and where the sky frame is from: ``MSKY`` and
        ``MSKYSUM`` of a file; of one in memory the frames that it was made of, ``SKYIM001`` and so
        on. An uncertainty that the frame has gets that of the sky frame. Pixels for which the sky
        frame has no value get its typical level, and its mask bits.

    Raises
    ------
    ValueError
        If there is no sky frame, it does not fit, or there is no level to scale.

    Notes
    -----
    The factor :math:`s` is the ratio of the levels of frame and sky frame, both clipped at 3 sigma,
    and then made such that what is left, :math:`x - s K`, has the level zero: structure of the sky
    is gone before stars are told from it. The variance grows by :math:`s^2 V_K`.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_sky
    >>> sky = 1000 + 100 * np.sin(np.arange(80) / 9) * np.ones((60, 1))
    >>> light = np.random.default_rng(1).normal(1.2 * sky, 5)
    >>> ccd = subtract_sky(CCDData(light, unit="electron"), CCDData(sky, unit="electron"))
    >>> print(round(ccd.header["SKYSCAL"], 2), round(ccd.data.std()))
    1.2 5
    """
    required(master_sky, "sky frame", "master_sky")
    master = open_sky(master_sky, ccd)
    sky, sky_flags = master.ccd.data.astype(np.float32), master.flags
    known = np.isfinite(sky)
    if sky_flags is not None:
        known &= (sky_flags & np.uint8(MaskBit.NO_DATA)) == 0
    flags = joined_flags(flags_of(ccd), sky_flags)
    good = good_in_both(ccd, known, flags, master.name)
    typical = _level(sky, good)
    scale = _scale(ccd.data, sky, good, typical, master.name) if sky_scale is None else sky_scale
    sky = np.where(known, sky, np.float32(typical)) * np.float32(scale)
    variance = variance_of(ccd)
    if variance is not None:
        own = 0.0 if master.sigma is None else np.where(known, scale**2 * master.variance(), 0)
        variance = StdDevUncertainty(np.sqrt(variance + own).astype(np.float32))
    data = (ccd.data - sky).astype(np.float32)
    frame = remade(ccd, data=data, uncertainty=variance, flags=flags)
    level = float(sky.mean(dtype=float))
    _record_sky(frame.header, master, scale, level, is_file=not isinstance(master_sky, CCDData))
    if bmp_meta is not None:
        bmp_meta["sky_level"] = level * ccd.unit
    return frame


def _level(pixels: np.ndarray, good: np.ndarray) -> float:
    """Return the clipped level of the good pixels."""
    sample = even_sample(pixels, ~good, int(np.count_nonzero(good)))
    return clipped_background(sample)[0]


def _scale(
    pixels: np.ndarray, sky: np.ndarray, good: np.ndarray, typical: float, name: str
) -> float:
    """Return the factor of the sky frame that leaves no sky."""
    level = _level(pixels, good)
    if not (typical > 0 and level > 0):
        raise ValueError(
            f"the level of the sky is {level:.4g} in the frame and {typical:.4g} in {name}: "
            "expected positive ones, whose ratio is the factor; give sky_scale=1 for the sky frame "
            "as it is"
        )
    scale = level / typical
    return scale + _level(pixels - np.float32(scale) * sky, good) / typical


def _record_sky(
    header: fits.Header, master: Master, scale: float, level: float, *, is_file: bool
) -> None:
    """Write which sky is subtracted, how much of it, and what it was made of."""
    said = master.ccd.header
    number = said.get("NCOMBINE", 1)
    if is_file:
        set_card(header, "MSKY", master.name, "sky frame")
        set_card(header, "MSKYSUM", master.checksum, "DATASUM of the sky frame")
    else:
        for keyword in [key for key in said if key[:5] in _INPUTS and key[5:].isdigit()]:
            stem, comment = _INPUTS[keyword[:5]]
            set_card(header, stem + keyword[5:], said[keyword], comment)
    set_card(header, "NSKY", number, "frames in the sky that was subtracted")
    set_card(header, "SKYSCAL", scale, "factor of the sky frame")
    set_card(header, "SKYLEV", level, "sky that was subtracted, mean")
    follow_limits(header, subtract=level)
    add_history(header, f"sky subtracted: {level:.6g} on average, of {number} frames")

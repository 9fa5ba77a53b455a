"""Mask what is known to be bad: saturated pixels and defects of the detector."""

import logging
import os
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import MaskBit, flags_of
from ..fits.readouts import write_readouts
from .amplifiers import raw_readouts
from .facts import find_saturation, how_to_give, required
from .image import joined_flags, remade
from .master import mask_names, open_bad_pixels
from .provenance import record_bad_pixels, record_saturation, why_not_raw

logger = logging.getLogger(__name__)


def mask_saturated(
    ccd: CCDData,
    saturation: u.Quantity | float | None = None,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Mask the saturated pixels of a raw frame.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The raw frame, adu, ``(ny, nx)``: nothing may have been subtracted. It is not changed.
    saturation : `~astropy.units.Quantity` or float, optional
        The level, adu, from which a pixel is saturated; by default the header's, or else the
        largest value that the frame's integers can have, with a note.
    instrument : Instrument or str, optional
        Knows the level; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame with `MaskBit.SATURATED` set; ``SATURATE`` in its header is the level.

    Raises
    ------
    ValueError
        If the level is unknown, or the frame is not raw.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import mask_saturated
    >>> mask_saturated(CCDData([[100, 60000]], unit="adu"), saturation=55000).mask
    array([[False,  True]])
    """
    reason = why_not_raw(ccd)
    if reason:
        raise ValueError(
            f"the level of saturation is one of raw pixels, but this frame is not raw ({reason}): "
            "mask first"
        )
    level, source = known_saturation(ccd, saturation, instrument)
    level = required(level, "saturation", "saturation")
    bits = (ccd.data >= level) * np.uint8(MaskBit.SATURATED)
    frame = remade(ccd, flags=joined_flags(flags_of(ccd), bits))
    readouts = raw_readouts(ccd, instrument)
    if readouts:
        write_readouts(frame.header, readouts)
    record_saturation(frame.header, level, source)
    return frame


def mask_bad_pixels(
    ccd: CCDData,
    bad_pixel_mask: str | os.PathLike | CCDData | np.ndarray | None = None,
    **kwargs: Any,
) -> CCDData:
    """Mask the pixels that are known to be bad.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``. It is not changed.
    bad_pixel_mask : path-like, `~astropy.nddata.CCDData` or `~numpy.ndarray`
        ``(ny, nx)``, not 0 (true) where a pixel is bad. Of a frame that is a window of the
        detector, and says so, an image whose header says so too may be a larger one.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame with `MaskBit.BAD_PIXEL` set; ``MMASK`` and ``MMASKSUM`` in its header name the
        mask.

    Raises
    ------
    ValueError
        If there is no mask, or it does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import mask_bad_pixels
    >>> mask_bad_pixels(CCDData([[1.0, 2.0]], unit="adu"), np.array([[0, 1]])).mask
    array([[False,  True]])
    """
    bad = open_bad_pixels(bad_pixel_mask, ccd)
    bits = bad * np.uint8(MaskBit.BAD_PIXEL)
    frame = remade(ccd, flags=joined_flags(flags_of(ccd), bits))
    record_bad_pixels(frame.header, *mask_names(bad_pixel_mask))
    return frame


def known_saturation(ccd: CCDData, saturation: Any, instrument: Any) -> tuple[Any, str]:
    """Return the level of saturation, adu, or None, and its source; note where that is the type."""
    level, source = find_saturation(ccd, saturation, instrument)
    if source == "range":
        logger.warning(
            "the level of saturation is unknown: only pixels at %g adu, the top of the range, are "
            "masked as saturated; %s",
            level,
            how_to_give("saturation"),
        )
    return level, source

"""Subtract a master bias."""

import logging
import os
from typing import Any

from astropy.nddata import CCDData

from ..fits import MAXIM, Keyword, clean_product_header
from .image import remade, run
from .joint import flag_terms, variance_terms
from .master import Master, open_master
from .provenance import record_bias

logger = logging.getLogger(__name__)

_PEDESTAL = Keyword("PEDESTAL", kind=float)


def subtract_bias(
    ccd: CCDData, master_bias: str | os.PathLike | CCDData | None = None, **kwargs: Any
) -> CCDData:
    """Subtract a master bias.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu, ``(ny, nx)``, trimmed like the master. It is not changed.
    master_bias : path-like or `~astropy.nddata.CCDData`
        The master bias, adu, ``(ny, nx)``. What is masked in it is masked in the result.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the bias, float32. An uncertainty that the frame has is propagated;
        ``MBIAS`` and ``MBIASSUM`` in the header name the master.

    Raises
    ------
    ValueError
        If there is no master bias, its shape, unit or kind does not fit, or the header says that
        a bias is subtracted already.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_bias
    >>> raw = CCDData([[105, 110]], unit="adu")
    >>> subtract_bias(raw, master_bias=CCDData([[100.0, 100.0]], unit="adu")).data
    array([[ 5., 10.]], dtype=float32)
    """
    frame = remade(ccd)
    master = open_master(master_bias, "bias", ccd)
    added = {} if frame.uncertainty is None else variance_terms(master)
    return run(frame, bias_terms(frame, master), flag_terms(master), added)


def bias_terms(frame: CCDData, master: Master) -> dict[str, Any]:
    """Return the kernel's terms of a master bias, and write it into the frame's header."""
    pedestal = pedestal_beyond(frame, master)
    record_bias(frame.header, master)
    terms = {"bias": master.ccd.data}
    return terms if pedestal == 0 else terms | {"level": pedestal}


def pedestal_beyond(frame: CCDData, master: Master) -> float:
    """Return the constant, adu, that the frame has and the master has not; its card goes.

    MaxIm DL says minus what it added. An overscan had it too, and took it away.
    """
    said = _PEDESTAL.read(frame.header)
    if said is None or said == 0 or "OSCANLEV" in frame.header:
        return 0.0
    if not MAXIM.recognizes(frame.header):
        logger.warning("PEDESTAL = %g is not applied: its sign is known for MaxIm DL only", said)
        return 0.0
    clean_product_header(frame.header, applied=["PEDESTAL"])
    of_master = _PEDESTAL.read(master.ccd.header)
    return (0.0 if of_master is None else of_master) - said

"""Subtract a master bias."""

import os
from typing import Any

from astropy.nddata import CCDData

from .image import remade, run
from .master import Master, open_master
from .provenance import record_bias


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
    return run(frame, bias_terms(frame, open_master(master_bias, "bias", ccd)))


def bias_terms(frame: CCDData, master: Master) -> dict[str, Any]:
    """Return the kernel's terms of a master bias, and write it into the frame's header."""
    record_bias(frame.header, master)
    return {
        "bias": master.ccd.data,
        "bias_variance": master.variance,
        "flags": master.flags,
    }

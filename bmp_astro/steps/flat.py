"""Divide by a master flat."""

import os
from typing import Any

from astropy.nddata import CCDData

from .image import remade, run
from .joint import flag_terms
from .master import Master, open_master
from .provenance import record_flat


def divide_flat(
    ccd: CCDData,
    master_flat: str | os.PathLike | CCDData | None = None,
    flat_min: float = 0.1,
    **kwargs: Any,
) -> CCDData:
    """Divide by a master flat, as it is: it is normalized when it is built.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``, bias and dark subtracted. It is not changed.
    master_flat : path-like or `~astropy.nddata.CCDData`
        The master flat, without unit, ``(ny, nx)``. What is masked in it is masked in the result.
    flat_min : float
        Where the flat is lower, the pixel is divided by 1 and gets `MaskBit.LOW_FLAT`.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame divided by the flat, float32. An uncertainty that the frame has is propagated;
        ``MFLAT``, ``MFLATSUM`` and ``FLATNORM`` in the header say by what it was divided.

    Raises
    ------
    ValueError
        If there is no master flat, its shape, unit or kind does not fit, or the header says that
        a flat is applied already.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import divide_flat
    >>> flat = CCDData([[0.5, 2.0, 0.01]], unit="")
    >>> ccd = divide_flat(CCDData([[10.0, 10.0, 10.0]], unit="electron"), master_flat=flat)
    >>> ccd.data, ccd.mask
    (array([[20.,  5., 10.]], dtype=float32), array([[False, False,  True]]))
    """
    frame = remade(ccd)
    master = open_master(master_flat, "flat", ccd)
    return run(frame, flat_terms(frame, master, flat_min), flag_terms(master))


def flat_terms(frame: CCDData, master: Master, flat_min: float) -> dict[str, Any]:
    """Return the kernel's terms of a master flat, and write it into the frame's header."""
    record_flat(frame.header, master, flat_min)
    return {
        "flat": master.ccd.data,
        "flat_sigma": master.sigma,
        "flat_min": flat_min,
    }

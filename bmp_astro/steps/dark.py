"""Subtract a master dark, scaled to the exposure where that is right."""

import os
from typing import Any

from astropy.nddata import CCDData

from .bias import pedestal_beyond
from .image import remade, run
from .joint import flag_terms, variance_terms
from .master import Master, open_master
from .provenance import is_done, record_dark
from .scale import SAME_EXPOSURE, holds_bias, resolve_scale

__all__ = ["SAME_EXPOSURE", "dark_terms", "holds_bias", "subtract_dark"]


def subtract_dark(
    ccd: CCDData,
    master_dark: str | os.PathLike | CCDData | None = None,
    dark_scale: bool | float | None = None,
    master_bias: str | os.PathLike | CCDData | None = None,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Subtract a master dark.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu, ``(ny, nx)``, its bias subtracted unless the dark holds it. It is not
        changed.
    master_dark : path-like or `~astropy.nddata.CCDData`
        The master dark, adu, ``(ny, nx)``: the signal of its whole exposure time. ``BIASSUB`` in
        its header says whether it is free of bias.
    dark_scale : bool or float, optional
        The factor of the dark. True is the ratio of the exposure times, False is 1. None is 1
        for equal exposure times and else their ratio, if the dark is recorded as free of bias
        and the camera allows scaling.
    master_bias : path-like or `~astropy.nddata.CCDData`, optional
        The bias that was subtracted from the frame. Where the dark was freed of the same one,
        its error counts but once (see `bmp_astro.kernels.masters_variance`).
    instrument : Instrument or str, optional
        Knows the exposure time and whether darks may be scaled; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the dark, float32. An uncertainty that the frame has is propagated;
        ``MDARK``, ``MDARKSUM`` and ``DARKSCAL`` in the header say what was subtracted. Where the
        dark held the bias, the bias is gone with it.

    Raises
    ------
    ValueError
        If there is no master dark, its shape, unit or kind does not fit, it may not be scaled as
        it would have to be, or a bias would be subtracted twice.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_dark
    >>> dark = CCDData([[30.0, 60.0]], unit="adu", meta={"EXPTIME": 300.0, "BIASSUB": True})
    >>> light = CCDData([[500.0, 500.0]], unit="adu", meta={"EXPTIME": 100.0})
    >>> subtract_dark(light, master_dark=dark).data
    array([[490., 480.]], dtype=float32)
    """
    frame = remade(ccd)
    master = open_master(master_dark, "dark", ccd)
    bias = None if master_bias is None else open_master(master_bias, "bias", ccd)
    terms = dark_terms(frame, master, dark_scale, bias, instrument)
    added = {}
    if frame.uncertainty is not None:  # the bias is gone, its error is in the frame's
        added = variance_terms(bias, master, terms.get("dark_scale", 1.0), has_bias=True)
    return run(frame, terms, flag_terms(master), added)


def dark_terms(
    frame: CCDData,
    master: Master,
    dark_scale: bool | float | None,
    bias: Master | None,
    instrument: Any,
) -> dict[str, Any]:
    """Return the kernel's terms of a master dark, and write it into the frame's header."""
    _check_bias_once(frame, master, bias)
    scale = resolve_scale(frame, master, dark_scale, instrument)
    record_dark(frame.header, master, scale, holds_bias=holds_bias(master))
    if holds_bias(master):  # it takes the place of the bias: what it leaves makes the noise
        pedestal = pedestal_beyond(frame, master)
        return {
            "bias": master.ccd.data,
            **({} if pedestal == 0 else {"level": pedestal}),
        }
    return {
        "dark": master.ccd.data,
        "dark_scale": scale,
    }


def _check_bias_once(frame: CCDData, master: Master, bias: Master | None) -> None:
    """Raise where frame and dark together would lose the bias twice."""
    if holds_bias(master) and (bias is not None or is_done(frame.header, "B")):
        raise ValueError(
            f"master dark {master.name} still holds its bias (BIASSUB = F), and the bias of the "
            "frame is subtracted already: it would be subtracted twice; leave out the master bias, "
            "or give a dark that is free of it"
        )

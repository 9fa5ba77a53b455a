"""Subtract a master dark, scaled to the exposure where that is right."""

import logging
import math
import os
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData

from ..fits import find_instrument
from .facts import fact_of
from .image import remade, run
from .master import Master, open_master
from .provenance import is_done, record_dark

logger = logging.getLogger(__name__)

SAME_EXPOSURE = 1e-3  # relative: shutters and clocks differ by less than that


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
        its error counts but once (see `bmp_astro.kernels.calibrate`).
    instrument : Instrument or str, optional
        Knows the exposure time and whether darks may be scaled; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the dark, float32. An uncertainty that the frame has is propagated;
        ``MDARK``, ``MDARKSUM`` and ``DARKSCAL`` in the header say what was subtracted.

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
    if bias is not None:  # its error is in the frame's already: see the kernel
        terms["bias_variance"] = bias.variance
    return run(frame, terms)


def dark_terms(
    frame: CCDData,
    master: Master,
    dark_scale: bool | float | None,
    bias: Master | None,
    instrument: Any,
) -> dict[str, Any]:
    """Return the kernel's terms of a master dark, and write it into the frame's header."""
    _check_bias_once(frame, master)
    scale = resolve_scale(frame, master, dark_scale, instrument)
    record_dark(frame.header, master, scale, holds_bias=holds_bias(master))
    return {
        "dark": master.ccd.data,
        "dark_variance": master.variance,
        "dark_scale": scale,
        "shared_bias": bias is not None and _is_freed_of(master, bias),
        "flags": master.flags,
    }


def holds_bias(master: Master) -> bool:
    """Tell whether a master dark says that its bias is still in it."""
    return master.ccd.header.get("BIASSUB") in (False, "F")


def is_bias_free(master: Master) -> bool:
    """Tell whether a master dark says that its bias is gone."""
    said = master.ccd.header.get("BIASSUB")
    return said in (True, "T") if said is not None else is_done(master.ccd.header, "B")


def _is_freed_of(master_dark: Master, master_bias: Master) -> bool:
    """Tell whether the dark was freed of this very bias: name and checksum agree."""
    header = master_dark.ccd.header
    named = str(header.get("MBIAS")), str(header.get("MBIASSUM"))
    return named == (master_bias.name, master_bias.checksum)


def _check_bias_once(ccd: CCDData, master: Master) -> None:
    """Raise where frame and dark together would lose the bias twice."""
    if holds_bias(master) and is_done(ccd.header, "B"):
        raise ValueError(
            f"master dark {master.name} still holds its bias (BIASSUB = F), and the bias of the "
            "frame is subtracted already: it would be subtracted twice; leave out the master bias, "
            "or give a dark that is free of it"
        )


def resolve_scale(
    ccd: CCDData, master: Master, dark_scale: bool | float | None, instrument: Any = None
) -> float:
    """Return the factor of the dark; raise where it is not sure to be right."""
    if dark_scale is not None and not isinstance(dark_scale, bool):
        scale = float(dark_scale)
        if not math.isfinite(scale) or scale < 0:
            raise ValueError(f"dark_scale is {dark_scale!r} but must be True, False or a number")
    else:
        scale = _scale_by_exposure(ccd, master, dark_scale, instrument)
    if scale != 1 and holds_bias(master):
        raise ValueError(
            f"master dark {master.name} still holds its bias (BIASSUB = F): it serves frames of "
            f"its own exposure time only, and cannot be scaled by {scale:.6g}; give a dark that is "
            "free of bias"
        )
    return scale


def _scale_by_exposure(
    ccd: CCDData, master: Master, dark_scale: bool | None, instrument: Any
) -> float:
    """Return the factor that None, True or False stand for."""
    frame_time = _seconds(ccd, instrument)
    dark_time = _seconds(master.ccd, instrument)
    known = frame_time is not None and dark_time is not None
    equal = known and math.isclose(frame_time, dark_time, rel_tol=SAME_EXPOSURE)
    if dark_scale is False:
        if known and not equal:
            logger.warning(
                "the dark of %g s is not scaled to the exposure of %g s", dark_time, frame_time
            )
        return 1.0
    if not known:
        lacking = "frame" if frame_time is None else "master dark"
        raise ValueError(
            f"the exposure time of the {lacking} is unknown: give dark_scale=False to subtract the "
            "dark as it is, or a number"
        )
    if equal:
        return 1.0
    if dark_scale is None:
        _check_may_scale(ccd, master, frame_time, dark_time, instrument)
    if dark_time == 0:
        raise ValueError(f"master dark {master.name} has an exposure time of 0 s: not scalable")
    return frame_time / dark_time


def _check_may_scale(
    ccd: CCDData, master: Master, frame_time: float, dark_time: float, instrument: Any
) -> None:
    """Raise where a dark of another exposure time may not be scaled unasked."""
    times = f"the frame was exposed for {frame_time:g} s, master dark {master.name} {dark_time:g} s"
    if not is_bias_free(master):
        raise ValueError(
            f"{times}, and its header does not say that it is free of bias (BIASSUB = T), so that "
            "it is not scaled: give a dark of this exposure time, or dark_scale=True if its bias "
            "is gone"
        )
    camera = find_instrument(instrument, ccd.header)
    if not camera.dark_scaling:
        raise ValueError(
            f"{times}, and darks of {camera.name} are not to be scaled: give a dark of this "
            "exposure time, or dark_scale=True"
        )


def _seconds(ccd: CCDData, instrument: Any) -> float | None:
    """Return the exposure time; a master has it where its camera has it, or under EXPTIME."""
    exptime = fact_of(ccd, "exptime", instrument)
    if exptime is None:
        exptime = fact_of(ccd, "exptime")
    return None if exptime is None else exptime.to_value(u.s)

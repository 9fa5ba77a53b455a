"""The factor of a master dark: what the exposure times, its bias and the camera allow."""

import logging
import math
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import find_instrument
from .facts import fact_of
from .master import Master
from .provenance import is_done

logger = logging.getLogger(__name__)

SAME_EXPOSURE = 5e-3  # relative: clocks and shutters differ by less than that


def holds_bias(master: Master) -> bool:
    """Tell whether a master dark says that its bias is still in it."""
    return master.ccd.header.get("BIASSUB") in (False, "F")


def is_bias_free(master: Master) -> bool:
    """Tell whether a master dark says that its bias is gone."""
    said = master.ccd.header.get("BIASSUB")
    return said in (True, "T") if said is not None else is_done(master.ccd.header, "B")


def resolve_scale(
    ccd: CCDData, master: Master, dark_scale: bool | float | None, instrument: Any = None
) -> float:
    """Return the factor of the dark; raise where it is not sure to be right."""
    if dark_scale is not None and not isinstance(dark_scale, bool | np.bool_):
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
    if dark_scale is not None and not dark_scale:
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

"""A new master against the one before: whether the camera is still what it was."""

import math
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from astropy.io import fits

from ..fits import Instrument, find_instrument, flags_of, read_frame
from ..fits.facts import CAMERA_SETTINGS
from ..kernels import Combined
from ..steps.dark import SAME_EXPOSURE
from ..steps.image import variance_of
from .find import MasterFile, find_masters
from .quality import Limits

_SIGMA = 6.0
_MAD_TO_SIGMA = 1.4826

Places = str | os.PathLike | Iterable[str | os.PathLike]


def previous_alarm(
    kind: str,
    combined: Combined,
    header: fits.Header,
    instrument: Any,
    previous_masters: Places,
    limits: Limits,
) -> list[str]:
    """Return an alarm where a new master is not the one before it, else nothing.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What it is.
    combined : `Combined`
        The new master.
    header : `~astropy.io.fits.Header`
        Its header.
    instrument : Instrument, str, path-like or None
        Knows it.
    previous_masters : path or iterable of paths
        Directories of masters, and masters.
    limits : `Limits`
        How many pixels may have changed.

    Returns
    -------
    list of str
        One or none. Masters differ where more than a fraction of their good pixels do, by six
        times the error of the difference (the rule of LCO's BANZAI); a level that went up or down
        as a whole, as that of a bias may, is no difference.
    """
    camera = find_instrument(instrument, header)
    before = find_previous(kind, combined.data.shape, header, camera, previous_masters)
    if before is None:
        return []
    old = read_frame(before.path)
    difference = combined.data - old.data
    flags = flags_of(old)
    good = (combined.flags == 0) if flags is None else (combined.flags == 0) & (flags == 0)
    if not good.any():
        return []
    level = float(np.median(difference[good]))
    difference -= level
    variance = variance_of(old)
    if variance is None or combined.variance is None:
        sigma: Any = _MAD_TO_SIGMA * float(np.median(np.abs(difference[good])))
    else:
        sigma = np.sqrt(combined.variance + variance)
    changed = float(np.mean((np.abs(difference) > _SIGMA * sigma)[good]))
    if changed <= limits.max_changed:
        return []
    return [
        f"{changed:.1%} of the pixels differ by more than {_SIGMA:g} sigma from the previous "
        f"master {before.path} (limit {limits.max_changed:.1%}), after a change of the level by "
        f"{level:+.4g}: did something happen to the camera?"
    ]


def find_previous(
    kind: str, shape: tuple[int, int], header: fits.Header, camera: Instrument, where: Places
) -> MasterFile | None:
    """Return the master that is like a new one and nearest to it in time, or None."""
    facts = _facts(camera, header)
    found = [
        master
        for master in find_masters(where)
        if master.kind == kind
        and (master.header["NAXIS2"], master.header["NAXIS1"]) == shape
        and _is_like(kind, facts, _facts(camera, master.header))
    ]
    return min(found, key=lambda master: _apart(facts, _facts(camera, master.header)), default=None)


def _facts(camera: Instrument, header: fits.Header) -> dict[str, Any]:
    """Return what must agree, and the date."""
    return {
        name: camera.value(name, header)
        for name in (*CAMERA_SETTINGS, "filter", "exptime", "date_obs")
    }


def _is_like(kind: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two masters are of the same kind of frames; what one does not say, agrees."""
    names = (*CAMERA_SETTINGS, "filter") if kind == "flat" else CAMERA_SETTINGS
    pairs = [(one[name], other[name]) for name in names]
    if any(mine != its for mine, its in pairs if mine is not None and its is not None):
        return False
    times = one["exptime"], other["exptime"]
    if kind != "dark" or None in times:
        return True
    return math.isclose(times[0].value, times[1].value, rel_tol=SAME_EXPOSURE)


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return how far apart in time two masters are, s; what has no date is farthest."""
    try:
        dates = [datetime.fromisoformat(facts["date_obs"]) for facts in (one, other)]
        return abs((dates[0] - dates[1]).total_seconds())
    except (TypeError, ValueError):
        return math.inf

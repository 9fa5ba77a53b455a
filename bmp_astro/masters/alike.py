"""Frames of one master compared with each other: one that is unlike the rest is left out."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .quality import FrameStats, InputRow, Limits

_FEWEST_TO_COMPARE = 3
_PATTERN_FLOOR = 3.0
_DARK_READ_NOISES = 3.0  # their bias has had time to change
_PATTERN_OF_DARK = 0.2
_PATTERN_OF_FLAT = 0.05
_PATTERN_USUAL = 3.0
_LEVEL_FLOOR = 10.0
_LEVEL_READ_NOISES = 5.0
_LEVEL_OF_DARK = 0.5
_LEVEL_DEVIATIONS = 10.0


class _Limit(NamedTuple):
    """From when a frame is refused, and from when that has to be told if it is not."""

    refused: float
    told: float


def check_alike(
    kind: str,
    rows: Sequence[InputRow],
    stats: Sequence[FrameStats],
    limits: Limits,
    read_noise: float | None,
    dates: Sequence[str | None],
) -> None:
    """Refuse frames whose pattern or level is not that of the others.

    A level that drifts, and a pattern that all frames share, are no fault of one frame. Two frames
    cannot tell which of them is wrong: then both get an alarm, as do frames that differ by more
    than noise where most of them do.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What they are. Flats are scaled to one level; theirs may be anything.
    rows : sequence of `InputRow`
        Changed in place.
    stats : sequence of `FrameStats`
        Of the same frames.
    limits : `Limits`
        What is accepted.
    read_noise : float or None
        adu.
    dates : sequence of str or None
        When each was taken: of unlike frames it is told if they have the same.
    """
    if len(rows) < 2:
        return
    noise = 0.0 if read_noise is None else read_noise
    levels = np.array([one.level for one in stats])
    if kind == "flat" and not (levels > 0).all():
        return  # too faint, which is another reason
    patches = np.array([one.patches - one.median for one in stats])
    if kind == "flat":
        patches /= levels[:, None, None]
    departure = patches - np.median(patches, axis=0)
    pattern = np.ptp(departure.reshape(len(rows), -1), axis=1)
    limit = _pattern_limit(kind, pattern, float(np.median(levels)), limits, noise)
    for row, found, date in zip(rows, pattern, dates, strict=True):
        if found <= limit.told:
            continue
        refused = found > limit.refused
        said = _said(kind, found, limit.refused if refused else limit.told)
        if refused and kind != "flat":
            said = f"light leak: {said}"
        _tell(row, said, len(rows), refused=refused)
        twins = [r.path for r, d in zip(rows, dates, strict=True) if d == date and r is not row]
        if date is not None and twins and row.used:
            row.alarms.append(f"it has the date of {os.path.basename(twins[0])}, {date}")
    if kind != "flat":
        _check_level(kind, rows, levels, limits, noise)


def _pattern_limit(
    kind: str, pattern: np.ndarray, level: float, limits: Limits, noise: float
) -> _Limit:
    """Return how large a pattern may be: by what was given, else by noise and by what is usual."""
    given = limits.max_flat_pattern if kind == "flat" else limits.max_pattern
    if given is not None:
        return _Limit(given, given)
    floor = _PATTERN_OF_FLAT if kind == "flat" else max(_PATTERN_FLOOR, noise)
    if kind == "dark":
        floor = max(_LEVEL_FLOOR, _DARK_READ_NOISES * noise, _PATTERN_OF_DARK * level)
    can_tell = len(pattern) >= _FEWEST_TO_COMPARE
    usual = _PATTERN_USUAL * float(np.median(pattern)) if can_tell else 0.0
    return _Limit(max(floor, usual), floor)


def _said(kind: str, found: float, limit: float) -> str:
    """Return how far a frame is from the others."""
    text = "compared with the other frames its level varies by "
    if kind == "flat":
        return f"{text}{found:.1%} over the frame (limit {limit:.1%})"
    return f"{text}{found:.1f} adu over the frame (limit {limit:.1f})"


def _check_level(
    kind: str, rows: Sequence[InputRow], levels: np.ndarray, limits: Limits, noise: float
) -> None:
    """Refuse bias or dark frames far from the level of the others."""
    offset = levels - np.median(levels)
    limit = limits.max_level_offset
    if limit is None:
        can_tell = len(rows) >= _FEWEST_TO_COMPARE
        scatter = 1.4826 * float(np.median(np.abs(offset))) if can_tell else 0.0
        limit = max(_LEVEL_FLOOR, _LEVEL_READ_NOISES * noise, _LEVEL_DEVIATIONS * scatter)
        if kind == "dark":
            limit = max(limit, _LEVEL_OF_DARK * float(np.median(levels)))
    for row, away in zip(rows, offset, strict=True):
        if abs(away) > limit:
            said = (
                f"its level is {away:+.1f} adu away from that of the other frames "
                f"(limit {limit:.1f})"
            )
            _tell(row, said, len(rows), refused=True)


def _tell(row: InputRow, reason: str, n: int, *, refused: bool) -> None:
    """Refuse a frame, or raise an alarm where one of so many frames cannot be blamed."""
    if n < _FEWEST_TO_COMPARE:
        row.alarms.append(f"{reason}: two frames cannot tell which is wrong")
    elif refused:
        row.refuse(reason)
    else:
        row.alarms.append(f"{reason}: it is used, since most of the frames differ")

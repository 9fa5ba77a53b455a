"""Which frames belong together, and which master fits a frame."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u

from ..fits.facts import CAMERA_SETTINGS
from ..masters import SAME_EXPOSURE
from .dates import when
from .inventory import Frame

Rules = Mapping[str, u.Quantity | None]

_WINDOW = ("ny", "nx", "y_origin", "x_origin")
_CAMERA: dict[str, u.Quantity | None] = dict.fromkeys((*CAMERA_SETTINGS, *_WINDOW))

# What a master and a frame must agree on, and frames of one sky: None is equality, a quantity is a
# tolerance. A fact counts only where both state it.
RULES: dict[str, Rules] = {
    "bias": {**_CAMERA, "temperature": 5 * u.K},
    "dark": {**_CAMERA, "temperature": 1 * u.K},
    "flat": {**_CAMERA, "filter": None},
    "sky": {**_CAMERA, "filter": None},
}


@dataclass(frozen=True)
class Candidate:
    """A master that may be used: one of this night, to be made, or one that exists already.

    ``name`` is the product's name inside the output directory, or the path of an existing file;
    ``exposures`` are the shortest and the longest exposure time that went into it, in seconds;
    ``own`` is false for an existing file, and ``night`` tells the nights of one run apart.
    """

    name: str
    kind: str
    facts: Mapping[str, Any]
    exposures: tuple[float, float] | None = None
    own: bool = True
    bias_removed: bool = True
    night: str = ""


def rules_for(kind: str, frame: Frame) -> Rules:
    """What a master of ``kind`` and ``frame`` must agree on, with the camera's own rules."""
    own = {} if frame.instrument is None else frame.instrument.match.get(kind, {})
    return {**RULES[kind], **own}


def differences(wanted: Mapping, offered: Mapping, rules: Rules) -> list[str]:
    """In words, every rule that the offered facts break; a window may be of a larger master."""
    is_cut = holds_window(wanted, offered, rules)
    found = []
    for key, tolerance in rules.items():
        if is_cut and key in _WINDOW:
            continue
        mine, other = wanted.get(key), offered.get(key)
        if mine is None or other is None:
            continue
        if tolerance is None:
            if mine != other:
                found.append(f"{key} is {show(other)}, not {show(mine)}")
        elif distance(mine, other, tolerance.unit) > tolerance.value:
            found.append(f"{key} is {show(other)}, not within {tolerance} of {show(mine)}")
    return found


def holds_window(wanted: Mapping, offered: Mapping, rules: Rules) -> bool:
    """Whether what is wanted is a smaller part of the detector, all of which is offered."""
    if any(rules.get(key, 0) is not None for key in _WINDOW):
        return False
    mine, other = ([facts.get(key) for key in _WINDOW] for facts in (wanted, offered))
    if None in mine or None in other or mine == other:
        return False
    return all(
        start <= at and at + size <= start + whole
        for at, size, start, whole in zip(mine[2:], mine[:2], other[2:], other[:2], strict=True)
    )


def distance(one: Any, other: Any, unit: u.Unit) -> float:
    """How far two values are apart, in ``unit``; angles go round the circle."""
    if one == other:
        return 0.0
    if unit.is_equivalent(u.K):
        values = [u.Quantity(v).to_value(u.K, equivalencies=u.temperature()) for v in (one, other)]
        return abs(values[0] - values[1]) * u.K.to(unit)
    apart = abs(u.Quantity(one, unit).value - u.Quantity(other, unit).value)
    if unit.is_equivalent(u.deg):
        circle = (360 * u.deg).to_value(unit)
        apart = min(apart % circle, circle - apart % circle)
    return float(apart)


def group(frames: Sequence[Frame], kind: str) -> list[list[Frame]]:
    """The frames of one kind, split into the sets that make one master each."""
    groups: dict[tuple, list[Frame]] = {}
    for frame in frames:
        rules = rules_for(kind, frame)
        exact = tuple((key, frame.facts.get(key)) for key in rules if rules[key] is None)
        groups.setdefault((frame.night, exact), []).append(frame)
    split = list(groups.values())
    tolerances = {
        key: tolerance
        for frame in frames
        for key, tolerance in rules_for(kind, frame).items()
        if tolerance is not None
    }
    for key, tolerance in tolerances.items():
        split = [part for members in split for part in _split(members, key, tolerance)]
    if kind in ("dark", "sky"):
        split = [part for members in split for part in _split_by_exposure(members)]
    return split


def _split(frames: list[Frame], key: str, tolerance: u.Quantity) -> list[list[Frame]]:
    """Sets whose values of ``key`` lie within the tolerance; frames that state none go along."""
    stating = [frame for frame in frames if frame.facts.get(key) is not None]
    silent = [frame for frame in frames if frame.facts.get(key) is None]
    stating.sort(key=lambda frame: u.Quantity(frame.facts[key]).value)
    parts: list[list[Frame]] = []
    for frame in stating:
        value = frame.facts[key]
        if parts and distance(value, parts[-1][0].facts[key], tolerance.unit) <= tolerance.value:
            parts[-1].append(frame)
        else:
            parts.append([frame])
    if not parts:
        return [silent]
    parts[0] += silent
    return [sorted(part, key=frames.index) for part in parts]


def _split_by_exposure(frames: list[Frame]) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    for frame in frames:
        for part in parts:
            if same_exposure(seconds_of(frame), seconds_of(part[0])):
                part.append(frame)
                break
        else:
            parts.append([frame])
    return parts


def seconds_of(frame: Frame) -> float | None:
    """A frame's exposure time in seconds."""
    exptime = frame.facts.get("exptime")
    return None if exptime is None else float(u.Quantity(exptime, u.s).value)


def same_exposure(one: float | None, other: float | None) -> bool:
    """Whether two exposure times (s) are the same; an unknown one is like any other."""
    if one is None or other is None:
        return True
    return math.isclose(one, other, rel_tol=SAME_EXPOSURE)


def exposures_of(frames: Iterable[Frame]) -> tuple[float, float] | None:
    """The shortest and the longest exposure time of some frames (s), None if none is known."""
    known = [seconds for frame in frames if (seconds := seconds_of(frame)) is not None]
    return (min(known), max(known)) if known else None


def shared_facts(frames: Sequence[Frame]) -> dict[str, Any]:
    """The facts of a set of frames: those of its middle frame in time."""
    dated = sorted(frames, key=lambda frame: when(frame.facts) or 0.0)
    return dict(dated[len(dated) // 2].facts)


def as_one(frames: Sequence[Frame]) -> Frame:
    """A set of frames as one frame, for choosing the masters that serve them all."""
    return replace(frames[0], facts=shared_facts(frames))


def show(value: Any) -> str:
    """A fact as an observer would write it."""
    if isinstance(value, u.Quantity):
        return f"{value.value:.6g} {value.unit}"
    return repr(value) if isinstance(value, str) else f"{value:g}"

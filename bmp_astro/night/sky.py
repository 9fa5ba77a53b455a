"""The sky of an infrared night: that of each light from the lights beside it in time."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..ccdmultipipe import CCDMultiPipe
from ..core import Outcome
from ..fits.text import joined
from ..masters import FEWEST_FOR_SKY, subtract_dithered_sky
from .dates import Age, seconds_in, span, when
from .inventory import Frame
from .matching import group
from .names import without_sky
from .rows import failed

DITHERS = "dithers"
_OF_PIPE = ("instrument", "overwrite", "resume", "journal", "progress", "quantize")
_OF_PIPE += ("mem_available", "num_processes", "mem_limit", "num_threads")
_OF_PIPE += ("dtype", "checksum", "planes")


def chosen_sky(
    sky: str | None,
    n_sky: int,
    sky_span: Age,
    extra_steps: Collection[str],
    combine: Mapping[str, Any],
) -> Callable[..., Iterable[Outcome]]:
    """What is done about the sky of calibrated lights: `subtract_skies`, or nothing.

    What makes no sense is refused, before anything is reduced.
    """
    if sky is None:
        return _with_their_sky
    if sky != DITHERS:
        raise ValueError(f"sky is {sky!r}: expected {DITHERS!r}, or None to leave the sky")
    if n_sky < FEWEST_FOR_SKY:
        raise ValueError(f"n_sky is {n_sky}: a sky is made of {FEWEST_FOR_SKY} frames or more")
    if "background" in extra_steps:
        raise ValueError(
            "extra_steps has 'background' and sky is given, so that the sky would be subtracted "
            "twice: leave out one of them"
        )
    seconds = seconds_in("sky_span", sky_span)
    return partial(subtract_skies, n_sky=n_sky, seconds=seconds, combine=combine)


def _with_their_sky(lights: Iterable[Outcome], *others: Any) -> Iterable[Outcome]:
    """The lights as they are."""
    return lights


def subtract_skies(
    lights: Iterable[Outcome],
    frames: Sequence[Frame],
    keywords: Mapping[str, Any],
    *,
    n_sky: int,
    seconds: float,
    combine: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Subtract the sky from calibrated lights.

    Parameters
    ----------
    lights : iterable of Outcome
        What `reduce_lights` yields.
    frames : sequence of Frame
        All frames of the night.
    keywords : mapping
        Those of the pipe that calibrated them, of which some hold here too.
    n_sky : int
        How many other lights each sky is made of, at most.
    seconds : float
        How far in time they may be.
    combine : mapping
        How they are combined.

    Yields
    ------
    Outcome
        Of each light: as it was where there is no product, or too few others for a sky, which its
        alarms then say; else with the product without sky. None that has a product comes before
        all lights are calibrated, so that what a stopped run has not reached is not told as done.
    """
    calibrated: dict[str, Outcome] = {}
    for outcome in lights:
        if outcome.outname is None:
            yield outcome
        else:
            calibrated[outcome.in_name] = outcome
    near = _neighbors([f for f in frames if f.path in calibrated], n_sky, seconds)
    folders: dict[str, dict[str, list[str]]] = {}
    for name, outcome in calibrated.items():
        found = [str(calibrated[other].outname) for other in near[name]]
        if len(found) >= FEWEST_FOR_SKY:
            folders.setdefault(os.path.dirname(outcome.outname), {})[name] = found
        else:
            yield _alarmed(outcome, _why_none(len(found), seconds))
    for folder, skies in folders.items():
        yield from _subtract_in(folder, skies, calibrated, combine, keywords)


def _subtract_in(
    folder: str,
    skies: Mapping[str, list[str]],
    calibrated: Mapping[str, Outcome],
    combine: Mapping[str, Any],
    keywords: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Subtract the sky from the lights of one directory, one at a time, each on all cores."""
    raw = {str(calibrated[name].outname): name for name in skies}
    pipe = CCDMultiPipe(
        outdir=folder,
        executor="serial",
        post_process_list=[subtract_dithered_sky],
        file_keywords={
            light: {"outname": without_sky(Path(light).name), "sky_inputs": skies[name]}
            for light, name in raw.items()
        },
        combine=dict(combine),
        **{name: keywords[name] for name in _OF_PIPE if name in keywords},
    )
    for done in pipe.iter_pipeline(list(raw)):
        name = raw[done.in_name]
        yield _joined(name, calibrated[name], done)


def _joined(name: str, calibrated: Outcome, done: Outcome) -> Outcome:
    """The row of a light that was first calibrated and then freed of its sky."""
    if done.outname is None:
        if done.status == "failed":
            return failed(name, f"its sky could not be subtracted: {done.message}")
        return Outcome(in_name=name, status=done.status, message=done.message)
    told = {**vars(calibrated), "status": done.status, "message": done.message}
    if calibrated.status == "done":
        told["status"], told["message"] = "done", calibrated.message
    alarms = joined(calibrated.meta.get("alarms", ""), done.meta.get("alarms", ""))
    return Outcome(done.outname, {**calibrated.meta, **done.meta, "alarms": alarms}, **told)


def _alarmed(outcome: Outcome, alarm: str) -> Outcome:
    """A row with one more alarm."""
    alarms = joined(outcome.meta.get("alarms", ""), alarm)
    return Outcome(outcome.outname, {**outcome.meta, "alarms": alarms}, **vars(outcome))


def _why_none(found: int, seconds: float) -> str:
    """What a light says whose sky is still in it."""
    return (
        f"the sky is not subtracted: {found} other lights of its filter and exposure time within "
        f"{span(seconds)}, expected {FEWEST_FOR_SKY} or more"
    )


def _neighbors(frames: Sequence[Frame], n_sky: int, seconds: float) -> dict[str, list[str]]:
    """The lights next to each one in time, in the order in which they were taken."""
    near: dict[str, list[str]] = {frame.path: [] for frame in frames}
    for members in group(frames, "sky"):
        known = [(at, frame.path) for frame in members if (at := when(frame.facts)) is not None]
        for at, path in known:
            apart = sorted((abs(then - at), then, other) for then, other in known if other != path)
            chosen = [(then, other) for away, then, other in apart if away <= seconds]
            near[path] = [other for _, other in sorted(chosen[:n_sky])]
    return near

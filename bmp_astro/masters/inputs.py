"""The raw files of a master: opened, measured, and the unfit ones left out with a reason."""

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..core.threads import in_threads, threads_for
from ..fits import Keyword, open_frame
from ..steps.dark import SAME_EXPOSURE
from .alike import check_alike
from .planes import plane_source, planes_of
from .quality import FrameStats, InputRow, Limits, check_flat, frame_stats
from .raw import Calibration, RawFrame, raw_frame

_OPENERS = 4  # at a time: more would wait for each other, and each may unpack a file
_LINEAR = Keyword("MAXLIN", kind=float)

logger = logging.getLogger(__name__)


@dataclass
class Input:
    """One input: what became of it, its calibrated rows, and what was measured on them.

    ``planes`` has the same of each color of a mosaic, else of the whole.
    """

    row: InputRow
    raw: RawFrame | None = None
    stats: FrameStats | None = None
    planes: Sequence[FrameStats] = ()

    def try_to(self, act: Callable[["Input"], None]) -> None:
        """Do something with the input, which is refused if that fails."""
        try:
            act(self)
        except (OSError, ValueError) as error:
            self.row.refuse(str(error), error=isinstance(error, OSError))


def usable(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs that are not refused."""
    return [one for one in inputs if one.row.used]


def open_inputs(
    paths: Sequence[str | os.PathLike],
    how: Calibration,
    opened: ExitStack,
    num_threads: int | None,
) -> list[Input]:
    """Open raw files, refuse those that do not fit the others, and measure the rest.

    Parameters
    ----------
    paths : sequence of path
        The files.
    how : `Calibration`
        What is done to their rows.
    opened : `~contextlib.ExitStack`
        Closes them.
    num_threads : int or None
        Files to open and to measure at a time.

    Returns
    -------
    list of `Input`
        One for each path.
    """
    inputs = [Input(InputRow(os.fspath(path))) for path in paths]

    def opening(one: Input) -> None:
        frame = opened.enter_context(
            open_frame(one.row.path, instrument=how.instrument, summed=True, spills=True)
        )
        one.raw = raw_frame(frame, one.row.path, how)

    def measuring(one: Input) -> None:
        look = how.classification != "trust"
        one.stats = frame_stats(one.raw.source, look=look, linear_to=_linear_to(one.raw))
        one.row.level = one.stats.level
        planes = planes_of(how.kind, one.raw).values()
        one.planes = [one.stats]
        if len(planes) > 1:
            one.planes = [frame_stats(plane_source(one.raw.source, plane)) for plane in planes]

    openers = min(threads_for(num_threads), _OPENERS)
    in_threads(lambda one: one.try_to(opening), inputs, openers)
    _refuse_odd(inputs, "shape", lambda raw: raw.source.shape)
    _refuse_odd(inputs, "unit", lambda raw: str(raw.source.unit))
    if how.kind == "flat":
        _refuse_odd(inputs, "filter", lambda raw: raw.fact("filter"))
    if how.kind == "dark":
        _refuse_other_exposures(inputs)
    in_threads(lambda one: one.try_to(measuring), usable(inputs), num_threads)
    return inputs


def _refuse_odd(inputs: Sequence[Input], what: str, fact: Callable[[RawFrame], Any]) -> None:
    """Refuse inputs that differ from most of the others in a fact; of a tie, the later ones."""
    facts = [(one, fact(one.raw)) for one in usable(inputs)]
    if not facts:
        return
    usual = Counter(value for _, value in facts).most_common(1)[0][0]
    for one, value in facts:
        if value != usual:
            one.row.refuse(f"its {what} is {value} but that of the other frames is {usual}")


def _refuse_other_exposures(inputs: Sequence[Input]) -> None:
    """Refuse darks whose exposure time is not that of most of the others."""
    times = [(one, one.raw.exptime) for one in usable(inputs)]
    if not times:
        return
    usual = Counter(time for _, time in times).most_common(1)[0][0]
    for one, time in times:
        if time is None:
            one.row.refuse("its exposure time is unknown")
        elif usual is not None and not math.isclose(time, usual, rel_tol=SAME_EXPOSURE):
            one.row.refuse(
                f"its exposure time is {time:g} s but that of the other darks {usual:g} s"
            )


def check_inputs(
    kind: str, inputs: Sequence[Input], limits: Limits, read_noise: float | None
) -> list[Input]:
    """Pass the inputs through the gates of their kind.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What they are.
    inputs : sequence of `Input`
        Their rows are changed.
    limits : `Limits`
        What is accepted.
    read_noise : float or None
        adu.

    Returns
    -------
    list of `Input`
        Those that are used.

    Raises
    ------
    ValueError
        Too few are left.
    """
    if kind == "flat":
        for one, stats in [(flat, plane) for flat in usable(inputs) for plane in flat.planes]:
            check_flat(
                one.row,
                stats,
                limits,
                gain=one.raw.gain,
                pedestal=one.raw.pedestal,
                saturation=one.raw.saturation,
            )
        for one in usable(inputs):
            _check_linear(one, limits)
    candidates = usable(inputs)
    check_alike(
        kind,
        [one.row for one in candidates],
        [one.stats for one in candidates],
        limits,
        read_noise,
        [one.raw.fact("date_obs") for one in candidates],
    )
    for one in inputs:
        if not one.row.used:
            logger.warning(
                "%s is not used for the master %s: %s", one.row.path, kind, one.row.reason
            )
    used = usable(inputs)
    if len(used) < max(limits.min_frames, 1):
        reasons = "".join(
            f"\n{one.row.path}: {one.row.reason}" for one in inputs if not one.row.used
        )
        raise ValueError(
            f"{len(used)} of {len(inputs)} frames can be used for a master {kind}, but "
            f"{max(limits.min_frames, 1)} are needed{reasons}"
        )
    return used


def _linear_to(raw: RawFrame) -> float | None:
    """Return up to which level a camera is linear, in the frame's unit, if its header says so."""
    said = _LINEAR.read(raw.source.header)  # it has followed what was subtracted
    return None if said is None else said * (1.0 if raw.gain is None else raw.gain)


def _check_linear(one: Input, limits: Limits) -> None:
    """Refuse a flat of which too much is beyond the range in which the camera is linear."""
    fraction = one.stats.non_linear
    if fraction > limits.max_non_linear:
        one.row.refuse(
            f"not linear: {fraction:.1%} of its pixels are beyond the range in which the camera is "
            f"linear (limit {limits.max_non_linear:.0%})"
        )

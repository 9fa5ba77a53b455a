"""Which master serves a frame, and in words why that one and not another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .dates import NO_LIMITS, Limits, span, when
from .inventory import Frame
from .matching import Candidate, differences, holds_window, rules_for, same_exposure, seconds_of

Exposures = tuple[float, float] | None

_TOLD = 5  # candidates that a sentence names


@dataclass(frozen=True)
class Choice:
    """The master of one kind for a frame, None if none fits, and the reasons.

    ``told`` describes the choice; ``refused`` has a reason for each candidate that did not fit,
    ``others`` the candidates that would have done as well, the best first.
    """

    kind: str
    master: Candidate | None = None
    told: str = ""
    refused: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The master's name, "" if there is none."""
        return "" if self.master is None else self.master.name

    @property
    def missing(self) -> str:
        """In words that there is no master; "" if there is one."""
        if self.master is not None:
            return ""
        if not self.refused:
            return f"there is no master {self.kind}"
        return f"no master {self.kind} fits ({'; '.join(_few(self.refused))})"

    @property
    def sentence(self) -> str:
        """The choice and its reasons, for an observer to read."""
        if self.master is None:
            return f"{self.kind}: {self.missing}"
        parts = [f"{self.kind}: {', '.join(filter(None, [self.name, self.told]))}"]
        parts += _few([f"rather than {other}" for other in self.others])
        parts += _few([f"refused {reason}" for reason in self.refused])
        return "; ".join(parts)


def choose(
    kind: str, frame: Frame, candidates: Sequence[Candidate], max_age: Limits = NO_LIMITS
) -> Choice:
    """The master of a kind that agrees with the frame and is the nearest in time.

    Masters of the same night come before borrowed ones. Darks: see `choose_dark`.
    """
    fitting, refused = _fitting(kind, frame, candidates, max_age)
    if not fitting:
        return Choice(kind, refused=refused)
    first, *rest = fitting
    others = tuple(_listed(other, _away(frame, other)) for other in rest)
    return Choice(kind, first, _away(frame, first), refused, others)


def choose_dark(
    frame: Frame,
    candidates: Sequence[Candidate],
    exposures: Exposures,
    max_age: Limits = NO_LIMITS,
    *,
    has_bias: bool,
) -> Choice:
    """The dark for a frame, or for frames of several exposures (shortest and longest, s).

    One of equal exposure; else the shortest of the longer ones, scaled down, which needs a dark
    without its bias, a bias for the frame and a camera that allows it.
    """
    fitting, refused = _fitting("dark", frame, candidates, max_age)
    reasons, equal, longer = list(refused), [], []
    for dark in fitting:
        reason = _why_not(frame, dark, exposures, has_bias=has_bias)
        if reason:
            reasons.append(f"{dark.name}: {reason}")
        else:
            (equal if _is_equal(dark, exposures) else longer).append(dark)
    longer.sort(key=_seconds)
    ranked = [*equal, *longer]
    if not ranked:
        return Choice("dark", refused=tuple(reasons))
    told = [_told_dark(frame, dark, exposures) for dark in ranked]
    others = tuple(_listed(dark, text) for dark, text in zip(ranked[1:], told[1:], strict=True))
    return Choice("dark", ranked[0], told[0], tuple(reasons), others)


def choose_for_light(
    frame: Frame, candidates: Sequence[Candidate], max_age: Limits = NO_LIMITS
) -> dict[str, Choice]:
    """The masters for a light frame, by kind; a dark that holds its bias needs no bias."""
    bias = choose("bias", frame, candidates, max_age)
    seconds = seconds_of(frame)
    exposures = None if seconds is None else (seconds, seconds)
    dark = choose_dark(frame, candidates, exposures, max_age, has_bias=bias.master is not None)
    flat = choose("flat", frame, candidates, max_age)
    choices = {"bias": bias, "dark": dark, "flat": flat}
    if dark.master is not None and not dark.master.bias_removed:
        del choices["bias"]
    return choices


def given(kind: str, master: Candidate) -> Choice:
    """The choice of somebody who named the master."""
    return Choice(kind, master, "as told")


def names_of(choices: Mapping[str, Choice]) -> dict[str, str]:
    """The names of the chosen masters, by kind."""
    return {kind: choice.name for kind, choice in choices.items()}


def _fitting(
    kind: str, frame: Frame, candidates: Sequence[Candidate], max_age: Limits
) -> tuple[list[Candidate], tuple[str, ...]]:
    """The candidates that agree with the frame, the best first, and why the others do not."""
    rules = rules_for(kind, frame)
    fitting, refused = [], []
    alike = [candidate for candidate in candidates if candidate.kind == kind]
    for candidate in sorted(alike, key=lambda one: _rank(frame, one)):
        reasons = differences(frame.facts, candidate.facts, rules)
        reasons += _too_old(frame, candidate, max_age.get(kind, math.inf))
        if reasons:
            refused.append(f"{candidate.name}: {', '.join(reasons)}")
        else:
            fitting.append(candidate)
    return fitting, tuple(refused)


def _rank(frame: Frame, candidate: Candidate) -> tuple[bool, bool, float]:
    """What makes a candidate come later: borrowed, of more than the frame's window, far in time."""
    return _is_borrowed(frame, candidate), _is_larger(frame, candidate), _age(frame, candidate)


def _is_larger(frame: Frame, candidate: Candidate) -> bool:
    rules = rules_for(candidate.kind, frame)
    return holds_window(frame.facts, candidate.facts, rules)


def _why_not(frame: Frame, dark: Candidate, exposures: Exposures, *, has_bias: bool) -> str:
    """Why a dark that agrees in all else cannot be used, "" if it can."""
    if _is_equal(dark, exposures):
        if has_bias or not dark.bias_removed:
            return ""
        return "its bias is removed, and there is no bias here"
    seconds, longest = _seconds(dark), exposures[1]
    if not (frame.instrument is None or frame.instrument.dark_scaling):
        return f"{seconds:g} s, and this camera's darks do not scale"
    if not (has_bias and dark.bias_removed):
        return f"{seconds:g} s, and without a bias it cannot be scaled"
    if seconds < longest:
        return f"its {seconds:g} s are shorter than {longest:g} s"
    return ""


def _is_equal(dark: Candidate, exposures: Exposures) -> bool:
    low, high = (None, None) if exposures is None else exposures
    seconds = _seconds(dark)
    return same_exposure(seconds, low) and same_exposure(seconds, high)


def _seconds(dark: Candidate) -> float | None:
    return None if dark.exposures is None else dark.exposures[1]


def _told_dark(frame: Frame, dark: Candidate, exposures: Exposures) -> str:
    parts = []
    seconds = _seconds(dark)
    if seconds is not None:
        parts.append(f"{seconds:g} s")
        if not _is_equal(dark, exposures):
            parts.append(f"scaled to {exposures[1]:g} s")
    return ", ".join(filter(None, [*parts, _away(frame, dark)]))


def _is_borrowed(frame: Frame, candidate: Candidate) -> bool:
    """Whether a candidate is an existing file, or made of another night's frames."""
    return not candidate.own or candidate.night != frame.night


def _age(frame: Frame, candidate: Candidate) -> float:
    """How far away in time a candidate is, in seconds; infinite where it is not known."""
    mine, other = when(frame.facts), when(candidate.facts)
    return math.inf if mine is None or other is None else abs(mine - other)


def _too_old(frame: Frame, candidate: Candidate, limit: float) -> list[str]:
    """The reason to refuse a candidate that is known to be farther away in time than it may be."""
    age = _age(frame, candidate)
    if math.isinf(age) or age <= limit:
        return []
    return [f"it is {span(age)} away, and max_age is {span(limit)}"]


def _away(frame: Frame, candidate: Candidate) -> str:
    """How far away in time a candidate is, and if a part of it is meant, as one would say it."""
    seconds = _age(frame, candidate)
    parts = ["a window of it"] if _is_larger(frame, candidate) else []
    return ", ".join(parts if math.isinf(seconds) else [*parts, f"{span(seconds)} away"])


def _few(texts: Sequence[str]) -> list[str]:
    """The first texts, and how many more there are."""
    more = len(texts) - _TOLD
    return [*texts[:_TOLD], f"and {more} more"] if more > 1 else list(texts)


def _listed(candidate: Candidate, told: str) -> str:
    return f"{candidate.name} ({told})" if told else candidate.name

"""Whether the frames of a master look like what they are said to be."""

from collections.abc import Callable, Sequence

from .expected import ReadNoise
from .inputs import Input, usable
from .quality import Limits

_LEVEL_FLOOR = 50.0
_LEVEL_READ_NOISES = 10.0


def check_looks(
    kind: str,
    inputs: Sequence[Input],
    limits: Limits,
    read_noise: ReadNoise,
    classification: str,
) -> None:
    """Compare the frames of a master with what their header says that they are.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What they are said to be.
    inputs : sequence of `Input`
        Those that contradict it are refused, or get an alarm.
    limits : `Limits`
        What is accepted.
    read_noise : `ReadNoise`
        What is believed; one that was measured on these very frames says nothing about them.
    classification : {"strict", "warn", "trust"}
        Refuse, raise an alarm, or do not look.
    """
    if classification == "trust":
        return
    doubts_of = _DOUBTS[kind]
    for one in usable(inputs):
        for doubt in [*_stars(kind, one, limits), *doubts_of(one, limits, read_noise)]:
            if classification == "strict":
                one.row.refuse(doubt)
            else:
                one.row.alarms.append(doubt)


def _stars(kind: str, one: Input, limits: Limits) -> list[str]:
    """Return a doubt where stars are seen."""
    if one.stats.stars <= limits.max_stars:
        return []
    return [
        f"{one.stats.stars} stars are seen on a part of it (limit {limits.max_stars}): is it a "
        f"light frame and no {kind}?"
    ]


def _bias(one: Input, limits: Limits, read_noise: ReadNoise) -> list[str]:
    """Return doubts about a bias: its level above the overscan, its noise."""
    doubts = []
    noise = 0.0 if read_noise.adu is None else read_noise.adu
    limit = max(_LEVEL_FLOOR, _LEVEL_READ_NOISES * noise)
    if one.raw.overscan is not None and one.stats.level > limit:
        doubts.append(
            f"its level is {one.stats.level:.0f} adu above the overscan (limit {limit:.0f}): is "
            "there light in it?"
        )
    largest = limits.max_bias_noise * noise
    if read_noise.origin in ("given", "header") and one.stats.noise > largest:
        doubts.append(
            f"its noise of {one.stats.noise:.1f} adu is {one.stats.noise / noise:.1f} times the "
            f"read noise (limit {limits.max_bias_noise:g}): is there light in it?"
        )
    return doubts


def _dark(one: Input, limits: Limits, read_noise: ReadNoise) -> list[str]:
    """Return a doubt about a dark: its level as a fraction of saturation."""
    full, pedestal = one.raw.saturation, one.raw.pedestal
    if full is None or one.raw.keeps_pedestal or full <= pedestal:
        return []
    fraction = one.stats.median / (full - pedestal)
    if fraction <= limits.max_dark_level:
        return []
    return [
        f"its level is {100 * fraction:.0f} % of saturation (limit "
        f"{100 * limits.max_dark_level:g} %): is there light in it?"
    ]


def _flat(one: Input, limits: Limits, read_noise: ReadNoise) -> list[str]:
    """Return nothing: what is too faint or saturated is refused in any case."""
    return []


_DOUBTS: dict[str, Callable[[Input, Limits, ReadNoise], list[str]]] = {
    "bias": _bias,
    "dark": _dark,
    "flat": _flat,
}

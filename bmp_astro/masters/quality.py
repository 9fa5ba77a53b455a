"""Which raw frames may go into a master, and why the others may not."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..fits import MaskBit
from ..kernels.median import median, middle_of
from ..steps.stars import count_stars, some_rows
from .source import Band, Source, good_values, pixel_noise, sample_of
from .stack import LEVEL_PIXELS

_PATCHES = 4
_PATCH_PIXELS = 2**16
_STAR_PIXELS = 2**17


@dataclass(frozen=True)
class Limits:
    """The limits of what is accepted.

    Parameters
    ----------
    min_frames : int
        Fewer usable frames make no master.
    few_frames : int
        Fewer usable frames make an alarm.
    max_pattern : float, optional
        A bias or dark frame is refused when the levels of its patches, compared with the other
        frames, differ by more than this, adu: light leaks.  By default the largest of 3 and the
        read noise, of darks of 10, three times the read noise and a fifth of their level, and of
        three times what is usual among these frames.  Where that counts, frames beyond the others
        get an alarm.
    max_flat_pattern : float, optional
        The same of flats scaled to one level, as a fraction of it.  By default the larger of 0.05
        and three times what is usual.
    max_level_offset : float, optional
        A bias or dark frame is refused when its level is farther from the median of the others',
        adu.  By default the largest of 10, five times the read noise, of darks half their level,
        and ten times the usual scatter.
    max_saturated : float
        A flat is refused when a larger fraction of its pixels is saturated.
    max_non_linear : float
        A flat is refused when a larger fraction of its pixels is beyond the range in which the
        camera is linear: MAXLIN in its header, or the end of the table that corrects it.
    max_flat_level : float
        A flat is refused when its raw level is above this fraction of saturation.
    star_sigma : float, optional
        Stars in flats are masked where boxes of 5 x 5 pixels are brighter than those of the other
        flats by so many times their scatter; None looks for none.
    min_flat_electrons : float
        A flat is refused when its level, electron without bias and dark, is lower.  Where the gain
        is unknown, adu.
    max_rejected : float
        An alarm when a larger fraction of the values was rejected.
    hot_sigma : float
        A pixel of a dark is hot when it is above the median of its surroundings by more than so
        many times the scatter of the dark.
    dead_fraction : float
        A pixel of a flat is dead when it is below this fraction of the median of its surroundings.
    max_unstable : float
        A pixel of bias or dark frames is unstable when a larger fraction of its values was
        rejected, three at least.
    max_bad_pixels : float
        An alarm when a larger fraction of the pixels is hot, dead or unstable.
    max_drift : float, optional
        An alarm when the level of bias or dark frames drifts faster, adu/hour, if it scatters by a
        fifth of the read noise at least.  By default the read noise an hour.
    max_changed : float
        An alarm when a larger fraction of a master's pixels differs from the previous one's.
    max_gain_error, max_read_noise_error, max_saturation_error : float
        An alarm when what was measured differs from what is believed by a larger fraction.
    max_temperature_offset : float
        An alarm when the detector is farther from the temperature that was set, K.
    max_stars : int
        A bias, dark or flat is taken for a light frame when more stars are seen on a part of it
        (``classification`` of `bmp_astro.masters.build_master` says what follows).
    max_bias_noise : float
        A bias frame is taken for a lit one when its noise is more than so many times the read noise
        that was given or is in its header.
    max_dark_level : float
        A dark is taken for a lit one when its level is above this fraction of saturation.
    """

    min_frames: int = 1
    few_frames: int = 3
    max_pattern: float | None = None
    max_flat_pattern: float | None = None
    max_level_offset: float | None = None
    max_saturated: float = 0.05
    max_non_linear: float = 0.5
    max_flat_level: float = 0.9
    star_sigma: float | None = 8.0
    min_flat_electrons: float = 50.0
    max_rejected: float = 0.03
    hot_sigma: float = 10.0
    dead_fraction: float = 0.5
    max_unstable: float = 0.25
    max_bad_pixels: float = 0.05
    max_changed: float = 0.05
    max_drift: float | None = None
    max_gain_error: float = 0.1
    max_read_noise_error: float = 0.2
    max_saturation_error: float = 0.05
    max_temperature_offset: float = 1.0
    max_stars: int = 10
    max_bias_noise: float = 3.0
    max_dark_level: float = 0.1


class FrameStats(NamedTuple):
    """What is measured on one calibrated frame.

    ``level`` is the mean of the middle half of its values, which is finer than the median of
    integers; ``patches`` are the medians of 4 x 4 parts. ``noise`` is that of single pixels, and
    ``stars`` is how many are seen on a part of the frame. ``saturated`` and ``non_linear`` are
    fractions of the pixels.
    """

    level: float
    median: float
    mean: float
    patches: np.ndarray
    saturated: float
    noise: float = 0.0
    stars: int = 0
    non_linear: float = 0.0


@dataclass
class InputRow:
    """What became of one input: used or not, the reason, its level and what to look at.

    ``error`` is true of a file that could not be read, false of one that was refused.
    """

    path: str
    used: bool = True
    reason: str = ""
    error: bool = False
    level: float | None = None
    alarms: list[str] = field(default_factory=list)

    def refuse(self, reason: str, *, error: bool = False) -> None:
        """Say that the frame is not used; the first reason stays."""
        if self.used:
            self.used, self.reason, self.error = False, reason, error


def frame_stats(source: Source, *, look: bool = True, linear_to: float | None = None) -> FrameStats:
    """Measure a frame on rows spread over it; ValueError when it has no good pixel.

    Of large frames these are half a million pixels, which know the level to a thousandth or two of
    the noise of one, and a part of them for the patches. Only ``look`` tells noise and stars.
    Pixels above ``linear_to`` count as not linear, beside those that are flagged so.
    """
    band = sample_of(source, LEVEL_PIXELS)
    values = good_values(band)
    if not values.size:
        values = band.data[np.isfinite(band.data)]
    if not values.size:
        raise ValueError("it has no pixel with a value")
    ordered = np.sort(values)
    rows = band.data[:: max(1, band.data.size // _PATCH_PIXELS)]
    patches = [
        [median(part) for part in np.array_split(strip, _PATCHES, axis=1) if part.size]
        for strip in np.array_split(rows, _PATCHES)
        if strip.size
    ]
    return FrameStats(
        float(_middle_half(ordered).mean(dtype=float)),
        float(middle_of(ordered)),
        float(ordered.mean(dtype=float)),
        np.array(patches, dtype=float),
        _flagged(band, MaskBit.SATURATED),
        pixel_noise(band.data) if look else 0.0,
        count_stars(some_rows(band.data, _STAR_PIXELS)) if look else 0,
        _flagged(band, MaskBit.NON_LINEAR, linear_to),
    )


def _flagged(band: Band, bit: MaskBit, above: float | None = None) -> float:
    """Return the fraction of pixels that have a bit, or are above a level."""
    found = np.zeros(1, bool) if band.flags is None else (band.flags & np.uint8(bit)) != 0
    found = found if above is None else found | (band.data > above)
    return np.count_nonzero(found) / found.size


def _middle_half(ordered: np.ndarray) -> np.ndarray:
    """Return the values from the lower to the upper quartile, with all that equal these."""
    quarter = len(ordered) // 4
    low, high = ordered[quarter], ordered[-1 - quarter]
    return ordered[np.searchsorted(ordered, low) : np.searchsorted(ordered, high, side="right")]


def check_flat(
    row: InputRow,
    stats: FrameStats,
    limits: Limits,
    *,
    gain: float | None,
    pedestal: float,
    saturation: float | None,
) -> None:
    """Refuse a flat that is saturated or too faint.

    Parameters
    ----------
    row : `InputRow`
        Changed in place.
    stats : `FrameStats`
        Of the flat without bias and dark, electron; adu where the gain is not known.
    limits : `Limits`
        What is accepted.
    gain : float or None
        electron/adu.
    pedestal : float
        What was subtracted, adu.
    saturation : float or None
        Raw adu.
    """
    unit = "adu" if gain is None else "electron"
    if stats.saturated > limits.max_saturated:
        row.refuse(
            f"saturated: {100 * stats.saturated:.1f} % of its pixels reach {saturation:g} adu "
            f"(limit {100 * limits.max_saturated:g} %)"
        )
    if saturation is not None:
        raw = stats.median / (1.0 if gain is None else gain) + pedestal
        if raw > limits.max_flat_level * saturation:
            row.refuse(
                f"saturated: its level of {raw:.0f} adu is {100 * raw / saturation:.0f} % of "
                f"saturation (limit {100 * limits.max_flat_level:g} %)"
            )
    if stats.median < limits.min_flat_electrons:
        row.refuse(
            f"too faint: its level is {stats.median:.0f} {unit} "
            f"(at least {limits.min_flat_electrons:g} are needed)"
        )

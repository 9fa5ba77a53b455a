"""Which values of a stack are kept: the rules of rejection."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bmp_astro.kernels.noise import Noise
from bmp_astro.kernels.ordering import median_of_kept

FEWEST_FOR_CLIPPING = 3
FEWEST_FOR_MAD = 10
CLIPS = (None, "minmax", "sigma", "noise", "percentile")
CENTERS = ("median", "mean")
DEVIATIONS = ("mad", "std", "winsorized")
_MAD_TO_SIGMA = 1.4826
# Analytical Methods Committee (1989, Analyst 114, 1693): values beyond so many deviations are drawn
# in, which makes the deviation of normal ones smaller by that factor.
_DRAWN_IN, _WINSORIZED_TO_SIGMA = 1.5, 1.134
_SETTLED, _MOST_WINSORIZATIONS = 5e-4, 20


class Clip(NamedTuple):
    """A rule of rejection; see `bmp_astro.kernels.combine` for its parts."""

    kind: str | None = None
    n_low: int = 0
    n_high: int = 0
    sigma_low: float = 3.0
    sigma_high: float = 3.0
    percentile_low: float = 0.2
    percentile_high: float = 0.1
    center: str = "median"
    deviation: str = "mad"
    max_iterations: int = 1
    min_keep: int = 1

    @property
    def uses_noise(self) -> bool:
        """Whether the rule compares values with an expected noise."""
        return self.kind == "noise" or (self.kind == "sigma" and self.deviation != "std")

    @property
    def limits(self) -> tuple[float, float]:
        """How many deviations a value may be below and above the center.

        They are Python's floats: numpy's own would widen single precision.
        """
        if self.kind == "percentile":
            return float(self.percentile_low), float(self.percentile_high)
        return float(self.sigma_low), float(self.sigma_high)

    def check(self, n: int) -> None:
        """Raise ValueError unless the rule makes sense for a stack of `n` frames."""
        for name, allowed in (
            ("kind", CLIPS),
            ("center", CENTERS),
            ("deviation", DEVIATIONS),
        ):
            if getattr(self, name) not in allowed:
                label = "clip" if name == "kind" else name
                raise ValueError(f"{label}={getattr(self, name)!r}: expected one of {allowed}")
        if min(self.n_low, self.n_high) < 0 or min(self.sigma_low, self.sigma_high) < 0:
            raise ValueError("n_low, n_high, sigma_low and sigma_high cannot be negative")
        if min(self.percentile_low, self.percentile_high) <= 0:
            raise ValueError(
                f"percentile_low={self.percentile_low} and percentile_high={self.percentile_high} "
                "are fractions of the level: they must be positive"
            )
        if self.kind == "minmax" and self.n_low + self.n_high >= n:
            raise ValueError(
                f"clip='minmax' would drop {self.n_low} low and {self.n_high} high values, "
                f"but there are only {n} frames"
            )
        if self.max_iterations < 1 or self.min_keep < 1:
            raise ValueError("max_iterations and min_keep must be at least 1")


class Frames(NamedTuple):
    """What a rule must know of the frames: how each was scaled, its noise, its quantum."""

    scale: np.ndarray
    offset: np.ndarray
    noise: Noise | None
    quantum: float
    alike: bool

    @classmethod
    def of(
        cls, scale: np.ndarray, offset: np.ndarray, noise: Noise | None, quantum: float
    ) -> "Frames":
        """Return the frames, having found whether the same noise is expected of all."""
        alike = noise is None or noise.levels is not None
        if not alike:
            follows_level = noise.slope != 0 or noise.fraction != 0
            numbers = (scale, noise.floor, offset if follows_level else 0.0)
            alike = not any(np.ptp(each) for each in numbers)
        return cls(scale, offset, noise, float(quantum), alike)

    def variances(self, level: np.ndarray) -> list[np.ndarray]:
        """Return the expected variance at `level`, a plane for each frame."""
        if self.alike:
            return [self._variance_of(0, level)] * len(self.scale)
        return [self._variance_of(frame, level) for frame in range(len(self.scale))]

    def _variance_of(self, frame: int, level: np.ndarray) -> np.ndarray:
        """Return the expected variance of one frame's values."""
        scale, offset = float(self.scale[frame]), float(self.offset[frame])
        return self.noise.variance(level, frame, scale, offset)


def clip_values(values: np.ndarray, valid: np.ndarray, clip: Clip, frames: Frames) -> np.ndarray:
    """Return which of the valid values the rule keeps.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Finite values after scaling, shape ``(n, npix)``.
    valid : `~numpy.ndarray`
        Boolean, the same shape: the values that count.
    clip : `Clip`
        The rule.
    frames : `Frames`
        The scales and the noise of the frames.

    Returns
    -------
    `~numpy.ndarray`
        Boolean, the shape of `values`.
    """
    if clip.kind is None:
        return valid
    if clip.kind == "minmax":
        present = valid.sum(axis=0)
        keep = _drop_extremes(values, valid, present, clip.n_low, np.minimum)
        return _drop_extremes(values, keep, present, clip.n_high, np.maximum)
    keep = valid
    for _ in range(clip.max_iterations):
        kept = _within_limits(values, keep, clip, frames)
        if np.array_equal(kept, keep):
            break
        keep = kept
    return keep


def _drop_extremes(
    values: np.ndarray, keep: np.ndarray, present: np.ndarray, number: int, extreme: np.ufunc
) -> np.ndarray:
    """Drop the `number` lowest or highest values, fewer where some values are not valid.

    As in IRAF's ``minmax``, the number is a fraction of the frames that is applied to the number
    of values `present` in each pixel and rounded down.
    """
    beyond = np.inf if extreme is np.minimum else -np.inf
    to_drop = np.floor(present * (number / len(values)) + 0.001)
    keep = keep.copy()
    for dropped in range(number):
        left = values if keep.all() else np.where(keep, values, values.dtype.type(beyond))
        limit = extreme.reduce(left, axis=0)
        wanted = to_drop > dropped
        for plane, kept in zip(left, keep, strict=True):
            hit = (plane == limit) & wanted
            kept &= ~hit
            wanted &= ~hit
    return keep


def _within_limits(values: np.ndarray, keep: np.ndarray, clip: Clip, frames: Frames) -> np.ndarray:
    """Drop the kept values that are strictly beyond the limits about the center."""
    count = keep.sum(axis=0)
    if clip.center == "median":
        center = median_of_kept(values, keep, count)
    else:
        center = mean_of_kept(values, keep, count).astype(values.dtype)
    enough = count >= FEWEST_FOR_CLIPPING
    kept = keep.copy()
    low = high = center
    previous = None
    for frame, deviation in enumerate(_deviations(values, keep, count, center, clip, frames)):
        if deviation is not previous:
            below, above = (limit * deviation for limit in clip.limits)
            low = np.where(enough, center - below, -np.inf)
            high = np.where(enough, center + above, np.inf)
            previous = deviation
        kept[frame] &= (values[frame] >= low) & (values[frame] <= high)
    return kept


def _deviations(
    values: np.ndarray,
    keep: np.ndarray,
    count: np.ndarray,
    center: np.ndarray,
    clip: Clip,
    frames: Frames,
) -> list[np.ndarray]:
    """Return the deviation that the limits are multiples of, a plane for each frame."""
    n = len(values)
    if clip.kind == "percentile":
        return [np.where(center > 0, center, np.inf).astype(values.dtype)] * n
    if clip.kind == "sigma" and clip.deviation == "std":
        return [_standard_deviation(values, keep, count).astype(values.dtype)] * n
    # Rounding alone separates equal values by a few units in the last place.
    rounding = 4 * np.finfo(values.dtype).eps * np.abs(center)
    expected = frames.variances(center)
    if clip.kind == "noise":
        planes = _each(expected, lambda variance: np.maximum(np.sqrt(variance), rounding))
        return planes
    own = rounding
    if n >= FEWEST_FOR_MAD:
        if clip.deviation == "mad":
            scatter = _MAD_TO_SIGMA * median_of_kept(np.abs(values - center), keep, count)
        else:
            scatter = _winsorized_deviation(values, keep, count, center).astype(values.dtype)
        own = np.where(count >= FEWEST_FOR_MAD, np.maximum(scatter, rounding), rounding)
    own = np.maximum(own, 0.5 * frames.quantum)
    return _each(expected, lambda variance: np.maximum(np.sqrt(variance), own))


def _standard_deviation(values: np.ndarray, keep: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the standard deviation (n - 1) of each pixel's kept values, in float64."""
    mean = mean_of_kept(values, keep, count)
    squares = np.zeros(mean.shape)
    for plane, kept in zip(values, keep, strict=True):
        squares += np.where(kept, (plane - mean) ** 2, 0)
    return np.sqrt(squares / np.maximum(count - 1, 1))


def _winsorized_deviation(
    values: np.ndarray, keep: np.ndarray, count: np.ndarray, center: np.ndarray
) -> np.ndarray:
    """Return the standard deviation with far values drawn in, again and again until it settles."""
    middle = center.astype(float)
    deviation = _deviation_within(values, keep, count, middle, np.full(middle.shape, np.inf))
    moving = np.ones(deviation.shape, bool)
    for _ in range(_MOST_WINSORIZATIONS):
        settled = _WINSORIZED_TO_SIGMA * _deviation_within(
            values, keep, count, middle, _DRAWN_IN * deviation
        )
        moving &= np.abs(settled - deviation) > _SETTLED * deviation
        deviation = np.where(moving, settled, deviation)
        if not moving.any():
            break
    return deviation


def _deviation_within(
    values: np.ndarray, keep: np.ndarray, count: np.ndarray, middle: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Return the standard deviation after what is beyond the reach of the middle is drawn in."""
    total, squares = np.zeros(middle.shape), np.zeros(middle.shape)
    for plane, kept in zip(values, keep, strict=True):
        distance = np.minimum(np.maximum(plane - middle, -reach), reach)
        distance = np.where(kept, distance, 0)
        total += distance
        squares += distance * distance
    spread = squares - total * total / np.maximum(count, 1)
    return np.sqrt(np.maximum(spread, 0) / np.maximum(count - 1, 1))


def _each(
    planes: list[np.ndarray], function: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """Apply `function` to each plane, once where all are the same object."""
    if all(plane is planes[0] for plane in planes):
        return [function(planes[0])] * len(planes)
    return [function(plane) for plane in planes]


def mean_of_kept(values: np.ndarray, keep: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the mean of each pixel's kept values, 0 where none is kept, in float64.

    They are added up in the order of the frames, which a reduction does not promise.
    """
    total = np.zeros(count.shape)
    for plane, kept in zip(values, keep, strict=True):
        total += plane * kept
    return total / np.maximum(count, 1)

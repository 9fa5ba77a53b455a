"""Combine a stack of frames into one, pixel by pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bmp_astro.kernels.clipping import Clip, Frames, clip_values
from bmp_astro.kernels.noise import Noise, pooled_noise
from bmp_astro.kernels.ordering import median_of_kept

METHODS = ("mean", "median", "sum")
_TILE_PIXELS = 8192


class Combined(NamedTuple):
    """One frame made of many.

    Parameters
    ----------
    data : `~numpy.ndarray`
        float32, shape ``(ny, nx)``.
    variance : `~numpy.ndarray` or None
        Square of the standard error, float32; None when nothing tells the noise.
    count : `~numpy.ndarray`
        uint16: how many values survived rejection in each pixel.
    flags : `~numpy.ndarray`
        uint8 mask bits, 0 where a pixel is good.
    """

    data: np.ndarray
    variance: np.ndarray | None
    count: np.ndarray
    flags: np.ndarray


class _Plan(NamedTuple):
    """What is the same for every tile."""

    method: str
    clip: Clip
    frames: Frames
    spread: Frames | None
    weights: np.ndarray | None
    k: np.ndarray
    lost_bit: int


def combine(
    stack: np.ndarray,
    *,
    method: str = "mean",
    clip: str | None = None,
    n_low: int = 0,
    n_high: int = 0,
    sigma_low: float = 3.0,
    sigma_high: float = 3.0,
    center: str = "median",
    deviation: str = "mad",
    max_iterations: int = 1,
    min_keep: int = 1,
    scale: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    noise: Noise | None = None,
    variance: np.ndarray | None = None,
    flags: np.ndarray | None = None,
    quantum: float = 0.0,
    k: np.ndarray | None = None,
    lost_bit: int = 32,
) -> Combined:
    """Combine frames along the first axis of a stack, with rejection.

    Values that are not finite or are flagged never count.  The others become
    ``scale * value + offset``, then pass the rule of rejection, then are averaged.  Sums are in
    float64 in the order of the frames, and temporaries are as small as a tile of a few rows.

    Parameters
    ----------
    stack : `~numpy.ndarray`
        Frames of shape ``(n, ny, nx)``, any real dtype.  A window of rows gives the same
        pixels as the whole, if `noise` is given.
    method : {"mean", "median", "sum"}
        What is made of the values that are kept; "sum" adds them up, however few they are.
    clip : {None, "minmax", "sigma", "noise"}
        "minmax" drops the `n_low` lowest and `n_high` highest values (proportionally fewer where
        some do not count, as in IRAF).  "sigma" drops those beyond the limits in units of the
        scatter found in each pixel, "noise" in units of the expected `noise`.
    n_low, n_high : int
        For "minmax".
    sigma_low, sigma_high : float
        A value is dropped when it lies strictly farther than this many deviations below or above
        the center.
    center : {"median", "mean"}
        What deviations are measured from.
    deviation : {"mad", "std"}
        For "sigma": 1.4826 times the median absolute deviation, but never less than the expected
        noise at that level nor than half a `quantum`, and from at least ten values (with fewer
        the expected noise serves alone); or the standard deviation (n - 1).  With fewer than
        three values nothing is dropped.
    max_iterations : int
        Passes of "sigma" and "noise"; they end sooner when nothing more is dropped.
    min_keep : int
        A pixel with fewer values left becomes the median of all that count, and is flagged.
    scale, offset, weights : sequence of float, optional
        One number for each frame.  Weights are for "mean".
    noise : `Noise`, optional
        The expected noise of a value.  Without it the scatter between the frames of this stack
        is pooled over pixels of similar level.
    variance : `~numpy.ndarray`, optional
        Variance of each value, the shape of `stack`; the result's is then propagated from it.
    flags : `~numpy.ndarray`, optional
        Not zero where a value does not count, the shape of `stack`.
    quantum : float
        The step between possible values, 1 for integers.
    k : `~numpy.ndarray`, optional
        Standard error in units of noise / sqrt(values kept), by the number of values that count:
        shape ``(n + 1,)``.  1 when it is not given.
    lost_bit : int
        The flag of a pixel that has no value left.

    Returns
    -------
    `Combined`
        Pixels, variance, count and flags.

    Raises
    ------
    ValueError
        Unknown names, shapes or numbers of frames that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> stack = np.array([[[1.0]], [[2.0]], [[3.0]], [[900.0]]])
    >>> combined = combine(stack, clip="minmax", n_low=1, n_high=1)
    >>> float(combined.data[0, 0]), int(combined.count[0, 0])
    (2.5, 2)
    """
    stack = np.asarray(stack)
    _check(stack, method, weights, variance, flags)
    n = len(stack)
    rule = Clip(
        clip, n_low, n_high, sigma_low, sigma_high, center, deviation, max_iterations, min_keep
    )
    rule.check(n)
    if clip == "noise" and noise is None:
        raise ValueError("clip='noise' needs the expected noise: give gain and read noise")
    scale, offset = _per_frame("scale", scale, n, 1.0), _per_frame("offset", offset, n, 0.0)
    if noise is None and (rule.uses_noise or variance is None):
        noise = _noise_of(stack, scale, offset, flags)
    if scale.min() <= 0:
        raise ValueError(f"scale must be positive, but the least is {scale.min():g}")
    frames = Frames.of(scale, offset, noise, quantum)
    # Noise in proportion to the level widens the limits; it is no error of the mean.
    spread = None if noise is None else noise._replace(fraction=0.0)
    plan = _Plan(
        method,
        rule,
        frames,
        None if spread is None else Frames.of(scale, offset, spread, quantum),
        None if weights is None else _per_frame("weights", weights, n, 1.0),
        np.ones(n + 1) if k is None else np.asarray(k, dtype=float),
        lost_bit,
    )
    return _in_tiles(stack, variance, flags, plan)


def _check(
    stack: np.ndarray,
    method: str,
    weights: Sequence[float] | None,
    variance: np.ndarray | None,
    flags: np.ndarray | None,
) -> None:
    """Raise ValueError for arguments that do not fit together."""
    if stack.ndim != 3 or len(stack) == 0:
        raise ValueError(f"the stack has shape {stack.shape}: expected (n, ny, nx) with n > 0")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected one of {METHODS}")
    if weights is not None and (method != "mean" or min(weights) <= 0):
        raise ValueError("weights must be positive, and only method='mean' has any")
    for name, other in (("variance", variance), ("flags", flags)):
        if other is not None and other.shape != stack.shape:
            raise ValueError(f"{name} has shape {other.shape}, but the stack has {stack.shape}")


def _per_frame(name: str, numbers: Sequence[float] | None, n: int, default: float) -> np.ndarray:
    """Return one finite float64 number for each frame."""
    if numbers is None:
        return np.full(n, default)
    numbers = np.asarray(numbers, dtype=float)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be {n} finite numbers, one for each frame")
    return numbers


def _working(stack: np.ndarray) -> type:
    """Return float32 where it holds every value of the dtype exactly, else float64."""
    return np.float32 if np.can_cast(stack.dtype, np.float32) else np.float64


def _noise_of(
    stack: np.ndarray, scale: np.ndarray, offset: np.ndarray, flags: np.ndarray | None
) -> Noise | None:
    """Return the scatter between the scaled frames of a whole stack."""
    n = len(stack)
    values = stack.reshape(n, -1) * scale[:, None] + offset[:, None]
    return pooled_noise(values, None if flags is None else flags.reshape(n, -1) == 0)


def _in_tiles(
    stack: np.ndarray, variance: np.ndarray | None, flags: np.ndarray | None, plan: _Plan
) -> Combined:
    """Combine a few rows at a time, so that temporaries stay in the processor's cache."""
    n, ny, nx = stack.shape
    known = variance is not None or plan.spread is not None
    out = Combined(
        np.empty((ny, nx), np.float32),
        np.empty((ny, nx), np.float32) if known else None,
        np.empty((ny, nx), np.uint16),
        np.zeros((ny, nx), np.uint8),
    )
    rows = max(1, _TILE_PIXELS // max(nx, 1))
    for start in range(0, ny, rows):
        part = np.s_[start : start + rows]
        tile = [
            None if cube is None else cube[:, part].reshape(n, -1)
            for cube in (stack, variance, flags)
        ]
        result = _combine_tile(*tile, plan)
        for whole, piece in zip(out, result, strict=True):
            if whole is not None:
                whole[part] = piece.reshape(-1, nx)
    return out


def _combine_tile(
    raw: np.ndarray, variance: np.ndarray | None, flags: np.ndarray | None, plan: _Plan
) -> Combined:
    """Combine values of shape ``(n, npix)``."""
    values, valid = _scaled(raw, plan.frames)
    finite = valid
    if flags is not None:
        valid = valid & (flags == 0)
    keep = clip_values(values, valid, plan.clip, plan.frames)
    count = _count(keep)
    bits = np.zeros(count.shape, np.uint8)
    used, n_used = keep, count
    lost = count < plan.clip.min_keep
    if lost.any():
        used = np.where(lost, np.where(valid.any(axis=0), valid, finite), keep)
        n_used = _count(used)
        bits[lost] = plan.lost_bit
        if flags is not None:
            unseen = ~valid.any(axis=0)
            bits[unseen] |= np.bitwise_or.reduce(flags[:, unseen], axis=0).astype(np.uint8)
    data = _average(values, used, n_used, lost, plan)
    spread = None
    if variance is not None or plan.spread is not None:
        spread = _variance(data, variance, used, n_used, _count(valid), plan)
    return Combined(data, spread, count, bits)


def _scaled(raw: np.ndarray, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Return the scaled values, 0 where they are not finite, and where they are finite."""
    values = raw.astype(_working(raw))
    if raw.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values[~finite] = 0
    else:
        finite = np.ones(raw.shape, bool)
    for plane, scale, offset in zip(values, frames.scale, frames.offset, strict=True):
        if scale != 1:
            plane *= scale
        if offset != 0:
            plane += offset
    return values, finite


def _count(keep: np.ndarray) -> np.ndarray:
    """Return the number of values in each pixel."""
    return np.add.reduce(keep, axis=0, dtype=np.uint16)


def _average(
    values: np.ndarray, used: np.ndarray, n_used: np.ndarray, lost: np.ndarray, plan: _Plan
) -> np.ndarray:
    """Return the mean, median or sum of the used values, the median where a pixel is lost."""
    if plan.method == "median":
        return median_of_kept(values, used, n_used)
    kept = values if used.all() else values * used
    if plan.weights is None:
        data = np.add.reduce(kept, axis=0, dtype=float)
        if plan.method == "mean":
            data /= np.maximum(n_used, 1)
    else:
        data = _weighted_sum(plan.weights, kept)
        data /= np.maximum(_weighted_sum(plan.weights, used), plan.weights.min())
    if lost.any():
        median = median_of_kept(values[:, lost], used[:, lost], n_used[lost])
        data[lost] = median * (n_used[lost] if plan.method == "sum" else 1)
    return data


def _weighted_sum(weights: np.ndarray, planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of planes times their weights, in float64 and in their order."""
    total = np.zeros(planes[0].shape)
    for weight, plane in zip(weights, planes, strict=True):
        total += np.multiply(plane, weight, dtype=float)
    return total


def _variance(
    data: np.ndarray,
    variance: np.ndarray | None,
    used: np.ndarray,
    n_used: np.ndarray,
    n_valid: np.ndarray,
    plan: _Plan,
) -> np.ndarray:
    """Return the square of the standard error of the mean, median or sum."""
    number = np.maximum(n_used, 1)
    weights = np.ones(len(used)) if plan.weights is None else plan.weights
    total = number if plan.weights is None else _weighted_sum(weights, used)
    level = (data / number if plan.method == "sum" else data).astype(np.float32)
    if variance is None and plan.weights is None and plan.spread.alike:
        spread = plan.spread.variances(level)[0] / number
    else:
        if variance is None:
            planes = plan.spread.variances(level)
        else:
            planes = [v * s * s for v, s in zip(variance, plan.frames.scale, strict=True)]
        spread = _weighted_sum(
            weights**2, [np.where(u, p, 0) for p, u in zip(planes, used, strict=True)]
        )
        spread /= np.maximum(total, weights.min()) ** 2
    spread = spread * plan.k[n_valid] ** 2
    return spread * number.astype(float) ** 2 if plan.method == "sum" else spread

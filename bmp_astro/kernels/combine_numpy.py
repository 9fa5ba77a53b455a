"""The numpy twin of the compiled combination: the same operations, in the same order.

For each pixel; *single* is float32, or float64 where the frames need it; every operation is
rounded to the precision that is said::

    v = scale raw + offset       float64, then rounded to single; not valid where not finite
    median = (a + b) / 2         of the two middle values, float64, then single
    mean = sum / number          float64, from the first frame to the last
    noise variance               single: see `bmp_astro.kernels.noise.Noise`, at the center
    own deviation                single: 4 epsilon |center|; 1.4826 median(|v - center|);
                                 half a quantum: the largest
    or standard deviation        float64 about the mean: sqrt(sum of squares / (number - 1)),
                                 then single
    winsorized, for the MAD      float64: s = the standard deviation; then again and again, until
                                 it changes by less than 1/2000 or 20 times, 1.134 times that of
                                 values not beyond center -+ 1.5 s; from sums of d and d d, where
                                 d is their distance from the center
    limits                       single: center -+ sigma max(sqrt(variance), own deviation), or
                                 center -+ fraction center
    result                       mean, sum, sum of w v / sum of w: float64, then float32
    its variance                 float64: noise variance (float32, at the float32 result) / number,
                                 or sum of w^2 (variance scale scale) / (sum of w)^2;
                                 times k^2, for a sum times number^2; then float32
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bmp_astro.kernels.clipping import Clip, Frames, clip_values
from bmp_astro.kernels.ordering import median_of_kept

TILE_PIXELS = 8192

Planes = list[np.ndarray] | None


class Plan(NamedTuple):
    """What is the same for every tile."""

    method: str
    clip: Clip
    frames: Frames
    spread: Frames | None
    weights: np.ndarray | None
    k2: np.ndarray
    lost_bit: int
    wide: bool


class Output(NamedTuple):
    """The arrays that are filled, shape ``(ny, nx)``: float32, float32 or None, uint16, uint8."""

    data: np.ndarray
    variance: np.ndarray | None
    count: np.ndarray
    flags: np.ndarray


def combine(stack: Planes, variances: Planes, flags: Planes, plan: Plan, out: Output) -> None:
    """Combine a few rows at a time, so that temporaries stay in the processor's cache."""
    ny, nx = stack[0].shape
    rows = max(1, TILE_PIXELS // max(nx, 1))
    with np.errstate(all="ignore"):
        for start in range(0, ny, rows):
            part = slice(start, start + rows)
            tile = [
                None if planes is None else [plane[part].ravel() for plane in planes]
                for planes in (stack, variances, flags)
            ]
            result = _combine_tile(*tile, plan, known=out.variance is not None)
            for whole, piece in zip(out, result, strict=True):
                if whole is not None:
                    whole[part] = piece.reshape(whole[part].shape)


def _combine_tile(
    raw: list[np.ndarray], variances: Planes, flags: Planes, plan: Plan, *, known: bool
) -> Output:
    """Combine planes of shape ``(npix,)``."""
    values, valid = _scaled(raw, plan)
    finite = valid
    if flags is not None:
        flags = np.array(flags)
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
            bits[unseen] |= np.bitwise_or.reduce(flags[:, unseen], axis=0)
    total = np.maximum(n_used, 1).astype(float)
    if plan.weights is not None:
        total = np.maximum(_weighted_sum(plan.weights, used), plan.weights.min())
    data = _average(values, used, n_used, total, lost, plan)
    spread = None
    if known:
        spread = _variance(data, variances, used, n_used, total, _count(valid), plan)
    return Output(data + 0.0, spread, count, bits)  # no negative zero


def _scaled(raw: list[np.ndarray], plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return the scaled values, 0 where they are not finite, and where they are finite."""
    values = np.empty((len(raw), raw[0].size), np.float64 if plan.wide else np.float32)
    finite = np.ones(values.shape, bool)
    numbers = zip(plan.frames.scale, plan.frames.offset, strict=True)
    for plane, good, one, (scale, offset) in zip(values, finite, raw, numbers, strict=True):
        scaled = scale != 1 or offset != 0
        plane[...] = one.astype(float) * scale + offset if scaled else one
        if scaled or one.dtype.kind == "f":
            np.isfinite(plane, out=good)
            if not good.all():
                plane[~good] = 0
    return values, finite


def _count(keep: np.ndarray) -> np.ndarray:
    """Return the number of values in each pixel."""
    return np.add.reduce(keep, axis=0, dtype=np.uint16)


def _average(
    values: np.ndarray,
    used: np.ndarray,
    n_used: np.ndarray,
    total: np.ndarray,
    lost: np.ndarray,
    plan: Plan,
) -> np.ndarray:
    """Return the mean, median or sum of the used values, the median where a pixel is lost."""
    if plan.method == "median":
        return median_of_kept(values, used, n_used).astype(float)
    kept = values if used.all() else values * used
    data = _weighted_sum(plan.weights, kept)
    if plan.method == "mean":
        data /= total
    if lost.any():
        median = median_of_kept(values[:, lost], used[:, lost], n_used[lost]).astype(float)
        data[lost] = median * (n_used[lost] if plan.method == "sum" else 1)
    return data


def _weighted_sum(weights: np.ndarray | None, planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of planes, times their weights if any, in float64 and in their order."""
    total = np.zeros(planes[0].shape)
    if weights is None:
        for plane in planes:
            total += plane
    else:
        for weight, plane in zip(weights, planes, strict=True):
            total += np.multiply(plane, weight, dtype=float)
    return total


def _variance(
    data: np.ndarray,
    variances: Planes,
    used: np.ndarray,
    n_used: np.ndarray,
    total: np.ndarray,
    n_valid: np.ndarray,
    plan: Plan,
) -> np.ndarray:
    """Return the square of the standard error of the mean, median or sum."""
    number = np.maximum(n_used, 1).astype(float)
    if variances is None:
        level = (data / number if plan.method == "sum" else data).astype(np.float32)
        planes = plan.spread.variances(level)
    else:
        planes = [
            variance.astype(float) * scale * scale
            for variance, scale in zip(variances, plan.frames.scale, strict=True)
        ]
    if variances is None and plan.weights is None and plan.spread.alike:
        spread = planes[0] / total
    else:
        squares = None if plan.weights is None else plan.weights**2
        spread = _weighted_sum(
            squares, [np.where(u, p, 0) for p, u in zip(planes, used, strict=True)]
        )
        spread /= total * total
    spread = spread * plan.k2[n_valid]
    return spread * (number * number) if plan.method == "sum" else spread

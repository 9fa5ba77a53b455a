"""Noise measured on frames, and how much larger than the least a standard error is."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..kernels import Noise, combine, pooled_noise
from .recipe import Factors, Recipe
from .source import Source, sample_of

_NOISE_VALUES = 2**20
_TILE = (8, 64)
_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)
_DEVIATES = 2**19
_MOST_DEVIATES = 2**16
_FOR_FEWER = 2**14  # k to 0.3 %, for the few pixels that lack a value
_SEED = 522


def scatter_between(sources: Sequence[Source], factors: Factors) -> Noise | None:
    """Return the scatter between scaled frames, pooled over pixels of similar level.

    It is measured on rows spread over the frames.
    """
    pixels = max(_NOISE_VALUES // len(sources), 2048)
    rows, kept = [], []
    for source, scale, offset in zip(sources, factors.scale, factors.offset, strict=True):
        band = sample_of(source, pixels)
        values = (band.data.ravel() * scale + offset).astype(np.float32)
        good = np.isfinite(values)
        rows.append(values)
        kept.append(good if band.flags is None else good & (band.flags.ravel() == 0))
    return pooled_noise(np.array(rows), np.array(kept))


def read_noise_from_pairs(frames: Sequence[np.ndarray]) -> float | None:
    """Measure the read noise from frames without light, in their unit.

    The difference of two frames has no fixed pattern, and twice the variance of one.  Its variance
    is taken in small tiles, and the median of them, so that neither cosmic rays nor slow changes of
    level count.

    Parameters
    ----------
    frames : sequence of `~numpy.ndarray`
        Bias frames, or the same rows of each, shape ``(ny, nx)``.

    Returns
    -------
    float or None
        None for fewer than two frames.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> round(read_noise_from_pairs(rng.normal(1000, 5, (3, 512, 512))), 1)
    5.0
    """
    return read_noise_of(pair_variances(frames))


def read_noise_of(pairs: Sequence[np.ndarray]) -> float | None:
    """Return the read noise that the variances of pairs tell; None for no pair."""
    variances = [np.median(found) for found in pairs]
    return float(np.sqrt(np.median(variances) / 2)) if variances else None


def pair_variances(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return, for each frame and the next, the variance of their difference in each tile.

    It is the variance about a plane, since light and levels change slowly.  The variances are
    scaled so that their median is that of the values: the median of chi square lies below its mean
    (Wilson and Hilferty 1931, PNAS 17, 684).
    """
    found = []
    for one, other in pairwise(frames):
        difference = one.astype(np.float32) - other.astype(np.float32)
        tiles = tiles_of(difference)
        planes = _planes([min(*sizes) for sizes in zip(_TILE, difference.shape, strict=True)])
        # einsum starts no threads, which a product by BLAS leaves spinning
        fitted = np.square(np.einsum("ij,jk->ik", tiles, planes)).sum(axis=1)
        freedom = max(tiles.shape[1] - planes.shape[1], 1)
        median = (1 - 2 / (9 * freedom)) ** 3
        found.append((np.einsum("ij,ij->i", tiles, tiles) - fitted) / (freedom * median))
    return found


def _planes(shape: Sequence[int]) -> np.ndarray:
    """Return an orthonormal basis of the planes over a tile, one in each column."""
    axes = [axis.ravel() for axis, n in zip(np.indices(shape), shape, strict=True) if n > 1]
    columns = [np.ones(shape).ravel(), *(axis - axis.mean() for axis in axes)]
    return np.transpose([column / np.linalg.norm(column) for column in columns])


def tiles_of(image: np.ndarray) -> np.ndarray:
    """Return the image cut into tiles, float64, shape ``(tiles, pixels)``, without what is left."""
    height, width = (min(tile, size) for tile, size in zip(_TILE, image.shape, strict=True))
    ny, nx = image.shape[0] // height, image.shape[1] // width
    cut = image[: ny * height, : nx * width].reshape(ny, height, nx, width)
    return cut.swapaxes(1, 2).reshape(ny * nx, -1).astype(float)


def standard_error_factor(
    recipe: Recipe, n: int, weights: Sequence[float] | None = None
) -> np.ndarray:
    """Return k of the standard error k sigma / sqrt(values kept), by the number of values.

    Rejection and medians cost precision even where every value is good; k is found by
    Monte Carlo with the combination itself on normal deviates of known sigma, and interpolated in
    the number of values.  The mean of normal deviates does not depend on how any combination
    differs from it (Basu 1955, Sankhya 15, 377), so that only that difference is simulated.

    Parameters
    ----------
    recipe : `Recipe`
        How frames are combined.
    n : int
        Number of frames.
    weights : sequence of float, optional
        Their weights, taken as the inverse of their variances.

    Returns
    -------
    `~numpy.ndarray`
        Shape ``(n + 1,)``: k where so many values count.

    Examples
    --------
    >>> round(float(standard_error_factor(Recipe(method="median"), 10)[10]), 2)
    1.18
    """
    if recipe.clip == "percentile":  # what it costs depends on the level, and should be nothing
        recipe = replace(recipe, clip=None)
    if recipe.method != "median" and recipe.clip is None:
        return np.ones(n + 1)
    rule = recipe.rule()
    if rule["method"] == "sum":
        rule["method"] = "mean"
    numbers = [m for m in _NUMBERS if m < n] + [n]
    whole = _factor((1.0,) * n, **rule)  # first, so that a wrong rule is told of all frames
    fewer = [_factor((1.0,) * m, _FOR_FEWER, **_for_fewer(rule, m, n)) for m in numbers[:-1]]
    factors = [*fewer, whole]
    k = np.interp(np.arange(n + 1), numbers, factors)
    if weights is not None and np.ptp(weights) > 0:
        k *= _factor(tuple(float(weight) for weight in weights), **rule) / k[n]
    return k


def _for_fewer(rule: dict, m: int, n: int) -> dict:
    """Return the rule as it applies to a pixel where only `m` of `n` values count."""
    few = {name: int(rule[name] * m / n + 0.001) for name in ("n_low", "n_high")}
    return {**rule, **few} if rule["clip"] == "minmax" else rule


@lru_cache(maxsize=512)
def _factor(weights: tuple[float, ...], most: int = _MOST_DEVIATES, **rule: Any) -> float:
    """Return k for values of these weights, from at most so many pixels."""
    weight = np.array(weights)
    m = len(weights)
    pixels = max(min(most, _DEVIATES // m), 1000)
    deviates = np.random.default_rng(_SEED).standard_normal((m, 1, pixels), dtype=np.float32)
    deviates /= np.sqrt(weight, dtype=np.float32)[:, None, None]
    combined = combine(
        deviates,
        noise=Noise(floor=1 / weight),
        weights=None if rule["method"] == "median" else weight,
        **rule,
    )
    good = combined.flags == 0
    if not good.any():
        return 1.0
    kept = 1 / combined.variance[good].astype(float)
    difference = (combined.data - np.average(deviates, axis=0, weights=weight))[good]
    return float(np.sqrt(kept.mean() / weight.sum() + (kept * difference**2).mean()))

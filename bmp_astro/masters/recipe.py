"""How frames are combined, and the numbers that follow from their levels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

Levels = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How frames are combined; the parameters of `bmp_astro.masters.combine`."""

    method: str = "mean"
    clip: str | None = None
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
    scale: str | Sequence[float] | None = None
    offset: str | Sequence[float] | None = None
    weights: str | Sequence[float] | None = None
    fractional_noise: float = 0.0

    def changed(self, given: Mapping[str, Any] | None) -> "Recipe":
        """Return the recipe with some parameters changed; TypeError names an unknown one."""
        given = {} if given is None else dict(given)
        known = [field.name for field in fields(self)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise TypeError(f"combine has no parameter {unknown}: expected some of {known}")
        return replace(self, **given)

    def rule(self) -> dict[str, Any]:
        """Return what the kernel must know: all but the numbers of the frames."""
        other = ("scale", "offset", "weights", "fractional_noise")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in other}

    def words(self) -> str:
        """Return the recipe as text for a header."""
        rules = {
            None: "no clipping",
            "minmax": f"minmax {self.n_low} low {self.n_high} high",
            "sigma": f"clip {self._limits()} {self.deviation} about the {self.center}",
            "percentile": (
                f"clip -{self.percentile_low:g} +{self.percentile_high:g} of the {self.center}"
            ),
            "noise": f"clip {self._limits()} sigma of noise about the {self.center}",
        }
        return f"{self.method}, {rules[self.clip]}"

    def _limits(self) -> str:
        """Return the limits of clipping as text."""
        return f"-{self.sigma_low:g} +{self.sigma_high:g}"


class Factors(NamedTuple):
    """Numbers for each frame, float64; weights are None when they are equal."""

    scale: np.ndarray
    offset: np.ndarray
    weights: np.ndarray | None


def factors_of(recipe: Recipe, names: Sequence[str], levels: Levels) -> Factors:
    """Return the scale, offset and weight of each frame.

    Parameters
    ----------
    recipe : `Recipe`
        Numbers, or the statistic that they come from: scaled frames have the mean of the frames'
        levels, frames with an offset as well; ``weights="level"`` are in proportion to it.
    names : sequence of str
        What messages call the frames.
    levels : callable
        Gives the level of each frame for "median" or "mean".

    Returns
    -------
    `Factors`
        The numbers.
    """
    n = len(names)
    scale, offset = np.ones(n), np.zeros(n)
    if isinstance(recipe.scale, str):
        found = _positive(levels(recipe.scale), names, f"scale={recipe.scale!r}")
        scale = found.mean() / found
    elif recipe.scale is not None:
        scale = _numbers("scale", recipe.scale, n)
    if isinstance(recipe.offset, str):
        found = scale * levels(recipe.offset)
        offset = found.mean() - found
    elif recipe.offset is not None:
        offset = _numbers("offset", recipe.offset, n)
    weights = None
    if isinstance(recipe.weights, str):
        if recipe.weights != "level":
            raise ValueError(f"weights={recipe.weights!r}: expected 'level' or one number a frame")
        found = _positive(levels("median"), names, "weights='level'")
        weights = found / found.mean()
    elif recipe.weights is not None:
        weights = _numbers("weights", recipe.weights, n)
    return Factors(scale, offset, weights)


def _numbers(what: str, given: Sequence[float], n: int) -> np.ndarray:
    """Return one finite number for each frame."""
    numbers = np.asarray(given, dtype=float)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        raise ValueError(f"{what} must be 'median', 'mean' or {n} finite numbers, one a frame")
    return numbers


def _positive(levels: np.ndarray, names: Sequence[str], what: str) -> np.ndarray:
    """Return the levels; ValueError names the first frame whose level is not positive."""
    for name, level in zip(names, levels, strict=True):
        if not level > 0:
            raise ValueError(f"the level of {name} is {level:g}: {what} needs a positive one")
    return levels

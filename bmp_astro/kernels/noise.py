"""The noise that is expected of a value at a given level, and how to measure it from a stack."""

from typing import NamedTuple

import numpy as np

from bmp_astro.kernels.ordering import median_of_kept

_BINS = 32
_PIXELS_PER_BIN = 64


class Noise(NamedTuple):
    """Expected variance of one value, as a function of its level.

    Either a formula, ``floor + slope * max(level, 0) + (fraction * level)**2``, which holds for
    the values before they are scaled, or a table of what was measured on the scaled values.

    Parameters
    ----------
    floor : float or `~numpy.ndarray`
        Variance at level 0, one number or one for each frame: (read noise / gain)**2.
    slope : float
        Variance for each unit of level: 1 / gain.
    fraction : float
        Noise that is proportional to the level (IRAF's ``snoise``); it widens the limits of
        rejection, and does not count in the standard error.
    levels, variances : `~numpy.ndarray`, optional
        The table, by increasing level; between them it is interpolated, beyond them constant.

    Examples
    --------
    >>> noise = Noise(floor=4.0, slope=0.5)
    >>> noise.variance(np.array([100.0, -1.0]))
    array([54.,  4.])
    """

    floor: float | np.ndarray = 0.0
    slope: float = 0.0
    fraction: float = 0.0
    levels: np.ndarray | None = None
    variances: np.ndarray | None = None

    def variance(
        self, level: np.ndarray, frame: int = 0, scale: float = 1.0, offset: float = 0.0
    ) -> np.ndarray:
        """Return the variance of the values ``scale * raw + offset`` of `frame` at `level`.

        It is computed in the precision of `level`, in the order in which the formula is written.
        """
        if self.levels is not None:
            return self._interpolated(np.asarray(level))
        # Python's floats leave the planes in the precision that they have.
        floor = float(self.floor if np.ndim(self.floor) == 0 else self.floor[frame])
        if self.slope == 0 and self.fraction == 0:
            return np.full_like(level, scale * scale * floor)
        raw = (level - offset) / scale
        variance = np.maximum(raw, 0.0)
        variance *= float(self.slope)
        variance += floor
        if self.fraction:
            variance += (float(self.fraction) * raw) ** 2
        variance *= scale * scale
        return variance

    def slopes(self) -> np.ndarray:
        """Return the slope of the variance after each level of the table, 0 after the last."""
        rise, run = np.diff(self.variances), np.diff(self.levels)
        return np.append(np.divide(rise, run, out=np.zeros(run.shape), where=run > 0), 0.0)

    def _interpolated(self, level: np.ndarray) -> np.ndarray:
        """Return the variance by the table: slope * (level - level of the row) + variance."""
        precision = level.dtype if level.dtype.kind == "f" else float
        levels, variances, slopes = (
            np.asarray(column, precision) for column in (self.levels, self.variances, self.slopes())
        )
        row = np.maximum(np.searchsorted(levels, level, side="right") - 1, 0)
        inside = np.clip(level, levels[0], levels[-1])
        return slopes[row] * (inside - levels[row]) + variances[row]


def pooled_noise(stack: np.ndarray, keep: np.ndarray | None = None) -> Noise | None:
    """Measure the scatter between frames, pooled over the pixels of similar level.

    Each pixel's variance has few degrees of freedom; those of pixels at similar levels are
    averaged, without the ones that are too large for chance (cosmic rays).

    Parameters
    ----------
    stack : `~numpy.ndarray`
        Values, shape ``(n, npix)``, scaled to a common level.
    keep : `~numpy.ndarray`, optional
        Boolean, the same shape: the values that count.

    Returns
    -------
    `Noise` or None
        A table by level; None when no pixel has two values.
    """
    keep = np.isfinite(stack) if keep is None else keep & np.isfinite(stack)
    count = keep.sum(axis=0)
    repeated = count >= 2
    if not repeated.any():
        return None
    values, keep, count = (
        np.where(keep, stack, 0)[:, repeated],
        keep[:, repeated],
        count[repeated],
    )
    level = median_of_kept(values, keep, count).astype(float)
    mean = values.sum(axis=0, dtype=float) / count
    squares = (keep * (values - mean) ** 2).sum(axis=0, dtype=float)
    bins = np.digitize(level, _edges(level, squares, count))
    rows = [
        (np.median(level[inside]), _typical_variance(squares[inside], count[inside] - 1))
        for inside in (bins == index for index in np.unique(bins))
    ]
    levels, variances = np.array(sorted(rows)).T
    return Noise(levels=levels, variances=variances)


def _edges(level: np.ndarray, squares: np.ndarray, count: np.ndarray) -> list[float]:
    """Return levels that split the pixels into groups much wider than the noise of one value.

    Narrower ones would sort equal pixels by chance, and scatter grows with that chance.
    """
    n_bins = min(_BINS, max(level.size // _PIXELS_PER_BIN, 1))
    tail = [1 - 10.0**-power for power in (2, 3, 4) if level.size * 10.0**-power > _PIXELS_PER_BIN]
    candidates = np.quantile(level, [*np.arange(1, n_bins) / n_bins, *tail])
    width = 4 * np.sqrt(_typical_variance(squares, count - 1))
    edges = [np.quantile(level, 0.01)]
    for candidate in np.sort(candidates):
        if candidate > edges[-1] + width:
            edges.append(candidate)
    return edges[1:]


def _typical_variance(squares: np.ndarray, freedom: np.ndarray) -> float:
    """Average sums of squares over their degrees of freedom, without improbably large ones."""
    ratio = squares / freedom
    variance = np.quantile(ratio, 0.75) / np.median(chi_square_quantile(0.6745, freedom))
    if variance == 0:
        variance = ratio.mean()
    limit = chi_square_quantile(3.7, freedom)
    for _ in range(10):
        usual = ratio <= limit * variance
        previous, variance = variance, squares[usual].sum() / max(freedom[usual].sum(), 1)
        if abs(variance - previous) <= 1e-6 * previous:
            break
    return float(variance)


def chi_square_quantile(z: float, freedom: np.ndarray | float) -> np.ndarray:
    """Return the quantile of reduced chi square at `z` normal deviations.

    The approximation of Wilson and Hilferty (1931, PNAS 17, 684).
    """
    spread = 2.0 / (9.0 * np.asarray(freedom, dtype=float))
    return np.maximum(1.0 - spread + z * np.sqrt(spread), 0.0) ** 3

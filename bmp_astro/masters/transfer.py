"""Read noise, gain and saturation of a camera, from the pixels themselves."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..kernels.median import median
from ..steps.plateau import Estimate
from .noise import pair_variances, read_noise_of, tiles_of

_MEDIAN_TO_MEAN = np.sqrt(np.pi / 2)  # how much less precise a median is than a mean
_MAD_TO_SIGMA = 1.4826
_BRIGHT = 0.25  # of the median level: darker tiles tell little of the gain
_DETECTED = 3.0


def measure_read_noise(frames: Sequence[np.ndarray]) -> Estimate | None:
    """Measure the read noise from frames without light, in their unit.

    Parameters
    ----------
    frames : sequence of `~numpy.ndarray`
        Bias frames, or the same rows of each, shape ``(ny, nx)``.

    Returns
    -------
    Estimate or None
        The number is that of `read_noise_from_pairs`; None for fewer than two frames, or where
        they do not differ.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.masters.transfer import measure_read_noise
    >>> rng = np.random.default_rng(1)
    >>> found = measure_read_noise(rng.normal(1000, 5, (3, 512, 512)))
    >>> abs(found.value - 5) < 3 * found.uncertainty < 0.05
    True
    """
    pairs = pair_variances(frames)
    value = read_noise_of(pairs)
    if not value:
        return None
    error = _error_of_median(np.concatenate(pairs) / 2, len(pairs)) / (2 * value)
    return Estimate(value, error, len(pairs))


def measure_gain(
    flats: Sequence[np.ndarray], read_noise: Estimate, dark: float = 0.0
) -> Estimate | None:
    r"""Measure the gain by photon transfer: the variance of a flat grows with its level.

    Parameters
    ----------
    flats : sequence of `~numpy.ndarray`
        Flats of one filter without their bias, adu, or the same rows of each, shape ``(ny, nx)``;
        NaN where a pixel is not to be used; those with more than half their pixels so do not
        count. Their levels may differ.
    read_noise : Estimate
        adu.
    dark : float
        Level of the dark current that was subtracted from each, adu; its noise is there.

    Returns
    -------
    Estimate or None
        electron/adu. None for fewer than two flats, or where their noise does not show.

    Notes
    -----
    Of two flats, the second times the ratio :math:`r` of their levels is subtracted from the
    first: neither the pattern of the detector nor that of the lamp is left. In small tiles, the
    variance of the difference is :math:`(1 + r)\,x / g + (1 + r^2)\,R^2`, of the level :math:`x`
    of the first, the gain :math:`g` and the read noise :math:`R` in adu (Janesick 2007, *Photon
    Transfer*, chapter 5). The median of the tiles counts, so that cosmic rays and stars do not.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.masters.transfer import Estimate, measure_gain
    >>> rng = np.random.default_rng(1)
    >>> flats = [rng.poisson(level, (512, 512)) / 2.0 for level in (20000, 30000)]
    >>> round(measure_gain(flats, Estimate(0.0, 0.0, 1)).value, 1)
    2.0
    """
    known = [(flat, ~np.isnan(flat)) for flat in flats]
    usable = [(flat, median(flat[good])) for flat, good in known if good.mean() >= 0.5]
    inverse, share = [], []
    for (one, of_one), (other, of_other) in pairwise(usable):
        ratio = float(of_one / of_other)
        scaled = (ratio * other).astype(np.float32)
        variance = pair_variances([one, scaled])[0]
        level = tiles_of(one + scaled).mean(axis=1, dtype=float) / 2 + dark
        with np.errstate(invalid="ignore"):
            good = np.isfinite(variance) & (level > _BRIGHT * np.nanmedian(level))
        level, variance = level[good], variance[good]
        photons = variance - read_noise.value**2 * (1 + ratio**2)
        inverse.append(photons / (level * (1 + ratio)))
        share.append((1 + ratio**2) / (level * (1 + ratio)))
    found = np.concatenate(inverse) if inverse else np.zeros(0)
    if not found.size:
        return None
    value = float(np.median(found))
    of_read_noise = 2 * read_noise.value * read_noise.uncertainty
    error = float(
        np.hypot(
            _error_of_median(found, len(inverse)),
            of_read_noise * np.median(np.concatenate(share)),
        )
    )
    if value <= _DETECTED * error:
        return None
    return Estimate(1 / value, error / value**2, len(inverse))


def without_excess(gain: Estimate | None, factor: float) -> Estimate | None:
    """Return a gain as it is where the variance of photons is larger than their number."""
    if gain is None or factor == 1:
        return gain
    return gain._replace(value=gain.value * factor, uncertainty=gain.uncertainty * factor)


def _error_of_median(tiles: np.ndarray, pairs: int) -> float:
    """Return the standard error of the median of all tiles of all pairs.

    Neighboring pairs have one frame in common: the squares of their differences correlate by 1/4.
    """
    sigma = _MAD_TO_SIGMA * np.median(np.abs(tiles - np.median(tiles)))
    shared = 1 + (pairs - 1) / (2 * pairs)
    return float(_MEDIAN_TO_MEAN * sigma * np.sqrt(shared / tiles.size))

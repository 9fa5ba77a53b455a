"""Light and particles that reach the detector: stars and cosmic rays."""

import math
from collections.abc import Sequence

import numpy as np
from astropy.table import Table


def make_stars(
    rng: np.random.Generator, shape: tuple[int, int], filters: Sequence[str], n: int = 160
) -> Table:
    """Return a cluster and its field: columns ``x``, ``y`` and ``flux_<filter>`` (electron/s)."""
    ny, nx = shape
    member = rng.random(n) < 0.5
    size = 0.15 * min(shape)
    x = np.where(member, rng.normal(0.5 * nx, size, n), rng.uniform(-10, nx + 10, n))
    y = np.where(member, rng.normal(0.5 * ny, size, n), rng.uniform(-10, ny + 10, n))
    flux = (20.0 * (1 + rng.pareto(0.7, n))).clip(None, 25_000.0)
    stars = Table({"x": x, "y": y})
    for name in filters:
        stars[f"flux_{name}"] = flux * rng.lognormal(0.0, 0.2, n)
    return stars


def star_image(
    shape: tuple[int, int], x: np.ndarray, y: np.ndarray, flux: np.ndarray, fwhm: float
) -> np.ndarray:
    """Return Gaussian stars, integrated over each pixel, without noise.

    Parameters
    ----------
    shape : tuple of int
        ``(ny, nx)``.
    x, y, flux : array_like
        Centers (pixel) and total signal of the stars.
    fwhm : float
        Full width at half maximum, pixel.

    Returns
    -------
    ndarray
        ``(ny, nx)``, in the unit of `flux`.

    Examples
    --------
    >>> from bmp_astro.simulate import star_image
    >>> float(star_image((41, 41), [20.3], [19.8], [1000.0], fwhm=3.0).sum())
    1000.0
    """
    scale = fwhm / math.sqrt(8 * math.log(2)) * math.sqrt(2)
    reach = math.ceil(4 * fwhm)
    image = np.zeros(shape)
    for x0, y0, signal in zip(x, y, flux, strict=True):
        rows, profile_y = _profile(y0, reach, shape[0], scale)
        columns, profile_x = _profile(x0, reach, shape[1], scale)
        image[rows, columns] += signal * np.outer(profile_y, profile_x)
    return image


def _profile(center: float, reach: int, length: int, scale: float) -> tuple[slice, np.ndarray]:
    """Return which pixels a star touches along one axis, and its fraction in each."""
    start = min(max(round(center) - reach, 0), length)
    stop = min(max(round(center) + reach + 1, start), length)
    edges = np.arange(start, stop + 1) - 0.5
    return slice(start, stop), np.diff([0.5 * math.erf((e - center) / scale) for e in edges])


def cosmic_ray_tracks(rng: np.random.Generator, shape: tuple[int, int], n: int) -> np.ndarray:
    """Return the charge of `n` straight tracks of all lengths, ``(ny, nx)``, electron."""
    charge = np.zeros(shape)
    for _ in range(n):
        length, angle = rng.exponential(6.0), rng.uniform(0, math.pi)
        along = np.arange(0, length + 0.5, 0.5)
        y = np.rint(rng.uniform(0, shape[0] - 1) + along * math.sin(angle)).astype(int)
        x = np.rint(rng.uniform(0, shape[1] - 1) + along * math.cos(angle)).astype(int)
        inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        np.add.at(charge, (y[inside], x[inside]), rng.lognormal(6.8, 0.5, inside.sum()))
    return charge

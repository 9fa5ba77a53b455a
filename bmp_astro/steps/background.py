"""Subtract the sky: as a smooth surface, or as the fringes that it makes."""

import os
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from ..fits import add_history, flags_of, follow_limits, set_card
from .facts import required
from .image import joined_flags, remade, variance_of
from .master import Master, good_in_both, open_fringe
from .sources import sep_module
from .statistics import clipped_background

_ROUNDS = 10
_CLIP = 3.0


def subtract_background(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    background_mesh: int = 64,
    **kwargs: Any,
) -> CCDData:
    """Subtract the sky background, a smooth surface.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``. It is not changed. Masked pixels do not count.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``sky_subtracted``, the mean level that was subtracted.
    background_mesh : int
        Side, pixel, of the cells of which the level is found. What is smaller than two or three
        of them stays; what is larger, such as a galaxy's halo, goes with the sky.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the surface, float32. ``BACKGRND`` in its header is the mean level. An
        uncertainty that the frame has stays as it is, for it has the sky's photon noise.

    Raises
    ------
    ImportError
        If ``sep`` is not installed: ``pip install "bmp_astro[sources]"``.
    ValueError
        If the mesh makes no sense, or every pixel is masked.

    Notes
    -----
    The surface is that of SExtractor (Bertin & Arnouts 1996, A&AS 117, 393): clipped modes of the
    cells, a median filter of 3 x 3 of them, and a bicubic spline. Its own error is neglected.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_background
    >>> sky = 100 + 0.1 * np.arange(300.0) * np.ones((300, 1))
    >>> ccd = subtract_background(CCDData(sky, unit="electron"), background_mesh=30)
    >>> print(bool(abs(ccd.data).max() < 3), round(ccd.header["BACKGRND"]))
    True 115
    """
    sep = sep_module("subtracting the background")
    if not 2 <= background_mesh <= max(ccd.shape):
        raise ValueError(
            f"background_mesh is {background_mesh} but must be from 2 to the size of the frame, "
            f"{ccd.shape} (ny, nx)"
        )
    pixels = np.array(ccd.data, dtype=np.float32, order="C")
    flags = flags_of(ccd)
    mask = ~np.isfinite(pixels) if flags is None else ~np.isfinite(pixels) | (flags != 0)
    if mask.all():
        raise ValueError("every pixel is masked: there is no background to find")
    filled = np.where(mask, 0, pixels)
    surface = sep.Background(filled, mask=mask, bw=background_mesh, bh=background_mesh).back()
    mean = float(surface.mean(dtype=float))
    frame = remade(ccd, data=pixels - surface)
    set_card(frame.header, "BACKGRND", mean, f"[{ccd.unit}] sky that was subtracted, mean")
    follow_limits(frame.header, subtract=mean)
    add_history(
        frame.header, f"background subtracted: {mean:.6g} on average, cells of {background_mesh}"
    )
    if bmp_meta is not None:
        bmp_meta["sky_subtracted"] = mean * ccd.unit
    return frame


def subtract_fringe(
    ccd: CCDData,
    master_fringe: str | os.PathLike | CCDData | None = None,
    bmp_meta: dict[str, Any] | None = None,
    fringe_scale: float | None = None,
    **kwargs: Any,
) -> CCDData:
    r"""Subtract fringes: a fringe frame, scaled to this frame by a fit.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``, with its sky. It is not changed. Masked pixels do not
        count.
    master_fringe : path-like or `~astropy.nddata.CCDData`
        The pattern, ``(ny, nx)``: a combination of frames of the sky without stars, divided by the
        flat. Its own median is taken off before it is scaled, so that the sky's level stays.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``fringe_scale``, and ``fringe_scale_error``.
    fringe_scale : float, optional
        The factor of the pattern; by default fitted.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the fringes, float32; ``MFRNG`` and ``MFRNGSUM``, ``FRNGSCAL`` and
        ``FRNGSERR`` in its header say what was subtracted. An uncertainty that the frame has gets
        that of the pattern, if it has one, and that of the scale.

    Raises
    ------
    ValueError
        If there is no fringe frame, it does not fit, or it has no pattern.

    Notes
    -----
    The scale :math:`s` and a constant :math:`c` are those of the line :math:`x = c + s f` through
    all pixels (least squares, each with the same weight), of which those beyond 3 sigma from the
    line, the stars, are taken out until nothing more goes. The variance grows by
    :math:`s^2 V_f + f^2 V_s`.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_fringe
    >>> y, x = np.mgrid[:80, :80]
    >>> pattern = np.sin(0.2 * x + 0.1 * y)
    >>> sky = np.random.default_rng(1).normal(500 + 30 * pattern, 5)
    >>> ccd = subtract_fringe(CCDData(sky, unit="electron"), CCDData(pattern, unit=""))
    >>> print(round(ccd.header["FRNGSCAL"]), round(ccd.data.std()))
    30 5
    """
    required(master_fringe, "fringe frame", "master_fringe")
    master = open_fringe(master_fringe, ccd)
    flags = flags_of(ccd)
    pattern = master.ccd.data.astype(np.float32)
    good = good_in_both(ccd, np.isfinite(pattern), joined_flags(flags, master.flags), master.name)
    pattern = np.where(np.isfinite(pattern), pattern - np.median(pattern[good]), 0)
    scale, error = fringe_scale, 0.0
    if scale is None:
        scale, error = _fitted(ccd.data[good].astype(float), pattern[good].astype(float), master)
    variance = variance_of(ccd)
    if variance is not None:
        own = 0.0 if master.sigma is None else scale**2 * master.variance()
        variance = variance + own + (error * pattern) ** 2
        variance = StdDevUncertainty(np.sqrt(variance).astype(np.float32))
    data = (ccd.data - np.float32(scale) * pattern).astype(np.float32)
    frame = remade(ccd, data=data, uncertainty=variance)
    _record_fringe(frame.header, master, scale, error)
    if bmp_meta is not None:
        bmp_meta.update(fringe_scale=scale, fringe_scale_error=error)
    return frame


def _fitted(values: np.ndarray, pattern: np.ndarray, master: Master) -> tuple[float, float]:
    """Return the slope of values over a pattern, and its standard error."""
    kept = np.ones(values.size, bool)
    residual = values - clipped_background(values)[0]
    scale = error = 0.0
    for _ in range(_ROUNDS):
        center, sigma = clipped_background(residual[kept])
        now = kept & (np.abs(residual - center) <= _CLIP * sigma) if sigma > 0 else kept
        x = pattern[now] - pattern[now].mean()
        power = float(x @ x)
        if not power > 0:
            raise ValueError(f"{master.name} has no pattern: all of its good pixels are equal")
        scale = float(x @ values[now]) / power
        residual = values - scale * pattern
        error = float(np.std(residual[now])) / power**0.5
        if np.array_equal(now, kept):
            break
        kept = now
    return scale, error


def _record_fringe(header: fits.Header, master: Master, scale: float, error: float) -> None:
    """Write which pattern is subtracted, and how much of it."""
    set_card(header, "MFRNG", master.name, "fringe frame")
    set_card(header, "MFRNGSUM", master.checksum, "DATASUM of the fringe frame")
    set_card(header, "FRNGSCAL", scale, "factor of the fringe frame")
    set_card(header, "FRNGSERR", error, "its standard error")
    add_history(header, f"fringes subtracted: {master.name}, times {scale:.6g} +- {error:.2g}")

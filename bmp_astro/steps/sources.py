"""Count the sources in a frame, and measure how sharp and how round they are."""

import logging
from types import ModuleType
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import flags_of

logger = logging.getLogger(__name__)

_MESH = 64  # pixels of a cell of the background
_MIN_PIXELS = 5
_BRIGHT = 50.0  # signal to noise of the sources whose shape counts
_FEWEST = 5  # sources whose median tells a width
_SINGLE_PIXEL = 0.5  # of the light in one pixel: no telescope makes that, sharper than 1.2 pixels
_APERTURE = 6.0  # semi-major axes: wide enough for the light of a star


def find_sources(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    source_sigma: float = 5.0,
    **kwargs: Any,
) -> CCDData:
    """Count the sources, and write their width, their shape and the background into the metadata.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``. Masked pixels do not count.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``n_sources``; ``fwhm``, pixel, and ``ellipticity``, which is
        1 - b / a, the medians of bright sources that no edge or masked pixel cuts (absent if there
        are fewer than five); and, unless `image_statistics` wrote them before, ``background`` and
        ``background_sigma``, in the unit of the frame.
    source_sigma : float
        Significance above the background from which five or more pixels together are a source.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame as it is.

    Raises
    ------
    ImportError
        If ``sep`` is not installed: ``pip install "bmp_astro[sources]"``.

    Notes
    -----
    Sources are found as by SExtractor (Bertin & Arnouts 1996, A&AS 117, 393), with ``sep``. The
    full width at half maximum is twice the radius of half of the light, which it is for a Gaussian
    (for a Moffat profile of index 2.5 it is 1.36 times too large). What has half of its light in
    one pixel is a hot pixel or a cosmic ray, and does not count; longer tracks do, unless they are
    masked before: in a field of few stars `remove_cosmic_rays` should come first.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import find_sources
    >>> y, x = np.mgrid[:100, :100]
    >>> stars = 5000 * np.exp(-0.5 * ((x % 25 - 12.3) ** 2 + (y % 25 - 11.8) ** 2) / 1.5**2)
    >>> sky = np.random.default_rng(1).normal(100, 10, stars.shape)
    >>> meta = {}
    >>> _ = find_sources(CCDData(sky + stars, unit="electron"), bmp_meta=meta)
    >>> meta["n_sources"], meta["fwhm"].round(1)
    (16, <Quantity 3.6 pix>)
    """
    if bmp_meta is None:
        return ccd
    sep = sep_module("finding sources")
    pixels = np.array(ccd.data, dtype=np.float32, order="C")
    flags = flags_of(ccd)
    mask = ~np.isfinite(pixels) if flags is None else ~np.isfinite(pixels) | (flags != 0)
    if mask.all():
        return ccd
    pixels[mask] = 0
    background = sep.Background(pixels, mask=mask, bw=_MESH, bh=_MESH)
    bmp_meta.setdefault("background", float(background.globalback) * ccd.unit)
    bmp_meta.setdefault("background_sigma", float(background.globalrms) * ccd.unit)
    background.subfrom(pixels)
    try:
        found = sep.extract(
            pixels,
            source_sigma,
            err=max(float(background.globalrms), np.finfo(np.float32).tiny),
            mask=mask,
            minarea=_MIN_PIXELS,
        )
    except Exception as error:  # sep raises nothing narrower when its buffers are full
        logger.warning("the sources cannot be counted: %s", error)
        return ccd
    found = found[found["peak"] < _SINGLE_PIXEL * found["flux"]]
    bmp_meta["n_sources"] = len(found)
    bright = found[_is_well_measured(found, pixels.shape, background.globalrms)]
    if len(bright) >= _FEWEST:
        bmp_meta["fwhm"] = _fwhm(sep, pixels, mask, bright) * u.pix
        bmp_meta["ellipticity"] = float(np.median(1 - bright["b"] / bright["a"]))
    return ccd


def sep_module(purpose: str) -> ModuleType:
    """Return the module ``sep``, which is not always installed."""
    try:
        import sep
    except ImportError as error:
        raise ImportError(f'{purpose} needs sep: pip install "bmp_astro[sources]"') from error
    return sep


def _is_well_measured(found: np.ndarray, shape: tuple[int, int], rms: float) -> np.ndarray:
    """Tell which sources are bright, whole, and apart from others."""
    noise = rms * np.sqrt(found["npix"])
    reach = 3 * found["a"]
    inside = (found["x"] > reach) & (found["x"] < shape[1] - 1 - reach)
    inside &= (found["y"] > reach) & (found["y"] < shape[0] - 1 - reach)
    return inside & (found["flag"] == 0) & (found["flux"] > _BRIGHT * noise) & (found["b"] > 0)


def _fwhm(sep: Any, pixels: np.ndarray, mask: np.ndarray, sources: np.ndarray) -> float:
    """Return the median of twice the radius of half of the light."""
    radius, flag = sep.flux_radius(
        pixels, sources["x"], sources["y"], _APERTURE * sources["a"], 0.5, mask=mask, subpix=5
    )
    good = (flag & sep.APER_ALLMASKED) == 0
    return float(2 * np.median(radius[good] if good.any() else radius))

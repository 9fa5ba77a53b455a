"""Find cosmic rays, and replace them if asked to."""

import math
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import Keyword, MaskBit, add_history, color_planes, flags_of
from .facts import find_gain, find_read_noise, find_saturation, required
from .image import joined_flags, remade


def remove_cosmic_rays(
    ccd: CCDData,
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    saturation: u.Quantity | float | None = None,
    cosmicray_sigma: float = 4.5,
    cosmicray_replace: bool = False,
    instrument: Any = None,
    bmp_meta: dict[str, Any] | None = None,
    **kwargs: Any,
) -> CCDData:
    """Mask cosmic rays by their sharp edges.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu or electron, ``(ny, nx)``, with its sky. It is not changed. Masked pixels
        are neither searched nor used.
    gain : `~astropy.units.Quantity` or float, optional
        Electron per adu, for a frame in adu; by default the header's.
    read_noise : `~astropy.units.Quantity` or float, optional
        Electron (or a quantity in adu); by default the header's.
    saturation : `~astropy.units.Quantity` or float, optional
        Level of saturation, adu; stars that reach it are left alone. By default the header's;
        where it is unknown, every star is taken for unsaturated.
    cosmicray_sigma : float
        Significance from which a pixel is a cosmic ray.
    cosmicray_replace : bool
        Put a local mean in the place of the pixels that are found. They are masked either way.
    instrument : Instrument or str, optional
        Knows gain, read noise and saturation; by default chosen by the header.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``cosmicray_fraction``, of all pixels.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame with `MaskBit.COSMIC_RAY` set.

    Raises
    ------
    ValueError
        If gain or read noise is unknown, or the frame is a color mosaic, whose pattern would be
        taken for cosmic rays.

    Notes
    -----
    L.A.Cosmic (van Dokkum 2001, PASP 113, 1420) as implemented by astroscrappy.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import remove_cosmic_rays
    >>> sky = np.random.default_rng(1).normal(100, 11, (50, 50))
    >>> sky[20, 30] += 2000
    >>> ccd = remove_cosmic_rays(CCDData(sky, unit="electron"), read_noise=5.0)
    >>> np.argwhere(ccd.mask)
    array([[20, 30]])
    """
    colors = color_planes(ccd.header, instrument)
    if colors:
        raise ValueError(
            f"the frame is a color mosaic ({''.join(color[0] for color in colors)}), whose pattern "
            "looks like cosmic rays: search each of its color planes"
        )
    gain = required(find_gain(ccd, gain, instrument), "gain", "gain")
    noise, _ = find_read_noise(ccd, read_noise, gain, instrument)
    noise = required(noise, "read noise", "read_noise")
    limit = _saturation_in_electron(ccd, saturation, gain, instrument)
    flags = flags_of(ccd)
    electrons, ignored = _searchable(ccd.data, gain, flags)
    found, cleaned = _detect(electrons, ignored, float(np.mean(noise)), limit, cosmicray_sigma)
    data = ccd.data
    if cosmicray_replace:
        data = data.astype(np.result_type(data.dtype, np.float32))  # always a copy
        data[found] = (cleaned / gain)[found]
    bits = found * np.uint8(MaskBit.COSMIC_RAY)
    frame = remade(ccd, data=data, flags=joined_flags(flags, bits))
    add_history(
        frame.header,
        f"cosmic rays: {np.count_nonzero(found)} pixels masked, from {cosmicray_sigma:g} sigma"
        f"{', and replaced' if cosmicray_replace else ''}",
    )
    if bmp_meta is not None:
        bmp_meta["cosmicray_fraction"] = float(found.mean())
    return frame


def _saturation_in_electron(ccd: CCDData, saturation: Any, gain: Any, instrument: Any) -> float:
    """Return the level of saturation, which is infinite where nobody knows it."""
    if isinstance(saturation, u.Quantity) and saturation.unit == u.electron:
        return float(saturation.value)
    if saturation is None and ccd.unit == u.electron:
        level = Keyword("SATURATE", "SATLEVEL", kind=float).read(ccd.header)  # follows the pixels
    else:
        level, _ = find_saturation(ccd, saturation, instrument)
        if ccd.unit == u.electron:
            gain = float(ccd.header.get("RAWGAIN", 1.0))
    return math.inf if level is None else float(np.min(level * gain))


def _searchable(
    pixels: np.ndarray, gain: Any, flags: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels in electron, finite, and where they are to be ignored."""
    electrons = (pixels * gain).astype(np.float32)
    ignored = ~np.isfinite(electrons)
    if ignored.any():
        electrons[ignored] = 0
    if flags is not None:
        ignored |= flags != 0
    return electrons, ignored


def _detect(
    electrons: np.ndarray, ignored: np.ndarray, read_noise: float, limit: float, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return where cosmic rays are, and the pixels without them, in electron."""
    from astroscrappy import detect_cosmics

    return detect_cosmics(
        electrons,
        inmask=ignored,
        sigclip=sigma,
        gain=1.0,
        readnoise=read_noise,
        satlevel=min(limit, float(np.finfo(np.float32).max)),
        verbose=False,
    )

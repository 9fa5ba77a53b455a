"""The uncertainty of each pixel, from the noise of photons and of the readout."""

import os
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData, StdDevUncertainty

from ..kernels.calibrate import calibrate as run_kernel
from .facts import find_excess_noise, find_gain, find_read_noise, level_variance, required
from .image import remade
from .joint import variance_terms
from .master import open_master
from .provenance import record_excess_noise, record_uncertainty


def create_uncertainty(
    ccd: CCDData,
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    master_bias: str | os.PathLike | CCDData | None = None,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    r"""Make the uncertainty of a frame from its own signal: after the bias, before the dark.

    Its square is :math:`f \max(S, 0) / g + R^2 / g^2 + V_{os} + V_B`, of the signal :math:`S`, the
    gain :math:`g`, the read noise :math:`R`, and the variances of overscan level and master bias.
    The factor :math:`f` is 1, or the ``excess_noise`` of an instrument that multiplies electrons.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu (or electron), ``(ny, nx)``. It is not changed; an uncertainty that it has
        is replaced.
    gain : `~astropy.units.Quantity` or float, optional
        Electron per adu; by default the header's.
    read_noise : `~astropy.units.Quantity` or float, optional
        Electron (or a quantity in adu); by default the header's, or the one that was measured on
        the frames of the master bias.
    master_bias : path-like or `~astropy.nddata.CCDData`, optional
        The bias that was subtracted: its variance is added.
    instrument : Instrument or str, optional
        Knows gain and read noise; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame with a `~astropy.nddata.StdDevUncertainty`, float32. ``RDNSRC`` in the header
        says where the read noise comes from.

    Raises
    ------
    ValueError
        If gain or read noise is unknown.

    Notes
    -----
    See Howell (2006), *Handbook of CCD Astronomy*, section 4.4.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import create_uncertainty
    >>> ccd = create_uncertainty(CCDData([[0.0, 75.0]], unit="adu"), gain=1.0, read_noise=5.0)
    >>> ccd.uncertainty.array
    array([[ 5., 10.]], dtype=float32)
    """
    bias = None if master_bias is None else open_master(master_bias, "bias", ccd)
    frame = remade(ccd)
    gain = required(find_gain(ccd, gain, instrument), "gain", "gain")
    noise, source = find_read_noise(ccd, read_noise, gain, instrument, bias)
    noise = required(noise, "read noise", "read_noise")
    record_uncertainty(frame.header, gain, noise, source)
    terms = noise_terms(frame.header, gain, noise, instrument) | variance_terms(bias)
    terms |= {"level_variance": level_variance(ccd), "apply_gain": False}
    made = run_kernel(ccd.data, **terms, deviation=True)
    return remade(frame, uncertainty=StdDevUncertainty(made.variance, copy=False))


def noise_terms(header: Any, gain: Any, read_noise: Any, instrument: Any) -> dict[str, Any]:
    """Return gain and read noise for the kernel's noise, with the excess noise of the camera.

    Photons of f times the variance are those of a camera with 1 / f of the gain, and of the read
    noise: the noise of the readout then stays what it is in adu.
    """
    factor = find_excess_noise(header, instrument)
    if factor == 1:
        return {"gain": gain, "read_noise": read_noise}
    record_excess_noise(header, factor)
    return {"gain": gain / factor, "read_noise": read_noise / factor}

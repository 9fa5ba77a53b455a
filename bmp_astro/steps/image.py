"""A CCDData made anew from another: what every step works on, and what it returns."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty

from ..fits import MaskBit, flags_of, with_flags
from ..fits.cards import as_header
from ..kernels.calibrate import Bits
from ..kernels.calibrate import calibrate as run_kernel

BITS = Bits(
    saturated=int(MaskBit.SATURATED),
    low_flat=int(MaskBit.LOW_FLAT),
    no_data=int(MaskBit.NO_DATA),
)


def remade(ccd: CCDData, **changes: Any) -> CCDData:
    """Return a new image with a header of its own; what is not named in `changes` is shared.

    These are ``data``, ``uncertainty``, ``flags``, ``unit`` and ``wcs``.
    """
    header = ccd.header
    image = CCDData(
        changes.get("data", ccd.data),
        uncertainty=changes.get("uncertainty", ccd.uncertainty),
        unit=changes.get("unit", ccd.unit),
        wcs=changes.get("wcs", ccd.wcs),
        meta=header.copy() if isinstance(header, fits.Header) else as_header(header),
        psf=ccd.psf,
    )
    return with_flags(image, changes["flags"] if "flags" in changes else flags_of(ccd))


def run(
    frame: CCDData,
    *parts: dict[str, Any],
    unit: u.UnitBase | None = None,
    always_flags: bool = False,
) -> CCDData:
    """Return `frame` after the kernel with the terms of all parts; its uncertainty is propagated.

    The ``flags`` of the parts join those of the frame. Where there are none, and none are set,
    the result has none, unless it is always to have flags.
    """
    terms: dict[str, Any] = {}
    for part in parts:
        terms |= part
    flags = [flags_of(frame), *(part.get("flags") for part in parts)]
    flags = [plane for plane in flags if plane is not None]
    terms |= {"flags": flags, "variance": variance_of(frame), "bits": BITS}
    result = run_kernel(frame.data, **terms, deviation=True)
    sigma = result.variance
    nothing = not flags and not always_flags and not result.flags.any()
    return remade(
        frame,
        data=result.data,
        uncertainty=None if sigma is None else StdDevUncertainty(sigma, copy=False),
        flags=None if nothing else result.flags,
        unit=frame.unit if unit is None else unit,
    )


def variance_of(ccd: CCDData) -> np.ndarray | None:
    """Return the variance of an image in its unit squared, whichever kind of uncertainty it has."""
    uncertainty = ccd.uncertainty
    if uncertainty is None:
        return None
    if isinstance(uncertainty, UnknownUncertainty):
        raise ValueError(
            "the image has an uncertainty of unknown kind: expected a StdDevUncertainty"
        )
    if isinstance(uncertainty, StdDevUncertainty) and uncertainty.unit == ccd.unit:
        return np.square(uncertainty.array)  # what follows takes three copies for it
    variance = uncertainty.represent_as(VarianceUncertainty)
    if variance.unit is None or variance.unit == ccd.unit**2:
        return variance.array
    return (variance.array * variance.unit).to_value(ccd.unit**2)


def sigma_of(ccd: CCDData) -> np.ndarray | None:
    """Return the standard deviation of an image in its unit: its own array where that is one."""
    uncertainty = ccd.uncertainty
    if isinstance(uncertainty, StdDevUncertainty) and uncertainty.unit == ccd.unit:
        return uncertainty.array
    variance = variance_of(ccd)
    return None if variance is None else np.sqrt(variance)


def joined_flags(*planes: np.ndarray | None) -> np.ndarray | None:
    """Return the bits of all planes together; None where there is no plane at all."""
    joined = None
    for plane in planes:
        if joined is None:
            joined = plane
        elif plane is not None and _has_bits(plane):  # most planes of masters have none
            joined = joined | plane
    return joined


def _has_bits(plane: np.ndarray) -> bool:
    """Tell whether any bit is set; a plane that is one byte everywhere is known by that."""
    return bool((plane[:1, :1] if plane.strides == (0, 0) else plane).any())

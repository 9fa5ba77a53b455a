"""Single precision."""

from typing import Any

import numpy as np
from astropy.nddata import CCDData

from .image import remade


def as_single(ccd: CCDData, **kwargs: Any) -> CCDData:
    """Turn float64 pixels and uncertainty into float32; integers stay.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``. It is not changed.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame in half the memory, in the byte order of the machine.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import as_single
    >>> as_single(CCDData([[1.0, 2.0]], unit="adu")).data.dtype
    dtype('float32')
    """
    uncertainty = ccd.uncertainty
    if uncertainty is not None:
        uncertainty = type(uncertainty)(
            _single(uncertainty.array), unit=uncertainty.unit, copy=False
        )
    return remade(ccd, data=_single(ccd.data), uncertainty=uncertainty)


def _single(values: np.ndarray) -> np.ndarray:
    """Return native float32 for floats, and others as they are."""
    return values.astype(np.float32) if values.dtype.kind == "f" else values

"""From adu to electron."""

from typing import Any

import astropy.units as u
from astropy.nddata import CCDData

from .facts import find_gain, required
from .image import remade, run
from .provenance import record_gain


def correct_gain(
    ccd: CCDData,
    gain: u.Quantity | float | None = None,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Multiply by the gain.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu, ``(ny, nx)``. It is not changed.
    gain : `~astropy.units.Quantity` or float, optional
        Electron per adu, for the frame or for each pixel; by default the header's.
    instrument : Instrument or str, optional
        Knows the gain; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame in electron, float32. In its header the gain is 1, ``RAWGAIN`` the one applied;
        read noise and saturation are in electron.

    Raises
    ------
    ValueError
        If the gain is unknown, or the frame is not in adu.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import correct_gain
    >>> correct_gain(CCDData([[10.0, 20.0]], unit="adu"), gain=1.5)
    CCDData([[15., 30.]], dtype=float32, unit='electron')
    """
    if ccd.unit != u.adu:
        raise ValueError(f"the frame is in {ccd.unit} but a gain applies to adu")
    frame = remade(ccd)
    gain = required(find_gain(ccd, gain, instrument), "gain", "gain")
    return run(frame, gain_terms(frame, gain, instrument), unit=u.electron)


def gain_terms(frame: CCDData, gain: Any, instrument: Any) -> dict[str, Any]:
    """Return the kernel's term of a gain, and write it into the header of a frame in adu."""
    if frame.unit == u.adu:
        record_gain(frame.header, gain, instrument)
    return {"gain": gain}

"""What an observer should look at in a frame."""

from collections.abc import Mapping
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData

from ..fits import Instrument, find_instrument
from ..fits.text import joined
from .facts import how_to_give


def raise_alarms(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    max_temperature_offset: u.Quantity | float = 1.0,
    max_negative_fraction: float = 0.6,
    max_saturation_error: float = 0.05,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Write into the metadata what is suspicious about a calibrated frame.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``.
    bmp_meta : dict, optional
        The frame's metadata. Where there is something to say, it joins the text in ``alarms``. If
        `image_statistics` was there before, its ``negative_fraction`` is looked at.
    max_temperature_offset : `~astropy.units.Quantity` or float
        K; an alarm when the detector is farther from the temperature that was set.
    max_negative_fraction : float
        An alarm when a larger fraction of the pixels is negative. Without any sky it is a half; a
        level that is too low by a quarter of the noise makes it 0.6.
    max_saturation_error : float
        An alarm when raw pixels stopped lower than the level from which they are masked as
        saturated, by more than this fraction of it. `calibrate` looks for such a plateau.
    instrument : Instrument or str, optional
        Knows the temperatures; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame as it is.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import raise_alarms
    >>> meta = {"negative_fraction": 0.9}
    >>> _ = raise_alarms(CCDData([[-1.0]], unit="adu"), bmp_meta=meta)
    >>> meta["alarms"]
    '90 % of the pixels are negative (limit 60 %): was too much subtracted?'
    """
    if bmp_meta is None:
        return ccd
    camera = find_instrument(instrument, ccd.header)
    texts = [bmp_meta.get("alarms", "")]
    texts += temperature_alarm(camera, ccd.header, max_temperature_offset)
    negative = bmp_meta.get("negative_fraction", 0.0)
    if negative > max_negative_fraction:
        texts.append(
            f"{100 * negative:.0f} % of the pixels are negative "
            f"(limit {100 * max_negative_fraction:g} %): was too much subtracted?"
        )
    texts += _saturation_alarm(ccd.header, max_saturation_error)
    if any(texts):
        bmp_meta["alarms"] = joined(*texts)
    return ccd


def _saturation_alarm(header: Mapping[str, Any], limit: float) -> list[str]:
    """Return an alarm where raw pixels stopped below the level of saturation, else nothing."""
    if "SATMEAS" not in header:
        return []
    level, error, believed = (float(header[name]) for name in ("SATMEAS", "SATMERR", "SATRAW"))
    if level + error >= believed * (1 - limit):
        return []
    return [saturation_text(level, believed)]


def saturation_text(level: float, believed: float) -> str:
    """Return an alarm: raw pixels stop at one level, adu, and not at the one that was believed."""
    return f"pixels stop at {level:.0f} adu, not at {believed:.0f}: {how_to_give('saturation')}"


def temperature_alarm(
    camera: Instrument, header: Mapping[str, Any], limit: u.Quantity | float
) -> list[str]:
    """Return an alarm where the detector was not as cold or warm as it was set to, else nothing."""
    actual = camera.value("temperature", header)
    wanted = camera.value("set_temperature", header)
    kelvin = u.Quantity(limit, u.K).value
    if actual is None or wanted is None or abs(actual.value - wanted.value) <= kelvin:
        return []
    return [
        f"the detector was at {actual.value:.1f} deg_C, {actual.value - wanted.value:+.1f} K from "
        f"the {wanted.value:g} deg_C that were set (limit {kelvin:g} K)"
    ]

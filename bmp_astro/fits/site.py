"""Where a telescope stands, by its header."""

import math
from collections.abc import Mapping
from typing import Any

import astropy.units as u
from astropy.coordinates import Angle

from .keywords import Keyword

LONGITUDE = Keyword("SITELONG", "LONG-OBS", "OBSGEO-L", "LONGITUD", "GEOLON", "OBSLONG")
LATITUDE = Keyword("SITELAT", "LAT-OBS", "OBSGEO-B", "LATITUDE", "GEOLAT", "OBSLAT")
HEIGHT = Keyword("SITEELEV", "ALT-OBS", "OBSGEO-H", "HEIGHT", "GEOELEV", kind=float)


def longitude_of(header: Mapping[str, Any]) -> float | None:
    """Longitude of the site.

    Parameters
    ----------
    header : `~astropy.io.fits.Header` or mapping
        With ``SITELONG`` or its like, a number or sexagesimal text, positive to the east.

    Returns
    -------
    float or None
        Degrees; None where the header does not say.

    Examples
    --------
    >>> from bmp_astro.fits.site import longitude_of
    >>> round(longitude_of({"SITELONG": "-111 35 48"}), 3)
    -111.597
    """
    angle = angle_of(LONGITUDE.read(header), u.deg)
    return None if angle is None else float(angle.deg)


def angle_of(said: Any, unit: u.UnitBase) -> Angle | None:
    """Return an angle that a card gives as a number or as text, None where it gives none."""
    if said is None or isinstance(said, bool):
        return None
    try:
        angle = Angle(said, unit=unit)
    except (ValueError, u.UnitsError):
        return None
    return angle if math.isfinite(angle.rad) else None

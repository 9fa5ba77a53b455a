"""The unit of an image in its header."""

from functools import cache

import astropy.units as u

_ADU = ("adu", "adus", "dn", "du", "du/pixel", "count", "counts", "ct", "cts", "electron_counts")
_ELECTRON = ("electron", "electrons", "e", "e-", "el", "photoelectron", "photoelectrons")
_SPELLINGS = {
    **dict.fromkeys(_ADU, u.adu),
    **dict.fromkeys(_ELECTRON, u.electron),
    "1": u.dimensionless_unscaled,
}


def parse_unit(text: object) -> u.UnitBase | None:
    """Unit that BUNIT means, or None when it means none.

    Parameters
    ----------
    text : str or anything
        The card's value. Cameras write counts, DN and DU for adu.

    Returns
    -------
    `~astropy.units.UnitBase` or None
        None for a missing, empty or unknown unit.
    """
    if not isinstance(text, str) or not text.strip():
        return u.dimensionless_unscaled if text == 1 and not isinstance(text, bool) else None
    text = text.strip()
    known = _SPELLINGS.get(text.lower())
    if known is not None:
        return known
    try:
        unit = u.Unit(text)
    except (ValueError, TypeError):
        return None
    return unit if isinstance(unit, u.UnitBase) else None


@cache  # where a unit is none of the standard's, astropy looks long for one with a similar name
def format_unit(unit: u.UnitBase | None) -> str | None:
    """Text for BUNIT that reads back as the same unit; '1' without dimension."""
    if unit is None:
        return None
    if unit == u.dimensionless_unscaled:
        return "1"
    try:
        return unit.to_string(format="fits")
    except ValueError:
        return unit.to_string()

"""The value of one header card: present or not, meaningful or not, a number with a unit or not."""

import math
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import astropy.units as u
from astropy.io.fits import VerifyError

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)\s*(.*?)\s*", re.DOTALL)
_NOTHING = (
    ("", "none", "unknown", "undefined", "unspecified", "unset", "indef", "null", "nil", "nan"),
    ("n/a", "na", "n/a, n/a", "-", "--", "?", "notpresent", "not present", "not available"),
    ("not implemented", "hh:mm:ss.ss", "hh:mm:ss", "dd:mm:ss.ss", "dd:mm:ss", "yyyy-mm-dd"),
)
_PLACEHOLDERS = frozenset(word for words in _NOTHING for word in words)
_UNITS = {
    **dict.fromkeys(("c", "degc", "deg c", "deg_c", "celsius"), u.deg_C),
    **dict.fromkeys(("k", "degk", "kelvin"), u.K),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), u.s),
    **dict.fromkeys(("ms", "msec", "millisec", "milliseconds"), u.ms),
    **dict.fromkeys(("e", "e-", "el", "electron", "electrons"), u.electron),
    **dict.fromkeys(("adu", "dn", "counts"), u.adu),
    **dict.fromkeys(("e/adu", "e-/adu", "electron/adu", "electrons/adu"), u.electron / u.adu),
}
# What a comment says of the unit, for the quantities whose unit varies between cameras.
_COMMENTS = {
    u.deg_C: (re.compile(r"\[K\]|kelvin", re.IGNORECASE), u.K),
    u.s: (re.compile(r"\[ms\]|\bms\b|\bmsec\b|milli-?sec", re.IGNORECASE), u.ms),
}
_COLDEST_ROOM = 100  # a detector above this many degrees can only be in kelvin


def card_value(header: Mapping[str, Any], name: str) -> Any:
    """Value of a card, or None where it is missing, undefined or cannot be parsed."""
    if name not in header:
        return None
    try:
        value = header[name]
    except (KeyError, ValueError, VerifyError):
        return None
    return value if isinstance(value, str | bool | int | float) else None


def meaningful(value: Any, empty: Iterable[str] = ()) -> Any:
    """Return the value without padding; None for a placeholder.

    The words in `empty` are in lower case and without blanks, and may have wildcards.
    """
    if isinstance(value, str):
        value = " ".join(value.split())
        word = value.lower()
        if word in _PLACEHOLDERS:
            return None
        word = word.replace(" ", "")
        if word in empty or any("*" in each and fnmatchcase(word, each) for each in empty):
            return None
    elif isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number_of(value: Any) -> tuple[float | None, str]:
    """Return the number and the unit's text of a card's value."""
    if isinstance(value, bool):
        return None, ""
    if isinstance(value, int | float):
        return float(value), ""
    match = _NUMBER.fullmatch(str(value))
    if match is None:
        return None, ""
    number = float(match[1].replace("D", "e").replace("d", "e"))
    return (number, match[2]) if math.isfinite(number) else (None, "")


def part_of(value: Any, index: int) -> Any:
    """Return one part of '2 2', '1x1' or '1,1'; a lone value serves for all parts."""
    if not isinstance(value, str):
        return value
    parts = [part for part in re.split(r"[\s,xX*:]+", value.strip("()[] ")) if part]
    if not parts:
        return None
    return parts[index] if index < len(parts) else parts[-1]


def unit_of(
    number: float, text: str, wanted: u.UnitBase, header: Mapping[str, Any], name: str
) -> u.UnitBase | None:
    """Unit that a card's number has; None where its text names one that does not fit.

    Parameters
    ----------
    number : float
        The number.
    text : str
        What stands behind it in the card, such as ``"C"``.
    wanted : `~astropy.units.UnitBase`
        The unit if nothing speaks against it.
    header, name : mapping, str
        Header and card, for the comment.

    Returns
    -------
    `~astropy.units.UnitBase` or None
        In which `number` is.
    """
    if text:
        unit = _UNITS.get(text.lower())
        fits = unit is not None and unit.is_equivalent(wanted, equivalencies=u.temperature())
        return unit if fits else None
    if wanted not in _COMMENTS:
        return wanted
    words, other = _COMMENTS[wanted]
    is_hot = other is u.K and number > _COLDEST_ROOM
    return other if is_hot or words.search(_comment(header, name)) else wanted


def _comment(header: Mapping[str, Any], name: str) -> str:
    """Comment of a card; a plain mapping has none."""
    comments = getattr(header, "comments", None)
    return "" if comments is None else str(comments[name])

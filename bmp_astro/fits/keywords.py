"""Header cards read as typed values: missing, malformed and placeholder ones become None."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
_WORDS = {"t": True, "true": True, "yes": True, "f": False, "false": False, "no": False}
_UNITS = {
    **dict.fromkeys(("c", "degc", "deg c", "deg_c", "celsius"), u.deg_C),
    **dict.fromkeys(("k", "degk", "kelvin"), u.K),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), u.s),
    **dict.fromkeys(("ms", "msec", "millisec", "milliseconds"), u.ms),
    **dict.fromkeys(("e", "e-", "el", "electron", "electrons"), u.electron),
    **dict.fromkeys(("adu", "dn", "counts"), u.adu),
    **dict.fromkeys(("e/adu", "e-/adu", "electron/adu", "electrons/adu"), u.electron / u.adu),
}
_KELVIN_COMMENT = re.compile(r"\[K\]|kelvin", re.IGNORECASE)
_COLDEST_ROOM = 100  # a detector above this many degrees can only be in kelvin
_SANE = {"AIRMASS": (1.0, 40.0)}


@dataclass(frozen=True, init=False)
class Keyword:
    """Where a fact is kept in a header, and what it is.

    Parameters
    ----------
    *names : str
        Header keywords in order: the first one that is present and meaningful wins.
    unit : str or `~astropy.units.Unit`, optional
        Unit of the number in the header; the value is then a `~astropy.units.Quantity`. A
        unit written in the card itself (``'11 C'``, ``'250 ms'``) is converted to this one.
        With ``u.deg_C``, a number above 100 or a comment that says so means kelvin.
    kind : type, optional
        `str`, `float`, `int` or `bool`; None takes the value as the card has it, or a number
        when a unit is given.
    valid : tuple of float, optional
        Smallest and largest sensible number; others count as missing.
    empty : iterable of str, optional
        More words that mean "nothing here", such as ``"air"`` for a filter wheel.
    part : int, optional
        Take this part of a text such as ``'2 2'`` or ``'1x1'``, counted from 0.
    join : bool, optional
        Join all meaningful values with ``"+"``, instead of taking the first: two filter
        wheels are one filter.
    beside : str, optional
        Believe the card only if this other card is there too.
    unless : iterable of str, optional
        Believe the card only if none of these cards is there.

    Examples
    --------
    >>> from bmp_astro.fits import Keyword
    >>> Keyword("EXPTIME", "EXPOSURE", unit="s").read({"EXPTIME": "40      "})
    <Quantity 40. s>
    >>> Keyword("CCD-TEMP", unit="deg_C").read({"CCD-TEMP": 180.2})
    <Quantity -92.95 deg_C>
    >>> Keyword("OBJECT").read({"OBJECT": "None"}) is None
    True
    """

    names: tuple[str, ...]
    unit: u.UnitBase | None
    kind: type | None
    valid: tuple[float, float] | None
    empty: tuple[str, ...]
    part: int | None
    join: bool
    beside: str | None
    unless: tuple[str, ...]

    def __init__(
        self,
        *names: str,
        unit: str | u.UnitBase | None = None,
        kind: type | None = None,
        valid: tuple[float, float] | None = None,
        empty: Iterable[str] = (),
        part: int | None = None,
        join: bool = False,
        beside: str | None = None,
        unless: Iterable[str] = (),
    ) -> None:
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError("a Keyword needs the name of at least one header card")
        if kind not in (None, str, float, int, bool):
            raise TypeError(f"kind is {kind!r} but must be str, float, int, bool or None")
        values = {
            "names": names,
            "unit": None if unit is None else u.Unit(unit),
            "kind": kind,
            "valid": None if valid is None else tuple(valid),
            "empty": tuple("".join(word.lower().split()) for word in empty),
            "part": part,
            "join": join,
            "beside": beside,
            "unless": tuple(unless),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def read(self, header: Mapping[str, Any]) -> Any:
        """Value of the fact.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look.

        Returns
        -------
        `~astropy.units.Quantity`, float, int, bool, str or None
            None when no card has a meaningful value.
        """
        return self.find(header)[0]

    def find(self, header: Mapping[str, Any]) -> tuple[Any, str | None]:
        """Value of the fact and the card that said so.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look.

        Returns
        -------
        value : `~astropy.units.Quantity`, float, int, bool, str or None
            As from `read`.
        name : str or None
            The keyword it came from.
        """
        if (self.beside is not None and self.beside not in header) or any(
            name in header for name in self.unless
        ):
            return None, None
        found = ((self._value(header, name), name) for name in self.names)
        found = ((value, name) for value, name in found if value is not None)
        if not self.join:
            return next(found, (None, None))
        values, names = [], []
        for value, name in found:
            values.append(str(value))
            names.append(name)
        return ("+".join(values), names[0]) if values else (None, None)

    def _value(self, header: Mapping[str, Any], name: str) -> Any:
        """Typed value of one card, or None."""
        value = meaningful(card_value(header, name), self.empty)
        if value is None:
            return None
        if self.part is not None:
            value = _part(value, self.part)
        wants_number = self.unit is not None or self.kind in (float, int)
        if not wants_number:
            return self._plain(value)
        number, unit = _number(value)
        if number is None or not self._is_sane(name, number):
            return None
        if self.unit is not None:
            return self._quantity(number, unit, header, name)
        return round(number) if self.kind is int else number

    def _plain(self, value: Any) -> Any:
        """Text, truth value, or what the card has."""
        if self.kind is bool and not isinstance(value, bool):
            return _WORDS.get(str(value).lower())
        return str(value) if self.kind is str else value

    def _is_sane(self, name: str, number: float) -> bool:
        """Tell a measured number from a placeholder."""
        low, high = self.valid if self.valid is not None else _SANE.get(name, (None, None))
        return low is None or low <= number <= high

    def _quantity(
        self, number: float, unit_text: str, header: Mapping[str, Any], name: str
    ) -> u.Quantity | None:
        """Quantity in the keyword's unit, from what the card says about its own."""
        unit = _UNITS.get(unit_text.lower()) if unit_text else self.unit
        if unit is None:
            return None
        if self.unit != u.deg_C:
            return (number * unit).to(self.unit) if unit.is_equivalent(self.unit) else None
        if number > _COLDEST_ROOM or _KELVIN_COMMENT.search(_comment(header, name)):
            unit = u.K
        return u.Quantity(number, unit).to(u.deg_C, equivalencies=u.temperature())


def card_value(header: Mapping[str, Any], name: str) -> Any:
    """Value of a card, or None where it is missing, undefined or cannot be parsed."""
    try:
        value = header[name]
    except (KeyError, ValueError, VerifyError):
        return None
    return value if isinstance(value, str | bool | int | float) else None


def meaningful(value: Any, empty: Iterable[str] = ()) -> Any:
    """Return the value without padding; None for a placeholder.

    The words in `empty` are in lower case and without blanks.
    """
    if isinstance(value, str):
        value = " ".join(value.split())
        word = value.lower()
        if word in _PLACEHOLDERS or word.replace(" ", "") in empty:
            return None
    elif isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: Any) -> tuple[float | None, str]:
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


def _part(value: Any, index: int) -> Any:
    """Return one part of '2 2', '1x1' or '1,1'; a lone value serves for all parts."""
    if not isinstance(value, str):
        return value
    parts = [part for part in re.split(r"[\s,xX*:]+", value.strip("()[] ")) if part]
    if not parts:
        return None
    return parts[index] if index < len(parts) else parts[-1]


def _comment(header: Mapping[str, Any], name: str) -> str:
    """Comment of a card; a plain mapping has none."""
    comments = getattr(header, "comments", None)
    return "" if comments is None else str(comments[name])

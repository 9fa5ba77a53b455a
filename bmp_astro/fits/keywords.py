"""Header cards read as typed values: missing, malformed and placeholder ones become None."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import astropy.units as u

from .cardvalues import card_value, meaningful, number_of, part_of, unit_of

_WORDS = {"t": True, "true": True, "yes": True, "f": False, "false": False, "no": False}
_SANE = {"AIRMASS": (1.0, 40.0)}
_ABSOLUTE_ZERO = -273.15  # deg C; who writes it had no thermometer


class Reading(NamedTuple):
    """What one card comes to.

    Attributes
    ----------
    card : str
        The keyword.
    said : str, bool, int or float
        The value in the header.
    value : `~astropy.units.Quantity`, float, int, bool, str or None
        What it means; None if it is not believed.
    note : str
        Why it is not believed, or how it was read; ``""`` when there is nothing to tell.
    """

    card: str
    said: Any
    value: Any
    note: str


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
        With ``u.deg_C``, a number above 100 or a comment that says so means kelvin; with
        ``u.s``, a comment may say milliseconds.
    kind : type, optional
        `str`, `float`, `int` or `bool`; None takes the value as the card has it, or a number
        when a unit is given.
    valid : tuple of float, optional
        Smallest and largest sensible number; others count as missing.
    empty : iterable of str, optional
        More words that mean "nothing here", such as ``"air"`` for a filter wheel; they may
        have wildcards (``"open*"``).
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

    OPTIONS: ClassVar = ("unit", "kind", "valid", "empty", "part", "join", "beside", "unless")

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
            The keyword it came from; with `join`, all of them: ``"FILTER1+FILTER2"``.
        """
        found = (each for each in self.readings(header) if each.value is not None)
        if not self.join:
            first = next(found, None)
            return (None, None) if first is None else (first.value, first.card)
        wheels = list(found)
        if not wheels:
            return None, None
        return "+".join(str(each.value) for each in wheels), "+".join(each.card for each in wheels)

    def readings(self, header: Mapping[str, Any]) -> Iterator[Reading]:
        """Tell what each of the cards comes to, in their order.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look.

        Yields
        ------
        Reading
            One for each card that the header has.
        """
        if self.beside is not None and self.beside not in header:
            return
        against = next((name for name in self.unless if name in header), None)
        for name in self.names:
            said = card_value(header, name)
            if said is None:
                continue
            if against is not None:
                yield Reading(name, said, None, f"it means something else, as {against} is there")
            else:
                yield Reading(name, said, *self._interpret(said, header, name))

    def _interpret(self, said: Any, header: Mapping[str, Any], name: str) -> tuple[Any, str]:
        """Typed value of one card, or None, and what there is to tell of it."""
        value = meaningful(said, self.empty)
        if value is None:
            return None, ""
        if self.part is not None:
            value = part_of(value, self.part)
        if self.unit is None and self.kind not in (float, int):
            return self._plain(value), ""
        number, unit_text = number_of(value)
        if number is None:
            return None, "it is not a number"
        low, high = self.valid if self.valid is not None else _SANE.get(name, (None, None))
        if low is not None and not low <= number <= high:
            return None, f"it is not within {low:g} and {high:g}"
        if self.unit is not None:
            return self._quantity(number, unit_text, header, name)
        return (round(number) if self.kind is int else number), ""

    def _plain(self, value: Any) -> Any:
        """Text, truth value, or what the card has."""
        if self.kind is bool and not isinstance(value, bool):
            return _WORDS.get(str(value).lower())
        return str(value) if self.kind is str else value

    def _quantity(
        self, number: float, unit_text: str, header: Mapping[str, Any], name: str
    ) -> tuple[u.Quantity | None, str]:
        """Quantity in the keyword's unit, and a note where the card's own is another."""
        unit = unit_of(number, unit_text, self.unit, header, name)
        if unit is None:
            return None, f"{unit_text!r} is not a unit such as {self.unit}"
        if unit == self.unit:
            return u.Quantity(number, unit), ""
        value = u.Quantity(number, unit).to(self.unit, equivalencies=u.temperature())
        if self.unit == u.deg_C and value.value <= _ABSOLUTE_ZERO:
            return None, "it is the absolute zero"
        return value, f"it is taken to be in {unit}: {value:.6g}"

"""An instrument read from a TOML file."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from os import PathLike
from typing import Any

import astropy.units as u

from .amplifiers import Amplifier, Corners
from .cameras import built_in
from .common import FACTS
from .instrument import did_you_mean
from .keywords import Keyword

_OPTIONS = ("keyword", *Keyword.OPTIONS)
_KINDS = {"str": str, "float": float, "int": int, "bool": bool}


def instrument_fields(path: str | PathLike, names: Iterable[str]) -> dict[str, Any]:
    """Return keyword arguments for `Instrument` from a TOML file."""
    with open(path, "rb") as stream:
        try:
            entries = tomllib.load(stream)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a TOML file: {error}") from error
    known = ["base", *(name for name in names if name != "fix_header")]
    for name in entries:
        if name not in known:
            raise ValueError(f"{path} has an unknown entry {name!r}{did_you_mean(name, known)}")
    if "name" not in entries:
        raise ValueError(f"{path} has no name: expected a line such as name = 'SX694'")
    values = {}
    for name, entry in entries.items():
        try:
            values[name] = _field(name, entry)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, {name}: {error}") from error
    return values


def _field(name: str, entry: Any) -> Any:
    """Return one field of an instrument."""
    if name in FACTS:
        return _fact(entry, FACTS[name])
    if name in _MAPPINGS:
        return {key: _MAPPINGS[name](value) for key, value in _table(entry).items()}
    if name == "base":
        return built_in(_text(entry))
    if name == "bias_exptime":
        return _quantity(entry, u.s)
    if name in ("amplifiers", "crosstalk"):
        return tuple((_amplifier if name == "amplifiers" else _row)(each) for each in entry)
    if name == "dark_scaling":
        if not isinstance(entry, bool):
            raise TypeError(f"expected true or false, not {entry!r}")
        return entry
    return _text(entry)


def _row(entry: Any) -> tuple[float, ...]:
    """Return a row of numbers."""
    if not isinstance(entry, list) or any(not isinstance(each, int | float) for each in entry):
        raise TypeError(f"expected a list of numbers, not {entry!r}")
    return tuple(map(float, entry))


def _amplifier(table: Any) -> Amplifier:
    """Return one amplifier from its table."""
    known = [field.name for field in fields(Amplifier)]
    for name in _table(table):
        if name not in known:
            raise ValueError(f"unknown entry {name!r} of an amplifier{did_you_mean(name, known)}")
    if "data_section" not in table:
        raise ValueError("an amplifier has no data_section, such as '[1:1024,1:2048]'")
    return Amplifier(**{name: _of_amplifier(name, entry) for name, entry in table.items()})


def _of_amplifier(name: str, entry: Any) -> Any:
    """Return one entry of an amplifier."""
    if name == "hdu":
        return entry
    if isinstance(entry, Mapping) and "corners" in entry:
        return Corners(*entry["corners"])
    return _fact(entry, FACTS.get(name, str))


def _fact(entry: Any, wanted: u.UnitBase | type) -> Any:
    """Return a fact: a keyword, several of them, a constant, or None for `false`."""
    if entry is False:
        return None
    if isinstance(entry, Mapping):
        return _keyword(entry)
    if isinstance(entry, list):
        *first, last = entry
        sources = [_keyword(table) for table in first]
        return (*sources, _keyword(last) if isinstance(last, Mapping) else _constant(last, wanted))
    return _constant(entry, wanted)


def _constant(entry: Any, wanted: u.UnitBase | type) -> Any:
    """Return a fact that no header has to say."""
    if wanted is str:
        return _text(entry)
    if isinstance(wanted, type):
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            raise TypeError(f"expected a number, not {entry!r}")
        return wanted(entry)
    return _quantity(entry, wanted)


def _keyword(table: Any) -> Keyword:
    """Return a keyword from `{keyword = "EXPTIME", unit = "s"}`, or a list of such names."""
    options = dict(_table(table))
    for name in options:
        if name not in _OPTIONS:
            raise ValueError(f"unknown option {name!r}{did_you_mean(name, list(_OPTIONS))}")
    if "keyword" not in options:
        raise ValueError("expected a table such as {keyword = 'EXPTIME', unit = 's'}")
    names = options.pop("keyword")
    if "kind" in options:
        kind = options["kind"]
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}: expected one of {', '.join(_KINDS)}")
        options["kind"] = _KINDS[kind]
    return Keyword(*([names] if isinstance(names, str) else names), **options)


def _starts(entry: Any) -> str | tuple[str, ...]:
    """Return how a card begins, in one way or in several."""
    return tuple(_text(each) for each in entry) if isinstance(entry, list) else _text(entry)


def _tolerances(table: Any) -> dict[str, u.Quantity | None]:
    """Return what must agree: `"equal"` or a tolerance."""
    return {
        key: None if value == "equal" else _quantity(value, None)
        for key, value in _table(table).items()
    }


def _quantity(entry: Any, unit: u.UnitBase | None) -> u.Quantity:
    """Return a quantity from text such as '0.3 electron / adu'."""
    example = "2 K" if unit is None else f"1.5 {unit}"
    if not isinstance(entry, str):
        raise TypeError(f"expected a quantity as text such as '{example}', not {entry!r}")
    quantity = u.Quantity(entry)
    if unit is not None and not quantity.unit.is_equivalent(unit, equivalencies=u.temperature()):
        raise ValueError(f"{entry!r} is not in {unit}: expected text such as '{example}'")
    return quantity


def _table(entry: Any) -> Mapping[str, Any]:
    """Return a TOML table, or complain."""
    if not isinstance(entry, Mapping):
        raise TypeError(f"expected a table, not {entry!r}")
    return entry


def _text(entry: Any) -> str:
    """Return text, or complain."""
    if not isinstance(entry, str):
        raise TypeError(f"expected text, not {entry!r}")
    return entry


# Tables of any names, and how what they say is understood.
_MAPPINGS = {
    "keys": _keyword,
    "match": _tolerances,
    "recognized_by": _starts,
    "frame_types": _text,
    "file_types": _text,
}

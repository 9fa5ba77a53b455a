"""An instrument as the text of a TOML file: the inverse of reading it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

import astropy.units as u

from .amplifiers import Amplifier, Corners
from .common import FACTS
from .facts import Source, look_up
from .instrument import Instrument
from .keywords import Keyword

_TABLES = ("frame_types", "file_types", "keys", "match", "recognized_by")
_ADVICE = {
    "exptime": '{keyword = "EXPOSURE", unit = "s"}',
    "filter": '{keyword = "FILTER"}',
    "gain": '"1.5 electron / adu"',
    "read_noise": '"5 electron"',
    "saturation": '"65535 adu"',
    "overscan_section": '"[1:32,1:1024]"',
    "trim_section": '"[33:1056,1:1024]"',
    "temperature": '{keyword = "CCD-TEMP", unit = "deg_C"}',
}
_BIAS_EXPTIME = '# bias_exptime = "0 s"    # a frame without a type, no longer exposed, is a bias'
_FILE_TYPES = """
# How to tell the frames apart whose header does not: by their names, the first that fits.
# [file_types]
# "bias*" = "bias"
# "flats/*" = "flat"
# "*" = "light"
"""


def starting_toml(instrument: Instrument, header: Mapping[str, Any], name: str = "") -> str:
    """Write the instrument down as one header shows it, to be edited.

    Parameters
    ----------
    instrument : Instrument
        Knows the header.
    header : `~astropy.io.fits.Header` or mapping
        The header.
    name : str, optional
        The file that it is from, for the remark in the first line.

    Returns
    -------
    str
        A TOML file: the facts that the header has, each with its value as a remark, and, as
        remarks only, those that it lacks.

    Examples
    --------
    >>> from bmp_astro.fits import GENERIC, starting_toml
    >>> print(starting_toml(GENERIC, {"EXPTIME": "40", "IMAGETYP": "zero"}))
    # The camera of a header, to be edited.
    name = "generic"
    exptime = {keyword = "EXPTIME", unit = "s", valid = [0.0, 10000000.0]}    # 40.0 s
    frame_type = {keyword = "IMAGETYP", kind = "str"}    # zero
    <BLANKLINE>
    # Not in this header: say what you know, or which card has it.
    # filter = {keyword = "FILTER"}
    # gain = "1.5 electron / adu"
    ...
    """
    lines = [f"# The camera of {name if name else 'a header'}, to be edited."]
    lines += [f"name = {_text(_name(instrument, header))}"]
    lines += _facts(instrument, header)
    lines += [f"{name} = {_value(value)}" for name, value in _plain_fields(instrument)]
    missing = [fact for fact in _ADVICE if instrument.value(fact, header) is None]
    if missing:
        lines += ["", "# Not in this header: say what you know, or which card has it."]
    lines += [f"# {fact} = {_ADVICE[fact]}" for fact in missing]
    if not instrument.frame_type_of(header):
        lines += [_BIAS_EXPTIME]
    for table in _TABLES:
        lines += _table(table, getattr(instrument, table))
    text = "\n".join(lines) + "\n"
    return text if instrument.file_types else text + _FILE_TYPES


def _name(instrument: Instrument, header: Mapping[str, Any]) -> str:
    """Return the name of the instrument; a camera that is nobody's in particular has its own."""
    camera = instrument.value("camera", header)
    is_own = instrument != Instrument(instrument.name)
    return instrument.name if is_own or camera is None else camera


def _facts(instrument: Instrument, header: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each fact that the header, or the instrument itself, knows."""
    common = {item.name: item.default for item in fields(Instrument)}
    for fact in FACTS:
        source = getattr(instrument, fact)
        is_own = source != common[fact]
        value = instrument.value(fact, header)
        if not is_own:
            source = _narrow(source, header)
        if source is None and not is_own:
            continue
        shown = "" if value is None else f"    # {value}".replace("\n", " ")
        yield f"{fact} = {_value(source)}{shown}"


def _narrow(source: Source, header: Mapping[str, Any]) -> Source:
    """Return the one keyword of a source that speaks in this header, with that card alone."""
    for entry in source if isinstance(source, tuple) else (source,):
        value, said = look_up(entry, header)
        if value is None:
            continue
        if not isinstance(entry, Keyword) or entry.join:
            return entry
        options = {name: getattr(entry, name) for name in entry.OPTIONS}
        return Keyword(said.removesuffix(" card"), **options)
    return None


def _plain_fields(instrument: Instrument) -> Iterator[tuple[str, Any]]:
    """Yield the fields that are neither facts nor tables, where they are not the usual ones."""
    for item in fields(Instrument):
        if item.default is MISSING or item.name in (*FACTS, "fix_header"):
            continue
        value = getattr(instrument, item.name)
        if value != item.default:
            yield item.name, value


def _table(name: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table, an empty one before them."""
    if entries:
        yield from ("", f"[{name}]")
    for key, value in entries.items():
        yield f"{_text(key)} = {_value(value)}"


def _value(value: Any) -> str:
    """Return a value as TOML has it."""
    if value is None:
        return "false"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, u.Quantity):
        return _text(f"{float(value.value)!r} {value.unit}")
    if isinstance(value, Keyword):
        return _inline(_options(value))
    if isinstance(value, Amplifier):
        given = {item.name: getattr(value, item.name) for item in fields(value)}
        return _inline({name: entry for name, entry in given.items() if entry is not None})
    if isinstance(value, Corners):
        return _inline({"corners": (value.x1, value.x2, value.y1, value.y2)})
    if isinstance(value, Mapping):
        return _inline({key: "equal" if each is None else each for key, each in value.items()})
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else repr(value)


def _inline(entries: Mapping[str, Any]) -> str:
    """Return an inline table."""
    return "{" + ", ".join(f"{key} = {_value(value)}" for key, value in entries.items()) + "}"


def _options(keyword: Keyword) -> dict[str, Any]:
    """Return what makes a keyword, without what is as usual."""
    usual = Keyword("X")
    options: dict[str, Any] = {"keyword": keyword.names}
    if len(keyword.names) == 1:
        options["keyword"] = keyword.names[0]
    for name in keyword.OPTIONS:
        value = getattr(keyword, name)
        if value == getattr(usual, name):
            continue
        if name == "unit":
            value = value.to_string()
        options[name] = value.__name__ if name == "kind" else value
    return options


def _text(text: str) -> str:
    """Return a string; TOML's are those of JSON."""
    return json.dumps(text, ensure_ascii=False)

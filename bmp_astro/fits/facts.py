"""A fact of a frame: its value, and what says so."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import astropy.units as u

from .cardvalues import card_value, meaningful
from .common import FACTS
from .dates import observation_date
from .keywords import Keyword
from .readouts import parse_sections

Constant = u.Quantity | str | float | int
Source = Keyword | tuple[Keyword | Constant, ...] | Constant | None

_SAME_SET_POINT = 5.0  # K; a camera that is to be at 0 deg C may be at 0 deg C
_POSITIVE = ("gain", "read_noise", "saturation")
_MEASURED = ("measured", "given")


class Fact(NamedTuple):
    """What is known of a frame; made by `Instrument.fact`.

    Attributes
    ----------
    value : `~astropy.units.Quantity`, str, int, float or None
        None if nothing is known.
    source : str
        ``"EXPTIME card"``, ``"FILTER1+FILTER2 cards"``, ``"constant"`` for what the instrument
        says of all its frames, ``"default"`` for what it says where the header does not,
        ``"measured"`` or ``"given"`` for a read noise that a reduction wrote; ``""`` for None.

    Examples
    --------
    >>> from bmp_astro.fits import GENERIC
    >>> GENERIC.fact("exptime", {"EXPTIME": 30})
    Fact(value=<Quantity 30. s>, source='EXPTIME card')
    """

    value: Any
    source: str


UNKNOWN = Fact(None, "")

# The camera and how it is set: frames that are used for each other agree on these.
CAMERA_SETTINGS = (
    "camera",
    "serial",
    "xbinning",
    "ybinning",
    "readout_mode",
    "gain_setting",
    "em_gain",
    "offset",
)

# What is said of the output of a CCD that multiplies electrons, and the card by which a reduction
# says that it is told of electrons before that.
MULTIPLIED = {"gain": "RAWGAIN", "read_noise": "RDNSRC"}


def fact_of(name: str, source: Source, header: Mapping[str, Any]) -> Fact:
    """Look a fact up, in the unit or type that it has everywhere.

    Parameters
    ----------
    name : str
        One of `FACTS`.
    source : `Keyword`, constant, tuple of them or None
        Where to look.
    header : mapping
        The header.

    Returns
    -------
    Fact
        The value and its source.

    Raises
    ------
    ValueError
        If a constant has the wrong unit.
    """
    if name == "date_obs":
        return _date(source, header)
    if name == "gain" and "RAWGAIN" in header:
        # the pixels are in electron, whatever the camera's own cards said of the raw ones
        return Fact(_typed(name, card_value(header, "GAIN")), "GAIN card")
    value, said = look_up(source, header, name)
    value = _typed(name, value)
    if name == "read_noise" and said == "RDNOISE card":
        by = card_value(header, "RDNSRC")
        said = by if by in _MEASURED else said
    return Fact(value, said)


def check_source(name: str, source: Source) -> None:
    """Raise ValueError where a fact is given as a constant that it cannot be."""
    for entry in source if isinstance(source, tuple) else (source,):
        if entry is None or isinstance(entry, Keyword):
            continue
        try:
            _typed(name, entry)
            if name.endswith("_section"):
                parse_sections(entry)
        except (TypeError, ValueError) as error:
            raise ValueError(_not_a_fact(name, entry)) from error


def _not_a_fact(name: str, entry: Any) -> str:
    """Return what is wrong with a constant, and how a card is given."""
    wanted = FACTS[name]
    if name.endswith("_section"):
        needed, option = "text like '[1:2048,1:4096]'", "kind=str"
    elif isinstance(wanted, type):
        needed, option = f"{wanted.__name__}", f"kind={wanted.__name__}"
    else:
        needed, option = f"a number or a quantity in {wanted}", f'unit="{wanted}"'
    shown = repr(entry) if isinstance(entry, str) else str(entry)
    said = f"{name} is {shown} but must be {needed}"
    if isinstance(entry, str) and "[" not in entry:
        said += f'; for a header card give Keyword("{entry}", {option})'
    return said


def look_up(source: Source, header: Mapping[str, Any], name: str = "") -> Fact:
    """Return what the first source that knows says, as it says it; `name` is the fact's."""
    entries = source if isinstance(source, tuple) else (source,)
    for entry in entries:
        if not isinstance(entry, Keyword):
            by = "constant" if len(entries) == 1 else "default"
            return UNKNOWN if entry is None else Fact(entry, by)
        value, card = entry.find(header)
        if value is not None and is_possible(name, value):
            return Fact(value, _cards(card))
    return UNKNOWN


def is_possible(name: str, value: Any) -> bool:
    """Tell whether a header's number can be: a gain of 0 or less is none."""
    bare = getattr(value, "value", value)
    return name not in _POSITIVE or not isinstance(bare, int | float) or bare > 0


def keywords_of(source: Source) -> list[Keyword]:
    """Return the keywords of a source, in order."""
    entries = source if isinstance(source, tuple) else (source,)
    return [entry for entry in entries if isinstance(entry, Keyword)]


def words_of(source: Source, header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every meaningful text that the cards of a fact have, each behind its card."""
    if isinstance(source, str):
        yield "constant", source
    for keyword in keywords_of(source):
        for name in keyword.names:
            said = meaningful(card_value(header, name), keyword.empty)
            if said is not None:
                yield f"{name} card", str(said)


def before_multiplication(name: str, found: Fact, em_gain: Fact, header: Mapping[str, Any]) -> Fact:
    """Return a gain or a read noise in electrons as they were before they were multiplied."""
    if MULTIPLIED[name] in header or em_gain.value is None:
        return found
    if not em_gain.value >= 1:
        raise ValueError(f"em_gain is {em_gain.value:g} ({em_gain.source}) but must be 1 or more")
    return Fact(found.value / em_gain.value, found.source)


def is_unset(temperature: Fact, set_temperature: Callable[[], Fact]) -> bool:
    """Tell whether a temperature of exactly 0 deg C stands for none."""
    if temperature.value is None or temperature.value.value != 0.0:
        return False
    wanted = set_temperature().value
    return wanted is not None and abs(wanted.value) > _SAME_SET_POINT


def _date(source: Source, header: Mapping[str, Any]) -> Fact:
    """Return the start of the exposure, of which the date and the time may stand apart."""
    text, said = look_up(source, header)
    card = said.removesuffix(" card")
    date, cards = observation_date(header, None if text is None else str(text), card)
    return UNKNOWN if date is None else Fact(date, _cards(cards))


def _cards(names: str) -> str:
    """Say which cards: 'EXPTIME card', 'FILTER1+FILTER2 cards'."""
    if names in ("constant", "default"):
        return names
    return f"{names} cards" if "+" in names else f"{names} card"


def _typed(name: str, value: Any) -> Any:
    """Return a fact's value in the unit or type that the fact has everywhere."""
    wanted = FACTS[name]
    if value is None:
        return None
    if isinstance(wanted, type):
        return wanted(value)
    if not isinstance(value, u.Quantity):
        return u.Quantity(value, wanted)
    if value.unit is wanted:
        return value.copy()
    try:
        return value.to(wanted, equivalencies=u.temperature())
    except u.UnitConversionError as error:
        raise ValueError(f"{name} is {value} but must be in {wanted}") from error

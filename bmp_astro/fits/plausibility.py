"""Whether what a header says can be true: what an observer should look at before a night is lost.

Nothing here changes a value; it tells how the values were come by.
"""

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

import astropy.units as u

from .amplifiers import amplifiers_of
from .cardvalues import card_value, meaningful
from .common import FACTS
from .dates import is_ambiguous
from .facts import is_possible, keywords_of
from .instrument import Instrument
from .section import parse_section

_OFF_SET_POINT = 5.0  # K
_NOISY = 50.0  # electron; no CCD is read with more
_BITS = 16
_LONGEST_AXIS = 100_000
_AMPLIFIERS = ("GAINA", "GAIN_A", "GAIN1", "T_GAIN1")


def implausible(
    instrument: Instrument, header: Mapping[str, Any], path: str | PathLike = ""
) -> list[str]:
    """Tell what in a header was not believed, was reinterpreted, or cannot be right.

    Parameters
    ----------
    instrument : Instrument
        Knows the header.
    header : `~astropy.io.fits.Header` or mapping
        The header.
    path : path-like, optional
        The file, where its name tells what it is.

    Returns
    -------
    list of str
        One sentence for each; empty when there is nothing to tell.

    Examples
    --------
    >>> from bmp_astro.fits import GENERIC, implausible
    >>> for note in implausible(GENERIC, {"IMAGETYP": "bias", "GAIN": 139, "EGAIN": 0.8}):
    ...     print(note)
    GAIN = 139 is taken for a setting of the camera, not for electron/adu
    """
    return [
        *_notes_on_cards(instrument, header),
        *_notes_on_gain(instrument, header),
        *_notes_on_temperature(instrument, header),
        *_notes_on_numbers(instrument, header),
        *_notes_on_type(instrument, header, path),
        *_placeholders(header),
    ]


def _notes_on_cards(instrument: Instrument, header: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each card that was reinterpreted, or that no fact could use."""
    names = [*FACTS, *instrument.keys]
    used = "+".join(instrument.fact(name, header).source for name in names)
    used_cards = set(used.replace(" cards", "").replace(" card", "").split("+"))
    told = set()
    # whether a GAIN is a setting is told apart
    for name in (name for name in names if name != "gain_setting"):
        source = instrument.keys[name] if name in instrument.keys else getattr(instrument, name)
        for each in (each for word in keywords_of(source) for each in word.readings(header)):
            is_believed = each.value is not None and is_possible(name, each.value)
            note = each.note if is_believed or each.value is None else "it is not above 0"
            if note and each.card not in told and is_believed == (each.card in used_cards):
                told.add(each.card)
                as_what = "" if is_believed else f" as {name}"
                yield f"{each.card} = {each.said!r}{as_what}: {note}"


def _notes_on_gain(instrument: Instrument, header: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes on a setting that is called GAIN, and on gains of the amplifiers."""
    setting = instrument.fact("gain_setting", header)
    if setting.source == "GAIN card":
        said = card_value(header, "GAIN")
        yield f"GAIN = {said!r} is taken for a setting of the camera, not for electron/adu"
    found = [name for name in _AMPLIFIERS if name in header]
    if (
        found
        and not _has_amplifiers(instrument, header)
        and instrument.value("gain", header) is None
    ):
        yield f"{found[0]} is the gain of one amplifier: the frame as a whole has none"


def _has_amplifiers(instrument: Instrument, header: Mapping[str, Any]) -> bool:
    """Tell whether the instrument knows the amplifiers of this frame."""
    try:
        return bool(amplifiers_of(header, instrument))
    except ValueError:
        return False


def _notes_on_temperature(instrument: Instrument, header: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes on a temperature that is unknown or not what was asked for."""
    actual, wanted = (instrument.value(f"{kind}temperature", header) for kind in ("", "set_"))
    if wanted is None:
        return
    if actual is None:
        cards = [name for word in keywords_of(instrument.temperature) for name in word.names]
        zero = next((name for name in cards if card_value(header, name) == 0), None)
        if zero is not None:
            yield f"{zero} = 0 is taken for unknown: the set point is {wanted:.4g}"
    elif abs(actual.value - wanted.value) > _OFF_SET_POINT:
        yield f"the temperature is {actual:.4g}, far from its set point of {wanted:.4g}"


def _notes_on_numbers(instrument: Instrument, header: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes on numbers that are there but can hardly be right."""
    noise = instrument.value("read_noise", header)
    if noise is not None and noise > _NOISY * u.electron:
        yield f"a read noise of {noise:.4g} is more than a camera has"
    level = instrument.value("saturation", header)
    if level is not None and "RAWGAIN" not in header and card_value(header, "BITPIX") == _BITS:
        highest = 2**_BITS - 1
        if level.value > highest:
            yield f"the saturation of {level:.6g} is beyond {highest} adu, the most that is stored"
    date = instrument.fact("date_obs", header)
    if is_ambiguous(card_value(header, date.source.split(" ")[0].split("+")[0])):
        yield f"the date is taken to be day/month/year: {date.value}"
    if _overlap(*(instrument.value(f"{part}_section", header) for part in ("overscan", "trim"))):
        yield "the trim section contains the overscan"


def _notes_on_type(
    instrument: Instrument, header: Mapping[str, Any], path: str | PathLike
) -> Iterator[str]:
    """Yield notes on what the frame is, and what such a frame should have."""
    kind = instrument.frame_type_of(header, path)
    if not kind:
        yield "the frame type is unknown: neither the header nor a rule for file names tells"
    exptime = instrument.value("exptime", header)
    if exptime is None and kind != "bias":
        yield "the exposure time is unknown"
    elif kind in ("dark", "flat", "light") and exptime.value == 0:
        yield f"a {kind} frame with an exposure time of 0 s"
    if kind in ("flat", "light") and instrument.value("filter", header) is None:
        yield f"a {kind} frame without a filter"


def _overlap(overscan: str | None, trim: str | None) -> bool:
    """Tell whether two sections share pixels."""
    if overscan is None or trim is None:
        return False
    try:
        pairs = zip(parse_section(overscan), parse_section(trim), strict=True)
    except ValueError:
        return False
    return all(_span(one) & _span(other) for one, other in pairs)


def _span(part: slice) -> set[int]:
    """Return the pixels of one axis of a section."""
    return set(range(*part.indices(_LONGEST_AXIS)))


def _placeholders(header: Mapping[str, Any]) -> Iterator[str]:
    """Yield one note with all cards that stand for nothing."""
    names = dict.fromkeys(name for name in header if name not in ("COMMENT", "HISTORY", ""))
    said = {name: card_value(header, name) for name in names}
    empty = [
        name
        for name, value in said.items()
        if isinstance(value, str) and value.strip() and meaningful(value) is None
    ]
    if empty:
        yield f"placeholders, which count as missing: {', '.join(empty)}"

"""The start of an exposure as one ISO text, from the many ways to write it."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .cardvalues import card_value, meaningful

_TIME_CARDS = (
    *("UTSTART", "UTC-OBS", "UT-STR", "UT", "TIME-OBS", "UTIME", "UTC", "UT-TIME"),
    *("TAIHMS", "TIME"),
)
_DAY_CARDS = (("JD", 0.0), ("JD-OBS", 0.0), ("MJD-OBS", 2400000.5), ("MJD-STR", 2400000.5))
_ISO_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_OLD_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d*)?)?\s*([ap]\.?m\.?)?\s*(Z|UTC?|[-+]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_UNIX_EPOCH = 2440587.5
_PIVOT = 70  # two-digit years before this one are of the century of CCDs


def observation_date(
    header: Mapping[str, Any], text: str | None, card: str = ""
) -> tuple[str | None, str]:
    """Start of the exposure, in the header's time scale: UTC unless it says otherwise.

    Parameters
    ----------
    header : mapping
        Where the time of day may be, if `text` is only a date, and the Julian date.
    text : str or None
        What the camera's date card says.
    card : str, optional
        The card that `text` comes from.

    Returns
    -------
    date : str or None
        ``YYYY-MM-DDThh:mm:ss[.sss]``, or a date alone where the header has no time.
    cards : str
        The cards that it comes from: ``"DATE-OBS"`` or ``"DATE-OBS+UT"``.
    """
    text = "" if text is None else text.strip()
    iso, old = _ISO_DATE.match(text), _OLD_DATE.match(text)
    julian = _from_julian(header)
    # the Julian date is unambiguous where 08/05/10 is not
    if iso is None and (old is None or julian[0] is not None):
        return julian
    if iso is not None:
        date = _date(int(iso[1]), int(iso[2]), int(iso[3]))
        rest = text[iso.end() :].lstrip("T ")
    else:
        date = _date(_year(old[3]), int(old[2]), int(old[1]))
        rest = text[old.end() :].lstrip("T ")
    if date is None:
        return julian
    clock, clock_card = (_clock(rest), "") if rest else _clock_of_cards(header)
    cards = f"{card}+{clock_card}" if clock_card else card
    return date.date().isoformat() if clock is None else _text(date + clock[0], clock[1]), cards


def _year(text: str) -> int:
    """Year of the old FITS dates, of two digits."""
    year = int(text)
    if len(text) == 4:
        return year
    return year + (2000 if year < _PIVOT else 1900)


def _date(year: int, month: int, day: int) -> datetime | None:
    """Return midnight of a day, or None if there is no such day."""
    try:
        return datetime(year, month, day)
    except ValueError:
        return None


def _clock(text: str) -> tuple[timedelta, str] | None:
    """Time since midnight, UTC, in whole seconds, and the fraction as written."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part) if part else 0 for part in match.group(1, 2, 3))
    fraction, half, zone = match.group(4, 5, 6)
    if half:
        hours = hours % 12 + (12 if half.lower().startswith("p") else 0)
    if hours > 24 or minutes > 59 or seconds > 60:
        return None
    since = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        since += east if zone[0] == "-" else -east
    return since, "" if fraction is None else fraction.rstrip(".")


def _clock_of_cards(header: Mapping[str, Any]) -> tuple[tuple[timedelta, str] | None, str]:
    """Return the time of day from the first card that has one, and that card."""
    for name in _TIME_CARDS:
        value = meaningful(card_value(header, name))
        clock = _clock(value.split("T")[-1]) if isinstance(value, str) else None
        if clock is not None:
            return clock, name
    return None, ""


def _from_julian(header: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the date from a Julian date, rounded to the millisecond, and its card."""
    for name, zero in _DAY_CARDS:
        value = card_value(header, name)
        if isinstance(value, float | int) and not isinstance(value, bool) and value > 0:
            seconds = (value + zero - _UNIX_EPOCH) * 86400.0
            try:
                moment = datetime(1970, 1, 1) + timedelta(milliseconds=round(seconds * 1000.0))
            except OverflowError:
                continue
            return moment.isoformat(timespec="milliseconds"), name
    return None, ""


def _text(moment: datetime, fraction: str) -> str:
    """ISO text with the fraction of a second as the header wrote it."""
    return moment.isoformat(timespec="seconds") + fraction


def is_ambiguous(text: object) -> bool:
    """Tell whether a date card has the day and the month in an order that one must know."""
    return isinstance(text, str) and _OLD_DATE.match(text.strip()) is not None

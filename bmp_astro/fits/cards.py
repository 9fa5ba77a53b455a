"""Header cards as they come from telescopes, made into cards that the standard allows.

The repair works on text, before astropy parses it: a malformed card that astropy meets later
raises, or warns, wherever somebody happens to look at it.
"""

import copy
import logging
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from astropy.io import fits

logger = logging.getLogger(__name__)

CARD_LENGTH = 80
_LONGEST_NUMBER = 20  # that astropy writes
_COMMENTARY = ("COMMENT", "HISTORY", "")
_NUMBER = r"[+-]?(?:\.\d+|\d+(?:\.\d*)?)(?:[DE][+-]?\d+)?"
_STRING = r"'(?:[^']|'')*'"
_VALUE = rf"(?:{_STRING}|[TF]|{_NUMBER}|\( *{_NUMBER} *, *{_NUMBER} *\))?"
_GOOD = re.compile(rf"[A-Z0-9_-]{{1,8}} *(?<=^.{{8}})= +{_VALUE} *(?:/.*)?")
_GOOD_HIERARCH = re.compile(rf"HIERARCH +[A-Z0-9_-][A-Z0-9_ -]* *= +{_VALUE} *(?:/.*)?")
_GOOD_CONTINUE = re.compile(rf"CONTINUE  +{_STRING} *(?:/.*)?")
_LOOSE = re.compile(r"(?:HIERARCH +)?([^=/']+?)\s*=\s*(.*)")
_KEYWORD = re.compile(r"[A-Z0-9_-]+")
_LONG_KEYWORD = re.compile(r"[A-Z0-9_-]+(?: [A-Z0-9_-]+)*")
_FIELD = re.compile(rf"({_STRING}|[TF]|{_NUMBER}|)\s*(?:/\s*(.*))?")
_UNQUOTED = re.compile(r"(.*?)\s*(?:(?:\s/|/\s)\s*(.*))?")
_UNQUOTED_DATE = re.compile(r"= *\d{1,4}/\d{1,2}/\d")
_EXPONENT = re.compile(r"= *([+-]?[\d.]+[DE][+-]?\d+)")
_UNPRINTABLE = re.compile(r"[^ -~]")


def parse_cards(block: bytes, where: str) -> fits.Header:
    """Header from the cards of a file.

    Parameters
    ----------
    block : bytes
        The cards, without the END card.
    where : str
        The file, for notes.

    Returns
    -------
    `~astropy.io.fits.Header`
        Every card that could be kept; what had to be dropped is logged as a warning.
    """
    text = block.decode("latin-1")
    images: list[str] = []
    repaired, dropped = [], []
    for start in range(0, len(text), CARD_LENGTH):
        image = text[start : start + CARD_LENGTH].ljust(CARD_LENGTH)
        if is_good(image) and (image[:8] != "CONTINUE" or _may_continue(images)):
            images.append(image)
            continue
        fixed = _repair(image)
        name = _name(image)
        (dropped if fixed is None else repaired).append(name)
        if fixed is not None:
            images.append(fixed)
    if repaired:
        logger.info("%s: malformed cards were repaired: %s", where, ", ".join(repaired))
    if dropped:
        logger.warning("%s: malformed cards were dropped: %s", where, ", ".join(dropped))
    return fits.Header.fromstring("".join(images))


@lru_cache(maxsize=2**14)
def is_good(image: str) -> bool:
    """Tell whether 80 characters are a card that the standard allows.

    Frames of a night share most of their cards.
    """
    if _UNPRINTABLE.search(image):
        return False
    start = image[:8]
    if start.rstrip() in _COMMENTARY:
        return True
    if start == "CONTINUE":
        return _GOOD_CONTINUE.fullmatch(image) is not None
    pattern = _GOOD_HIERARCH if start == "HIERARCH" else _GOOD
    match = pattern.fullmatch(image)
    return match is not None and not _is_deceptive(image)


def as_header(cards: object) -> fits.Header:
    """FITS header from any mapping: what the standard has no place for is left out, with a note.

    Parameters
    ----------
    cards : `~astropy.io.fits.Header`, mapping or None
        Keywords and values; values may be quantities.

    Returns
    -------
    `~astropy.io.fits.Header`
        A new header, whose cards can be written without complaint; empty ones are gone.
    """
    if cards is None:
        return fits.Header()
    is_header = isinstance(cards, fits.Header)
    kept = map(_kept, cards.cards) if is_header else (_made(*item) for item in _items(cards))
    return fits.Header([card for card in kept if card is not None and not card.is_blank])


def _kept(card: fits.Card) -> fits.Card | None:
    """Return a card of a header as it can be written, or None."""
    kept = _as_it_is(card)
    if kept is not None:
        return kept
    keyword, value, comment = card
    made = _made(keyword, value, str(comment))
    return _as_written(card, made) if made is not None and made.comment == comment else made


def _made(keyword: str, value: object, comment: str) -> fits.Card | None:
    """Return a card that can be written; None, with a note, where there is none."""
    made = _card(str(keyword), value, comment)
    if made is None:
        logger.warning("the header's %s = %.40r cannot be written and is left out", keyword, value)
    return made


def _as_it_is(card: fits.Card) -> fits.Card | None:
    """Return a copy of a card that has room for all it says and can be written; else None."""
    # unpacked, a card works all three out four times
    keyword, value, comment = card.keyword, card.value, card.comment
    if len(keyword) > 8 or not isinstance(value, str | int | float):
        return None
    width = _LONGEST_NUMBER if isinstance(value, float) else _width(value)
    room = CARD_LENGTH - 10 - max(width, _LONGEST_NUMBER) - 3
    if len(comment) > room and keyword not in _COMMENTARY:
        return None
    try:
        image = card.image
    except ValueError:
        return None
    is_one = len(image) == CARD_LENGTH and is_good(image)
    return copy.copy(card) if is_one else None


def _as_written(card: fits.Card, rebuilt: fits.Card) -> fits.Card:
    """Return a copy of a card with all its digits, where its text can stay as it is."""
    try:
        image = card.image
    except ValueError:
        return rebuilt
    parts = [image[at : at + CARD_LENGTH] for at in range(0, len(image), CARD_LENGTH)]
    return fits.Card.fromstring(image) if all(map(is_good, parts)) else rebuilt


def _items(mapping: object) -> Iterator[tuple[str, object, str]]:
    """Yield the cards of a mapping that is not a header: units go into the comments."""
    for keyword, value in dict(mapping).items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
            yield keyword, *value
        elif getattr(value, "unit", None) is not None and getattr(value, "isscalar", False):
            yield keyword, value.value, f"[{value.unit}]"
        else:
            yield keyword, value, ""


def _card(keyword: str, value: object, comment: str) -> fits.Card | None:
    """Return a card that the standard allows, or None."""
    fitting = _fitting(keyword, value, comment)
    return None if fitting is None else fits.Card(*fitting)


def _fitting(keyword: str, value: object, comment: str) -> tuple[str, object, str] | None:
    """Return keyword, value and comment as a card has room for them, or None."""
    keyword = _UNPRINTABLE.sub("?", keyword.upper()).strip()
    if keyword in _COMMENTARY:
        return keyword, _printable(str(value)), ""
    value = _plain_value(value)
    is_long = len(keyword) > 8 or " " in keyword
    if value is None or not (_LONG_KEYWORD if is_long else _KEYWORD).fullmatch(keyword):
        return None
    if is_long:
        room = CARD_LENGTH - len(f"HIERARCH {keyword} = ")
        keyword = f"HIERARCH {keyword}"
    else:
        room = CARD_LENGTH - 10
    is_float = isinstance(value, float) and not is_long
    width = _LONGEST_NUMBER if is_float else _width(value)
    if width > room and (is_long or not isinstance(value, str)):
        return None
    if not isinstance(value, str) or width <= room:
        comment = comment[: max(0, room - max(width, 20) - 3)]
    return keyword, value, _printable(comment).strip()


def _plain_value(value: object) -> object:
    """Return a value that a card can hold, or None."""
    if isinstance(value, fits.card.Undefined) or value is None:
        return fits.card.UNDEFINED
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, float | complex):
        parts = (value,) if isinstance(value, float) else (value.real, value.imag)
        return value if all(map(math.isfinite, parts)) else str(value)
    return value if isinstance(value, bool | int) else None


def _width(value: object) -> int:
    """Return the number of characters that a value takes on a card."""
    if isinstance(value, fits.card.Undefined):
        return 0
    if isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return len(str(value))
    if isinstance(value, str):
        return max(len(value.replace("'", "''")), 8) + 2
    return len(fits.Card("X", value).image[10:].rstrip().lstrip())


def _printable(text: str) -> str:
    """Return text of which a card may consist."""
    return _UNPRINTABLE.sub("?", text.replace("\n", " ").replace("\t", " "))


def _may_continue(images: Iterable[str]) -> bool:
    """Tell whether the last card is a string that ends in an ampersand."""
    return bool(images) and images[-1].split(" /")[0].rstrip().endswith("&'")


def _is_deceptive(image: str) -> bool:
    """Tell whether a value would be read as another: 1E999 as infinite, 08/05/10 as 8."""
    if _UNQUOTED_DATE.search(image):
        return True
    number = _EXPONENT.search(image)
    return number is not None and math.isinf(float(number[1].replace("D", "E")))


def _name(image: str) -> str:
    """Return what a note calls a card."""
    return _printable(image.partition("=")[0][:40].replace("\0", " ")).strip()


def _repair(image: str) -> str | None:
    """Return a malformed card as the standard has it, or None where nothing can be kept."""
    image = _printable(image.replace("\0", " ")).rstrip()
    start = image[:8].rstrip().upper()
    if start in _COMMENTARY or not image:
        return f"{start:8}{image[8:]}".ljust(CARD_LENGTH)
    loose = _LOOSE.fullmatch(image)
    if loose is None or start == "CONTINUE":
        return f"COMMENT {image}".ljust(CARD_LENGTH) if len(image) <= 72 else None
    keyword = " ".join(loose[1].upper().split())
    if not _LONG_KEYWORD.fullmatch(keyword):
        return None
    is_long = len(keyword) > 8 or " " in keyword
    prefix = f"HIERARCH {keyword} = " if is_long else f"{keyword:8}= "
    value, comment = _split_field(loose[2].strip())
    room = CARD_LENGTH - len(prefix)
    if len(value) > room:
        return None
    line = f"{value:20} / {comment}" if comment else value
    fixed = (prefix + line[:room]).ljust(CARD_LENGTH)
    return fixed if is_good(fixed) else None


def _split_field(text: str) -> tuple[str, str]:
    """Return the value, as the standard writes it, and the comment."""
    match = _FIELD.fullmatch(text)
    if match is not None and not _is_deceptive(f"= {text}"):
        return match[1], match[2] if match[2] is not None else ""
    if text.startswith("'"):
        return _broken_string(text)
    value, comment = _UNQUOTED.fullmatch(text).groups()
    number = re.fullmatch(_NUMBER, value.upper().replace(" ", ""))
    if number and not _is_deceptive(f"= {number[0]}"):
        return number[0], "" if comment is None else comment
    return _quoted(value), "" if comment is None else comment


def _broken_string(text: str) -> tuple[str, str]:
    """Return the value and comment of a string whose quotes do not pair up."""
    end = text.rfind("'")
    slash = text.rfind(" /")
    if end > 0:
        inside, comment = text[1:end], text[end + 1 :].lstrip(" /")
    elif slash > 0:
        inside, comment = text[1:slash], text[slash + 2 :].strip()
    else:
        inside, comment = text[1:], ""
    return _quoted(inside.replace("''", "'").rstrip()), comment


def _quoted(text: str) -> str:
    """Return a FITS string."""
    return "'" + text.replace("'", "''").ljust(8) + "'"


def set_card(header: fits.Header, keyword: str, value: object, comment: str = "") -> None:
    """Set a card where it is, or append it; the comment gives way where there is no room.

    Assigning to a header keeps an old comment that may be too long beside the new value, and
    astropy then warns when the header is written.
    """
    is_there = keyword in header
    if is_there and not comment:
        comment = header.comments[keyword]
    fitting = _fitting(keyword, value, comment)
    if fitting is None:
        raise ValueError(f"{keyword} = {value!r} cannot be written in a FITS header")
    if is_there:
        value, comment = fitting[1:]
        header[keyword] = value.rstrip() if isinstance(value, str) else value, comment
    else:
        header.append(fits.Card(*fitting), end=True)

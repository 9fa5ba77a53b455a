"""What a frame is: bias, dark, flat or light, by the header's words or by the file's name."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from os import PathLike, fspath
from pathlib import PurePath
from typing import Any

from .cardvalues import card_value

KINDS = ("bias", "dark", "flat", "light")

# What is done where a frame's pixels or its records contradict the type that it is said to have.
CLASSIFICATIONS = ("strict", "warn", "trust")

# Spelled without blanks, hyphens and underscores, in lower case.
FRAME_TYPES: dict[str, str] = {
    **dict.fromkeys(("bias", "biasframe", "zero", "zeroframe"), "bias"),
    **dict.fromkeys(("dark", "darkframe", "flatdark", "darkflat", "flatdarkframe"), "dark"),
    **dict.fromkeys(
        (
            "flat",
            "flatfield",
            "flatframe",
            "flatfieldframe",
            "domeflat",
            "skyflat",
            "lampflat",
            "twilightflat",
            "twilight",
            "flat,sky",
            "sky,flat",
            "flat,dome",
            "flat,lamp",
            "flat,twilight",
        ),
        "flat",
    ),
    **dict.fromkeys(
        (
            "light",
            "lightframe",
            "object",
            "objectframe",
            "science",
            "expose",
            "exposure",
            "snapshot",
            "standard",
            "std",
        ),
        "light",
    ),
}


def type_of_words(
    said: Iterable[tuple[str, str]], own: Mapping[str, str]
) -> tuple[str, str] | None:
    """Tell a frame's type by the words in its header.

    Parameters
    ----------
    said : iterable of (str, str)
        Cards and their words, in order.
    own : mapping of str to str
        The instrument's words and what they mean, before the common spellings.

    Returns
    -------
    (str, str) or None
        The type and the card, from the first card whose word is known.
    """
    known = {**FRAME_TYPES, **{_spelling(word): kind for word, kind in own.items()}}
    for card, word in said:
        kind = known.get(_spelling(word))
        if kind:
            return kind, card
    return None


def type_of_path(path: str | PathLike, patterns: Mapping[str, str]) -> tuple[str, str] | None:
    """Tell a frame's type by the file's name and its directory's.

    Parameters
    ----------
    path : path-like
        The file.
    patterns : mapping of str to str
        Such as ``{"bias*": "bias", "flats/*": "flat", "*": "light"}``; the first that fits wins,
        upper and lower case are alike.

    Returns
    -------
    (str, str) or None
        The type and the pattern.
    """
    parts = [part.lower() for part in PurePath(fspath(path)).parts]
    for pattern, kind in patterns.items():
        wanted = PurePath(pattern.lower()).parts
        found = parts[-len(wanted) :]
        if len(found) == len(wanted) and all(map(fnmatchcase, found, wanted)):
            return kind, pattern
    return None


def checked_classification(classification: str) -> str:
    """Return a classification that there is; ValueError for another.

    Parameters
    ----------
    classification : str
        ``"strict"`` refuses a frame whose pixels contradict its type, ``"warn"`` raises an alarm,
        ``"trust"`` believes the header, and takes frames that were calibrated already.

    Returns
    -------
    str
        The same.
    """
    if classification not in CLASSIFICATIONS:
        raise ValueError(f"classification is {classification!r}: expected one of {CLASSIFICATIONS}")
    return classification


def name_in_header(header: Mapping[str, Any]) -> str:
    """The name that the file had when it was read, ``""`` if the header does not say."""
    name = card_value(header, "FILENAME")
    return name.strip() if isinstance(name, str) else ""


def _spelling(word: str) -> str:
    """Return a frame type's word without case, blanks, hyphens and underscores."""
    return "".join(letter for letter in word.lower() if letter not in " -_")

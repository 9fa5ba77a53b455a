"""The cards of a header by their names, each read when it is asked for.

Making an astropy header takes a hundred times as long; where a few facts of thousands of files
are wanted, that counts.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from os import PathLike
from typing import Any

from astropy.io import fits

from .cards import CARD_LENGTH, is_good
from .source import BLOCK

_PLAIN = re.compile(
    r"= +(?:'((?:[^']|'')*)'|([TF])|([+-]?\d+)|([+-]?[\d.]+(?:E[+-]?\d+)?)) *(?:/(?P<comment>.*))?"
)
_BITPIX = (8, 16, 32, 64, -32, -64)
_FIRST_BLOCKS = 3
_COMMENTARY = ("COMMENT", "HISTORY", "")


class CardIndex(Mapping[str, Any]):
    """Cards of which every one is well formed, and none continues another; made by `index_cards`.

    Of several cards of a name the first counts, as in astropy.
    """

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images

    def __getitem__(self, name: str) -> Any:
        return _value(self.images[name.upper()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.upper() in self.images

    def __iter__(self) -> Iterator[str]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def comments(self) -> Mapping[str, str]:
        """The comment of each card."""
        return _Comments(self)


class _Comments(Mapping[str, str]):
    """The comments of a `CardIndex`."""

    def __init__(self, cards: CardIndex) -> None:
        self._cards = cards

    def __getitem__(self, name: str) -> str:
        image = self._cards.images[name.upper()]
        match = _PLAIN.fullmatch(image, 8) if image[:8] != "HIERARCH" else None
        if match is None:
            return str(fits.Card.fromstring(image).comment)
        return "" if match["comment"] is None else match["comment"].strip()

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)


def index_cards(block: bytes) -> CardIndex | None:
    """Index the cards of a file, without END; None where some need repair or continue others."""
    text = block.decode("latin-1")
    images: dict[str, str] = {}
    for start in range(0, len(text), CARD_LENGTH):
        image = text[start : start + CARD_LENGTH]
        name = image[:8].rstrip()
        if name == "CONTINUE" or not is_good(image):
            return None
        if name == "HIERARCH":
            name = image[9:].partition("=")[0].strip()
        if name not in _COMMENTARY:
            images.setdefault(name, image)
    return CardIndex(images)


@lru_cache(maxsize=2**14)
def _value(image: str) -> Any:
    """Return what a card says, as astropy reads it."""
    match = _PLAIN.fullmatch(image, 8) if image[:8] != "HIERARCH" else None
    if match is None:
        return fits.Card.fromstring(image).value
    text, truth, integer, number = match.groups()[:4]
    if text is not None:
        return text.replace("''", "'").rstrip()
    if truth is not None:
        return truth == "T"
    return int(integer) if integer is not None else float(number)


class _Noting(dict[str, str]):
    """Cards that keep the names that were looked up, whether they are there or not."""

    def __init__(self, images: dict[str, str]) -> None:
        super().__init__(images)
        self.names: dict[str, None] = {}
        self.has_shown_all = False

    def __getitem__(self, name: str) -> str:
        self.names[name] = None
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names[str(name)] = None
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.has_shown_all = True
        return super().__iter__()


def remembered(look: Callable[[Mapping[str, Any]], Any]) -> Callable[[CardIndex], Any]:
    """Make a function of a header remember what it said of the same cards.

    Frames of a night share most of their cards. The cards that the function asks for are found by
    watching it; it must depend on nothing else.

    Parameters
    ----------
    look : callable
        Takes a header, or any mapping of its cards.

    Returns
    -------
    callable
        Takes a `CardIndex`.

    Examples
    --------
    >>> from bmp_astro.fits.cardindex import index_cards, remembered
    >>> exptime = remembered(lambda header: header["EXPTIME"] * 1000)
    >>> exptime(index_cards(b"EXPTIME = 1.5".ljust(80)))
    1500.0
    """
    seen: dict[tuple[str, ...], dict[tuple[str | None, ...], Any]] = {}

    def remembering(cards: CardIndex) -> Any:
        images = cards.images
        for names, answers in list(seen.items()):
            key = tuple(map(images.get, names))
            if key in answers:
                return answers[key]
        noting = _Noting(images)
        value = look(CardIndex(noting))
        if not noting.has_shown_all:
            names = tuple(noting.names)
            seen.setdefault(names, {})[tuple(map(images.get, names))] = value
        return value

    return remembering


def simple_header(path: str | PathLike) -> tuple[CardIndex, tuple[int, int]] | None:
    """Read the cards of a file that is nothing but one complete 2-D image.

    Parameters
    ----------
    path : path-like
        The file, of which only the first blocks are read.

    Returns
    -------
    cards : `CardIndex`
        Its cards.
    shape : tuple of int
        ``(ny, nx)``.
        Instead of both None for any other file, and one whose cards need repair: see
        `bmp_astro.fits.read_header`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        block = os.pread(descriptor, _FIRST_BLOCKS * BLOCK, 0)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    end = 0
    while block[end : end + CARD_LENGTH].rstrip() != b"END":
        end += CARD_LENGTH
        if end >= len(block):
            return None
    cards = index_cards(block[:end]) if block.startswith(b"SIMPLE  =") else None
    if cards is None or not {"GROUPS", "GCOUNT", "PCOUNT"}.isdisjoint(cards.images):
        return None
    bitpix, naxis, nx, ny = map(cards.get, ("BITPIX", "NAXIS", "NAXIS1", "NAXIS2"))
    whole = all(type(value) is int for value in (bitpix, naxis, nx, ny))
    if not whole or bitpix not in _BITPIX or naxis != 2 or nx < 1 or ny < 1:
        return None
    length = -(-(end + CARD_LENGTH) // BLOCK) + -(-(nx * ny * abs(bitpix) // 8) // BLOCK)
    return (cards, (ny, nx)) if size == length * BLOCK else None

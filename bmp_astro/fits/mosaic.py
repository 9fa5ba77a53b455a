"""The colors of a mosaic: which pixels are behind which filter."""

import re
from collections.abc import Mapping
from typing import Any

from .cameras import find_instrument
from .cardvalues import card_value
from .section import Section

WHOLE: Section = (slice(None), slice(None))
_PATTERN = re.compile(r"[RGBCMYW]{4}")


def color_planes(header: Mapping[str, Any], instrument: Any = None) -> dict[str, Section]:
    """Tell where the colors of a mosaic are.

    Parameters
    ----------
    header : `~astropy.io.fits.Header` or mapping
        The header of the frame; XBAYROFF and YBAYROFF say by how many columns and rows the pattern
        begins before the first pixel.
    instrument : Instrument, str or path-like, optional
        Knows the pattern (``color_pattern``); None: chosen by the header.

    Returns
    -------
    dict of str to tuple of slice
        For each of the four pixels of the pattern ``(slice_y, slice_x)``; empty when the frame is
        no mosaic. A color that is there twice has a number behind it.

    Examples
    --------
    >>> from bmp_astro.fits import color_planes
    >>> planes = color_planes({"BAYERPAT": "RGGB"})
    >>> list(planes), planes["G1"]
    (['R', 'G1', 'G2', 'B'], (slice(0, None, 2), slice(1, None, 2)))
    >>> color_planes({"BAYERPAT": "RGGB", "YBAYROFF": 1})["R"]
    (slice(1, None, 2), slice(0, None, 2))
    """
    said = find_instrument(instrument, header).value("color_pattern", header)
    pattern = "" if said is None else said.strip().upper()
    if not _PATTERN.fullmatch(pattern):
        return {}
    dx, dy = (_offset(header, name) for name in ("XBAYROFF", "YBAYROFF"))
    planes = {}
    for number, letter in enumerate(pattern):
        before, again = pattern[:number].count(letter), pattern.count(letter) > 1
        name = f"{letter}{before + 1}" if again else letter
        y, x = divmod(number, 2)
        planes[name] = (slice((y - dy) % 2, None, 2), slice((x - dx) % 2, None, 2))
    return planes


def _offset(header: Mapping[str, Any], name: str) -> int:
    """Return an offset of the pattern, 0 where none is said."""
    value = card_value(header, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number else 0

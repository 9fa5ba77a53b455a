"""Sections of an image: `[x1:x2,y1:y2]` in a header, `(slice_y, slice_x)` in numpy."""

import re

Section = tuple[slice, slice]

_RANGE = r"\s*(\d+)\s*:\s*(\d+)\s*"
_SECTION = re.compile(rf"\s*\[{_RANGE},{_RANGE}\]\s*")


def parse_section(text: str) -> Section:
    """Slices of a FITS section.

    A FITS section counts from 1, includes both ends, and names x first; numpy counts from 0,
    excludes the end, and names y first.

    Parameters
    ----------
    text : str
        Such as ``"[1:2048,1:4096]"``; blanks do not matter.

    Returns
    -------
    tuple of slice
        ``(slice_y, slice_x)``. A reversed range gives a slice with step -1.

    Raises
    ------
    ValueError
        If `text` is not a section, or is one of the placeholders that cameras write for
        "there is none", such as ``"UNKNOWN"`` and ``"[0:0,0:0]"``.

    Examples
    --------
    >>> from bmp_astro.fits import parse_section
    >>> parse_section("[  17: 528,   1: 520]")
    (slice(0, 520, None), slice(16, 528, None))
    """
    match = _SECTION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a section: expected text like '[1:2048,1:4096]'")
    x1, x2, y1, y2 = map(int, match.groups())
    if min(x1, x2, y1, y2) < 1:
        raise ValueError(f"{text!r} is not a section: its pixels count from 1")
    return _slice(y1, y2), _slice(x1, x2)


def format_section(section: Section) -> str:
    """FITS text of a pair of slices: the inverse of `parse_section`.

    Parameters
    ----------
    section : tuple of slice
        ``(slice_y, slice_x)`` with start and stop, and a step of None, 1 or -1.

    Returns
    -------
    str
        The section in FITS order, x first.

    Raises
    ------
    ValueError
        If a slice is empty, open, or skips pixels.

    Examples
    --------
    >>> from bmp_astro.fits import format_section
    >>> format_section((slice(0, 520), slice(16, 528)))
    '[17:528,1:520]'
    """
    slice_y, slice_x = section
    x1, x2 = _ends(slice_x)
    y1, y2 = _ends(slice_y)
    return f"[{x1}:{x2},{y1}:{y2}]"


def section_shape(section: Section) -> tuple[int, int]:
    """Shape of the image that a section cuts out.

    Parameters
    ----------
    section : tuple of slice
        ``(slice_y, slice_x)``.

    Returns
    -------
    tuple of int
        ``(ny, nx)``.

    Examples
    --------
    >>> from bmp_astro.fits import parse_section, section_shape
    >>> section_shape(parse_section("[17:528,1:520]"))
    (520, 512)
    """
    slice_y, slice_x = section
    (y1, y2), (x1, x2) = _ends(slice_y), _ends(slice_x)
    return abs(y2 - y1) + 1, abs(x2 - x1) + 1


def _slice(first: int, last: int) -> slice:
    """Slice from a range that counts from 1 and includes both ends."""
    if first <= last:
        return slice(first - 1, last)
    return slice(first - 1, last - 2 if last > 1 else None, -1)


def _ends(part: slice) -> tuple[int, int]:
    """First and last pixel of a slice, counted from 1."""
    if part.step == -1 and part.start is not None:
        first, last = part.start + 1, 1 if part.stop is None else part.stop + 2
        if first >= last >= 1:
            return first, last
    elif part.step in (None, 1) and None not in (part.start, part.stop):
        first, last = part.start + 1, part.stop
        if 1 <= first <= last:
            return first, last
    raise ValueError(f"{part} has no FITS section: expected start < stop, or a step of -1")

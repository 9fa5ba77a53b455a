"""What the amplifiers read of a frame, and the cards of a header that say so.

Sections are pairs of slices ``(y, x)`` with steps of 1 or -1, so that
``image[readout.target] = raw[readout.raw]`` puts the pixels of an amplifier in their place.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from astropy.io import fits

from .cards import set_card
from .section import Section, format_section, parse_section, section_shape

_CARDS = {
    "gain": ("AMPGN", "[electron/adu] its gain"),
    "raw_gain": ("RAWGN", "[electron/adu] its gain, that was applied"),
    "read_noise": ("AMPRN", "[electron] its read noise"),
    "saturation": ("AMPSAT", "its level of saturation"),
    "level": ("AMPLEV", "[adu] its overscan level, mean"),
    "level_variance": ("AMPLVR", "[adu2] variance of that"),
}
_OWN = re.compile(r"(?:AMP(?:SEC|RAW|OVS|GN|RN|SAT|LEV|LVR)|RAWGN)\d+")
_SECTIONS = re.compile(
    r"(?:BIAS|TRIM|DATA|CCD|DET|AMP|PRE|POST)SEC[A-D]?|[ABCDT]SEC(?:[A-D]|\d\d)|LT[MV]\d(?:_\d)?"
)


class Readout(NamedTuple):
    """What one amplifier reads of a frame.

    Attributes
    ----------
    raw : tuple of slice or None
        Its pixels in the raw frame; None when the frame has been assembled.
    target : tuple of slice
        Where they belong in the assembled image.
    overscan : tuple of sections
        Its overscan in the raw frame.
    gain, read_noise, saturation : float or None
        electron/adu, electron, adu. Of pixels in electron `raw_gain` is the gain that they had.
    level, level_variance : float or None
        Of the overscan that was subtracted, adu and adu2.
    """

    raw: Section | None
    target: Section
    overscan: tuple[Section, ...] = ()
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    raw_gain: float | None = None
    level: float | None = None
    level_variance: float | None = None

    @property
    def section(self) -> Section:
        """Where its pixels are in the frame as it is now."""
        return self.target if self.raw is None else self.raw


def parse_sections(text: str) -> tuple[Section, ...]:
    """Slices of a text of one or several sections.

    Parameters
    ----------
    text : str
        Such as ``"[513:544,1:512] [1:512,513:532]"``.

    Returns
    -------
    tuple of sections
        As `parse_section` has each.

    Examples
    --------
    >>> from bmp_astro.fits.readouts import parse_sections
    >>> len(parse_sections("[513:544,1:512] [1:512,513:532]"))
    2
    """
    return tuple(parse_section(part) for part in re.split(r"(?<=\])[\s;,]*(?=\[)", text.strip()))


def origin_of(readouts: Iterable[Readout]) -> tuple[int, int]:
    """Return the corner ``(y, x)``, counted from 0, of what amplifiers read together."""
    ends = [ascending(readout.target) for readout in readouts]
    return min(y.start for y, _ in ends), min(x.start for _, x in ends)


def assembled_shape(readouts: Iterable[Readout]) -> tuple[int, int]:
    """Return the shape ``(ny, nx)`` of the assembled image."""
    ends = [ascending(readout.target) for readout in readouts]
    return max(y.stop for y, _ in ends), max(x.stop for _, x in ends)


def check_cover(readouts: Sequence[Readout]) -> None:
    """Raise ValueError where amplifiers overlap or leave gaps."""
    places = [ascending(readout.target) for readout in readouts]
    ny, nx = assembled_shape(readouts)
    areas = [math.prod(section_shape(place)) for place in places]
    overlap = any(_share_pixels(*pair) for pair in combinations(places, 2))
    if overlap or sum(areas) != ny * nx:
        sections = ", ".join(format_section(readout.target) for readout in readouts)
        raise ValueError(
            "the sections of the amplifiers on the detector "
            f"{'overlap' if overlap else 'leave gaps between them'}: {sections}"
        )


def ascending(section: Section) -> Section:
    """Return a section whose ranges run up."""
    return tuple(slice(part[0], part[-1] + 1) for part in map(_ascending_range, section))


def range_of(part: slice) -> range:
    """Return the pixels of a slice, in its order."""
    step = 1 if part.step is None else part.step
    return range(part.start, -1 if part.stop is None else part.stop, step)


def slice_of(pixels: range) -> slice:
    """Return the slice of some pixels: the inverse of `range_of`."""
    if pixels.step == 1:
        return slice(pixels.start, pixels.stop)
    return slice(pixels.start, None if pixels.stop < 0 else pixels.stop, pixels.step)


def write_readouts(header: fits.Header, readouts: Sequence[Readout]) -> None:
    """Write amplifiers into a header, in the place of those that it has."""
    remove_readouts(header)
    for n, readout in enumerate(readouts, start=1):
        if readout.raw is not None:
            set_card(header, f"AMPRAW{n}", format_section(readout.raw), "amplifier, in the file")
        if readout.overscan:
            text = " ".join(map(format_section, readout.overscan))
            set_card(header, f"AMPOVS{n}", text, "its overscan")
        set_card(header, f"AMPSEC{n}", format_section(readout.target), "amplifier, in the image")
        for name, (card, comment) in _CARDS.items():
            value = getattr(readout, name)
            if value is not None:
                set_card(header, f"{card}{n}", float(value), comment)


def readouts_in(header: Mapping[str, Any]) -> tuple[Readout, ...]:
    """Return the amplifiers that `write_readouts` has written."""
    found = []
    while f"AMPSEC{len(found) + 1}" in header:
        n = len(found) + 1
        raw, overscan = header.get(f"AMPRAW{n}"), header.get(f"AMPOVS{n}")
        found.append(
            Readout(
                None if raw is None else parse_section(raw),
                parse_section(header[f"AMPSEC{n}"]),
                () if overscan is None else parse_sections(overscan),
                **{name: header.get(f"{card}{n}") for name, (card, _) in _CARDS.items()},
            )
        )
    return tuple(found)


def cut_readouts(header: fits.Header, section: Section) -> None:
    """Say where amplifiers are in an assembled image that was cut to a section, if they are."""
    kept = []
    for readout in readouts_in(header):
        parts = []
        for part, window in zip(ascending(readout.target), ascending(section), strict=True):
            low, high = max(part.start, window.start), min(part.stop, window.stop)
            parts.append(slice(low - window.start, high - window.start))
        if all(part.start < part.stop for part in parts):
            kept.append(readout._replace(target=(parts[0], parts[1])))
    write_readouts(header, kept)


def remove_readouts(header: fits.Header) -> None:
    """Remove the cards of `write_readouts`."""
    for name in [name for name in header if _OWN.fullmatch(name)]:
        header.remove(name, remove_all=True)


def remove_sections(header: fits.Header) -> None:
    """Remove the cards that say where amplifiers were in the raw frame."""
    for name in {name for name in header if _SECTIONS.fullmatch(name)}:
        header.remove(name, remove_all=True)


def _share_pixels(one: Section, other: Section) -> bool:
    """Tell whether two ascending sections overlap."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _ascending_range(part: slice) -> range:
    """Return the pixels of a slice from the first to the last."""
    pixels = range_of(part)
    return pixels if pixels.step > 0 else pixels[::-1]


def shifted(part: slice, shift: int) -> slice:
    """Return a slice moved along its axis."""
    pixels = range_of(part)
    return slice_of(range(pixels.start + shift, pixels.stop + shift, pixels.step))

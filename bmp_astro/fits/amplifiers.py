"""The amplifiers of a detector: where each one's pixels are in a raw frame, and where they belong.

Sections of a resolved amplifier are pairs of slices ``(y, x)`` with steps of 1 or -1, so that
``image[readout.target] = raw[readout.raw]`` puts its pixels in their place.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import astropy.units as u
from astropy.io import fits

from .cards import set_card
from .common import FACTS
from .facts import Source, look_up
from .keywords import Keyword
from .section import Section, format_section, parse_section, section_shape

_NUMBERS = ("gain", "read_noise", "saturation")
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


@dataclass(frozen=True)
class Corners:
    """A section of which a header has the corners in four cards.

    Parameters
    ----------
    x1, x2, y1, y2 : str
        The cards with the first and last column and row, counted from 1.

    Examples
    --------
    >>> from bmp_astro.fits.amplifiers import Corners
    >>> Corners("X1", "X2", "Y1", "Y2").read({"X1": 9, "X2": 520, "Y1": 50, "Y2": 4225})
    '[9:520,50:4225]'
    """

    x1: str
    x2: str
    y1: str
    y2: str

    def read(self, header: Mapping[str, Any]) -> str | None:
        """Return the section as text, None where a card is missing."""
        ends = [
            Keyword(name, kind=int).read(header) for name in (self.x1, self.x2, self.y1, self.y2)
        ]
        return None if None in ends else "[{}:{},{}:{}]".format(*ends)


@dataclass(frozen=True)
class Amplifier:
    """One of several amplifiers that read a detector.

    Each entry is a constant, a `Keyword`, a tuple of them, or None; sections are FITS text such as
    ``"[1:1024,1:2048]"``.

    Parameters
    ----------
    data_section
        Its pixels that saw light, in the raw image.
    overscan_section
        Its overscan in the raw image: columns, rows, or both, as in
        ``"[513:544,1:512] [1:512,513:532]"``; None where it has none.
    detector_section
        Where these pixels are on the detector, binned or not; a range runs down where they are
        read in the opposite direction. By default as in the raw image.
    gain, read_noise, saturation
        In electron/adu, electron and raw adu; None: as for the whole frame.
    hdu : int, optional
        The extension that it fills, for files with an extension for each.

    Examples
    --------
    >>> import astropy.units as u
    >>> from bmp_astro import Instrument
    >>> from bmp_astro.fits import Amplifier, amplifiers_of
    >>> camera = Instrument("two halves", amplifiers=(
    ...     Amplifier("[1:50,1:80]", "[51:60,1:80]", gain=1.4 * u.electron / u.adu),
    ...     Amplifier("[71:120,1:80]", "[61:70,1:80]", "[51:100,1:80]",
    ...               gain=1.6 * u.electron / u.adu)))
    >>> [readout.gain for readout in amplifiers_of({}, camera)]
    [1.4, 1.6]
    """

    data_section: Source | Corners
    overscan_section: Source | Corners = None
    detector_section: Source | Corners = None
    gain: Source = None
    read_noise: Source = None
    saturation: Source = None
    hdu: int | None = None


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
    >>> from bmp_astro.fits.amplifiers import parse_sections
    >>> len(parse_sections("[513:544,1:512] [1:512,513:532]"))
    2
    """
    return tuple(parse_section(part) for part in re.split(r"(?<=\])[\s;,]*(?=\[)", text.strip()))


def amplifiers_of(header: Mapping[str, Any], instrument: Any) -> tuple[Readout, ...]:
    """Tell where the amplifiers of a raw frame are.

    Parameters
    ----------
    header : `~astropy.io.fits.Header` or mapping
        Of a raw frame, as `read_frame` gives it.
    instrument : Instrument
        Knows the header; its `amplifiers` say where to look.

    Returns
    -------
    tuple of Readout
        One for each; empty for a frame that is all of one piece.

    Raises
    ------
    ValueError
        If the header knows some amplifiers and not the others, or their sections do not fit.
    """
    if "AMPSEC1" in header:
        return readouts_in(header)
    if not instrument.amplifiers or instrument.amplifiers[0].hdu is not None:
        return ()
    return placed(
        [resolved(each, header, instrument) for each in instrument.amplifiers], instrument
    )


def resolved(amplifier: Amplifier, header: Mapping[str, Any], instrument: Any) -> Readout | None:
    """Return one amplifier by its header, its target in pixels of the detector as binned.

    None where the header does not know it.
    """
    raw = _section(amplifier.data_section, header)
    if raw is None:
        return None
    text = _text(amplifier.overscan_section, header)
    overscan = () if text is None else parse_sections(text)
    target = _section(amplifier.detector_section, header)
    binning = [instrument.value(name, header) for name in ("ybinning", "xbinning")]
    target = raw if target is None else _binned(target, raw, binning)
    return Readout(raw, target, overscan, **_numbers(amplifier, header, instrument))


def placed(found: Sequence[Readout | None], instrument: Any) -> tuple[Readout, ...]:
    """Return amplifiers with targets that count from the corner of what they read together."""
    readouts = [readout for readout in found if readout is not None]
    if not readouts:
        return ()
    if len(readouts) < len(found):
        missing = [n for n, readout in enumerate(found, start=1) if readout is None]
        raise ValueError(
            f"the header has no data section for amplifier {missing[0]} of {len(found)} of the "
            f"instrument {instrument.name!r}: give its amplifiers as they are in these frames"
        )
    y0, x0 = origin_of(readouts)
    moved = [
        r._replace(target=(_moved(r.target[0], -y0), _moved(r.target[1], -x0))) for r in readouts
    ]
    check_cover(moved)
    return tuple(moved)


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


def _numbers(
    amplifier: Amplifier, header: Mapping[str, Any], instrument: Any
) -> dict[str, float | None]:
    """Return gain, read noise and saturation: the amplifier's own, else the frame's."""
    numbers = {}
    for name in _NUMBERS:
        own = look_up(getattr(amplifier, name), header, name).value
        value = instrument.value(name, header) if own is None else own
        numbers[name] = None if value is None else float(u.Quantity(value, FACTS[name]).value)
    return numbers


def _text(source: Source | Corners, header: Mapping[str, Any]) -> str | None:
    """Return the text of a section, None for a placeholder or where nothing is known."""
    said = source.read(header) if isinstance(source, Corners) else look_up(source, header).value
    if said is None:
        return None
    try:
        parse_sections(said)
    except ValueError:
        if isinstance(source, str):
            raise
        return None
    return said


def _section(source: Source | Corners, header: Mapping[str, Any]) -> Section | None:
    """Return a section, None where the header has none."""
    text = _text(source, header)
    return None if text is None else parse_section(text)


def _binned(target: Section, raw: Section, binning: Sequence[int | None]) -> Section:
    """Return the place on the detector in binned pixels; it may be so already."""
    parts = []
    for part, size, factor in zip(target, section_shape(raw), binning, strict=True):
        pixels = range_of(part)
        if len(pixels) == size:
            parts.append(part)
        elif factor is not None and len(pixels) == size * factor:
            low, high = sorted((pixels[0], pixels[-1]))
            up = range(low // factor, high // factor + 1)
            parts.append(slice_of(up if pixels.step > 0 else up[::-1]))
        else:
            raise ValueError(
                f"{format_section(target)} on the detector does not fit the data section "
                f"{format_section(raw)} at a binning of {binning[1]} x {binning[0]}"
            )
    return parts[0], parts[1]


def _share_pixels(one: Section, other: Section) -> bool:
    """Tell whether two ascending sections overlap."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _ascending_range(part: slice) -> range:
    """Return the pixels of a slice from the first to the last."""
    pixels = range_of(part)
    return pixels if pixels.step > 0 else pixels[::-1]


def _moved(part: slice, shift: int) -> slice:
    """Return a slice moved along its axis."""
    pixels = range_of(part)
    return slice_of(range(pixels.start + shift, pixels.stop + shift, pixels.step))

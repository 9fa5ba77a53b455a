"""The amplifiers of a detector, as an instrument or a header describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u

from .common import FACTS
from .facts import Source, look_up
from .keywords import Keyword
from .readouts import (
    Readout,
    check_cover,
    origin_of,
    parse_sections,
    range_of,
    readouts_in,
    shifted,
    slice_of,
)
from .section import Section, format_section, parse_section, section_shape

_NUMBERS = ("gain", "read_noise", "saturation")


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
    image = [
        r._replace(target=(shifted(r.target[0], -y0), shifted(r.target[1], -x0))) for r in readouts
    ]
    check_cover(image)
    return tuple(image)


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

"""Extensions with an amplifier each, as one raw image: one upon the other."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from astropy.io import fits

from .amplifiers import Amplifier, placed, resolved
from .cards import set_card
from .checksum import fold
from .keywords import Keyword
from .pixels import Encoding, encoding_of
from .readouts import Readout, origin_of, remove_sections, write_readouts
from .section import Section
from .source import Hdu
from .wcs import turn_wcs

# What an extension of the usual kind says of its amplifier; a data section may have overscan in it.
_USUAL = tuple(
    Amplifier(
        Keyword(name, kind=str),
        Keyword("BIASSEC", kind=str, empty=("[0:0,0:0]",)),
        Keyword("DETSEC", kind=str),
    )
    for name in ("DATASEC", "TRIMSEC")
)
_OF_ONE_UNIT = ("EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "CHECKSUM", "DATASUM")
_WCS = re.compile(
    r"WCSAXES|RADESYS|RADECSYS|EQUINOX|C(?:TYPE|RVAL|RPIX|UNIT|DELT|ROTA)\d|(?:CD|PC)\d_\d"
)


class Stacked(NamedTuple):
    """The units of a frame with several amplifiers, and where those are in the units together."""

    units: tuple[Hdu, ...]
    readouts: tuple[Readout, ...]
    origin: tuple[int, int]


class Plane(Protocol):
    """The pixels of one unit."""

    shape: tuple[int, int]
    header: fits.Header
    encoding: Encoding

    def read(self, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return pixels of some rows, and the flags of those without a value."""

    def stored(self, y0: int, y1: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return numbers of some rows as they are in the file, in the room if it will do."""

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the pixels of some rows and columns."""

    def data_sum(self) -> int:
        """Return the DATASUM of what the unit stores."""

    def check(self, y0: int, y1: int) -> None:
        """Complain about rows that are not there."""


class Stack:
    """Planes of equal width and type, one upon the other: a `Plane` itself."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self._planes = tuple(planes)
        self._starts = np.cumsum([0, *(plane.shape[0] for plane in planes)]).tolist()
        self.shape = (self._starts[-1], planes[0].shape[1])
        self.header = planes[0].header
        self.encoding = planes[0].encoding

    def read(self, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return pixels of some rows, and the flags of those without a value."""
        self.check(y0, y1)
        found = [plane.read(*rows) for plane, rows in self._parts(y0, y1)]
        pixels = np.concatenate([pixels for pixels, _ in found])
        if all(flags is None for _, flags in found):
            return pixels, None
        planes = [np.zeros(p.shape, np.uint8) if flags is None else flags for p, flags in found]
        return pixels, np.concatenate(planes)

    def stored(self, y0: int, y1: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return numbers of some rows as they are in the file."""
        return np.concatenate([plane.stored(*rows) for plane, rows in self._parts(y0, y1)])

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the pixels of some rows and columns."""
        self.check(rows.start, rows.stop)
        parts = self._parts(rows.start, rows.stop)
        return np.concatenate([plane.window(slice(*part), columns) for plane, part in parts])

    def check(self, y0: int, y1: int) -> None:
        """Complain about rows that are not there."""
        if not 0 <= y0 <= y1 <= self.shape[0]:
            raise ValueError(f"rows {y0}:{y1} are not within the {self.shape[0]} of the amplifiers")

    def data_sum(self) -> int:
        """Return the DATASUM of what the units store together."""
        return fold(sum(plane.data_sum() for plane in self._planes))

    def _parts(self, y0: int, y1: int) -> Iterator[tuple[Plane, tuple[int, int]]]:
        """Yield each plane that has some of the rows, and which of its own; one at the least."""
        for plane, start in zip(self._planes, self._starts, strict=False):
            low, high = max(y0 - start, 0), min(y1 - start, plane.shape[0])
            if low < high or (low == high and y0 == y1 and low < plane.shape[0]):
                yield plane, (low, high)


def find_stack(
    hdus: Sequence[Hdu], headers: Sequence[fits.Header], instrument: Any
) -> Stacked | None:
    """Tell whether extensions are the amplifiers of one frame.

    Parameters
    ----------
    hdus : sequence of Hdu
        The two-dimensional images of a file.
    headers : sequence of Header
        The cards of each, with those of the primary header.
    instrument : Instrument
        Says which extensions they are; else those that have a data section and its place on the
        detector, if together they cover a rectangle of it.

    Returns
    -------
    Stacked or None
        None where each image is a frame of its own.

    Raises
    ------
    ValueError
        If the instrument's amplifiers are not in the file, or do not fit together.
    """
    declared = [each for each in instrument.amplifiers if each.hdu is not None]
    if declared:
        return _declared(hdus, headers, declared, instrument)
    if instrument.amplifiers or len(hdus) < 2 or not _are_alike(hdus):
        return None
    for usual in _USUAL:
        try:
            return _stacked(hdus, headers, [usual] * len(hdus), instrument)
        except ValueError:
            continue
    return None


def stacked_header(
    header: fits.Header, primary: fits.Header, found: Stacked, instrument: Any
) -> fits.Header:
    """Return the header of the first unit as that of all: it says where the amplifiers are.

    A WCS of the primary header counts in the assembled image; for instruments whose WCS counts in
    raw pixels it is turned to do so.
    """
    header = header.copy()
    remove_sections(header)
    for name in _OF_ONE_UNIT:
        header.remove(name, ignore_missing=True, remove_all=True)
    if "CTYPE1" not in header:
        header.extend(card for card in primary.cards if _WCS.fullmatch(card.keyword))
        if instrument.wcs_frame == "raw":
            turn_wcs(header, found.readouts[0].target, found.readouts[0].raw)
    set_card(header, "NAXIS2", sum(unit.axes[1] for unit in found.units))
    for name, start in zip(("YORGSUBF", "XORGSUBF"), found.origin, strict=True):
        if name not in header:
            set_card(header, name, start, "[pixel] corner on the detector, binned")
    gains = [readout.gain for readout in found.readouts]
    if "GAIN" in header and None not in gains:
        set_card(header, "GAIN", float(np.mean(gains)), "[electron/adu] mean of the amplifiers")
    write_readouts(header, found.readouts)
    return header


def _declared(
    hdus: Sequence[Hdu],
    headers: Sequence[fits.Header],
    amplifiers: Sequence[Amplifier],
    instrument: Any,
) -> Stacked:
    """Return the units that an instrument names."""
    by_number = {hdu.index: (hdu, header) for hdu, header in zip(hdus, headers, strict=True)}
    missing = [each.hdu for each in amplifiers if each.hdu not in by_number]
    if missing:
        raise ValueError(
            f"the instrument {instrument.name!r} has an amplifier in unit {missing[0]}, but the "
            f"file has images in units {sorted(by_number)}"
        )
    chosen = [by_number[each.hdu] for each in amplifiers]
    units, cards = zip(*chosen, strict=True)
    if not _are_alike(units):
        raise ValueError("the extensions of the amplifiers differ in width or type")
    return _stacked(units, cards, amplifiers, instrument)


def _stacked(
    units: Sequence[Hdu],
    headers: Sequence[fits.Header],
    amplifiers: Sequence[Amplifier],
    instrument: Any,
) -> Stacked:
    """Return units with their amplifiers, whose sections count in the stack."""
    found, start = [], 0
    for unit, header, amplifier in zip(units, headers, amplifiers, strict=True):
        readout = resolved(amplifier, header, instrument)
        if readout is not None:
            raw, *overscan = (_raised(s, start) for s in (readout.raw, *readout.overscan))
            readout = readout._replace(raw=raw, overscan=tuple(overscan))
        found.append(readout)
        start += unit.axes[1]
    readouts = placed(found, instrument)
    if not readouts:
        raise ValueError("no extension has a data section")
    return Stacked(tuple(units), readouts, origin_of([r for r in found if r is not None]))


def _are_alike(units: Sequence[Hdu]) -> bool:
    """Tell whether units have the same width and type of pixels."""
    kinds = {(unit.axes[0], encoding_of(unit.header, unit.bitpix)) for unit in units}
    return len(kinds) == 1


def _raised(section: Section, rows: int) -> Section:
    """Return a section so many rows higher."""
    y, x = section
    stop = None if y.stop is None else y.stop + rows
    if y.step == -1 and y.stop is None and rows:
        stop = rows - 1
    return slice(y.start + rows, stop, y.step), x

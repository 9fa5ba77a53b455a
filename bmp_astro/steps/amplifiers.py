"""Frames that several amplifiers read: their overscan, their crosstalk, and one image of them."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.io import fits

from ..fits import Instrument, Readout, amplifiers_of, find_instrument
from ..fits.readouts import (
    ascending,
    assembled_shape,
    range_of,
    readouts_in,
    slice_of,
)
from ..fits.section import Section, section_shape
from .level import OverscanLevel, sections_level
from .provenance import record_amplifiers, record_crosstalk

Pixels = Callable[[Section], np.ndarray]


class Assembly:
    """The pixels of several amplifiers as one image, and the level to be subtracted from them.

    Its methods may be called from several threads at once.

    Parameters
    ----------
    readouts : sequence of `~bmp_astro.fits.Readout`
        The amplifiers.
    pixels : callable
        Gives the pixels of a section of the raw frame whose ranges run up.
    crosstalk : sequence of sequence of float or None
        A row for each amplifier: which fraction of the signal of each other one is in its pixels.
    levels : bool
        Whether overscan levels are wanted.
    **options
        Of `overscan_level`, and ``axis``.
    """

    def __init__(
        self,
        readouts: Sequence[Readout],
        pixels: Pixels,
        crosstalk: Any = None,
        *,
        levels: bool = True,
        **options: Any,
    ) -> None:
        self.readouts = tuple(readouts)
        self.shape = assembled_shape(readouts)
        self.crosstalk = crosstalk_matrix(crosstalk, self.readouts)
        self._pixels = pixels
        self.levels = tuple(
            sections_level(pixels, one.overscan, one.raw, **options)
            if levels and one.overscan
            else None
            for one in self.readouts
        )
        self._pedestals = (
            None if self.crosstalk is None else [pedestal_of(pixels, one) for one in self.readouts]
        )

    @property
    def overscan(self) -> OverscanLevel | None:
        """Level and variance of each amplifier, ``(n, 1)``; None where none has an overscan."""
        if all(level is None for level in self.levels):
            return None
        means = [
            (0.0, 0.0) if x is None else (x.level.mean(), x.variance.mean()) for x in self.levels
        ]
        return OverscanLevel(*(np.array(column)[:, None] for column in zip(*means, strict=True)))

    def rows(self, y0: int, y1: int) -> np.ndarray:
        """Return raw pixels of some rows of the image."""
        image = None
        for n, rows, place in self._within(y0, y1):
            one = self.readouts[n]
            pixels = _oriented(self._pixels, (slice_of(range_of(one.raw[0])[rows]), one.raw[1]))
            if image is None:
                image = np.empty((y1 - y0, self.shape[1]), pixels.dtype)
            image[place] = pixels
        return np.empty((0, self.shape[1]), np.float32) if image is None else image

    def level(self, y0: int, y1: int) -> np.ndarray | None:
        """Return what is to be subtracted from these rows, float32: overscan and crosstalk."""
        if self.overscan is None and self.crosstalk is None:
            return None
        image = np.zeros((y1 - y0, self.shape[1]), np.float32)
        for n, rows, place in self._within(y0, y1):
            found = self.levels[n]
            if found is not None:
                level = found.level
                image[place] = level[rows] if len(level) > 1 else level
            if self.crosstalk is not None:
                image[place] += self.crosstalk_into(n, rows)
        return image

    def _within(self, y0: int, y1: int) -> Iterator[tuple[int, slice, Section]]:
        """Yield each amplifier that has some of the rows, which of its own, and their place."""
        for n, one in enumerate(self.readouts):
            rows, columns = map(range_of, one.target)
            up = rows if rows.step > 0 else rows[::-1]
            low, high = max(up.start, y0), min(up.stop, y1)
            if low >= high:
                continue
            if rows.step > 0:
                own = slice(low - rows.start, high - rows.start)
            else:
                own = slice(rows.start - high + 1, rows.start - low + 1)
            there = rows[own]
            place = slice_of(range(there.start - y0, there.stop - y0, there.step))
            yield n, own, (place, slice_of(columns))

    def crosstalk_into(self, n: int, rows: slice) -> np.ndarray | float:
        """Return the signal, adu, that other amplifiers leave in some rows of one."""
        total: np.ndarray | float = 0.0
        for source, factor in enumerate(self.crosstalk[n]):
            if factor != 0 and source != n:
                raw = self.readouts[source].raw
                there = slice_of(range_of(raw[0])[rows]), raw[1]
                signal = _oriented(self._pixels, there).astype(np.float32)
                total = total + np.float32(factor) * (signal - np.float32(self._pedestals[source]))
        return total


def record_levels(header: fits.Header, assembly: Assembly, words: str) -> None:
    """Write which overscan and crosstalk are subtracted from an assembled frame."""
    readouts = readouts_in(header)
    if assembly.crosstalk is not None:
        record_crosstalk(header)
    if assembly.overscan is not None:
        record_amplifiers(header, readouts, assembly.overscan, words)


def raw_readouts(frame: Any, instrument: Any = None) -> tuple[Readout, ...]:
    """Return the amplifiers of a raw frame; none for one that is of a piece, or assembled.

    Raises
    ------
    ValueError
        One of them is not within the frame.
    """
    readouts = amplifiers_of(frame.header, find_instrument(instrument, frame.header))
    if not readouts or readouts[0].raw is None:
        return ()
    for number, one in enumerate(readouts, start=1):
        for section in (one.raw, *one.overscan):
            y, x = ascending(section)
            if y.stop > frame.shape[0] or x.stop > frame.shape[1]:
                raise ValueError(
                    f"amplifier {number} has pixels in columns up to {x.stop} and rows up to "
                    f"{y.stop}, but the frame is {frame.shape} (ny, nx): is it a raw one?"
                )
    return readouts


def check_given(section: Any, readouts: Sequence[Readout]) -> None:
    """Raise where one overscan section is given for several amplifiers."""
    if section is not None:
        raise ValueError(
            f"overscan_section is {section!r}, but the frame has {len(readouts)} amplifiers, each "
            "with its own: give them as the amplifiers of an instrument"
        )


def amplifier_levels(
    raw: np.ndarray, readouts: Sequence[Readout], **options: Any
) -> tuple[OverscanLevel | None, np.ndarray]:
    """Overscan level of each amplifier in a raw frame.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The frame, ``(ny, nx)``.
    readouts : sequence of Readout
        The amplifiers.
    **options
        Of `overscan_level`, and ``axis``.

    Returns
    -------
    found : OverscanLevel or None
        The mean level of each amplifier and its variance, ``(n, 1)``; None where no amplifier has
        an overscan.
    plane : `~numpy.ndarray`
        The level of each pixel that an amplifier read, float32, ``(ny, nx)``; 0 elsewhere.
    """
    assembly = Assembly(readouts, raw.__getitem__, **options)
    plane = np.zeros(raw.shape, np.float32)
    for one, found in zip(readouts, assembly.levels, strict=True):
        if found is not None:
            plane[one.raw] = found.level
    return assembly.overscan, plane


def assemble(plane: np.ndarray, readouts: Sequence[Readout]) -> np.ndarray:
    """Return a plane of a raw frame as that of the image that its amplifiers make."""
    image = np.empty(assembled_shape(readouts), plane.dtype)
    for one in readouts:
        image[one.target] = plane[one.raw]
    return image


def amplifier_values(frame: Any, fact: str, instrument: Any = None) -> float | np.ndarray | None:
    """Return gain, read noise or saturation of each pixel, by its amplifier.

    Parameters
    ----------
    frame : `~astropy.nddata.CCDData` or any that has a header and a shape
        Raw or assembled.
    fact : {"gain", "raw_gain", "read_noise", "saturation", "level_variance"}
        What is wanted.
    instrument : Instrument or str, optional
        Knows the header of a raw frame; by default chosen by it.

    Returns
    -------
    float, `~numpy.ndarray` or None
        A number where all amplifiers have the same; else float32, ``(ny, nx)``, read-only, and
        shared with others that ask for the same; None where there are no amplifiers, or one is
        silent.
    """
    header = frame.header
    readouts = readouts_in(header) if "AMPSEC1" in header else raw_readouts(frame, instrument)
    values = [getattr(one, fact) for one in readouts]
    if not values or None in values:
        return None
    return values_map(readouts, values, frame.shape, keep=fact != "level_variance")


def values_map(
    readouts: Sequence[Readout],
    values: Sequence[float],
    shape: tuple[int, int],
    *,
    keep: bool = True,
) -> float | np.ndarray:
    """Return a value for each pixel; what no amplifier reads gets their mean."""
    if len(set(values)) == 1:
        return float(values[0])
    places = tuple(
        tuple((part.start, part.stop) for part in ascending(one.section)) for one in readouts
    )
    make = _map if keep else _map.__wrapped__
    return make(places, tuple(map(float, values)), tuple(shape))


def find_crosstalk(header: Any, crosstalk: Any, instrument: Instrument) -> Any:
    """Return coefficients: given, else the instrument's unless they have been applied already."""
    is_done = header.get("XTALKCOR") in (True, "T")
    if crosstalk is None:
        return None if is_done else instrument.crosstalk
    if is_done:
        raise ValueError("the header says that crosstalk is corrected already (XTALKCOR = T)")
    return crosstalk


def crosstalk_matrix(crosstalk: Any, readouts: Sequence[Readout]) -> np.ndarray | None:
    """Return coefficients as an array; ValueError where they do not fit the amplifiers."""
    if crosstalk is None or np.size(crosstalk) == 0:
        return None
    matrix = np.asarray(crosstalk, dtype=float)
    n = len(readouts)
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise ValueError(
            f"crosstalk has shape {matrix.shape} but must be {n} x {n} finite numbers, a row for "
            f"each of the {n} amplifiers"
        )
    if len({section_shape(one.raw) for one in readouts}) > 1:
        raise ValueError("crosstalk needs amplifiers that read equal numbers of rows and columns")
    return matrix


def pedestal_of(pixels: Pixels, readout: Readout) -> float:
    """Return the typical level of an amplifier's overscan, 0 where it has none."""
    if not readout.overscan:
        return 0.0
    return float(np.median(pixels(ascending(readout.overscan[0]))))


@lru_cache(maxsize=8)
def _map(
    places: tuple[tuple[tuple[int, int], ...], ...],
    values: tuple[float, ...],
    shape: tuple[int, int],
) -> np.ndarray:
    """Return an image with a value in each place."""
    image = np.full(shape, np.mean(values), np.float32)
    for place, value in zip(places, values, strict=True):
        image[tuple(slice(*ends) for ends in place)] = value
    image.setflags(write=False)
    return image


def _oriented(pixels: Pixels, section: Section) -> np.ndarray:
    """Return the pixels of a section in its own order."""
    turned = tuple(slice(None, None, part.step) for part in section)
    return pixels(ascending(section))[turned]

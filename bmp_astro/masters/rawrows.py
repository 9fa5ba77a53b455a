"""The raw pixels of an open file where the image is, and the level to be subtracted from them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np

from ..fits import Instrument, OpenFrame, Readout
from ..fits.bands import StoredRows
from ..fits.section import Section, section_shape
from ..steps.amplifiers import (
    Assembly,
    amplifier_values,
    check_given,
    find_crosstalk,
    record_levels,
)
from ..steps.facts import find_overscan, find_section
from ..steps.level import OverscanLevel, frame_level, words_of
from ..steps.provenance import record_assembly, record_origin, record_overscan, record_trim
from ..steps.quantum import highest_value

Rows = Callable[..., Any]
_FEW_ROWS = 4
_ASSEMBLED_BYTES = 8.0  # pixels that crosstalk has made floats, and a level for each


class RawRows(NamedTuple):
    """What there is of a raw file before its bias is subtracted.

    ``pixels(y0, y1, room=None)`` gives `StoredRows` of the trimmed frame, in the room if it can be;
    ``level(y0, y1)`` what is to be subtracted from them, if anything; ``some`` are a few rows in
    the middle, in native byte order; ``saturation`` is the raw level, adu, of all pixels or of
    each; ``pixel_bytes`` is the memory that pixels and level take, by pixel.
    """

    shape: tuple[int, int]
    pixels: Rows
    level: Rows
    overscan: OverscanLevel | None
    some: StoredRows
    saturation: Any
    pixel_bytes: float


class _Headed(NamedTuple):
    """A frame of which only its shape and header count."""

    shape: tuple[int, int]
    header: Any


def rows_of_one(
    frame: OpenFrame,
    header: Any,
    camera: Instrument,
    options: dict[str, Any],
    trim_section: Any,
    saturation: Any,
) -> RawRows:
    """Return the raw pixels of a frame that is of a piece; what is done goes into the header."""
    record_origin(header, camera)
    options = {"section": None, **options}
    sections = find_overscan(frame, options.pop("section"), camera)
    overscan = None
    if sections is not None:
        overscan = frame_level(_Pixels(frame), sections, **options)
        record_overscan(header, *overscan, words_of(sections, **options))
    window = find_section(frame, "trim_section", trim_section, camera)
    if window is None:
        window = (slice(0, frame.shape[0]), slice(0, frame.shape[1]))
    else:
        record_trim(header, window, camera)
    rows, columns = window

    def pixels(y0: int, y1: int, room: np.ndarray | None = None) -> StoredRows:
        raw = frame.stored_rows(rows.start + y0, rows.start + y1, room=room)
        flags = None if raw.flags is None else raw.flags[:, columns]
        return StoredRows(raw.pixels[:, columns], flags, raw.bzero)

    def level(y0: int, y1: int) -> np.ndarray | None:
        if overscan is None:
            return None
        return _part(overscan.level, slice(rows.start + y0, rows.start + y1), columns)

    shape = section_shape(window)
    wide = frame.dtype.itemsize * frame.shape[1] / shape[1]  # the overscan is read with them
    some = _middle(pixels, shape[0])
    limit = _saturation(frame, saturation, camera, some)
    return RawRows(shape, pixels, level, overscan, some, limit, wide)


def rows_of_many(
    readouts: Sequence[Readout],
    crosstalk: Any,
    frame: OpenFrame,
    header: Any,
    camera: Instrument,
    options: dict[str, Any],
    trim_section: Any,
    saturation: Any,
) -> RawRows:
    """Return the same of the image that several amplifiers make."""
    options = {"section": None, **options}
    check_given(options.pop("section"), readouts)
    found = find_crosstalk(header, crosstalk, camera)
    assembly = Assembly(readouts, _Pixels(frame).__getitem__, found, **options)
    record_assembly(header, readouts, camera)
    image = _Headed(assembly.shape, header)
    limit = amplifier_values(image, "saturation") if saturation is None else None
    if limit is None:
        limit = _saturation(frame, saturation, camera, _middle(frame.stored_rows, frame.shape[0]))
    record_levels(header, assembly, words_of((), **options))
    ny, nx = assembly.shape
    window = (slice(0, ny), slice(0, nx))
    if trim_section is not None:
        window = find_section(image, "trim_section", trim_section, camera)
        record_trim(header, window, camera)
    rows, columns = window

    def pixels(y0: int, y1: int, room: np.ndarray | None = None) -> StoredRows:
        raw = assembly.rows(rows.start + y0, rows.start + y1)
        return StoredRows(raw[:, columns], None, 0.0)

    def level(y0: int, y1: int) -> np.ndarray | None:
        plane = assembly.level(rows.start + y0, rows.start + y1)
        return None if plane is None else plane[:, columns]

    limit = limit[window] if isinstance(limit, np.ndarray) else limit
    shape = section_shape(window)
    some = _middle(pixels, shape[0])
    return RawRows(shape, pixels, level, assembly.overscan, some, limit, _ASSEMBLED_BYTES)


class _Pixels:
    """The pixels of an open file, of which only those that are asked for are read."""

    def __init__(self, frame: OpenFrame) -> None:
        self._frame = frame
        self.shape = frame.shape

    def __getitem__(self, section: Section) -> np.ndarray:
        return self._frame.window(*section)


def _part(level: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return a level, of which an axis may have one for all, in some raw rows and columns."""
    level = level if level.shape[0] == 1 else level[rows]
    return level if level.shape[1] == 1 else level[:, columns]


def _middle(rows: Rows, ny: int) -> StoredRows:
    """Return a few rows in the middle, in native byte order."""
    some = rows(ny // 2, min(ny // 2 + _FEW_ROWS, ny))
    return some._replace(pixels=some.pixels.astype(some.pixels.dtype.newbyteorder("=")))


def _saturation(frame: OpenFrame, given: Any, camera: Instrument, some: StoredRows) -> float | None:
    """Return the raw level from which a pixel is saturated: given, the header's, the type's."""
    if given is not None:
        return float(given.to_value(u.adu) if isinstance(given, u.Quantity) else given)
    levels = []
    found = camera.value("saturation", frame.header)
    if found is not None:
        levels.append(found.value)
    if frame.dtype.kind in "ui":
        levels.append(highest_value(some.pixels) + some.bzero)
    return min(levels, default=None)

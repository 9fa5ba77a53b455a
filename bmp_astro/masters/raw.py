"""A raw file as a source of rows that are calibrated while they are read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np

from ..fits import Instrument, OpenFrame, calibrated_already, find_instrument
from ..fits.section import Section
from ..kernels import Calibrated, calibrate
from ..steps.bias import bias_terms
from ..steps.dark import dark_terms, holds_bias
from ..steps.facts import find_excess_noise, find_gain, find_section
from ..steps.image import BITS
from ..steps.level import OverscanLevel, frame_level, words_of
from ..steps.linearity import linear_kernel
from ..steps.master import Master, open_master
from ..steps.provenance import record_overscan, record_trim
from .source import Band, Room, Source, quantum_of


class Calibration(NamedTuple):
    """What is done to each raw frame; the same for all frames of a master.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What the frames are.
    instrument : Instrument, str, path-like or None
        Knows the header; None chooses by it.
    master_bias, master_dark : path-like, `~astropy.nddata.CCDData` or None
        What is subtracted.
    dark_scale : bool, float or None
        As `bmp_astro.steps.subtract_dark` has it.
    gain, saturation : float, `~astropy.units.Quantity` or None
        As the header says if None.
    overscan : dict or None
        Keywords of `bmp_astro.steps.subtract_overscan`, without their prefix.
    trim_section : str, tuple of slice or None
        As the header says if None.
    linearity : sequence of float, table, path-like or None
        As `bmp_astro.steps.correct_linearity` has it.
    """

    kind: str
    instrument: Any = None
    master_bias: Any = None
    master_dark: Any = None
    dark_scale: bool | float | None = None
    gain: Any = None
    saturation: Any = None
    overscan: dict[str, Any] | None = None
    trim_section: Any = None
    linearity: Any = None


@dataclass(frozen=True)
class RawFrame:
    """A raw file, what is known of it, and its calibrated rows.

    Parameters
    ----------
    source : `Source`
        The calibrated rows, with a header that says what was done; their mask bits say what is
        saturated.
    camera : Instrument
        Knows the header.
    gain : float or None
        electron/adu.
    saturation : float or None
        Raw adu.
    overscan : `OverscanLevel` or None
        What was subtracted.
    bias, dark : `Master` or None
        What was subtracted.
    dark_scale : float
        Factor of the dark.
    shares_bias : bool
        Whether the dark was freed of the bias that was subtracted.
    constant : float
        What else was subtracted, adu: the PEDESTAL that MaxIm DL added.
    """

    source: Source
    camera: Instrument
    gain: float | None
    saturation: float | None
    overscan: OverscanLevel | None
    bias: Master | None
    dark: Master | None
    dark_scale: float
    shares_bias: bool
    constant: float = 0.0

    @property
    def pedestal(self) -> float:
        """The level, adu, that was subtracted: overscan, bias and dark."""
        level = self.constant if self.overscan is None else float(self.overscan.level.mean())
        level += 0.0 if self.bias is None else self.bias.level
        return level + (0.0 if self.dark is None else self.dark_scale * self.dark.level)

    @property
    def level_variance(self) -> float:
        """Variance of the overscan level, adu2."""
        return 0.0 if self.overscan is None else float(self.overscan.variance.mean())

    @property
    def keeps_pedestal(self) -> bool:
        """Whether neither an overscan nor a bias, be it in the dark, was subtracted."""
        bias_in_dark = self.dark is not None and holds_bias(self.dark)
        return self.overscan is None and self.bias is None and not bias_in_dark

    @property
    def exptime(self) -> float | None:
        """Exposure time, s."""
        exptime = self.fact("exptime")
        return None if exptime is None else float(exptime.to_value(u.s))

    @property
    def excess_noise(self) -> float:
        """By what the variance of photons is larger than their number."""
        return find_excess_noise(self.source.header, self.camera)

    def fact(self, name: str) -> Any:
        """Return what the header says, as `Instrument.value` does."""
        return self.camera.value(name, self.source.header)


class _Trimmed(NamedTuple):
    """A frame without pixels, which the steps' checks and records look at."""

    shape: tuple[int, int]
    unit: u.UnitBase
    header: Any


def raw_frame(frame: OpenFrame, path: str | os.PathLike, how: Calibration) -> RawFrame:
    """Return an open raw file with its calibrated rows; its overscan is read at once.

    Raises
    ------
    ValueError
        A section, a master or the frame itself does not fit.
    """
    done = calibrated_already(frame.header)
    if done:
        raise ValueError(f"it is not a raw frame: {done}")
    camera = find_instrument(how.instrument, frame.header)
    header = frame.header.copy()
    overscan, words = _overscan(frame, how.overscan, camera)
    if overscan is not None:
        record_overscan(header, *overscan, words)
    window = find_section(frame, "trim_section", how.trim_section, camera)
    if window is None:
        window = (slice(0, frame.shape[0]), slice(0, frame.shape[1]))
    else:
        record_trim(header, window, camera)
    shape = tuple(part.stop - part.start for part in window)
    trimmed = _Trimmed(shape, frame.unit, header)
    bias, dark, terms = None, None, {}
    if how.master_bias is not None:
        bias = open_master(how.master_bias, "bias", trimmed)
        terms |= bias_terms(trimmed, bias)
    kernel = calibrate if how.linearity is None else linear_kernel(how.linearity, header)
    if how.master_dark is not None:
        dark = open_master(how.master_dark, "dark", trimmed)
        terms |= dark_terms(trimmed, dark, how.dark_scale, bias, camera)
    gain = find_gain(frame, how.gain, camera)
    saturation = _saturation(frame, how.saturation, camera)
    applied = {
        "level": terms.get("level") if overscan is None else overscan.level,
        "bias": terms.get("bias"),
        "dark": terms.get("dark"),
        "dark_scale": terms.get("dark_scale", 1.0),
        "gain": gain if how.kind == "flat" else None,
        "saturation": saturation,
    }
    return RawFrame(
        source=_calibrated_source(frame, path, trimmed, window, applied, kernel),
        camera=camera,
        gain=gain,
        saturation=saturation,
        overscan=overscan,
        bias=bias,
        dark=dark,
        dark_scale=applied["dark_scale"],
        shares_bias=terms.get("shared_bias", False),
        constant=terms.get("level", 0.0),
    )


def _calibrated_source(
    frame: OpenFrame,
    path: str | os.PathLike,
    trimmed: _Trimmed,
    window: Section,
    applied: dict[str, Any],
    kernel: Callable[..., Calibrated],
) -> Source:
    """Return the rows of the window, calibrated; in electron where a gain is applied."""
    rows, columns = window
    gain, level = applied["gain"], applied["level"]
    masters = {name: term for name, term in applied.items() if name != "level"}

    def read(y0: int, y1: int, room: Room | None = None) -> Band:
        here = slice(rows.start + y0, rows.start + y1)
        raw = frame.stored_rows(here.start, here.stop, room=None if room is None else room.stored)
        terms = {
            name: term[y0:y1] if isinstance(term, np.ndarray) else term
            for name, term in masters.items()
        }
        result = kernel(
            raw.pixels[:, columns],
            bzero=raw.bzero,
            level=_level_in(level, here, columns) if isinstance(level, np.ndarray) else level,
            flags=None if raw.flags is None else raw.flags[:, columns],
            bits=BITS,
            out=None if room is None else Calibrated(room.data, None, room.flags),
            **terms,
        )
        return Band(result.data, None, result.flags)

    middle = (rows.start + rows.stop) // 2
    quantum = quantum_of(frame.rows(middle, min(middle + 4, rows.stop))[:, columns])
    return Source(
        name=os.fspath(path),
        header=trimmed.header,
        shape=trimmed.shape,
        unit=frame.unit if gain is None else u.electron,
        dtype=np.dtype(np.float32),
        quantum=quantum if gain is None else quantum * gain,
        has_variance=False,
        has_flags=True,
        read=read,
        checksum=frame.checksum,
    )


def _level_in(level: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return the part of the level, ``(ny, 1)`` or ``(1, nx)``, of some raw rows and columns."""
    return level[rows] if level.shape[1] == 1 else level[:, columns]


def _overscan(
    frame: OpenFrame, options: dict[str, Any] | None, camera: Instrument
) -> tuple[OverscanLevel | None, str]:
    """Return the overscan level of every raw row or column, or None, and where it comes from."""
    options = {"section": None, **({} if options is None else options)}
    section = find_section(frame, "overscan_section", options.pop("section"), camera)
    if section is None:
        return None, ""
    return frame_level(_Pixels(frame), section, **options), words_of(section, **options)


class _Pixels:
    """The pixels of an open file, of which only those that are asked for are read."""

    def __init__(self, frame: OpenFrame) -> None:
        self._frame = frame
        self.shape = frame.shape

    def __getitem__(self, section: Section) -> np.ndarray:
        return self._frame.window(*section)


def _saturation(frame: OpenFrame, given: Any, camera: Instrument) -> float | None:
    """Return the raw level from which a pixel is saturated: given, the header's, the type's."""
    found = camera.value("saturation", frame.header) if given is None else given
    if found is not None:
        return float(found.to_value(u.adu) if isinstance(found, u.Quantity) else found)
    return float(np.iinfo(frame.dtype).max) if frame.dtype.kind in "ui" else None

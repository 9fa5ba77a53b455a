"""A raw file as a source of rows that are calibrated while they are read."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np

from ..fits import Instrument, OpenFrame, Readout, calibrated_already, find_instrument
from ..fits.readouts import ascending, readouts_in
from ..kernels import Calibrated, Prepared, calibrate, prepare
from ..steps.amplifiers import raw_readouts
from ..steps.bias import bias_terms
from ..steps.dark import dark_terms, holds_bias
from ..steps.facts import find_excess_noise, find_gain
from ..steps.image import BITS
from ..steps.joint import is_freed_of
from ..steps.level import OverscanLevel
from ..steps.linearity import linear_kernel
from ..steps.master import Master, open_master
from ..steps.provenance import amplifier_value
from ..steps.quantum import quantum_of
from .rawrows import RawRows, rows_of_many, rows_of_one
from .source import Band, Room, Source, cropped


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
    crosstalk : sequence of sequence of float or None
        As `bmp_astro.steps.correct_crosstalk` has it; as the instrument says if None.
    linearity : sequence of float, table, path-like or None
        As `bmp_astro.steps.correct_linearity` has it.
    classification : {"strict", "warn", "trust"}
        As `bmp_astro.masters.build_master` has it.
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
    crosstalk: Any = None
    linearity: Any = None
    classification: str = "warn"


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
    gains : float, `~numpy.ndarray` or None
        electron/adu of each pixel, where amplifiers differ; `gain` is then the mean.
    known : mapping
        Facts that are known otherwise than by the header.
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
    gains: float | np.ndarray | None = None
    known: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def parts(self) -> tuple["RawFrame", ...]:
        """The frame cut into what each of several amplifiers has read; else nothing."""
        return tuple(
            self._part(number, one) for number, one in enumerate(readouts_in(self.source.header))
        )

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
        """Return what is known, or what the header says, as `Instrument.value` does."""
        if name in self.known:
            return self.known[name]
        return self.camera.value(name, self.source.header)

    def _part(self, number: int, readout: Readout) -> "RawFrame":
        """Return what one amplifier has read."""
        place = ascending(readout.target)
        noise, origin = readout.read_noise, "header"
        header = {} if self.bias is None else self.bias.ccd.header
        if noise is None and "RDNSRC" in header:
            noise, origin = header.get(f"AMPRN{number + 1}"), header["RDNSRC"]
        known = {} if noise is None else {"read_noise": noise * u.electron, "origin": origin}
        overscan = None
        if readout.level is not None:
            numbers = readout.level, readout.level_variance
            overscan = OverscanLevel(*(np.array([[number]]) for number in numbers))
        gain = None if self.gain is None else amplifier_value(readout, self.gains, readout.gain)
        return replace(
            self,
            source=cropped(self.source, place),
            gain=gain,
            overscan=overscan,
            known=known,
        )


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
    if done and how.classification != "trust":
        raise ValueError(f"it is not a raw frame: {done}")
    camera = find_instrument(how.instrument, frame.header)
    header = frame.header.copy()
    readouts = raw_readouts(frame, camera)
    begin = partial(rows_of_many, readouts, how.crosstalk) if readouts else rows_of_one
    options = {} if how.overscan is None else how.overscan
    raw = begin(frame, header, camera, options, how.trim_section, how.saturation)
    trimmed = _Trimmed(raw.shape, frame.unit, header)
    bias, dark, terms = None, None, {}
    if how.master_bias is not None:
        bias = open_master(how.master_bias, "bias", trimmed)
        terms |= bias_terms(trimmed, bias)
    kernel = calibrate if how.linearity is None else linear_kernel(how.linearity, header)
    if how.master_dark is not None:
        dark = open_master(how.master_dark, "dark", trimmed)
        terms |= dark_terms(trimmed, dark, how.dark_scale, bias, camera)
    gain = find_gain(trimmed, how.gain, camera)
    applied = {
        "level": terms.get("level"),
        "bias": terms.get("bias"),
        "dark": terms.get("dark"),
        "dark_scale": terms.get("dark_scale", 1.0),
        "gain": gain if how.kind == "flat" else None,
        "saturation": raw.saturation,
    }
    return RawFrame(
        source=_calibrated_source(frame, path, trimmed, raw, applied, kernel),
        camera=camera,
        gain=None if gain is None else float(np.mean(gain)),
        saturation=None if raw.saturation is None else float(np.min(raw.saturation)),
        overscan=raw.overscan,
        bias=bias,
        dark=dark,
        dark_scale=applied["dark_scale"],
        shares_bias=bias is not None and dark is not None and is_freed_of(dark, bias),
        constant=terms.get("level", 0.0),
        gains=gain,
    )


def _calibrated_source(
    frame: OpenFrame,
    path: str | os.PathLike,
    trimmed: _Trimmed,
    raw: RawRows,
    applied: dict[str, Any],
    kernel: Callable[..., Calibrated],
) -> Source:
    """Return the rows of the window, calibrated; in electron where a gain is applied."""
    gain, constant = applied["gain"], applied["level"]
    masters = {name: term for name, term in applied.items() if name != "level"}

    def terms_of(y0: int, y1: int, stored: np.ndarray | None) -> dict[str, Any]:
        pixels, flags, bzero = raw.pixels(y0, y1, stored)
        level = raw.level(y0, y1)
        return {
            "raw": pixels,
            "bzero": bzero,
            "level": constant if level is None else level,
            "flags": flags,
            "bits": BITS,
            **{
                name: term[y0:y1] if isinstance(term, np.ndarray) else term
                for name, term in masters.items()
            },
        }

    def read(y0: int, y1: int, room: Room | None = None) -> Band:
        terms = terms_of(y0, y1, None if room is None else room.stored)
        out = None if room is None else Calibrated(room.data, None, room.flags)
        result = kernel(**terms, out=out)
        return Band(result.data, None, result.flags)

    def prepared(y0: int, y1: int, stored: np.ndarray | None = None) -> Prepared:
        return prepare(**terms_of(y0, y1, stored))

    quantum = quantum_of(raw.some.pixels)
    return Source(
        name=os.fspath(path),
        header=trimmed.header,
        shape=trimmed.shape,
        unit=frame.unit if gain is None else u.electron,
        dtype=np.dtype(np.float32),
        quantum=quantum if gain is None else quantum * float(np.mean(gain)),
        has_variance=False,
        has_flags=True,
        read=read,
        checksum=frame.checksum,
        prepared=prepared if kernel is calibrate else None,
        prepared_bytes=raw.pixel_bytes,
    )

"""What a camera really does: gain, read noise, dark current and saturation, from its frames."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import Instrument, find_instrument, read_frame
from ..steps import subtract_overscan, trim
from ..steps.alarms import saturation_text
from ..steps.amplifiers import raw_readouts
from ..steps.facts import find_excess_noise, find_overscan, find_saturation, find_section
from ..steps.plateau import find_plateau
from ..steps.provenance import why_not_raw
from .camera import CameraMeasures, Measured, difference_alarm
from .quality import Limits
from .source import ccd_source, sample_of
from .transfer import Estimate, measure_gain, measure_read_noise, without_excess

Frames = Sequence[str | os.PathLike | CCDData]
_PIXELS = 2**20  # of each frame, in blocks of rows; the same ones in all
_GAIN_UNIT = u.electron / u.adu


def measure_camera(
    bias: Frames,
    flats: Frames = (),
    darks: Frames = (),
    *,
    instrument: Any = None,
    saturation: float | u.Quantity | None = None,
    overscan_section: Any = None,
    trim_section: Any = None,
    limits: Limits | None = None,
) -> CameraMeasures:
    """Measure gain, read noise, dark current and saturation, and compare them with the header.

    Parameters
    ----------
    bias, flats, darks : sequence of path or `~astropy.nddata.CCDData`
        Raw frames of one camera in one mode. Gain and read noise need two frames each; only flats
        of one filter are compared with each other.
    instrument : Instrument, str or path-like, optional
        Knows the headers; chosen by them if None.
    saturation : float or `~astropy.units.Quantity`, optional
        Raw adu, from which pixels of flats are left out; as the header says if None, else the
        largest value of the data type.
    overscan_section, trim_section : str or tuple of slice, optional
        As the header says if None.
    limits : `Limits`, optional
        From when a difference is an alarm.

    Returns
    -------
    `CameraMeasures`
        The values with their uncertainties and sources, and the alarms.

    Raises
    ------
    ValueError
        There is no bias frame, a frame is not raw, or its shape is not that of the others.

    Notes
    -----
    Gain and read noise by photon transfer (Janesick 2007, *Photon Transfer*, chapter 5): from the
    differences of pairs, in small tiles, of which the median counts. The dark current is the middle
    of the pixels of each dark less the mean bias, over its exposure time; its error comes from the
    scatter of the levels of darks and bias frames. One frame is in memory at a time; of large ones
    a million pixels each are kept.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.masters import measure_camera
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(256, 384), bad_files=False)
    ...     camera = measure_camera(night.paths("bias"), night.paths("flat", "V"))
    >>> print(f"{camera.gain.value:.2f}, {camera.gain.source}")
    1.50 electron / adu, 4 pairs of flats
    >>> camera.alarms
    ()
    """
    limits = Limits() if limits is None else limits
    look = _Look(instrument, saturation, overscan_section, trim_section)
    biases = [look.at(frame) for frame in bias]
    if not biases:
        raise ValueError("there are no bias frames, without which nothing can be measured")
    first = biases[0]
    pedestal = np.mean([one.pixels for one in biases], axis=0, dtype=float)
    noise = measure_read_noise([one.pixels for one in biases])
    gain = (
        None
        if noise is None
        else _gain([look.at(flat, masked=True) for flat in flats], pedestal, noise)
    )
    dark = _dark_current([look.at(dark) for dark in darks], biases, pedestal)
    said = first.fact("gain")
    used = said if gain is None else gain.value * _GAIN_UNIT
    noise_said = first.fact("read_noise")
    if noise_said is not None:
        noise_said = None if used is None else (noise_said / used).to(u.adu)
    if dark is not None and used is not None:
        dark = Estimate(dark.value * used.value, dark.uncertainty * used.value, dark.count)
    facts = {
        "gain": _measured(gain, _GAIN_UNIT, "pair of flats", said),
        "read_noise": _measured(noise, u.adu, "pair of bias frames", noise_said),
        "dark_current": _measured(dark, (u.adu if used is None else u.electron) / u.s, "dark"),
        "saturation": _measured(
            look.plateau(), u.adu, "pixel at that level", first.fact("saturation")
        ),
    }
    return CameraMeasures(**facts, alarms=tuple(_alarms(facts, look.highest, limits)))


class _Sample(NamedTuple):
    """Some rows of one frame, without overscan, and what its header says."""

    pixels: np.ndarray
    camera: Instrument
    header: Any

    def fact(self, name: str) -> Any:
        return self.camera.value(name, self.header)


@dataclass
class _Look:
    """Looks at frames one by one, and remembers how high their pixels go."""

    instrument: Any
    saturation: Any
    overscan_section: Any
    trim_section: Any
    maxima: np.ndarray | None = None
    highest: float = field(default=np.inf)

    def at(self, frame: str | os.PathLike | CCDData, *, masked: bool = False) -> _Sample:
        """Return what is kept of one frame; if it is to be masked, saturated pixels are NaN."""
        name = "a frame" if isinstance(frame, CCDData) else os.fspath(frame)
        ccd = frame if isinstance(frame, CCDData) else read_frame(frame, instrument=self.instrument)
        reason = why_not_raw(ccd)
        if reason:
            raise ValueError(f"{name} is not a raw frame: {reason}")
        camera = find_instrument(self.instrument, ccd.header)
        raw, ccd = self._trimmed(ccd, camera)
        level, _ = find_saturation(raw, self.saturation, camera)
        self._remember(raw.data, name)
        pixels = sample_of(ccd_source(ccd, name), _PIXELS).data.astype(np.float32)
        if masked and level is not None:
            pixels[sample_of(ccd_source(raw, name), _PIXELS).data >= level] = np.nan
        return _Sample(pixels, camera, ccd.header)

    def _trimmed(self, ccd: CCDData, camera: Instrument) -> tuple[CCDData, CCDData]:
        """Return a frame as it is and without its overscan level, both trimmed or assembled."""
        several = raw_readouts(ccd, camera)
        window = self.trim_section
        if not several:
            window = find_section(ccd, "trim_section", window, camera)
        cut = several or window is not None
        raw = trim(ccd, window, camera) if cut else ccd
        if several:
            has_overscan = any(one.overscan for one in several)
        else:
            has_overscan = find_overscan(ccd, self.overscan_section, camera) is not None
        if not has_overscan:
            return raw, raw
        without = subtract_overscan(ccd, self.overscan_section, instrument=camera)
        return raw, trim(without, window, camera) if cut else without

    def _remember(self, raw: np.ndarray, name: str) -> None:
        if self.maxima is None:
            self.maxima = raw.copy()
            if raw.dtype.kind in "ui":
                self.highest = float(np.iinfo(raw.dtype).max)
            return
        if raw.shape != self.maxima.shape:
            raise ValueError(
                f"{name} is {raw.shape} (ny, nx) but the frames before it {self.maxima.shape}"
            )
        self.maxima = np.maximum(self.maxima, raw)

    def plateau(self) -> Estimate | None:
        """Return the level at which the pixels of all frames stop."""
        return None if self.maxima is None else find_plateau(self.maxima, self.highest)


def _gain(flats: list[_Sample], pedestal: np.ndarray, noise: Estimate) -> Estimate | None:
    """Return the gain from the flats of that filter that tells it best."""
    by_filter: dict[Any, list[np.ndarray]] = {}
    for flat in flats:
        by_filter.setdefault(flat.fact("filter"), []).append(flat.pixels - pedestal)
    found = [measure_gain(pixels, noise) for pixels in by_filter.values()]
    best = min(filter(None, found), key=lambda one: one.uncertainty / one.value, default=None)
    return without_excess(best, find_excess_noise(flats[0].header, flats[0].camera) if best else 1)


def _dark_current(
    darks: list[_Sample], biases: list[_Sample], pedestal: np.ndarray
) -> Estimate | None:
    """Return the dark current in adu/s."""
    of_bias = [_middle(one.pixels - pedestal) for one in biases]
    rates, errors = [], []
    for dark in darks:
        exptime = dark.fact("exptime")
        if exptime is not None and exptime.value > 0:
            rates.append(_middle(dark.pixels - pedestal) / exptime.value)
            errors.append(np.std(of_bias, ddof=1) / exptime.value if len(biases) > 1 else np.nan)
    if not rates:
        return None
    n = len(rates)
    single = np.std(rates, ddof=1) if n > 1 else errors[0]
    # the mean bias is in all of them, the level of each dark in one
    error = np.hypot(single / np.sqrt(n), np.mean(errors) / np.sqrt(len(biases)))
    return Estimate(float(np.mean(rates)), float(error), n)


def _middle(pixels: np.ndarray) -> float:
    """Return the mean of the middle half of the values, which hot pixels and stars do not move."""
    values = pixels[np.isfinite(pixels)]
    low, high = np.percentile(values, [25, 75])
    return float(values[(values >= low) & (values <= high)].mean(dtype=float))


def _measured(
    found: Estimate | None, unit: u.UnitBase, counted: str, header: u.Quantity | None = None
) -> Measured | None:
    """Return an estimate with its unit, and on how many things it was measured."""
    if found is None:
        return None
    noun, _, rest = counted.partition(" ")
    plural = "" if found.count == 1 else "s"
    source = f"{found.count} {noun}{plural} {rest}".rstrip()
    return Measured(found.value * unit, found.uncertainty * unit, source, header)


def _alarms(facts: dict[str, Measured | None], highest: float, limits: Limits) -> list[str]:
    """Return what differs from the header by more than the limits allow."""
    alarms = []
    accepted = {"gain": limits.max_gain_error, "read_noise": limits.max_read_noise_error}
    for name, limit in accepted.items():
        fact = facts[name]
        if fact is not None and fact.header is not None:
            numbers = (fact.value.value, fact.uncertainty.value, fact.header.value)
            what = name.replace("_", " ")
            alarms += difference_alarm(what, *numbers, limit, str(fact.value.unit))
    fact = facts["saturation"]
    if fact is not None:
        said = highest if fact.header is None else fact.header.value
        if fact.value.value + fact.uncertainty.value < said * (1 - limits.max_saturation_error):
            alarms.append(saturation_text(fact.value.value, said))
    return alarms

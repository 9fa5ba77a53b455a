"""What the frames of a master tell of the camera, against what was believed."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..steps.alarms import temperature_alarm
from .camera import difference_alarm
from .expected import ReadNoise
from .inputs import Input
from .planes import plane_source, planes_of
from .quality import Limits
from .raw import RawFrame
from .report import MasterReport
from .source import sample_of
from .transfer import Estimate, measure_gain, measure_read_noise, without_excess

_PIXELS = 2**17  # of each frame: ten flats tell the gain to 0.2 %


def check_camera(
    report: MasterReport, used: Sequence[Input], read_noise: ReadNoise, limits: Limits
) -> None:
    """Measure what the frames of a master tell, and raise alarms where it was believed otherwise.

    Bias frames tell the read noise, flats the gain, darks the dark current, and all of them whether
    the temperature was the one that was set.

    Parameters
    ----------
    report : `MasterReport`
        Gets the numbers and the alarms.
    used : sequence of `Input`
        The frames of the master; each gets its own alarms.
    read_noise : `ReadNoise`
        What was believed.
    limits : `Limits`
        From when a difference is an alarm.
    """
    for one in used:
        camera, header = one.raw.camera, one.raw.source.header
        one.row.alarms += temperature_alarm(camera, header, limits.max_temperature_offset)
    raws = [one.raw for one in used]
    parts = list(_by_amplifier(raws, read_noise))
    if report.kind == "bias" and read_noise.origin != "measured":
        for name, each, noise in parts:
            report.alarms += [name + alarm for alarm in _read_noise_alarm(each, noise, limits)]
    if report.kind == "flat" and read_noise.adu is not None:
        gains = []
        for name, each, noise in parts:
            gain = gain_of_flats(each, noise.adu)
            if gain is not None:
                gains.append(gain)
                report.alarms += [name + alarm for alarm in _gain_alarm(gain, each, limits)]
        if gains:
            report.gain_measured = float(np.mean([gain.value for gain in gains]))
            squares = [gain.uncertainty**2 for gain in gains]
            report.gain_uncertainty = float(np.sqrt(sum(squares)) / len(gains))
    exptime = raws[0].exptime
    if report.kind == "dark" and raws[0].bias is not None and raws[0].gain is not None and exptime:
        report.dark_current = report.level * raws[0].gain / exptime


def _by_amplifier(
    raws: Sequence[RawFrame], read_noise: ReadNoise
) -> Iterator[tuple[str, Sequence[RawFrame], ReadNoise]]:
    """Yield what each of several amplifiers has read, and its name for a message; else all."""
    if not read_noise.parts:
        yield "", raws, read_noise
    for number, noise in enumerate(read_noise.parts):
        yield f"amplifier {number + 1}: ", [raw.parts[number] for raw in raws], noise


def _gain_alarm(gain: Estimate, raws: Sequence[RawFrame], limits: Limits) -> list[str]:
    """Return an alarm where the gain of flats is not the one that was believed."""
    return difference_alarm(
        "gain",
        gain.value,
        gain.uncertainty,
        raws[0].gain,
        limits.max_gain_error,
        "electron/adu",
    )


def gain_of_flats(raws: Sequence[RawFrame], read_noise: float) -> Estimate | None:
    """Measure the gain on calibrated flats.

    Parameters
    ----------
    raws : sequence of `RawFrame`
        Flats of one filter, bias and dark subtracted; in electron where a gain is believed.
    read_noise : float
        adu.

    Returns
    -------
    Estimate or None
        electron/adu; None where it cannot be told, or the flats keep a pedestal.
    """
    if any(raw.keeps_pedestal for raw in raws):
        return None
    frames, darks = [], []
    plane = next(iter(planes_of("flat", raws[0]).values()))
    for raw in raws:
        band = sample_of(plane_source(raw.source, plane), _PIXELS)
        pixels = band.data.astype(np.float32) / (1.0 if raw.gain is None else raw.gain)
        if band.flags is not None:
            pixels[band.flags != 0] = np.nan
        frames.append(pixels)
        darks.append(0.0 if raw.dark is None else raw.dark_scale * raw.dark.level)
    found = measure_gain(frames, Estimate(read_noise, 0.0, 0), float(np.mean(darks)))
    return without_excess(found, raws[0].excess_noise)


def _read_noise_alarm(raws: Sequence[RawFrame], read_noise: ReadNoise, limits: Limits) -> list[str]:
    """Return an alarm where the read noise of bias frames is not what was given or read."""
    found = measure_read_noise([sample_of(raw.source, _PIXELS).data for raw in raws])
    if found is None or read_noise.adu is None:
        return []
    return difference_alarm(
        "read noise",
        found.value,
        found.uncertainty,
        read_noise.adu,
        limits.max_read_noise_error,
        "adu",
    )

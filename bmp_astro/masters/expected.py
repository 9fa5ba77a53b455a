"""The noise that is expected in the calibrated frames of a master."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np

from ..fits.readouts import ascending, readouts_in
from ..fits.section import Section
from ..kernels import Noise, masters_variance
from ..steps.quantum import quantization_variance
from .noise import read_noise_from_pairs
from .raw import RawFrame
from .source import sample_of

_PAIR_PIXELS = 2**18


class ReadNoise(NamedTuple):
    """The read noise in adu and in electron, None where it is not known, and who said so.

    Of several amplifiers it is the root of the mean square; ``parts`` has that of each.
    """

    adu: float | None
    electron: float | None
    origin: str
    parts: tuple["ReadNoise", ...] = ()


NO_READ_NOISE = ReadNoise(None, None, "")


def find_read_noise(kind: str, raws: Sequence[RawFrame], given: Any) -> ReadNoise:
    """Return the read noise: given, else the header's, else measured on bias frames.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What the frames are.
    raws : sequence of `RawFrame`
        At least one.
    given : float, `~astropy.units.Quantity` or None
        electron, or a quantity in electron or adu.

    Returns
    -------
    `ReadNoise`
        Of darks and flats what was measured on bias frames is found in the master bias's header.
    """
    count = len(raws[0].parts)
    if not count:
        return _find_read_noise(kind, raws, given)
    parts = tuple(
        _find_read_noise(kind, [raw.parts[number] for raw in raws], given)
        for number in range(count)
    )
    return ReadNoise(
        _root_mean_square([part.adu for part in parts]),
        _root_mean_square([part.electron for part in parts]),
        parts[0].origin,
        parts,
    )


def _root_mean_square(numbers: Sequence[float | None]) -> float | None:
    """Return the root of the mean square, None where a number is not known."""
    return None if None in numbers else float(np.sqrt(np.mean(np.square(numbers))))


def _find_read_noise(kind: str, raws: Sequence[RawFrame], given: Any) -> ReadNoise:
    """Return the read noise of frames that one amplifier has read."""
    gain = raws[0].gain
    if given is not None:
        if isinstance(given, u.Quantity) and given.unit == u.adu:
            return _read_noise(given.value, gain, "given")
        electron = given.to_value(u.electron) if isinstance(given, u.Quantity) else given
        return _told(float(electron), "given", raws[0])
    said = raws[0].fact("read_noise")
    if said is not None and gain is not None:
        origin = raws[0].known.get("origin", "header")
        return _told(float(said.value), origin, raws[0])
    if kind == "bias":
        samples = [sample_of(raw.source, _PAIR_PIXELS).data for raw in raws]
        return _read_noise(read_noise_from_pairs(samples), gain, "measured")
    header = {} if raws[0].bias is None else raws[0].bias.ccd.header
    if "RDNADU" in header:
        return _read_noise(float(header["RDNADU"]), gain, str(header.get("RDNSRC", "header")))
    return NO_READ_NOISE


def _told(electron: float, origin: str, raw: RawFrame) -> ReadNoise:
    """Return a read noise that was told of a camera, with that of coarse steps between values."""
    gain = raw.gain
    if gain is None:
        return ReadNoise(None, electron, origin)
    if origin in ("given", "header"):
        step = raw.source.quantum / (gain if raw.source.unit == u.electron else 1.0)
        electron = float(np.sqrt(electron**2 + gain**2 * quantization_variance(round(step, 6))))
    return ReadNoise(electron / gain, electron, origin)


def _read_noise(adu: float | None, gain: float | None, origin: str) -> ReadNoise:
    """Return a read noise that is known in adu."""
    if adu is None:
        return NO_READ_NOISE
    return ReadNoise(float(adu), None if gain is None else float(adu * gain), origin)


def expected_noise(
    kind: str, raws: Sequence[RawFrame], read_noise: ReadNoise, fraction: float
) -> Noise | None:
    """Return the noise of one value of the calibrated frames, None where it is not known.

    A bias has the read noise; a dark that of its electrons too; a flat, in electron, that of its
    own and of the dark's.  The overscan level's error counts in each frame.
    """
    gain = raws[0].gain
    if read_noise.adu is None or (kind != "bias" and gain is None):
        return None
    floor = np.array([read_noise.adu**2 + raw.level_variance for raw in raws])
    if kind == "bias":
        return Noise(floor, 0.0, fraction)
    excess = raws[0].excess_noise
    if kind == "dark":
        return Noise(floor, excess / gain, fraction)
    dark = [0.0 if r.dark is None else r.dark_scale * max(r.dark.level, 0.0) for r in raws]
    return Noise(floor * gain**2 + excess * gain * np.array(dark), excess, fraction)


def expected_noises(
    kind: str, raws: Sequence[RawFrame], read_noise: ReadNoise, fraction: float
) -> list[tuple[Section, Noise]]:
    """Return the noise in what each of several amplifiers has read; nothing for other frames."""
    found = []
    for number, one in enumerate(readouts_in(raws[0].source.header)):
        parts = [raw.parts[number] for raw in raws]
        noise = expected_noise(kind, parts, read_noise.parts[number], fraction)
        if noise is None:
            return []
        found.append((ascending(one.target), noise))
    return found


def common_variance(kind: str, raws: Sequence[RawFrame], rows: slice) -> np.ndarray | None:
    """Return the variance in some rows that all frames share, which no number makes smaller.

    It is that of the bias and the dark that were subtracted from each, in the frames' unit squared.
    """
    first = raws[0]
    gains = first.gains
    scale = float(np.mean([raw.dark_scale for raw in raws]))
    sigmas = [None if master is None else master.sigma for master in (first.bias, first.dark)]
    total = masters_variance(
        *(None if sigma is None else sigma[rows] for sigma in sigmas),
        dark_scale=scale,
        shared_bias=first.shares_bias,
    )
    if total is None:
        return None
    if kind == "flat" and gains is not None:
        total = total * (gains[rows] if isinstance(gains, np.ndarray) else gains) ** 2
    return np.maximum(total, 0.0, out=total)

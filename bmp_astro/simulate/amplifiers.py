"""Several amplifiers that read a simulated detector, each from its own corner."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fits import Section, format_section

GARBAGE = 3  # columns at the end of each row that mean nothing
_GAINS = (1.0, 1.1, 0.95, 0.9)
_READ_NOISES = (1.0, 0.75, 1.25, 1.5)
_LEVELS = (0.0, 150.0, -80.0, 40.0)


@dataclass(frozen=True)
class SimulatedAmplifier:
    """The truth about one amplifier.

    Attributes
    ----------
    section : tuple of slice
        The pixels ``(y, x)`` of the detector that it reads, in its order.
    gain : float
        electron/adu.
    read_noise : float
        electron.
    level : float
        Of its pedestal above that of the camera, adu.
    """

    section: Section
    gain: float
    read_noise: float
    level: float

    @property
    def detector_section(self) -> str:
        """The section as FITS text, as in DETSEC."""
        return format_section(self.section)


def make_amplifiers(
    shape: tuple[int, int], number: int, gain: float, read_noise: float
) -> tuple[SimulatedAmplifier, ...]:
    """Divide a detector between one, two or four amplifiers of different gain, noise and level.

    Parameters
    ----------
    shape : tuple of int
        ``(ny, nx)``; even where it is divided.
    number : int
        1 for none of them, 2 for halves side by side, 4 for quarters.
    gain, read_noise : float
        electron/adu and electron of the first.

    Returns
    -------
    tuple of SimulatedAmplifier
        Each reads from its outer corner inwards.
    """
    if number not in (1, 2, 4):
        raise ValueError(f"amplifiers={number}: expected 1, 2 or 4")
    if number == 1:
        return ()
    ny, nx = shape
    if nx % 2 or (number == 4 and ny % 2):
        raise ValueError(f"a detector of {shape} (ny, nx) cannot be divided by {number}")
    left, right = slice(0, nx // 2), slice(nx - 1, nx // 2 - 1, -1)
    low, high = slice(0, ny // 2), slice(ny - 1, ny // 2 - 1, -1)
    whole = slice(0, ny)
    sections = [(whole, left), (whole, right)]
    if number == 4:
        sections = [(low, left), (low, right), (high, left), (high, right)]
    numbers = zip(sections, _GAINS, _READ_NOISES, _LEVELS, strict=False)
    return tuple(SimulatedAmplifier(s, gain * g, read_noise * r, v) for s, g, r, v in numbers)


def read_out(
    rng: np.random.Generator,
    amplifiers: Sequence[SimulatedAmplifier],
    charge: np.ndarray,
    bias: np.ndarray,
    *,
    overscan: int,
    level: np.ndarray | float,
    crosstalk: np.ndarray | None = None,
    largest: float = np.inf,
) -> list[np.ndarray]:
    """Read charge, ``(ny, nx)``, electron, by several amplifiers.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where read noise comes from.
    amplifiers : sequence of SimulatedAmplifier
        Of equal size.
    charge, bias : ndarray
        Electrons, and bias structure in adu, ``(ny, nx)``.
    overscan : int
        Number of overscan columns of each.
    level : ndarray or float
        Pedestal of the camera, one number or ``(ny, 1)``, adu.
    crosstalk : ndarray, optional
        Which fraction of the signal of each amplifier (column) is in each one's pixels (row).
    largest : float
        Where the numbers end, adu: what is above it leaves no more in the others.

    Returns
    -------
    list of ndarray
        For each amplifier its pixels in the order of reading, its overscan, and some columns of
        garbage, float64, adu, neither rounded nor clipped.
    """
    levels = [np.broadcast_to(level, (len(charge), 1))[a.section[0]] + a.level for a in amplifiers]
    signals = [charge[one.section] / one.gain for one in amplifiers]
    frames = []
    for number, one in enumerate(amplifiers):
        ny, nx = signals[number].shape
        raw = rng.normal(0, one.read_noise / one.gain, (ny, nx + overscan + GARBAGE))
        raw += levels[number]
        raw[:, :nx] += bias[one.section] + signals[number]
        if crosstalk is not None:
            for factor, other, pedestal in zip(crosstalk[number], signals, levels, strict=True):
                raw[:, :nx] += factor * np.minimum(other, largest - pedestal)
        raw[:, nx + overscan :] = rng.uniform(0, 60_000, (ny, GARBAGE))
        frames.append(raw)
    return frames

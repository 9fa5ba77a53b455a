"""A camera with every fault that calibration removes, and one exposure with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .amplifiers import SimulatedAmplifier, make_amplifiers, read_out

SATURATION = 65535  # adu
PEDESTAL = 1000.0  # adu


@dataclass(frozen=True)
class Detector:
    """The truth about a simulated camera.

    Attributes
    ----------
    bias : ndarray
        Bias structure above the overscan level, ``(ny, nx)``, adu.
    dark_rate : ndarray
        Dark current, ``(ny, nx)``, electron/s.
    flats : mapping of str to ndarray
        Relative response for each filter, ``(ny, nx)``, median 1.
    hot_pixels : ndarray of bool
        Where the dark current is that of a hot pixel, ``(ny, nx)``.
    gain : float
        electron/adu.
    read_noise : float
        electron.
    overscan : int
        Number of overscan columns, at the right edge of a raw frame or of each amplifier's.
    amplifiers : tuple of SimulatedAmplifier
        Where several read the detector; `gain` and `read_noise` are then those of the first.
    crosstalk : ndarray or None
        What amplifiers leave in each other: fractions, a row for each.
    """

    bias: np.ndarray
    dark_rate: np.ndarray
    flats: Mapping[str, np.ndarray]
    hot_pixels: np.ndarray
    gain: float
    read_noise: float
    overscan: int
    amplifiers: tuple[SimulatedAmplifier, ...] = ()
    crosstalk: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(ny, nx)`` of the light-sensitive part."""
        return self.bias.shape


def make_detector(
    rng: np.random.Generator,
    shape: tuple[int, int] = (512, 768),
    *,
    filters: Sequence[str] = ("V", "R"),
    gain: float = 1.5,
    read_noise: float = 8.0,
    overscan: int = 32,
    amplifiers: int = 1,
    crosstalk: float = 0.0,
    dark_current: float = 0.05,
    hot_fraction: float = 1e-3,
) -> Detector:
    """Make a camera with every fault that calibration removes.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where all randomness comes from.
    shape : tuple of int
        ``(ny, nx)`` without the overscan.
    filters : sequence of str
        Names of the filters; each has its own dust.
    gain, read_noise : float
        electron/adu and electron.
    overscan : int
        Number of overscan columns.
    amplifiers : int
        1, 2 or 4, of which each reads its part of the detector.
    crosstalk : float
        Fraction of each amplifier's signal that is in the others'.
    dark_current : float
        Of a good pixel, electron/s.
    hot_fraction : float
        Fraction of the pixels that are hot.

    Returns
    -------
    Detector
        The camera.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.simulate import make_detector
    >>> float(np.median(make_detector(np.random.default_rng(1), (20, 30)).flats["V"]))
    1.0
    """
    ny, nx = shape
    y, x = np.mgrid[0:ny, 0:nx] / max(shape)
    columns = rng.normal(0, 1.5, nx) + 3.0 * np.sin(np.arange(nx) / 40.0)
    bias = np.broadcast_to(columns, shape) + 6.0 * np.exp(-x / 0.03) + rng.normal(0, 0.5, shape)
    hot = rng.random(shape) < hot_fraction
    dark = dark_current * (1 + 8 * np.exp(-np.hypot(y, x.max() - x) / 0.1))
    dark = np.where(hot, rng.lognormal(1.5, 1.0, shape).clip(1.0, 100.0), dark)
    vignetting = 1 - 0.35 * ((y - y.mean()) ** 2 + (x - x.mean()) ** 2) / 0.36
    response = vignetting * rng.normal(1, 0.01, shape)
    flats = {name: response * _dust(rng, shape) for name in filters}
    flats = {name: flat / np.median(flat) for name, flat in flats.items()}
    several = make_amplifiers(shape, amplifiers, gain, read_noise)
    mixing = crosstalk * (1 - np.eye(len(several))) if several and crosstalk else None
    return Detector(bias, dark, flats, hot, gain, read_noise, overscan, several, mixing)


def _dust(rng: np.random.Generator, shape: tuple[int, int], n: int = 8) -> np.ndarray:
    """Return the shadows of out-of-focus dust: rings, since the pupil has a hole."""
    y, x = np.ogrid[0 : shape[0], 0 : shape[1]]
    shadow = np.ones(shape)
    for _ in range(n):
        radius = max(shape) * rng.uniform(0.012, 0.04)
        distance = np.hypot(y - rng.uniform(0, shape[0]), x - rng.uniform(0, shape[1])) / radius
        shadow *= 1 - rng.uniform(0.03, 0.12) * ((distance < 1) & (distance > 0.4))
    return shadow


def simulate_frame(
    rng: np.random.Generator,
    detector: Detector,
    *,
    exptime: float = 0.0,
    light: np.ndarray | float = 0.0,
    filter: str = "",
    cosmic_rays: np.ndarray | float = 0.0,
    level: np.ndarray | float = PEDESTAL,
) -> np.ndarray:
    """Expose and read out once.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where photon and read noise come from.
    detector : Detector
        The camera.
    exptime : float
        Time in which dark current gathers, s.
    light : ndarray or float
        Photo-electrons expected where the response is 1, ``(ny, nx)`` or one number.
    filter : str
        Whose response counts; "" for a response of 1.
    cosmic_rays : ndarray or float
        Charge of cosmic rays, ``(ny, nx)``, electron.
    level : ndarray or float
        Pedestal, one number or ``(ny, 1)``, adu.

    Returns
    -------
    ndarray of uint16
        ``(ny, nx + overscan)``, adu, clipped at 65535; what several amplifiers have read,
        ``(n, ny, nx)``, in the order of reading.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.simulate import make_detector, simulate_frame
    >>> rng = np.random.default_rng(1)
    >>> detector = make_detector(rng, (20, 30), overscan=8)
    >>> int(simulate_frame(rng, detector, exptime=60.0, light=1e9).max())
    65535
    """
    ny, nx = detector.shape
    response = detector.flats[filter] if filter else 1.0
    expected = np.broadcast_to(light * response + detector.dark_rate * exptime, (ny, nx))
    if detector.amplifiers:
        raw = np.array(
            read_out(
                rng,
                detector.amplifiers,
                rng.poisson(expected) + cosmic_rays,
                detector.bias,
                overscan=detector.overscan,
                level=level,
                crosstalk=detector.crosstalk,
                largest=SATURATION,
            )
        )
    else:
        raw = rng.normal(0, detector.read_noise / detector.gain, (ny, nx + detector.overscan))
        raw += level
        raw[:, :nx] += detector.bias + (rng.poisson(expected) + cosmic_rays) / detector.gain
    return np.rint(raw).clip(0, SATURATION).astype(np.uint16)

"""One file of a simulated night: the conditions it was taken in, its header and its pixels."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from ..fits import section_shape
from .detector import PEDESTAL, SATURATION, Detector, simulate_frame
from .sky import cosmic_ray_tracks, star_image

PIXEL_SCALE = 0.8 / 3600  # degree
CENTER = (132.85, 11.81)  # right ascension and declination, degree
COSMIC_RAY_RATE = 5e-7  # tracks a pixel and second: far more than are real, to have some

LEAK = "light leaked into it"
SATURATED = "saturated"
TRUNCATED = "truncated"

# What a uniform source gives, electron: in a pixel and second for the sky, in a pixel otherwise.
_SKY_RATE = 3.0
_FLAT = 36_000.0
_LEAK = 900.0

_IMAGETYP = {
    "bias": "Bias Frame",
    "dark": "Dark Frame",
    "flat": "Flat Field",
    "light": "Light Frame",
}


@dataclass(frozen=True)
class SimulatedFrame:
    """The truth about one simulated file.

    Attributes
    ----------
    path : Path
        The file.
    kind : str
        "bias", "dark", "flat" or "light".
    filter : str
        "" where no light falls in.
    exptime : float
        Exposure time, s.
    problem : str
        What is wrong with the file, "" if nothing.
    date_obs : datetime
        Start of the exposure, UTC.
    temperature : float
        Of the detector, degree Celsius.
    level : ndarray or float
        Level of each row, ``(ny, 1)``, adu: what its overscan shows.
    illumination : float
        Uniform light in the exposure, electron in a pixel of response 1.
    fwhm : float
        Width of the stars, pixel.
    shift : tuple of float
        Offset ``(dx, dy)`` of the stars, pixel.
    cosmic_rays : ndarray
        Pixels hit, one ``(y, x)`` a row, ``(n, 2)``.
    """

    path: Path
    kind: str
    filter: str = ""
    exptime: float = 0.0
    problem: str = ""
    date_obs: datetime = datetime(2026, 3, 15, 1, 45)
    temperature: float = -10.0
    level: np.ndarray | float = PEDESTAL
    illumination: float = 0.0
    fwhm: float = 3.0
    shift: tuple[float, float] = (0.0, 0.0)
    cosmic_rays: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=int))


def draw_conditions(
    rng: np.random.Generator, frame: SimulatedFrame, detector: Detector, dither: float
) -> SimulatedFrame:
    """Return the frame with the weather, the pointing and the electronics of its moment."""
    hours = (frame.date_obs - SimulatedFrame.date_obs).total_seconds() / 3600 % 24
    sky = _SKY_RATE * frame.exptime * (1 + 0.15 * hours)
    light = {"light": sky, "flat": _FLAT * rng.uniform(0.6, 1.0)}.get(frame.kind, 0.0)
    light = {SATURATED: 4.0 * SATURATION * detector.gain, LEAK: _LEAK}.get(frame.problem, light)
    return replace(
        frame,
        temperature=round(-10 + rng.normal(0, 0.08), 3),
        level=_row_levels(rng, detector) if detector.overscan else PEDESTAL,
        illumination=light,
        fwhm=2.6 + 0.4 * hours + rng.normal(0, 0.1),
        shift=tuple(rng.normal(0, dither, 2)) if frame.kind == "light" else (0.0, 0.0),
    )


def _row_levels(rng: np.random.Generator, detector: Detector) -> np.ndarray:
    """Return a pedestal that differs from frame to frame, and drifts slowly down the rows."""
    row = np.linspace(-1, 1, detector.shape[0])[:, np.newaxis]
    return PEDESTAL + rng.normal(0, 3) + rng.normal(2, 0.5) * row + rng.normal(1, 0.5) * row**2


def scene(frame: SimulatedFrame, shape: tuple[int, int], stars: Table) -> np.ndarray:
    """Return the light of one frame without noise and response, ``(ny, nx)``, electron."""
    light = np.full(shape, frame.illumination)
    if frame.problem == LEAK:
        light *= np.linspace(0, 2, shape[1])
    if frame.kind == "light":
        x, y = stars["x"] + frame.shift[0], stars["y"] + frame.shift[1]
        light += star_image(shape, x, y, stars[f"flux_{frame.filter}"] * frame.exptime, frame.fwhm)
    return light


def write_raw(
    rng: np.random.Generator,
    frame: SimulatedFrame,
    detector: Detector,
    stars: Table,
    *,
    read_noise_card: bool = False,
) -> SimulatedFrame:
    """Write one raw file; return the frame with the cosmic rays that hit it."""
    rays = rng.poisson(COSMIC_RAY_RATE * detector.bias.size * frame.exptime)
    charge = cosmic_ray_tracks(rng, detector.shape, rays)
    raw = simulate_frame(
        rng,
        detector,
        exptime=frame.exptime,
        light=scene(frame, detector.shape, stars),
        filter=frame.filter,
        cosmic_rays=charge,
        level=frame.level,
    )
    header = raw_header(frame, detector, read_noise_card=read_noise_card)
    if detector.amplifiers:
        parts = _extensions(raw, detector, read_noise_card=read_noise_card)
        fits.HDUList([fits.PrimaryHDU(header=header), *parts]).writeto(frame.path)
    else:
        fits.PrimaryHDU(raw, header).writeto(frame.path)
    if frame.problem == TRUNCATED:
        os.truncate(frame.path, int(0.6 * frame.path.stat().st_size))
    return replace(frame, cosmic_rays=np.argwhere(charge))


def _extensions(
    raw: np.ndarray, detector: Detector, *, read_noise_card: bool
) -> list[fits.ImageHDU]:
    """Return an extension for each amplifier, with what is its own in the header."""
    found = []
    for number, (pixels, one) in enumerate(zip(raw, detector.amplifiers, strict=True), start=1):
        ny, nx = section_shape(one.section)
        cards = [
            ("DETSEC", one.detector_section, "place on the detector"),
            ("DATASEC", f"[1:{nx},1:{ny}]", "light-sensitive part"),
            ("CCDSUM", "1 1", "binning"),
            ("GAIN", one.gain, "[electron/adu] gain"),
        ]
        if detector.overscan:
            cards.append(("BIASSEC", f"[{nx + 1}:{nx + detector.overscan},1:{ny}]", "overscan"))
        if read_noise_card:
            cards.append(("RDNOISE", one.read_noise, "[electron] read noise"))
        found.append(fits.ImageHDU(pixels, fits.Header(cards), name=f"AMP{number}"))
    return found


def raw_header(
    frame: SimulatedFrame, detector: Detector, *, read_noise_card: bool = False
) -> fits.Header:
    """Return a header such as MaxIm DL writes, with sections and on lights a TAN WCS."""
    cards = [
        ("DATE-OBS", frame.date_obs.isoformat(), "start of exposure, UT"),
        ("EXPTIME", frame.exptime, "[s] exposure time"),
        ("EXPOSURE", frame.exptime, "[s] exposure time"),
        ("SET-TEMP", -10.0, "[deg C] CCD temperature setpoint"),
        ("CCD-TEMP", frame.temperature, "[deg C] CCD temperature at start of exposure"),
        ("XPIXSZ", 9.0, "[um] pixel width, binned"),
        ("YPIXSZ", 9.0, "[um] pixel height, binned"),
        ("XBINNING", 1, "binning factor in width"),
        ("YBINNING", 1, "binning factor in height"),
        ("XORGSUBF", 0, "[pixel] subframe X position, binned"),
        ("YORGSUBF", 0, "[pixel] subframe Y position, binned"),
        ("READOUTM", "Normal", "readout mode"),
        ("IMAGETYP", _IMAGETYP[frame.kind], "type of image"),
        ("JD", round(Time(frame.date_obs).jd, 8), "[d] Julian Date at start of exposure"),
        ("SATURATE", SATURATION, "[adu] saturation level"),
        ("INSTRUME", "Simulated CCD", "camera"),
        ("TELESCOP", "Simulated 0.5 m", "telescope"),
        ("OBSERVAT", "bmp_astro", "observatory"),
        ("SITELAT", "+31 57 30", "[deg] latitude"),
        ("SITELONG", "-111 35 48", "[deg] longitude, east positive"),
        ("SWCREATE", "bmp_astro.simulate", "software that made this file"),
        ("BUNIT", "adu", "unit of the pixels"),
    ]
    if not detector.amplifiers:
        cards += _readout_cards(detector, read_noise_card=read_noise_card)
    if frame.filter:
        cards.append(("FILTER", frame.filter, "filter"))
    if frame.kind == "light":
        cards += _pointing(frame, detector.shape)
    return fits.Header(cards)


def _readout_cards(detector: Detector, *, read_noise_card: bool) -> list[tuple[str, object, str]]:
    """Return the cards of a detector that is read by one amplifier."""
    ny, nx = detector.shape
    cards: list[tuple[str, object, str]] = [
        ("EGAIN", detector.gain, "[electron/adu] electronic gain")
    ]
    if read_noise_card:
        cards.append(("RDNOISE", detector.read_noise, "[electron] read noise"))
    if detector.overscan:
        cards.append(("BIASSEC", f"[{nx + 1}:{nx + detector.overscan},1:{ny}]", "overscan"))
        cards.append(("TRIMSEC", f"[1:{nx},1:{ny}]", "light-sensitive part"))
    return cards


def _pointing(frame: SimulatedFrame, shape: tuple[int, int]) -> list[tuple[str, object, str]]:
    """Return the cards that say where a light points."""
    ny, nx = shape
    return [
        ("OBJECT", "Simulated cluster", "target"),
        ("OBJCTRA", "08 51 24", "nominal right ascension of the image center"),
        ("OBJCTDEC", "+11 48 36", "nominal declination of the image center"),
        ("EQUINOX", 2000.0, "equinox of the coordinates"),
        ("RADESYS", "ICRS", "reference frame"),
        ("CTYPE1", "RA---TAN", "gnomonic projection"),
        ("CTYPE2", "DEC--TAN", "gnomonic projection"),
        ("CUNIT1", "deg", "unit of CRVAL1"),
        ("CUNIT2", "deg", "unit of CRVAL2"),
        ("CRVAL1", CENTER[0], "[deg] right ascension at the reference pixel"),
        ("CRVAL2", CENTER[1], "[deg] declination at the reference pixel"),
        ("CRPIX1", 0.5 * (nx + 1) + frame.shift[0], "reference pixel"),
        ("CRPIX2", 0.5 * (ny + 1) + frame.shift[1], "reference pixel"),
        ("CD1_1", -PIXEL_SCALE, "[deg] per pixel"),
        ("CD1_2", 0.0, "[deg] per pixel"),
        ("CD2_1", 0.0, "[deg] per pixel"),
        ("CD2_2", PIXEL_SCALE, "[deg] per pixel"),
    ]

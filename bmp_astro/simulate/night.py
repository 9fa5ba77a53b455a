"""A whole simulated night: what is taken when, and which files are bad."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from astropy.table import Table

from .detector import Detector, make_detector
from .frame import (
    LEAK,
    SATURATED,
    TRUNCATED,
    SimulatedFrame,
    draw_conditions,
    scene,
    write_raw,
)
from .sky import make_stars

READOUT = 12  # s


@dataclass(frozen=True)
class SimulatedNight:
    """What `simulate_night` wrote, and the truth behind it.

    Attributes
    ----------
    folder : Path
        Where the files are.
    detector : Detector
        The camera.
    stars : Table
        ``x`` and ``y`` (pixel, before a frame's shift), and ``flux_V``, ... (electron/s) for
        each filter.
    frames : tuple of SimulatedFrame
        The frames in the order in which they were taken, bad ones included.
    bad_files : mapping of Path to str
        What is wrong with each bad file.
    """

    folder: Path
    detector: Detector
    stars: Table
    frames: tuple[SimulatedFrame, ...]
    bad_files: Mapping[Path, str]

    def paths(self, kind: str, filter: str | None = None) -> list[Path]:
        """Return the good files of one kind, and of one filter if that is given."""
        return [
            frame.path
            for frame in self.frames
            if frame.kind == kind and not frame.problem and filter in (None, frame.filter)
        ]

    def frame(self, path: str | Path) -> SimulatedFrame:
        """Return the truth about one file, found by its base name; KeyError if there is none."""
        return {frame.path.name: frame for frame in self.frames}[Path(path).name]

    def scene(self, path: str | Path) -> np.ndarray:
        """Return sky and stars of one light frame without noise, ``(ny, nx)``, electron.

        This is what a perfect reduction would recover.
        """
        return scene(self.frame(path), self.detector.shape, self.stars)


def simulate_night(
    folder: str | Path,
    *,
    shape: tuple[int, int] = (512, 768),
    overscan: int = 32,
    n_bias: int = 7,
    n_dark: int = 5,
    n_flat: int = 5,
    n_light: int = 6,
    filters: Sequence[str] = ("V", "R"),
    exptime: float = 120.0,
    flat_exptime: float = 4.0,
    gain: float = 1.5,
    read_noise: float = 8.0,
    read_noise_card: bool = False,
    amplifiers: int = 1,
    crosstalk: float = 0.0,
    dither: float = 4.0,
    bad_files: bool = True,
    day: int = 0,
    seed: int = 20260314,
) -> SimulatedNight:
    """Write the raw files of a night.

    Parameters
    ----------
    folder : str or Path
        Where to write; made if it does not exist.
    shape : tuple of int
        ``(ny, nx)`` of the light-sensitive part.
    overscan : int
        Number of overscan columns, at the right edge. Without any, the level is the same in all
        rows and frames, since nothing could correct it.
    n_bias, n_dark : int
        Numbers of bias and dark frames.
    n_flat : int
        Number of flats in each filter.
    n_light : int
        Number of lights, dealt to the filters in turn.
    filters : sequence of str
        Filter names.
    exptime, flat_exptime : float
        Exposure time of lights and darks, and of flats, s.
    gain, read_noise : float
        electron/adu and electron.
    read_noise_card : bool
        Whether headers have ``RDNOISE``. MaxIm DL writes none.
    amplifiers : int
        1, 2 or 4: with several, each reads its part of the detector into an extension of its own,
        with a gain, a read noise and a level that are its own, and columns of garbage.
    crosstalk : float
        Fraction of each amplifier's signal that is in the others'.
    dither : float
        How far lights are off the mean pointing along each axis, pixel, as a standard deviation.
    bad_files : bool
        Whether to add a bias with a light leak, a saturated flat, a truncated light and a text
        file with the name of a FITS file. The other files are the same either way.
    day : int
        How many days later the night is, for one of several.
    seed : int
        Equal seeds give equal files.

    Returns
    -------
    SimulatedNight
        The truth.

    Raises
    ------
    OSError
        If a file is there already.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(32, 48), n_bias=2)
    ...     [path.name for path in night.paths("bias")]
    ['bias-001.fit', 'bias-002.fit']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    detector = make_detector(
        rng,
        shape,
        filters=filters,
        gain=gain,
        read_noise=read_noise,
        overscan=overscan,
        amplifiers=amplifiers,
        crosstalk=crosstalk,
    )
    stars = make_stars(rng, shape, filters)
    counts = {"bias": n_bias, "dark": n_dark, "flat": n_flat, "light": n_light}
    exptimes = {"bias": 0.0, "dark": exptime, "flat": flat_exptime, "light": exptime}
    start = SimulatedFrame.date_obs + timedelta(days=day)
    frames = []
    for planned in _schedule(counts, filters):
        frame = replace(
            planned, path=folder / planned.path, exptime=exptimes[planned.kind], date_obs=start
        )
        start += timedelta(seconds=frame.exptime + READOUT)
        if frame.problem and not bad_files:
            continue
        # One stream for each name: the pixels of a file do not depend on how many there are.
        noise = np.random.default_rng([seed, *frame.path.name.encode()])
        frame = draw_conditions(noise, frame, detector, dither)
        frames.append(write_raw(noise, frame, detector, stars, read_noise_card=read_noise_card))
    bad = {frame.path: frame.problem for frame in frames if frame.problem}
    if bad_files:
        notes = folder / "notes.fits"
        notes.write_text("Clouds after midnight. The dome lamp was on at first.\n")
        bad[notes] = "a text file"
    return SimulatedNight(folder, detector, stars, tuple(frames), bad)


def _schedule(counts: Mapping[str, int], filters: Sequence[str]) -> Iterator[SimulatedFrame]:
    """Yield what is taken, in order; a bad file is the last of its kind and filter."""
    for i in range(counts["bias"] + 1):
        problem = LEAK if i == counts["bias"] else ""
        yield SimulatedFrame(Path(f"bias-{i + 1:03d}.fit"), "bias", problem=problem)
    for name in filters:
        for i in range(counts["flat"] + (name == filters[0])):
            problem = SATURATED if i == counts["flat"] else ""
            path = Path(f"flat-{name}-{i + 1:03d}.fit")
            yield SimulatedFrame(path, "flat", filter=name, problem=problem)
    for i in range(counts["light"] + 1):
        name = filters[i % len(filters)]
        problem = TRUNCATED if i == counts["light"] else ""
        path = Path(f"cluster-{name}-{i + 1:03d}.fit")
        yield SimulatedFrame(path, "light", filter=name, problem=problem)
    for i in range(counts["dark"]):
        yield SimulatedFrame(Path(f"dark-{i + 1:03d}.fit"), "dark")

"""What frames without a type look like."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..fits import open_frame
from ..steps.stars import count_stars
from .source import pixel_noise

_STRIPS, _ROWS = 8, 16
_STARS = 10
_LIT = 5.0  # sigma above the darkest frame
_FLAT = 0.1  # of the largest value that the data type has
_SAME = 3.0


class _Look(NamedTuple):
    """Some rows of a frame, and what they show."""

    rows: np.ndarray
    level: float
    stars: int
    full: float | None


def guess_types(paths: Sequence[str | os.PathLike], *, instrument: Any = None) -> Mapping[str, str]:
    """Tell what frames may be, by a few rows of their pixels.

    Parameters
    ----------
    paths : sequence of path
        Raw frames. Those of one shape are compared with the darkest among them.
    instrument : Instrument, str or path-like, optional
        The camera.

    Returns
    -------
    mapping of str to str
        For each path ``"light"`` (stars are seen), ``"flat"`` (bright and smooth), ``"flat or
        light"``, ``"bias or dark"`` (no light, where others have some), or ``""`` where nothing
        can be told.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.masters import guess_types
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(64, 96), bad_files=False)
    ...     frames = [night.paths(kind)[0] for kind in ("bias", "dark", "flat", "light")]
    ...     list(guess_types(frames).values())
    ['bias or dark', 'bias or dark', 'flat', 'light']
    """
    looks: dict[str, _Look] = {}
    for path in map(os.fspath, paths):
        try:
            looks[path] = _look(path, instrument)
        except (OSError, ValueError):
            continue
    guesses = dict.fromkeys(map(os.fspath, paths), "")
    for shape in {look.rows.shape for look in looks.values()}:
        alike = {path: look for path, look in looks.items() if look.rows.shape == shape}
        guesses |= _guesses(alike)
    return guesses


def _look(path: str, instrument: Any) -> _Look:
    """Read some rows."""
    with open_frame(path, instrument=instrument) as frame:
        ny = frame.shape[0]
        starts = np.linspace(0, max(0, ny - _ROWS), _STRIPS).astype(int)
        strips = [frame.rows(start, min(start + _ROWS, ny)) for start in np.unique(starts)]
        full = float(np.iinfo(frame.dtype).max) if frame.dtype.kind in "ui" else None
    rows = np.concatenate(strips)
    return _Look(rows.astype(np.float32), float(np.median(rows)), count_stars(rows), full)


def _guesses(looks: Mapping[str, _Look]) -> dict[str, str]:
    """Compare frames of one shape."""
    darkest = min(looks.values(), key=lambda look: look.level)
    above = {}
    for path, look in looks.items():
        difference = look.rows - darkest.rows
        sigma = max(pixel_noise(difference), 0.5)
        above[path] = (float(np.median(difference)), sigma)
    some_are_lit = any(level > _LIT * sigma for level, sigma in above.values())
    return {path: _guess(looks[path], *above[path], some_are_lit) for path in looks}


def _guess(look: _Look, level: float, sigma: float, some_are_lit: bool) -> str:
    """Tell what a frame is whose level is so far above that of the darkest one."""
    if look.stars > _STARS:
        return "light"
    if not some_are_lit:
        return ""
    if level > _LIT * sigma:
        is_bright = look.full is not None and level > _FLAT * look.full
        return "flat" if is_bright else "flat or light"
    return "bias or dark" if level < _SAME * sigma else ""

"""Which night each frame belongs to, where there are several."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import astropy.units as u

from ..fits import read_header
from ..fits.site import longitude_of
from .dates import when
from .frames import Frame

Longitude = float | u.Quantity | None

logger = logging.getLogger(__name__)

_GAP = 6 * 3600.0  # seconds without a frame that part two nights
_LONGEST = 36 * 3600.0  # seconds that the lights of one night may span
_HALF_A_DAY = 12 * 3600.0
_SECONDS_A_DEGREE = 240.0
_LOOKED_AT = 5  # headers that may tell the longitude
_UNDATED = "undated"


def by_directory(frames: list[Frame], tops: Sequence[str]) -> list[Frame]:
    """Give each frame the night of its directory, where several were named.

    Parameters
    ----------
    frames : list of Frame
        All of them.
    tops : sequence of str
        The names that were given: each directory, with all below it, is one night. Files that were
        named beside several directories belong to the night of the directory that they are in.

    Returns
    -------
    list of Frame
        The same frames; without a night where fewer than two directories have light frames, since
        the others are then that night's calibration.
    """
    folders = [top for top in dict.fromkeys(tops) if os.path.isdir(top)]
    within = [(folder, os.path.join(folder, "")) for folder in folders]
    found = [_folder_of(frame.path, within) for frame in frames]
    with_lights = {folder for f, folder in zip(frames, found, strict=True) if f.kind == "light"}
    if len(with_lights.intersection(folders)) < 2:
        _warn_of_long_nights(frames)
        return frames
    names = _unique_names(dict.fromkeys(found))
    return [replace(f, night=names[folder]) for f, folder in zip(frames, found, strict=True)]


def by_time(frames: list[Frame], longitude: Longitude = None) -> list[Frame]:
    """Give each frame its night, from local noon to noon.

    Parameters
    ----------
    frames : list of Frame
        All of them. One without a date goes with its neighbor in the same directory.
    longitude : float, `~astropy.units.Quantity` or None
        Degrees to the east; None asks the headers, and where these are silent nights are parted
        by gaps of more than 6 hours.

    Returns
    -------
    list of Frame
        The same frames. A night is named after the date of its evening, ``2026-03-14``; without a
        longitude after the date (UTC) of its first frame.
    """
    east = _longitude(frames) if longitude is None else float(u.Quantity(longitude, u.deg).value)
    times = [when(frame.facts) for frame in frames]
    known = sorted({time for time in times if time is not None})
    if east is None:
        logger.info("no longitude is known: nights are parted by gaps of more than 6 hours")
        nights = _parted(known)
    else:
        nights = {time: _evening(time + east * _SECONDS_A_DEGREE) for time in known}
    found = _neighbors([None if t is None else nights[t] for t in times], frames)
    return [replace(frame, night=night) for frame, night in zip(frames, found, strict=True)]


def nights_of(frames: Iterable[Frame]) -> list[str]:
    """The nights that some frames belong to, in order; none where there is only one, unnamed."""
    return sorted({frame.night for frame in frames} - {""})


def _folder_of(path: str, within: Sequence[tuple[str, str]]) -> str:
    """The directory that was named first of those that a file is in, else its own."""
    for folder, start in within:
        if path.startswith(start):
            return folder
    return os.path.dirname(path)


def _unique_names(folders: Iterable[str]) -> dict[str, str]:
    """The last part of each directory's name, with as many more as tell it from the others."""
    parts = {folder: Path(folder).resolve().parts[1:] for folder in folders}
    depth = 1
    while True:
        names = {folder: "_".join(part[-depth:]) for folder, part in parts.items()}
        spelled = {name.lower() for name in names.values()}
        if len(spelled) == len(names) or depth > max(map(len, parts.values())):
            return names
        depth += 1


def _longitude(frames: Sequence[Frame]) -> float | None:
    """The longitude in the first header that has one, of a few that are looked at."""
    readable = [frame.path for frame in frames if frame.readable]
    for path in readable[:: max(1, len(readable) // _LOOKED_AT)]:
        try:
            longitude = longitude_of(read_header(path).header)
        except (OSError, ValueError):
            continue
        if longitude is not None:
            return longitude
    return None


def _evening(local: float) -> str:
    """The date of the noon before a local time, seconds."""
    return datetime.fromtimestamp(local - _HALF_A_DAY, tz=UTC).date().isoformat()


def _parted(times: Sequence[float]) -> dict[float, str]:
    """A night for each of some times in order, by the gaps between them."""
    nights: dict[float, str] = {}
    taken: set[str] = set()
    for before, time in pairwise([None, *times]):
        if before is None or time - before > _GAP:
            date = datetime.fromtimestamp(time, tz=UTC).date().isoformat()
            night, number = date, 1
            while night in taken:
                number += 1
                night = f"{date}_{number}"
            taken.add(night)
        nights[time] = night
    return nights


def _neighbors(found: Sequence[str | None], frames: Sequence[Frame]) -> list[str]:
    """The nights with the gaps filled: by the frame before in the same directory, or after."""
    folders = [os.path.dirname(frame.path) for frame in frames]
    last: dict[str, str] = {}
    for night, folder in reversed(list(zip(found, folders, strict=True))):
        if night is not None:
            last[folder] = night
    filled = []
    for night, folder in zip(found, folders, strict=True):
        if night is not None:
            last[folder] = night
        filled.append(last.get(folder, _UNDATED))
    return filled


def _warn_of_long_nights(frames: Sequence[Frame]) -> None:
    """Say so where the lights of one night are of several."""
    times = [when(frame.facts) for frame in frames if frame.kind == "light"]
    known = [time for time in times if time is not None]
    if known and max(known) - min(known) > _LONGEST:
        hours = (max(known) - min(known)) / 3600
        logger.warning(
            "the light frames span %.0f hours, and are reduced as one night: split_nights=True "
            "(--split-nights) gives each night masters of its own",
            hours,
        )

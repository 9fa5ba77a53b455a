"""What is there: every raw file, and the facts that its header states."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, Table

from ..core.table import column, text_column
from ..fits import (
    Instrument,
    calibrated_already,
    checked_classification,
    find_instrument,
    is_fits_name,
    read_header,
)
from ..fits.readouts import assembled_shape, readouts_in
from . import inventory_cache
from .frames import Frame, Spec, read_frames
from .nights import Longitude, by_directory, by_time

Raw = str | os.PathLike | Iterable[str | os.PathLike]

# The columns of an inventory after in_name and frame_type, in their order.
COLUMNS: dict[str, tuple[type, u.Unit | None]] = {
    "camera": (str, None),
    "exptime": (float, u.s),
    "filter": (str, None),
    "xbinning": (int, None),
    "ybinning": (int, None),
    "temperature": (float, u.deg_C),
    "set_temperature": (float, u.deg_C),
    "gain": (float, u.electron / u.adu),
    "gain_setting": (float, None),
    "offset": (float, None),
    "readout_mode": (str, None),
    "ny": (int, None),
    "nx": (int, None),
    "x_origin": (int, None),
    "y_origin": (int, None),
    "object": (str, None),
    "date_obs": (str, None),
}


_MORE = ("serial", "em_gain")  # facts that have no column
_LARGEST = 2.0**63  # what an integer column cannot hold is no fact of a frame


def inventory(
    raw: Raw,
    *,
    instrument: Spec = None,
    cache: str | os.PathLike | None = None,
    split_nights: bool = False,
    longitude: Longitude = None,
) -> Table:
    """Tell what raw frames there are, one row for each file.

    Parameters
    ----------
    raw : str, path or iterable of them
        Directories (searched with their subdirectories for names that end like FITS files) and
        files (taken whatever their names).
    instrument : Instrument or str, optional
        The camera: an `~bmp_astro.Instrument`, the name of a built-in one or a TOML file.
        By default each header chooses.
    cache : str or path, optional
        A file, made if need be, in which readable frames are remembered by path, size and time of
        change; those that it knows are not opened again. Keep it out of ``raw``.
    split_nights : bool
        Divide the frames from local noon to noon, rather than one night a directory.
    longitude : float or `~astropy.units.Quantity`, optional
        Of the site, degrees to the east; by default what the headers say, else nights are told by
        gaps of more than 6 hours.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``in_name``, ``frame_type`` (``"bias"``, ``"dark"``, ``"flat"``, ``"light"``, or
        ``""`` when unknown), ``camera``, ``exptime`` (s), ``filter``, ``xbinning``, ``ybinning``,
        ``temperature`` and ``set_temperature`` (deg C), ``gain`` (electron/adu), ``gain_setting``,
        ``offset``, ``readout_mode``, ``ny``, ``nx``, ``x_origin``, ``y_origin``, ``object``,
        ``date_obs``, then what the instrument adds in its ``keys``, and last ``message``: why a
        file cannot be used, ``""`` if it can. Numbers that a header does not state are masked. With
        several nights there is a column ``night`` after the first.

    Raises
    ------
    FileNotFoundError
        If ``raw``, or one of its names, does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro import inventory
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(32, 48), bad_files=False)
    ...     table = inventory(folder)
    >>> sorted(set(table["frame_type"].tolist()))
    ['bias', 'dark', 'flat', 'light']
    """
    nights = {"split_nights": split_nights, "longitude": longitude}
    return as_table(survey(raw, instrument=instrument, cache=cache, **nights))


def survey(
    raw: Raw,
    *,
    instrument: Spec = None,
    exclude: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    classification: str = "warn",
    split_nights: bool = False,
    longitude: Longitude = None,
) -> list[Frame]:
    """Every frame under ``raw``, in the order of the names; ``exclude`` is not looked into."""
    tops = [os.fspath(top) for top in tops_of(raw)]
    paths = find_files(tops, exclude=exclude)
    stats = [_stat(path) for path in paths]
    frames = _read(paths, stats, instrument, cache)
    if checked_classification(classification) != "trust":
        frames = [_refused_if_calibrated(frame) for frame in frames]
    frames = _once(frames, stats)
    return by_time(frames, longitude) if split_nights else by_directory(frames, tops)


def tops_of(raw: Raw) -> list[str | os.PathLike]:
    """The names that were given."""
    return [raw] if isinstance(raw, str | os.PathLike) else list(raw)


def _stat(path: str) -> os.stat_result | None:
    """What the system says of a file; None when it cannot be found."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _read(
    paths: list[str],
    stats: list[os.stat_result | None],
    spec: Spec,
    cache: str | os.PathLike | None,
) -> list[Frame]:
    """A frame for each path, of the cache where that knows the file."""

    def read(some: list[str]) -> list[Frame]:
        return read_frames(some, spec, lambda path: _frame(path, spec), _described)

    if cache is None:
        return read(paths)
    known = inventory_cache.load(cache, spec)
    found = [known.recall(path, stat) for path, stat in zip(paths, stats, strict=True)]
    unknown = [path for path, frame in zip(paths, found, strict=True) if frame is None]
    new = dict(zip(unknown, read(unknown), strict=True))
    if new:
        stat_of = dict(zip(paths, stats, strict=True))
        added = [(frame, stat_of[path]) for path, frame in new.items()]
        inventory_cache.save(cache, spec, known, added)
    return [new[path] if frame is None else frame for path, frame in zip(paths, found, strict=True)]


def _once(frames: list[Frame], stats: list[os.stat_result | None]) -> list[Frame]:
    """The frames, of which a file with several names counts under the first of them only."""
    first: dict[tuple[int, int], str] = {}
    kept = []
    for frame, stat in zip(frames, stats, strict=True):
        if stat is not None:
            name = first.setdefault((stat.st_dev, stat.st_ino), frame.path)
            if name != frame.path and frame.readable:
                frame = replace(frame, message=f"the same file as {name}")
        kept.append(frame)
    return kept


def find_files(raw: Raw, *, exclude: str | os.PathLike | None = None) -> list[str]:
    """The names of the files to look at: each once, those of a directory sorted."""
    found = [name for top in tops_of(raw) for name in _walk(os.fspath(top), exclude)]
    return list(dict.fromkeys(found))


def _refused_if_calibrated(frame: Frame) -> Frame:
    """The frame, with a message if its header says that it is not raw."""
    if not frame.calibrated or not frame.readable:
        return frame
    return replace(frame, message=f"it was calibrated already: {frame.calibrated}")


def as_table(frames: list[Frame]) -> Table:
    """The frames as the table that `inventory` describes."""
    columns = {"in_name": _text([frame.path for frame in frames])}
    if any(frame.night for frame in frames):
        columns["night"] = _text([frame.night for frame in frames])
    columns["frame_type"] = _text([frame.kind for frame in frames])
    for name, (kind, unit) in COLUMNS.items():
        values = [frame.facts.get(name) for frame in frames]
        columns[name] = _text(values) if kind is str else _numbers(values, kind, unit)
    for name in _extra_names(frames):
        columns[name] = column([frame.facts.get(name) for frame in frames])
    columns["message"] = _text([frame.message for frame in frames])
    return Table(columns, copy=False)


def _walk(top: str, exclude: str | os.PathLike | None) -> Iterator[str]:
    if not os.path.isdir(top):
        if not os.path.lexists(top):
            raise FileNotFoundError(f"{top}: there is no such file or directory")
        yield top
        return
    outside = None if exclude is None else Path(exclude).resolve()
    closed: list[str] = []
    for folder, subfolders, names in os.walk(
        top, onerror=lambda error: closed.append(error.filename)
    ):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and Path(folder, name).resolve() != outside
        )
        start = os.path.join(folder, "")
        for name in sorted(names):
            if is_fits_name(name) and not name.startswith("."):
                yield start + name
    yield from closed


def _frame(path: str, spec: Spec) -> Frame:
    """What one file is; a file that cannot be read is a frame with a message."""
    message = ""
    try:
        found = read_header(path, instrument=spec)
    except (OSError, ValueError) as error:
        message = _in_words(path, error)
        try:  # a truncated file still tells what it was to be
            found = read_header(path, instrument=spec, missing_ok=True)
        except (OSError, ValueError):
            return Frame(path, message=message, readable=False)
    camera = find_instrument(spec, found.header)
    frame = _described(path, camera, found.header, found.shape)
    return replace(frame, message=message, readable=False) if message else frame


def _in_words(path: str, error: Exception) -> str:
    """Why a file cannot be read, without its name."""
    if os.path.isdir(path):
        return "a directory that cannot be looked into: permission denied"
    if os.path.islink(path) and not os.path.exists(path):
        return f"a link to {os.readlink(path)}, which does not exist"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.removeprefix(path).lstrip(": ").removeprefix("is ")


def _described(
    path: str,
    camera: Instrument,
    header: Mapping[str, Any],
    shape: tuple[int, int],
    quick: Any = None,
) -> Frame:
    """A frame by its header; ``quick`` remembers what it said of the same cards before."""
    names = [name for name in (*COLUMNS, *_MORE, *camera.keys) if name not in ("ny", "nx")]
    if quick is None:
        facts = {name: camera.value(name, header) for name in names}
        reason = calibrated_already(header)
    else:
        facts = {name: quick.value(camera, name, header) for name in names}
        reason = quick.calibrated_already(header)
    readouts = readouts_in(header)  # of several amplifiers, those of the image that they make
    facts["ny"], facts["nx"] = assembled_shape(readouts) if readouts else shape
    kind = camera.frame_type_of(header, path)
    message = "" if kind else _why_unknown(camera, header)
    return Frame(path, kind, facts, camera, message, calibrated=reason)


def _why_unknown(camera: Instrument, header: Mapping) -> str:
    word = camera.value("frame_type", header)
    if word is None:
        return "the header names no frame type, and no rule for file names does"
    return f"{word!r} is no frame type that the instrument {camera.name!r} knows"


def _extra_names(frames: list[Frame]) -> list[str]:
    cameras = [frame.instrument for frame in frames if frame.instrument is not None]
    return list(dict.fromkeys(name for camera in cameras for name in camera.keys))


def _text(values: Sequence) -> MaskedColumn:
    """A column of text, empty where it is missing."""
    made = text_column(values)
    made.mask = False
    return made


def _numbers(values: Sequence, kind: type, unit: u.Unit | None) -> MaskedColumn:
    """A column of numbers in a unit, those that are missing masked."""
    # frames share most of their values: each is looked at once
    keys = list(map(id, values))
    known = {
        key: _number(value, unit) for key, value in dict(zip(keys, values, strict=True)).items()
    }
    found = np.fromiter(map(known.__getitem__, keys), float, len(keys))
    missing = ~(np.abs(found) < _LARGEST)
    found[missing] = 0
    return MaskedColumn(found.astype(kind), mask=missing, unit=unit)


def _number(value: Any, unit: u.Unit | None) -> float:
    """``value`` as a bare number in ``unit``, NaN when it is none."""
    if isinstance(value, u.Quantity):
        same = value.unit == unit
        value = value.value if same else value.to_value(unit, equivalencies=u.temperature())
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan

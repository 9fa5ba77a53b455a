"""What the headers of files said, remembered in a file by their paths, sizes and times."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import astropy.units as u

from ..core.atomic import write_beside
from ..core.identity import Unidentifiable, identity, installed_version
from ..fits import find_instrument
from .frames import Frame, Spec

_FORMAT = 3
_OWN = "date_obs"  # the fact in which frames that are alike differ


@dataclass
class InventoryCache:
    """Frames that were read before.

    Most frames differ from others in their file and time only, so that what they share is written
    once: an entry is ``[size, time of change, place, date_obs]``, where ``place`` counts what is
    shared, in ``shared`` (as JSON has it) and ``alike`` (as frames).
    """

    entries: dict[str, list[Any]] = field(default_factory=dict)
    shared: list[Any] = field(default_factory=list)
    alike: list[Frame] = field(default_factory=list)

    def recall(self, path: str, found: os.stat_result | None) -> Frame | None:
        """Return a frame; None where nothing is known of this very file."""
        entry = self.entries.get(_absolute(path))
        if entry is None or found is None:
            return None
        try:
            size, time, place, date = entry
            like = self.alike[place]
        except (TypeError, ValueError, IndexError):  # damaged
            return None
        if size != found.st_size or time != found.st_mtime_ns:
            return None
        facts = {**like.facts, _OWN: date}
        return Frame(
            path, like.kind, facts, like.instrument, like.message, calibrated=like.calibrated
        )


def load(cache: str | os.PathLike, spec: Spec) -> InventoryCache:
    """Read a cache; an empty one where it is missing, damaged, or of another camera or version."""
    try:
        said = json.loads(Path(cache).read_bytes(), parse_constant=_refuse)
        if said["key"] == _key(spec) is not None and isinstance(said["entries"], dict):
            alike = [_like(spec, *each) for each in said["shared"]]
            return InventoryCache(said["entries"], said["shared"], alike)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # as if there were none
    return InventoryCache()


def save(
    cache: str | os.PathLike,
    spec: Spec,
    known: InventoryCache,
    frames: Iterable[tuple[Frame, os.stat_result | None]],
) -> None:
    """Write a cache with more frames, whole or not at all; one that cannot be written is none.

    Frames that cannot be read, or say what JSON cannot, are left out.
    """
    entries, shared = dict(known.entries), list(known.shared)
    places = {_json(each): place for place, each in enumerate(shared)}
    for frame, found in frames:
        if frame.readable and found is not None and frame.instrument is not None:
            with suppress(TypeError, ValueError):
                each = _shared(frame)
                text = _json(each)
                if text not in places:
                    places[text] = len(shared)
                    shared.append(each)
                stamp = [found.st_size, found.st_mtime_ns]
                entries[_absolute(frame.path)] = [*stamp, places[text], frame.facts[_OWN]]
    said = _json({"key": _key(spec), "shared": shared, "entries": entries})

    def write(name: str) -> str:
        Path(name).write_text(said)
        return name

    with suppress(OSError):
        write_beside(write, os.fspath(cache))


def _shared(frame: Frame) -> list[Any]:
    """Return what others may share with a frame, as JSON has it."""
    facts = {name: _plain(fact) for name, fact in frame.facts.items() if name != _OWN}
    return [frame.instrument.name, frame.kind, frame.message, frame.calibrated, facts]


def _like(spec: Spec, camera: str, kind: str, message: str, calibrated: str, facts: dict) -> Frame:
    """Return a frame with what others share with it."""
    if not all(isinstance(text, str) for text in (kind, message, calibrated)):
        raise TypeError("damaged")
    facts = {name: u.Quantity(*x) if isinstance(x, list) else x for name, x in facts.items()}
    found = find_instrument(camera if spec is None else spec, {})
    return Frame("", kind, facts, found, message, calibrated=calibrated)


def _refuse(constant: str) -> None:
    raise ValueError(f"no cache of ours has {constant}")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _plain(fact: Any) -> Any:
    """Return a fact as JSON has it, a quantity as a number and a unit."""
    if isinstance(fact, u.Quantity):
        return [float(fact.value), str(fact.unit)]
    if fact is not None and not isinstance(fact, str | bool | int | float):
        raise TypeError(f"{fact!r} does not come back from JSON as it was")
    return fact


def _absolute(path: str) -> str:
    """Return the name by which a file is known, whatever directory is the current one."""
    return path if path.startswith(os.sep) else os.path.abspath(path)


def _key(spec: Spec) -> str | None:
    """Return what the cache must have been made with, None where that cannot be told."""
    try:
        camera = spec if spec is None else find_instrument(spec, {})
        return identity([camera, installed_version(Frame), _FORMAT])
    except Unidentifiable:
        return None

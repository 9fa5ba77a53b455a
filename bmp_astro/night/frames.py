"""The frames of a night, found fast: what headers share is read once, what is known not again."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import astropy.units as u

from ..core.identity import Unidentifiable, identity, installed_version
from ..fits import Instrument, calibrated_already, find_instrument
from ..fits.cardindex import CardIndex, remembered, simple_header

Spec = str | os.PathLike | Instrument | None
_THREADS = 4  # they wait for the disk together; the work itself is one thread's
_CHUNK = 64


@dataclass(frozen=True)
class Frame:
    """One raw file: its type, its facts (None where the header is silent), and why not to use it.

    ``message`` is empty for a frame that can be used; ``calibrated`` says what in the header tells
    that it is not raw, ``night`` which of several nights it belongs to.
    """

    path: str
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    instrument: Instrument | None = None
    message: str = ""
    readable: bool = True
    calibrated: str = ""
    night: str = ""


def all_frames(
    paths: list[str],
    spec: Spec,
    frame_of: Callable[[str], Frame],
    describe: Callable[..., Frame],
    cache: str | os.PathLike | None,
) -> list[Frame]:
    """Tell what many files are.

    Parameters
    ----------
    paths : list of str
        The files.
    spec : Instrument, str, path-like or None
        The camera, None for each header to choose.
    frame_of : callable
        ``frame_of(path)`` reads any file.
    describe : callable
        ``describe(path, camera, header, shape, look)`` makes a frame of a header.
    cache : path-like or None
        A file to remember readable frames in, by path, size and time of change. What is damaged
        in it, or was said by another version or of another camera, is read again.

    Returns
    -------
    list of Frame
        One for each path.
    """
    known = _load(cache, spec)
    stamps = [_stamp(path) for path in paths]
    frames = [
        _recalled(path, stamp, known.get(os.path.abspath(path)), spec)
        for path, stamp in zip(paths, stamps, strict=True)
    ]
    new = [index for index, frame in enumerate(frames) if frame is None]
    quick = _Quick(spec, describe)

    def read(indices: list[int]) -> list[Frame]:
        found = (quick.frame(paths[index]) for index in indices)
        return [
            frame_of(paths[index]) if frame is None else frame
            for index, frame in zip(indices, found, strict=True)
        ]

    chunks = [new[start : start + _CHUNK] for start in range(0, len(new), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk, found in zip(chunks, pool.map(read, chunks), strict=True):
            for index, frame in zip(chunk, found, strict=True):
                frames[index] = frame
    if cache is not None and new:
        _save(cache, spec, known, zip(frames, stamps, strict=True))
    return frames


class _Quick:
    """Reads files that are one plain image, and looks at cards that it knows only once."""

    def __init__(self, spec: Spec, describe: Callable[..., Frame]) -> None:
        self._describe = describe
        self._camera_of = remembered(partial(find_instrument, spec))
        self._looks: dict[tuple[int, str], Callable[[CardIndex], Any]] = {}
        given = None if spec is None else find_instrument(spec, {})
        self._is_possible = given is None or given.fix_header is Instrument.fix_header
        self._calibrated = remembered(calibrated_already)

    def frame(self, path: str) -> Frame | None:
        """Return a frame, None for a file that has to be read otherwise."""
        if not self._is_possible:
            return None
        try:
            found = simple_header(path)
        except OSError:
            return None
        if found is None:
            return None
        cards, shape = found
        camera = self._camera_of(cards)
        return self._describe(path, camera, cards, shape, self)

    def value(self, camera: Instrument, name: str, cards: CardIndex) -> Any:
        """Return a fact of a camera's frame."""
        look = self._looks.get((id(camera), name))
        if look is None:
            look = remembered(partial(camera.value, name))
            self._looks[id(camera), name] = look
        return look(cards)

    def calibrated_already(self, cards: CardIndex) -> str:
        """Tell why a frame is not raw."""
        return self._calibrated(cards)


def _stamp(path: str) -> list[int] | None:
    """Return what changes when a file does; None when it cannot be found."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _key(spec: Spec) -> str | None:
    """Return what the cache must have been made with, None where that cannot be told."""
    try:
        camera = spec if spec is None else find_instrument(spec, {})
        return identity([camera, installed_version(Frame), 2])
    except Unidentifiable:
        return None


def _load(cache: str | os.PathLike | None, spec: Spec) -> dict[str, list[Any]]:
    """Return the entries of a cache; none of one that is missing, damaged or of other facts."""
    if cache is None:
        return {}
    try:
        said = json.loads(Path(cache).read_bytes())
        entries = said["frames"] if said["key"] == _key(spec) is not None else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _save(
    cache: str | os.PathLike,
    spec: Spec,
    known: dict[str, list[Any]],
    frames: Iterable[tuple[Frame, list[int] | None]],
) -> None:
    """Write the cache anew, whole or not at all; a cache that cannot be written is none."""
    key = _key(spec)
    entries = dict(known)
    for frame, stamp in frames:
        if frame.readable and stamp is not None and frame.instrument is not None:
            facts = {name: _plain(value) for name, value in frame.facts.items()}
            texts = [frame.kind, frame.instrument.name, frame.message, frame.calibrated]
            entry = [stamp, *texts, facts]
            entries[os.path.abspath(frame.path)] = entry
    partial_name = Path(f"{os.fspath(cache)}.{os.getpid()}.part")
    try:
        text = json.dumps({"key": key, "frames": entries}, separators=(",", ":"), allow_nan=False)
        partial_name.write_text(text)
        os.replace(partial_name, cache)
    except (OSError, TypeError, ValueError):
        with suppress(OSError):
            partial_name.unlink()


def _plain(value: Any) -> Any:
    """Return a fact as JSON has it."""
    return [float(value.value), str(value.unit)] if isinstance(value, u.Quantity) else value


def _recalled(path: str, stamp: list[int] | None, entry: Any, spec: Spec) -> Frame | None:
    """Return a frame from its entry in the cache; None where that is not of this very file."""
    try:
        before, kind, camera, message, calibrated, facts = entry
        if stamp is None or before != stamp:
            return None
        facts = {
            name: _quantity(*value) if isinstance(value, list) else value
            for name, value in facts.items()
        }
        if not all(isinstance(text, str) for text in (kind, message, calibrated)):
            return None
        return Frame(path, kind, facts, _camera(camera, spec), message, calibrated=calibrated)
    except (TypeError, ValueError, AttributeError):
        return None


@lru_cache(maxsize=2**14)
def _quantity(value: float, unit: str) -> u.Quantity:
    """Return a quantity, the same one for all frames that have it."""
    return u.Quantity(value, unit)


@lru_cache(maxsize=64)
def _camera(name: str, spec: Spec) -> Instrument:
    """Return the camera of an entry."""
    return find_instrument(name if spec is None else spec, {})

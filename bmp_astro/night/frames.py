"""The frames of a night, read fast: what headers share is looked at once."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..fits import Instrument, calibrated_already, find_instrument
from ..fits.cardindex import CardIndex, remembered, simple_header

Spec = str | os.PathLike | Instrument | None
_THREADS = 4  # they wait for the disk together; the work itself is one thread's
_CHUNK = 64


@dataclass(frozen=True, slots=True)
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


def read_frames(
    paths: list[str],
    spec: Spec,
    frame_of: Callable[[str], Frame],
    describe: Callable[..., Frame],
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

    Returns
    -------
    list of Frame
        One for each path.
    """
    quick = _Quick(spec, describe)

    def read(chunk: list[str]) -> list[Frame]:
        found = map(quick.frame, chunk)
        return [
            frame_of(path) if frame is None else frame
            for path, frame in zip(chunk, found, strict=True)
        ]

    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [frame for found in pool.map(read, chunks) for frame in found]


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

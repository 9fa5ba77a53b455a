"""Control data to workers, once: serialised by the parent, memory-mapped by the workers."""

import importlib.machinery
import inspect
import logging
import mmap
import os
import pickle
import secrets
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import cloudpickle

from .pool.sending import packed

logger = logging.getLogger(__name__)

_INLINE_UP_TO = 64 * 1024
_ALIGNMENT = 64
_KEPT = 4


@dataclass(frozen=True)
class Shipped:
    """Where a worker finds the control data of a run.

    Parameters
    ----------
    token : str
        Names these data; a file without it is not the right one.
    main : bytes or None
        The pickle, when it travels with each task.
    buffers : tuple of bytes
        The array buffers that travel with it.
    path : str or None
        The file, when it does not.
    spans : tuple of (int, int)
        Where in the file each buffer lies, and the pickle itself last.
    sys_path : tuple of str
        The parent's module search path.
    """

    token: str
    main: bytes | None
    buffers: tuple[bytes, ...] = ()
    path: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    sys_path: tuple[str, ...] = ()


class NotVisible(OSError):
    """The worker cannot see the parent's file of control data."""


def ship(what: Any, folder: str, parts: Iterable[Any] = ()) -> Shipped:
    """Serialise control data once.

    Parameters
    ----------
    what : any
        The control data; array buffers in it are written beside the pickle and never copied again.
    folder : str
        Where a file for it may be made.
    parts : iterable
        Classes and functions in it: their modules travel along when a worker could not import
        them (a script, a notebook, a module loaded from an odd place).

    Returns
    -------
    Shipped
        Small, unless a file could not be written.

    Raises
    ------
    TypeError
        When something in it cannot be sent to another process; the message says so.
    """
    buffers: list[pickle.PickleBuffer] = []
    with _by_value(parts):
        try:
            main = cloudpickle.dumps(what, protocol=5, buffer_callback=buffers.append)
        except Exception:
            packed(type(what), (), vars(what))  # raises TypeError, naming the culprit
            raise
    raws = [buffer.raw() for buffer in buffers]
    token = secrets.token_hex(16)
    sys_path = tuple(sys.path)
    if len(main) + sum(raw.nbytes for raw in raws) <= _INLINE_UP_TO:
        return Shipped(token, main, tuple(map(bytes, raws)), sys_path=sys_path)
    path = os.path.join(folder, f"control-{token}")
    try:
        spans = _write(path, token, [*raws, memoryview(main)])
    except OSError as error:
        logger.info(
            "control data are sent with each task, as %s cannot be written: %s", path, error
        )
        return Shipped(token, main, tuple(map(bytes, raws)), sys_path=sys_path)
    return Shipped(token, None, path=path, spans=spans, sys_path=sys_path)


def inline(shipped: Shipped) -> Shipped:
    """Return the same control data so that they travel with each task."""
    if shipped.path is None:
        return shipped
    with open(shipped.path, "rb") as file:
        content = file.read()
    *buffers, main = [content[start:stop] for start, stop in shipped.spans]
    return replace(shipped, main=main, buffers=tuple(buffers), path=None, spans=())


def receive(shipped: Shipped) -> Any:
    """Return the control data, in a worker; each worker unpacks them once.

    Raises
    ------
    NotVisible
        When they are in a file that this machine or user does not see.
    """
    with _lock:
        if shipped.token not in _received:
            while len(_received) >= _KEPT:
                del _received[next(iter(_received))]
            sys.path.extend(entry for entry in shipped.sys_path if entry not in sys.path)
            _received[shipped.token] = _unpack(shipped)
        return _received[shipped.token]


_received: dict[str, Any] = {}
_lock = threading.Lock()


def _write(path: str, token: str, pieces: list[memoryview]) -> tuple[tuple[int, int], ...]:
    """Write the token and the pieces, each at an aligned place; return where they lie."""
    spans = []
    with open(path, "xb") as file:
        file.write(token.encode())
        for piece in pieces:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            start = file.tell()
            file.write(piece)
            spans.append((start, start + piece.nbytes))
    return tuple(spans)


def _unpack(shipped: Shipped) -> Any:
    if shipped.path is None:
        assert shipped.main is not None
        return pickle.loads(shipped.main, buffers=shipped.buffers)
    try:
        with open(shipped.path, "rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise NotVisible(f"{shipped.path}: {error}") from error
    token = shipped.token.encode()
    if mapped[: len(token)] != token or len(mapped) < shipped.spans[-1][1]:
        raise NotVisible(f"{shipped.path} is another file here")
    *buffers, main = [mapped[start:stop] for start, stop in shipped.spans]
    return pickle.loads(main, buffers=buffers)


_registering = threading.Lock()


@contextmanager
def _by_value(parts: Iterable[Any]) -> Iterator[None]:
    """Have modules that a worker could not import travel along, for a ``with`` block."""
    with _registering:
        already = set(cloudpickle.list_registry_pickle_by_value())
        modules = {
            module.__name__: module
            for module in map(_module_of, parts)
            if module is not None and module.__name__ not in already and not importable(module)
        }
        for module in modules.values():
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in modules.values():
                cloudpickle.unregister_pickle_by_value(module)


def _module_of(part: Any) -> ModuleType | None:
    """Tell where a class or function is written, also that of a partial."""
    while isinstance(part, partial):
        part = part.func
    return inspect.getmodule(part)


def importable(module: ModuleType) -> bool:
    """Tell whether another interpreter with this ``sys.path`` would import the same module.

    Parameters
    ----------
    module : module
        A module loaded here, in whatever way.

    Returns
    -------
    bool
    """
    if module.__name__ == "__main__" or module.__name__ in sys.builtin_module_names:
        return True  # cloudpickle always sends what __main__ defines along
    origin, parent, name = None, None, ""
    for part in module.__name__.split("."):
        name = f"{name}.{part}" if name else part
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, parent)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return _frozen(name)
        places = spec.submodule_search_locations
        origin, parent = spec.origin, None if places is None else list(places)
    file = getattr(module, "__file__", None)
    return file is None or origin is None or os.path.realpath(file) == os.path.realpath(origin)


def _frozen(name: str) -> bool:
    """Tell whether a module is built into the interpreter, or made by an installed finder."""
    for finder in sys.meta_path:
        if finder is importlib.machinery.PathFinder:
            continue
        find = getattr(finder, "find_spec", None)
        if find is not None and find(name, None) is not None:
            return True
    return False

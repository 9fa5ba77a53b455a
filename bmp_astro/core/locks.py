"""One run at a time in a directory; a lock that a dead run left is not in the way."""

import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

LOCK_NAME = ".bmp_astro.lock"
_SCRATCH = "bmp_astro-"
_held: set[str] = set()
_held_lock = threading.Lock()


class DirectoryInUse(RuntimeError):
    """Another run writes into this directory."""


@contextmanager
def locked(directory: str | os.PathLike[str]) -> Iterator[bool]:
    """Hold the lock of a directory for the length of a ``with`` block.

    The system drops the lock when its process ends, in whatever way.

    Parameters
    ----------
    directory : str or path
        A directory that exists.

    Yields
    ------
    bool
        Whether the lock is held; False where the directory cannot have one (it is read-only, or
        its file system knows no locks).

    Raises
    ------
    DirectoryInUse
        When another run holds it.
    """
    path = os.path.join(os.path.realpath(directory), LOCK_NAME)
    # The system's locks are of a process: they do not keep its own threads apart.
    with _held_lock:
        if path in _held:
            raise DirectoryInUse(_message(directory, "this process"))
        _held.add(path)
    try:
        fd = _acquire(path, directory)
        try:
            yield fd is not None
        finally:
            if fd is not None:
                Path(path).unlink(missing_ok=True)
                os.close(fd)
    finally:
        with _held_lock:
            _held.discard(path)


def _acquire(path: str, directory: str | os.PathLike[str]) -> int | None:
    """Return a file descriptor that holds the lock, or `None` where there can be none."""
    if fcntl is None:
        return None
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            logger.debug("%s cannot be locked: %s", directory, error)
            return None
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
            os.close(fd)
            raise DirectoryInUse(_message(directory, holder)) from None
        except OSError as error:
            logger.debug("%s cannot be locked: %s", directory, error)
            os.close(fd)
            return None
        if _is_at(fd, path):
            os.truncate(fd, 0)
            with suppress(OSError):  # a full disk: the lock holds without saying whose it is
                os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            return fd
        os.close(fd)  # its holder removed it between our opening and locking it


def _is_at(fd: int, path: str) -> bool:
    """Tell whether an open file is still the one of that name."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _message(directory: str | os.PathLike[str], holder: str) -> str:
    who = f" ({holder})" if holder else ""
    return (
        f"another run{who} writes into {os.fspath(directory)}: wait until it has ended, or give "
        "another outdir"
    )


@contextmanager
def scratch() -> Iterator[str]:
    """Make a directory for a run's own files, for the length of a ``with`` block.

    Those that dead runs left are removed first.
    """
    parent = tempfile.gettempdir()
    for name in os.listdir(parent):
        if name.startswith(_SCRATCH):
            _remove_if_dead(os.path.join(parent, name))
    folder = tempfile.mkdtemp(prefix=_SCRATCH)
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: str) -> None:
    """Remove a scratch directory whose run is gone."""
    if not os.path.exists(os.path.join(folder, LOCK_NAME)):
        return  # one that is just being made, or somebody else's
    try:
        with locked(folder) as held:
            if held:
                shutil.rmtree(folder, ignore_errors=True)
    except DirectoryInUse:
        return

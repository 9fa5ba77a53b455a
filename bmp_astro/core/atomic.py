"""Files that are complete under their final name, and the temporaries that come before them."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .files import split_suffix

_TEMPORARY = re.compile(r"^\..*\.([0-9a-f]{12})\.bmptmp(\..*)?$", re.DOTALL)
ABANDONED = 24 * 3600.0
"""Seconds after which a temporary that nobody has written to belongs to no run that lives."""


def new_owner() -> str:
    """Return what the temporaries of one run have in their names, and those of no other."""
    return secrets.token_hex(3)


def temporary_beside(final: str, owner: str = "") -> str:
    """Return a new name in the same directory, hidden, with the same suffixes; `sweep` knows it."""
    directory, name = os.path.split(final)
    stem, suffix = split_suffix(name)
    token = owner + secrets.token_hex(6)[len(owner) :]
    # Short enough for a file system's 255 bytes, also when its writer adds to it in turn.
    return os.path.join(directory, f".{stem[:40]}.{token}.bmptmp{suffix}")


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file or a directory tree, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    Path(path).unlink(missing_ok=True)


def sweep(
    directory: str | os.PathLike[str], *, owner: str = "", idle: float | None = None
) -> list[str]:
    """Remove temporaries that runs left in a directory.

    Parameters
    ----------
    directory : str or path
        Only files directly in it are looked at; it need not exist.
    owner : str
        Only those of the run with this name.
    idle : float, optional
        Only those that nobody has written to for so many seconds.

    Returns
    -------
    list of str
        What was removed.
    """
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return []
    stale = []
    for entry in entries:
        found = _TEMPORARY.match(entry.name)
        if found is None or not found[1].startswith(owner):
            continue
        try:
            if idle is not None and time.time() - entry.stat().st_mtime < idle:
                continue
            remove(entry.path)
        except OSError:  # another run has removed it, or it is not ours to remove
            continue
        stale.append(entry.path)
    return stale


def write_beside(write: Callable[[str], Any], final: str, owner: str = "") -> Any:
    """Have a file written under a temporary name, and rename it when that name comes back.

    Parameters
    ----------
    write : callable
        Called with the temporary name; returns the name of what it wrote.
    final : str
        The name that a complete file is to have.
    owner : str
        The run that it belongs to.

    Returns
    -------
    str or None
        ``final`` when the temporary name came back; any other name as it is; `None` when nothing
        was written.

    Raises
    ------
    RuntimeError
        If a file was written but its name did not come back.
    """
    temporary = temporary_beside(final, owner)
    try:
        name = write(temporary)
        if name is None:
            if os.path.lexists(temporary):
                raise RuntimeError(
                    "file_write wrote a file but returned None: it must return the name that it "
                    "was given, which says that the file is complete"
                )
            return None
        if os.fspath(name) != temporary:
            return os.fspath(name)
        if os.path.lexists(temporary):
            os.replace(temporary, final)
        return final
    except OSError as error:
        if error.filename == temporary:  # a name that the user has never heard of
            error.filename = final
        raise
    finally:
        remove(temporary)

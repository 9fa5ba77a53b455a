"""Whether a disk has room for what a run is going to write, and whether it takes any more."""

import errno
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any

logger = logging.getLogger(__name__)

# No room, a quota that is used up, a disk that is mounted for reading only.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def refuse_without_room(
    outdir: str | os.PathLike[str] | None,
    names: Iterable[tuple[Any, str | None]],
    output_size: float | Callable[[Any], float] | None,
) -> None:
    """Raise an error when the outputs of a run are thought to need more than is free.

    Parameters
    ----------
    outdir : str, path or None
        Where they go; it need not exist.
    names : iterable of (in_name, outname)
        The inputs, and their output where it can be foretold. One that exists is not counted: it
        is kept, or replaced by something of its size.
    output_size : float, callable or None
        Bytes of one output, or a function of the input; `None` when nothing is known.

    Raises
    ------
    OSError
        With ``errno.ENOSPC``.
    """
    if output_size is None:
        return
    missing = [name for name, out in names if out is None or not os.path.lexists(out)]
    needed = sum(_size(name, output_size) for name in missing)
    folder = _nearest(os.curdir if outdir is None else os.fspath(outdir))
    free = shutil.disk_usage(folder).free
    if needed > free:
        size = _in_words(needed)
        told = (
            f"1 output of about {size} does not fit"
            if len(missing) == 1
            else f"{len(missing)} outputs of about {size} together do not fit"
        )
        raise OSError(
            errno.ENOSPC,
            f"{told} into the {_in_words(free)} that are free: make room, give another outdir, or "
            "give output_size=None to try all the same",
            folder,
        )


def _in_words(size: float) -> str:
    """Return a number of bytes in the unit that fits it."""
    power = min(int(math.log2(max(size, 1)) // 10), len(_UNITS) - 1)
    number = size / 2 ** (10 * power)
    return f"{number:.{1 if power and number < 10 else 0}f} {_UNITS[power]}"


def refused_writing(error: BaseException | None) -> str:
    """Return what the system said when a disk took no more, or "" for any other error.

    Parameters
    ----------
    error : BaseException or None
        An error; those that led to it are looked at as well.

    Returns
    -------
    str
        The same for every file that meets with it.

    Examples
    --------
    >>> refused_writing(OSError(errno.EDQUOT, "Disk quota exceeded", "a.fits"))
    'Disk quota exceeded'
    >>> refused_writing(ValueError("no stars"))
    ''
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            return os.strerror(error.errno)
        error = error.__context__ if error.__cause__ is None else error.__cause__
    return ""


def _size(in_name: Any, output_size: float | Callable[[Any], float]) -> float:
    """Return the bytes that one output is thought to need; 0 when that cannot be told."""
    if not callable(output_size):
        return float(output_size)
    try:
        return float(output_size(in_name))
    except Exception as error:
        logger.debug("the size of the output of %s cannot be told: %s", in_name, error)
        return 0.0


def _nearest(folder: str) -> str:
    """Return a directory, or the nearest one above it that exists."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder

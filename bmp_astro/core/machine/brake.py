"""A brake for when the machine itself runs short of memory."""

import time

import psutil

from .cgroups import memory_left

_LEAST = 64 * 2**20
_LEAST_FRACTION = 0.02
_INTERVAL = 0.1

_looked = {"at": -1.0, "short": 0.0}


def memory_is_short() -> bool:
    """Tell whether the machine has so little memory left that nothing more should start.

    Returns
    -------
    bool
        True when less than 64 MiB, or less than 2 % of all memory, is available, or the limits of
        its cgroups leave less than 64 MiB. It is looked at ten times a second at most.
    """
    now = time.monotonic()
    if now - _looked["at"] > _INTERVAL:
        memory = psutil.virtual_memory()
        left = memory_left()
        short = memory.available < max(_LEAST, _LEAST_FRACTION * memory.total) or (
            left is not None and left < _LEAST
        )
        _looked.update(at=now, short=float(short))
    return _looked["short"] > 0

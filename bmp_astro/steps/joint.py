"""What the masters of a frame have together, worked out once for all frames that use the same ones.

That is the variance that a bias and a dark add, and the mask bits of all. The masters then let go
of the planes that it was made of; but not where the dark is scaled, as the next frame is likely to
have another scale.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import masters_variance
from .image import joined_flags
from .master import Master, read_only
from .scale import holds_bias

_KEPT = {"sigma": 2, "flags": 4}  # how many are kept of what is made of these planes


def variance_terms(
    bias: Master | None,
    dark: Master | None = None,
    dark_scale: float = 1.0,
    *,
    has_bias: bool = False,
) -> dict[str, Any]:
    """Return the kernel's term of what a bias and a dark add to the variance of a frame.

    With ``has_bias`` the variance of the frame has that of the bias already. A dark that holds its
    bias takes the place of the bias.
    """
    if dark is not None and holds_bias(dark):
        bias, dark, has_bias = dark, None, False
    how = {
        "dark_scale": dark_scale,
        "shared_bias": bias is not None and dark is not None and is_freed_of(dark, bias),
        "has_bias": has_bias,
    }

    def make() -> np.ndarray | None:
        sigmas = (None if master is None else master.sigma for master in (bias, dark))
        return masters_variance(*sigmas, **how)

    plane = _JOINT.get("sigma", (bias, dark), tuple(how.values()), make, lets_go=dark_scale == 1)
    return {} if plane is None else {"masters_variance": plane}


def flag_terms(*masters: Master | None) -> dict[str, Any]:
    """Return the kernel's term of the mask bits that masters have."""

    def make() -> np.ndarray | None:
        return joined_flags(*(master.flags for master in masters if master is not None))

    plane = _JOINT.get("flags", masters, (), make)
    return {} if plane is None else {"flags": plane}


def is_freed_of(dark: Master, bias: Master) -> bool:
    """Tell whether a dark was freed of this very bias: name and checksum agree."""
    header = dark.ccd.header
    return (str(header.get("MBIAS")), str(header.get("MBIASSUM"))) == (bias.name, bias.checksum)


class _Joint:
    """The planes of masters in files that were made last; threads have the same one made once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, OrderedDict[tuple, np.ndarray | None]] = {
            of: OrderedDict() for of in _KEPT
        }

    def get(
        self,
        of: str,
        masters: tuple[Master | None, ...],
        how: tuple[Any, ...],
        make: Callable[[], np.ndarray | None],
        *,
        lets_go: bool = True,
    ) -> np.ndarray | None:
        """Return what is made of one plane of each master."""
        given = [master for master in masters if master is not None]
        if any(master.origin is None for master in given):
            return make()
        key = (*(None if master is None else master.origin for master in masters), *how)
        kept = self._kept[of]
        with self._lock:
            if key not in kept:
                kept[key] = read_only(make())
                for master in given if lets_go else ():
                    master.let_go(of)
            kept.move_to_end(key)
            while len(kept) > _KEPT[of]:
                kept.popitem(last=False)
            return kept[key]


_JOINT = _Joint()

"""What a bias and a dark add to the variance of a frame: worked out once for all that use both."""

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from ..kernels import masters_variance
from .master import Master
from .scale import holds_bias

_KEPT = 2  # planes


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
    shared = bias is not None and dark is not None and is_freed_of(dark, bias)
    plane = _KEPT_PLANES.get(bias, dark, dark_scale, shared_bias=shared, has_bias=has_bias)
    return {} if plane is None else {"masters_variance": plane}


def is_freed_of(dark: Master, bias: Master) -> bool:
    """Tell whether a dark was freed of this very bias: name and checksum agree."""
    header = dark.ccd.header
    return (str(header.get("MBIAS")), str(header.get("MBIASSUM"))) == (bias.name, bias.checksum)


class _Planes:
    """The planes of masters in files that were worked out last.

    What they were made of is not needed again, and the masters let go of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple, np.ndarray | None] = OrderedDict()

    def get(
        self, bias: Master | None, dark: Master | None, dark_scale: float, **how: bool
    ) -> np.ndarray | None:
        """Return a plane; threads that want the same one have it made once."""
        masters = [master for master in (bias, dark) if master is not None]
        if any(master.origin is None for master in masters):
            return _plane_of(bias, dark, dark_scale, **how)
        key = (*(None if each is None else each.origin for each in (bias, dark)), dark_scale)
        key += tuple(how.values())
        with self._lock:
            if key not in self._kept:
                self._kept[key] = _plane_of(bias, dark, dark_scale, **how)
                for master in masters:
                    master.let_go_of_sigma()
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


_KEPT_PLANES = _Planes()


def _plane_of(
    bias: Master | None, dark: Master | None, dark_scale: float, **how: bool
) -> np.ndarray | None:
    """Return the plane of two masters."""
    sigmas = (None if master is None else master.sigma for master in (bias, dark))
    plane = masters_variance(*sigmas, dark_scale=dark_scale, **how)
    if plane is not None:
        plane.setflags(write=False)
    return plane

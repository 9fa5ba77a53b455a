"""What is left to do when the frames of a master are combined."""

from collections.abc import Sequence

import numpy as np

from ..core.threads import in_threads
from ..kernels import Combined
from .expected import common_variance
from .planes import plane_view, planes_of
from .raw import RawFrame
from .source import median_of_good, row_bands


def finish(
    kind: str, combined: Combined, raws: Sequence[RawFrame], num_threads: int | None
) -> dict[str, float]:
    """Add what the subtracted masters contribute, and normalize a flat.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        What is combined.
    combined : `Combined`
        The master; changed in place.
    raws : sequence of `RawFrame`
        Its frames.
    num_threads : int or None
        Bands of rows at a time.

    Returns
    -------
    dict of str to float
        The divisors of a flat, by its colors; "" where it has none.
    """
    subtracted = [master for master in (raws[0].bias, raws[0].dark) if master is not None]
    flags = [master.flags for master in subtracted if master.flags is not None]

    def add(rows: slice) -> None:
        shared = common_variance(kind, raws, rows)
        if combined.variance is not None and shared is not None:
            variance = combined.variance[rows]
            variance += shared
        bits = combined.flags[rows]
        for plane in flags:
            bits |= plane[rows]

    in_threads(add, row_bands(len(combined.data)), num_threads)
    if kind != "flat":
        return {}
    planes = planes_of(kind, raws[0])
    return {
        color: _normalize(plane_view(combined, plane), num_threads)
        for color, plane in planes.items()
    }


def _normalize(flat: Combined, num_threads: int | None) -> float:
    """Divide a flat, or one color of it, by its median; return that."""
    found = median_of_good(flat.data, flat.flags, num_threads)
    norm = 0.0 if found is None else found
    if not norm > 0:
        raise ValueError(f"the master flat has a level of {norm:g}: it cannot be normalized")

    def divide(rows: slice) -> None:
        np.divide(flat.data[rows], norm, out=flat.data[rows])
        if flat.variance is not None:
            np.divide(flat.variance[rows], norm**2, out=flat.variance[rows])

    in_threads(divide, row_bands(len(flat.data)), num_threads)
    return norm

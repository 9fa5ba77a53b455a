"""Frames that are combined while they are calibrated, block by block; twin of the compiled one.

What is between the two steps stays in the processor's cache.
"""

import numpy as np

from bmp_astro.kernels import calibrate_numpy, combine_numpy
from bmp_astro.kernels.calibrate import Prepared
from bmp_astro.kernels.combine_numpy import Output, Plan

_BLOCK_BYTES = 2**22
_EVERY = slice(None)


def combine_blocks(frames: list[Prepared], plan: Plan, out: Output) -> None:
    """Calibrate some rows of all frames, and combine them into the same rows of `out`."""
    ny, nx = frames[0].shape
    rows = max(1, _BLOCK_BYTES // max(5 * nx * len(frames), 1))
    for start in range(0, ny, rows):
        part = slice(start, min(start + rows, ny))
        shape = (part.stop - start, nx)
        data = [np.empty(shape, np.float32) for _ in frames]
        flags = [np.empty(shape, np.uint8) for _ in frames]
        for frame, *planes in zip(frames, data, flags, strict=True):
            raw, terms, bits, rules, _ = frame.part(part, _EVERY)
            target = calibrate_numpy.Planes(planes[0], None, planes[1])
            calibrate_numpy.calibrate(raw, terms, bits, rules, target)
        block = Output(*(None if plane is None else plane[part] for plane in out))
        combine_numpy.combine(data, None, flags, plan, block)

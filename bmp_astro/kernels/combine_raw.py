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
    rows = max(1, min(ny, _BLOCK_BYTES // max(5 * nx * len(frames), 1)))
    data = np.empty((len(frames), rows, nx), np.float32)
    flags = np.empty((len(frames), rows, nx), np.uint8)
    for start in range(0, ny, rows):
        part = slice(start, min(start + rows, ny))
        number = part.stop - start
        for frame, values, bits in zip(frames, data[:, :number], flags[:, :number], strict=True):
            raw, terms, known, rules, _ = frame.part(part, _EVERY)
            target = calibrate_numpy.Planes(values, None, bits)
            calibrate_numpy.calibrate(raw, terms, known, rules, target)
        block = Output(*(None if plane is None else plane[part] for plane in out))
        combine_numpy.combine(list(data[:, :number]), None, list(flags[:, :number]), plan, block)

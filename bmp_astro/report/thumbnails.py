"""Small pictures of FITS images."""

import base64
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from ..fits import open_frame

_BAND_PIXELS = 2**18  # a band of rows stays in the processor's cache
_SAMPLE = 2**20  # pixels, of which all that a page says of a frame is told


class Small(NamedTuple):
    """A frame made small: means over blocks of its pixels, and some of these as they are.

    ``shape`` is that of the whole, ``(ny, nx)``.
    """

    means: np.ndarray
    sample: np.ndarray
    shape: tuple[int, int]
    header: fits.Header


def read_small(path: str | Path, size: int) -> Small:
    """Read a frame, a few rows at a time, so small that no side is longer than `size`."""
    with open_frame(path) as frame:
        block = max(1, math.ceil(max(frame.shape) / size))
        ny, nx = (max(length // block, 1) for length in frame.shape)
        height, width = (min(block, length) for length in frame.shape)
        every = max(1, frame.shape[0] * frame.shape[1] // _SAMPLE)
        means, sample = [], []
        step = max(1, _BAND_PIXELS // (height * frame.shape[1]))
        for start in range(0, ny, step):
            first, last = start * height, min(start + step, ny) * height
            rows = frame.rows(first, last)
            means.append(_means(rows[:, : nx * width], height, width))
            sample.append(rows[-first % every :: every].ravel())
        return Small(np.concatenate(means), np.concatenate(sample), frame.shape, frame.header)


def _means(rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the means over blocks; first over rows, which are contiguous."""
    of_rows = rows.reshape(-1, height, rows.shape[1]).sum(axis=1, dtype=np.float64)
    of_blocks = of_rows.reshape(len(of_rows), -1, width).sum(axis=2)
    return of_blocks / (height * width)


def stretch(image: np.ndarray) -> np.ndarray:
    """Return 8-bit gray between the limits of the zscale algorithm of IRAF's ``display``."""
    from astropy.visualization import ZScaleInterval  # which imports matplotlib

    finite = image[np.isfinite(image)]
    if not finite.size:
        return np.zeros(image.shape, np.uint8)
    low, high = ZScaleInterval().get_limits(finite)
    scaled = (image - low) / (high - low) if high > low else np.full(image.shape, 0.5)
    return (np.nan_to_num(scaled).clip(0, 1) * 255).round().astype(np.uint8)


def thumbnail(image: np.ndarray) -> str:
    """Return a picture of a small image as a data URI (PNG), first row at the bottom."""
    from PIL import Image  # comes with matplotlib

    buffer = io.BytesIO()
    gray = stretch(image)[::-1]
    Image.fromarray(np.ascontiguousarray(gray)).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

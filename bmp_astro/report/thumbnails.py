"""Small pictures of FITS images."""

import base64
import io
import math
from pathlib import Path

import numpy as np
from astropy.io import fits

from ..fits import open_frame


def read_image(path: str | Path) -> tuple[np.ndarray, fits.Header]:
    """Return the pixels of a frame, float32, and its header."""
    with open_frame(path) as frame:
        return frame.rows(0, frame.shape[0]).astype(np.float32), frame.header


def shrink(image: np.ndarray, size: int) -> np.ndarray:
    """Return means over blocks of pixels, so that no side is longer than `size`."""
    block = max(1, math.ceil(max(image.shape) / size))
    ny, nx = (max(length // block, 1) for length in image.shape)
    cut = image[: ny * block, : nx * block]
    blocks = cut.reshape(ny, cut.shape[0] // ny, nx, cut.shape[1] // nx)
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def stretch(image: np.ndarray) -> np.ndarray:
    """Return 8-bit gray between the limits of the zscale algorithm of IRAF's ``display``."""
    from astropy.visualization import ZScaleInterval  # which imports matplotlib

    finite = image[np.isfinite(image)]
    if not finite.size:
        return np.zeros(image.shape, np.uint8)
    low, high = ZScaleInterval().get_limits(finite)
    scaled = (image - low) / (high - low) if high > low else np.full(image.shape, 0.5)
    return (np.nan_to_num(scaled).clip(0, 1) * 255).round().astype(np.uint8)


def thumbnail(image: np.ndarray, size: int) -> str:
    """Return a picture of an image as a data URI (PNG), first row at the bottom."""
    from PIL import Image  # comes with matplotlib

    buffer = io.BytesIO()
    gray = stretch(shrink(image, size))[::-1]
    Image.fromarray(np.ascontiguousarray(gray)).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

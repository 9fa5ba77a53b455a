"""The color planes of a mosaic, of which each makes a master flat of its own."""

from collections.abc import Sequence

import numpy as np

from ..fits import WHOLE, color_planes
from ..fits.section import Section
from ..kernels import Combined
from .raw import RawFrame
from .source import Band, Source


def planes_of(kind: str, raw: RawFrame) -> dict[str, Section]:
    """Return the parts of a frame that are combined apart: the colors of flats, else the whole.

    The colors of the twilight change, and those of a lamp are not those of the sky.
    """
    colors = color_planes(raw.source.header, raw.camera) if kind == "flat" else {}
    return colors if colors else {"": WHOLE}


def plane_source(source: Source, plane: Section) -> Source:
    """Return one color of a frame as a source."""
    if plane == WHOLE:
        return source
    ny, nx = source.shape
    slice_y, slice_x = plane

    def read(y0: int, y1: int, room: object = None) -> Band:
        band = source.read(2 * y0, min(2 * y1, ny))
        return Band(*(None if each is None else np.ascontiguousarray(each[plane]) for each in band))

    shape = len(range(ny)[slice_y]), len(range(nx)[slice_x])
    return source.reading(read, shape=shape)


def plane_view(combined: Combined, plane: Section) -> Combined:
    """Return the part of a master that is one plane; what is written into it is written there."""
    return Combined(*(None if each is None else each[plane] for each in combined))


def put_together(
    parts: Sequence[Combined], planes: Sequence[Section], shape: tuple[int, int]
) -> Combined:
    """Return a master made of its planes."""
    if len(parts) == 1:
        return parts[0]
    whole = Combined(*(None if each is None else np.empty(shape, each.dtype) for each in parts[0]))
    for part, plane in zip(parts, planes, strict=True):
        for target, each in zip(whole, part, strict=True):
            if each is not None:
                target[plane] = each
    return whole

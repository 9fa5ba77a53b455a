"""Stars in twilight flats: found where one flat is brighter than the others, and masked in it.

The tracks of cosmic rays are found in the same way, and masked as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..core.threads import in_threads
from ..fits import MaskBit
from ..kernels import Noise, combine
from ..kernels.median import median
from .inputs import Input
from .quality import Limits
from .source import Band, Source

_FEWEST_FRAMES = 3
_ROWS = 256
_SAMPLE_BANDS, _SAMPLE_ROWS = 4, 32
_HALO = 8  # rows beside a band, so that a star at its edge is seen whole
_BLOCK = 32  # pixels: the twilight's gradient is smooth on this scale
_BOX = 5
_MANY = 2**16  # boxes, of which a part tells the scatter
_WORTH_TELLING = 1e-3  # of a flat's pixels: some cosmic rays are in each
_GROW = 3
_MAD_TO_SIGMA = 1.4826
_ANY = Noise(1.0)  # the median does not ask for it, but it would be measured
_BIT = np.uint8(MaskBit.NO_DATA)


class _Look(NamedTuple):
    """The flats that are compared: their rows, and the level of each; how many at a time."""

    sources: Sequence[Source]
    levels: np.ndarray
    num_threads: int | None


def without_stars(
    used: Sequence[Input], limits: Limits, num_threads: int | None = None
) -> list[Source]:
    """Return the rows of flats, in which stars are masked; where there are many its row tells.

    Flats are brought to one level, and compared with their median in boxes of 5 x 5 pixels, after
    the differences are freed of what is smooth. Stars that are in the same place in most of the
    flats are not found.

    Parameters
    ----------
    used : sequence of `Input`
        Calibrated flats of one filter.
    limits : `Limits`
        ``star_sigma``: how bright a star is, None to look for none.
    num_threads : int or None
        Flats to look at at a time.

    Returns
    -------
    list of `Source`
        One for each flat.
    """
    sources = [one.raw.source for one in used]
    if limits.star_sigma is None or len(used) < _FEWEST_FRAMES or len(used[0].planes) > 1:
        return sources
    look = _Look(sources, np.array([one.stats.level for one in used]), num_threads)
    if not (look.levels > 0).all():
        return sources
    if not _any_stars(look, limits.star_sigma):
        return sources
    ny, nx = sources[0].shape
    packed = [np.zeros((ny, -(-nx // 8)), np.uint8) for _ in sources]
    counts = np.zeros(len(sources), int)
    for start in range(0, ny, _ROWS):
        stop = min(start + _ROWS, ny)
        for number, stars in enumerate(_stars_in(look, start, stop, limits.star_sigma)):
            counts[number] += np.count_nonzero(stars)
            packed[number][start:stop] = np.packbits(stars, axis=1)
    for one, count in zip(used, counts, strict=True):
        if count > _WORTH_TELLING * ny * nx:
            one.row.alarms.append(f"stars in it: {count / (ny * nx):.2%} of its pixels are masked")
    return [
        _masked(source, bits) if count else source
        for source, bits, count in zip(sources, packed, counts, strict=True)
    ]


def _any_stars(look: _Look, sigma: float) -> bool:
    """Tell whether there are stars in some rows: most flats have none, and are looked at no more.

    The rows are spread over the frame; of a small one they are all.
    """
    ny = look.sources[0].shape[0]
    if ny <= _SAMPLE_BANDS * _SAMPLE_ROWS:
        return True
    starts = np.linspace(0, ny - _SAMPLE_ROWS, _SAMPLE_BANDS).astype(int)
    return any(
        stars.any()
        for start in starts
        for stars in _stars_in(look, start, start + _SAMPLE_ROWS, sigma)
    )


def _stars_in(look: _Look, start: int, stop: int, sigma: float) -> list[np.ndarray]:
    """Return where stars are in some rows of each flat."""
    first, last = max(start - _HALO, 0), min(stop + _HALO, look.sources[0].shape[0])
    read = in_threads(lambda one: one.read(first, last).data, look.sources, look.num_threads)
    rows = np.array(read, np.float32)
    rows /= look.levels[:, None, None].astype(np.float32)
    rows -= combine(list(rows), method="median", noise=_ANY).data
    own = slice(start - first, stop - first)
    return in_threads(lambda one: _bright_in(one, sigma)[own], rows, look.num_threads)


def _bright_in(difference: np.ndarray, sigma: float) -> np.ndarray:
    """Return where one flat is brighter than the others, and a little around; its rows change."""
    difference[~np.isfinite(difference)] = 0
    difference -= _smooth(difference)
    box = _in_boxes(difference)
    few = box.ravel()[:: _BOX if box.size > _MANY else 1]  # neighboring boxes say much the same
    scatter = _MAD_TO_SIGMA * float(median(np.abs(few)))
    stars = box > sigma * scatter if scatter > 0 else np.zeros(box.shape, bool)
    if stars.any():
        from scipy.ndimage import binary_dilation  # it takes long to import

        stars = binary_dilation(stars, iterations=_GROW)
    return stars


def _in_boxes(difference: np.ndarray) -> np.ndarray:
    """Return the mean of the box around each pixel; beyond the edges it is as at them."""
    mean = np.pad(difference, _BOX // 2, mode="edge")
    for axis, size in enumerate(difference.shape):
        lines = np.moveaxis(mean, axis, 0)
        total = lines[:size] + lines[1 : 1 + size]
        for at in range(2, _BOX):
            total += lines[at : at + size]
        total /= np.float32(_BOX)
        mean = np.moveaxis(total, 0, axis)
    return mean


def _smooth(difference: np.ndarray) -> np.ndarray:
    """Return the median of the block that each pixel is in, from every other row and column."""
    ny, nx = difference.shape
    height, width = min(_BLOCK, ny), min(_BLOCK, nx)
    down, across = ny // height, nx // width
    blocks = difference[: down * height, : across * width].reshape(down, height, across, width)
    some = blocks[:, ::2, :, ::2].swapaxes(1, 2).reshape(down, across, -1)
    medians = median(some, axis=2)
    rows = np.minimum(np.arange(ny) // height, down - 1)
    columns = np.minimum(np.arange(nx) // width, across - 1)
    return medians[rows[:, None], columns]


def _masked(source: Source, packed: np.ndarray) -> Source:
    """Return a source with a mask bit where stars are."""
    nx = source.shape[1]

    def read(y0: int, y1: int, room: object = None) -> Band:
        band = source.read(y0, y1) if room is None else source.read(y0, y1, room)
        stars = np.unpackbits(packed[y0:y1], axis=1, count=nx) * _BIT
        return Band(band.data, band.variance, stars if band.flags is None else band.flags | stars)

    return source.reading(read, has_flags=True)

"""Combine frames in bands of rows, in threads, inside a limit of memory."""

import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..core.machine.resources import available_memory
from ..core.threads import in_threads, threads_for
from ..fits import MaskBit
from ..fits.section import Section
from ..kernels import Combined, Noise, Prepared
from ..kernels import combine as combine_stack
from ..kernels.median import median
from ..memory import empty
from .noise import standard_error_factor
from .recipe import Factors, Levels, Recipe
from .source import Room, Source, good_values, sample_of

LEVEL_PIXELS = 2**19  # their median is known to a thousandth of the noise of a pixel or two
_MEMORY_SHARE = 0.25
_BAND_BYTES = 2**25
_RAW_BAND_BYTES = 2**24  # of frames that are calibrated while they are combined
_RESULT_BYTES = 16  # a pixel's data, uncertainty, count, flags and mask, and room to turn one over
_KERNEL_BYTES = 2**23
_STORED_BYTES = 3  # a raw pixel of two bytes, with an overscan of up to half the image beside it


def levels_of(sources: Sequence[Source], num_threads: int | None = None) -> Levels:
    """Return a function that measures the level of each frame, once for each statistic.

    A level is a statistic of the pixels that are finite and not flagged; of frames larger than
    about half a million pixels, of that many in rows spread over the frame.
    """

    @lru_cache(maxsize=2)
    def levels(statistic: str) -> np.ndarray:
        if statistic not in ("median", "mean"):
            raise ValueError(f"{statistic!r}: expected 'median', 'mean' or one number a frame")

        def level(source: Source) -> float:
            values = good_values(sample_of(source, LEVEL_PIXELS))
            if not values.size:
                raise ValueError(f"{source.name} has no good pixel to find its level from")
            if statistic == "mean":
                return float(values.mean(dtype=float))
            return float(median(values))

        return np.array(in_threads(level, sources, num_threads))

    return levels


def combine_sources(
    sources: Sequence[Source],
    recipe: Recipe,
    factors: Factors,
    *,
    noise: Noise | None,
    noises: Sequence[tuple[Section, Noise]] = (),
    propagate: bool,
    mem_limit: float | None = None,
    num_threads: int | None = None,
) -> Combined:
    """Combine frames band by band.

    Parameters
    ----------
    sources : sequence of `Source`
        Frames of one shape.
    recipe : `Recipe`
        How they are combined.
    factors : `Factors`
        Their scales, offsets and weights.
    noise : `Noise` or None
        The expected noise of one value.
    noises : sequence of (section, Noise)
        That of each part of the frame, where parts differ.
    propagate : bool
        Make the standard error from the frames' own variances.
    mem_limit : float, optional
        Bytes for everything that is made here, the result included; a quarter of what is
        available by default.  Frames that are in memory already do not count.  Below the size of
        the result and a row of each frame it cannot be kept.
    num_threads : int, optional
        Bands at a time.

    Returns
    -------
    `Combined`
        The whole result.
    """
    ny, nx = sources[0].shape
    result = Combined(
        empty((ny, nx), np.float32),
        empty((ny, nx), np.float32) if propagate or noise is not None else None,
        empty((ny, nx), np.uint16),
        empty((ny, nx), np.uint8),
    )
    settings = {
        **recipe.rule(),
        "scale": factors.scale,
        "offset": factors.offset,
        "weights": factors.weights,
        "quantum": float(
            np.max([s.quantum * f for s, f in zip(sources, factors.scale, strict=True)])
        ),
        "k": standard_error_factor(recipe, len(sources), factors.weights),
        "lost_bit": int(MaskBit.NO_DATA),
    }
    everywhere = (slice(0, ny), slice(0, nx))
    regions = noises if noises else [(everywhere, noise)]
    raw = _are_raw(sources, regions, propagate)
    read = _prepare if raw else _read
    rows, threads = _bands(sources, mem_limit, threads_for(num_threads), raw=raw)
    own = threading.local()

    def one_band(y0: int) -> None:
        y1 = min(y0 + rows, ny)
        if not hasattr(own, "rooms"):
            own.rooms = _rooms(len(sources), rows, nx, raw=raw)
        stack, variance, flags = read(sources, y0, y1, propagate, own.rooms)
        for (of_rows, columns), part_noise in regions:
            rows_here = slice(max(of_rows.start, y0), min(of_rows.stop, y1))
            if rows_here.start >= rows_here.stop:
                continue
            here = slice(rows_here.start - y0, rows_here.stop - y0), columns
            planes = [
                None if each is None else [_part(plane, here) for plane in each]
                for each in (stack, variance, flags)
            ]
            out = Combined(
                *(None if whole is None else whole[rows_here, columns] for whole in result)
            )
            combine_stack(
                planes[0],
                variance=planes[1],
                flags=planes[2],
                noise=part_noise,
                out=out,
                **settings,
            )

    in_threads(one_band, range(0, ny, rows), threads)
    return result


def _are_raw(
    sources: Sequence[Source], regions: Sequence[tuple[Section, Noise | None]], propagate: bool
) -> bool:
    """Tell whether the frames can be calibrated while they are combined."""
    is_known = all(noise is not None for _, noise in regions)
    return is_known and not propagate and all(s.prepared is not None for s in sources)


def _part(plane: np.ndarray | Prepared, section: Section) -> np.ndarray | Prepared:
    """Return a part of some rows of a frame."""
    return plane.part(*section) if isinstance(plane, Prepared) else plane[section]


def _bands(
    sources: Sequence[Source], mem_limit: float | None, threads: int, *, raw: bool
) -> tuple[int, int]:
    """Return how many rows a band has, and how many bands may be in memory at a time."""
    ny, nx = sources[0].shape
    limit = _MEMORY_SHARE * available_memory() if mem_limit is None else float(mem_limit)
    left = limit - ny * nx * _RESULT_BYTES
    one_row = nx * _bytes_of_pixel(sources, raw=raw)
    threads = int(min(threads, max(left // (_KERNEL_BYTES + one_row), 1)))
    share = min(left / threads - _KERNEL_BYTES, _RAW_BAND_BYTES if raw else _BAND_BYTES)
    return int(min(max(share // one_row, 1), ny)), threads


def _bytes_of_pixel(sources: Sequence[Source], *, raw: bool) -> float:
    """Return the bytes that a pixel takes in a band: in the stack, while it is read, combined."""
    if raw:
        return sum(max(s.prepared_bytes, _STORED_BYTES) for s in sources)
    kept = sum(s.dtype.itemsize + 4 * s.has_variance + s.has_flags for s in sources)
    return kept + 40


def _rooms(number: int, rows: int, nx: int, *, raw: bool) -> list[Room] | list[np.ndarray]:
    """Return room for the bands of so many sources, one after the other; none of it is touched."""
    if raw:
        return list(empty((number, rows * nx * _STORED_BYTES), np.uint8))
    data = empty((number, rows, nx), np.float32)
    flags = empty((number, rows, nx), np.uint8)
    stored = empty((rows * nx * _STORED_BYTES,), np.uint8)
    return [Room(*planes, stored) for planes in zip(data, flags, strict=True)]


def _prepare(
    sources: Sequence[Source], y0: int, y1: int, propagate: bool, rooms: Sequence[np.ndarray]
) -> tuple[list[Prepared], None, None]:
    """Read the same rows of all frames, which are still to be calibrated."""
    pairs = zip(sources, rooms, strict=True)
    return [source.prepared(y0, y1, stored) for source, stored in pairs], None, None


def _read(
    sources: Sequence[Source], y0: int, y1: int, propagate: bool, rooms: Sequence[Room]
) -> tuple[list[np.ndarray], list[np.ndarray] | None, list[np.ndarray] | None]:
    """Read the same rows of all frames: pixels, variances and flags."""
    bands = [
        source.read(y0, y1, room.of_rows(y1 - y0))
        for source, room in zip(sources, rooms, strict=True)
    ]
    flags = None
    if any(band.flags is not None for band in bands):
        none = np.zeros((y1 - y0, sources[0].shape[1]), np.uint8)
        flags = [none if band.flags is None else band.flags for band in bands]
    return [band.data for band in bands], [b.variance for b in bands] if propagate else None, flags

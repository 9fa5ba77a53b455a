"""Mask the trails of satellites and aircraft."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from astropy.nddata import CCDData

from ..fits import MaskBit, add_history, flags_of
from ..kernels.lines import Line, LineSums
from .image import joined_flags, remade
from .statistics import clipped_background, even_sample

_SEARCHED = 512  # pixels of the longer side of the binned image that is searched
_CLIP = 2.5  # sigma: stars count for no more
_MESH = 16  # binned pixels of a cell of the background
_TRIES = 20  # lines that are looked at closely
_PIECES = 16  # of a line, each of which must show the trail
_SHOWN = 0.5  # of the pieces, at the least
_CERTAIN = 4.0  # errors of a piece's profile
_LEAST = 0.25  # of the shorter side of the frame, that a line must be long
_EDGE = 0.1  # of the height of a trail's profile, where it ends,
_FAINT = 0.5  # or of the noise of a pixel, if that is fainter


def mask_trails(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    trail_sigma: float = 8.0,
    **kwargs: Any,
) -> CCDData:
    """Mask the trails that satellites and aircraft left in a frame.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``, with its sky or without. It is not changed. Masked
        pixels are not looked at.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``n_trails``, and ``trail_fraction``, of all pixels.
    trail_sigma : float
        Significance of the sum along a line from which it is looked at closely.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame with `MaskBit.TRAIL` set where a trail is brighter than a tenth of its middle or
        than half the noise of a pixel.

    Notes
    -----
    Pixels are clipped, so that stars count little, binned to 512 at most along each side, freed of
    the background, and added up along all straight lines (Nir et al. 2018, AJ 156, 229). A line
    that stands out is a trail when it shows in at least half of 16 pieces, each by the median
    across its rows: stars and galaxies on the line do not make that. So a trail is found that
    runs straight through half of the frame or more; shorter, curved and very wide ones are not.
    Per pixel it may be fainter than the sky's noise.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import mask_trails
    >>> sky = np.random.default_rng(1).normal(100, 10, (200, 200))
    >>> y, x = np.mgrid[:200, :200]
    >>> sky[abs(y - 0.5 * x - 30) < 2] += 20
    >>> meta = {}
    >>> ccd = mask_trails(CCDData(sky, unit="electron"), bmp_meta=meta)
    >>> meta["n_trails"], bool(ccd.mask[80, 100]), bool(ccd.mask[120, 100])
    (1, True, False)
    """
    flags = flags_of(ccd)
    good = np.isfinite(ccd.data) if flags is None else np.isfinite(ccd.data) & (flags == 0)
    found = np.zeros(ccd.shape, bool)
    count = 0
    sample = even_sample(ccd.data, flags, int(np.count_nonzero(good)))
    for trail in _trails(ccd.data, good, sample, trail_sigma):
        found |= trail
        count += 1
    if bmp_meta is not None:
        bmp_meta["n_trails"] = count
        bmp_meta["trail_fraction"] = float(found.mean())
    frame = remade(ccd, flags=joined_flags(flags, found * np.uint8(MaskBit.TRAIL)))
    add_history(
        frame.header,
        f"trails: {count}, {np.count_nonzero(found)} pixels masked, from {trail_sigma:g} sigma",
    )
    return frame


def _trails(
    data: np.ndarray, good: np.ndarray, sample: np.ndarray, threshold: float
) -> Iterator[np.ndarray]:
    """Yield where each trail is."""
    if not sample.size:
        return
    level, sigma = clipped_background(sample)
    if not sigma > 0:
        return
    image = _binned(np.clip(data - level, -_CLIP * sigma, _CLIP * sigma), good)
    lengths = LineSums(image.weight).values
    shortest = _LEAST * min(image.value.shape)
    significance = np.zeros_like(lengths)
    for _ in range(_TRIES):
        sums = LineSums(image.value * image.weight)
        np.divide(sums.values, np.sqrt(lengths), out=significance, where=lengths >= shortest)
        place = sums.best(significance)
        if significance[place] < threshold:
            return
        line = sums.line(place)
        trail = _Trail.along(data, good, line, image.factor, level, sigma)
        if trail is not None:
            mask = trail.mask(data.shape)
            good = good & ~mask
            yield mask
        image.forget(line, 1 if trail is None else trail.reach / image.factor + 1)


class _Binned(NamedTuple):
    """An image in pixels of several: in units of its noise, and which pixels count."""

    value: np.ndarray
    weight: np.ndarray
    factor: int

    def forget(self, line: Line, reach: float) -> None:
        """Let the pixels near a line count no more."""
        y, x = np.indices(self.value.shape, sparse=True)
        (x0, y0), (x1, y1) = line
        across = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
        self.weight[np.abs(across) <= reach * np.hypot(x1 - x0, y1 - y0)] = 0


def _binned(data: np.ndarray, good: np.ndarray) -> _Binned:
    """Return an image binned, flat, in units of its noise, and clipped."""
    factor = -(-max(data.shape) // _SEARCHED)
    ny, nx = (length // factor for length in data.shape)
    blocks = ny, factor, nx, factor
    part = np.s_[: ny * factor, : nx * factor]
    weight = good[part].reshape(blocks).sum(axis=(1, 3), dtype=np.float32)
    value = np.where(good, data, 0)[part].reshape(blocks).sum(axis=(1, 3), dtype=np.float32)
    value /= np.maximum(weight, 1)
    counts = weight > 0.5 * factor**2
    value -= _smooth(value, counts)
    sigma = clipped_background(value[counts])[1] if counts.any() else 0.0
    value = np.clip(value / sigma, -_CLIP, _CLIP) if sigma > 0 else np.zeros_like(value)
    return _Binned(value, counts.astype(np.float32), factor)


def _smooth(value: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the background: medians of cells, and straight lines between their centers."""
    cells = [max(1, round(length / _MESH)) for length in value.shape]
    masked = np.where(counts, value, np.nan)
    rows = np.array_split(masked, cells[0], axis=0)
    medians = np.array([[_median(c) for c in np.array_split(r, cells[1], axis=1)] for r in rows])
    centers = [
        [part.mean() for part in np.array_split(np.arange(length), count)]
        for length, count in zip(value.shape, cells, strict=True)
    ]
    ny, nx = value.shape
    across = np.array([np.interp(np.arange(nx), centers[1], row) for row in medians])
    return np.array([np.interp(np.arange(ny), centers[0], column) for column in across.T]).T


def _median(pixels: np.ndarray) -> float:
    """Return the median of what is not NaN; 0 where all is."""
    kept = pixels[~np.isnan(pixels)]
    return float(np.median(kept)) if kept.size else 0.0


class _Trail(NamedTuple):
    """A trail: its middle in each row (column, if it lies flat), where it is, and its half width.

    ``reach`` counts along the rows.
    """

    middle: np.ndarray
    rows: slice
    reach: float
    flat: bool

    @classmethod
    def along(
        cls,
        data: np.ndarray,
        good: np.ndarray,
        line: Line,
        factor: int,
        level: float,
        sigma: float,
    ) -> "_Trail | None":
        """Return the trail along a line of the binned image; None where there is none."""
        (x0, y0), (x1, y1) = ([(at + 0.5) * factor - 0.5 for at in point] for point in line)
        flat = abs(x1 - x0) > abs(y1 - y0)
        if flat:
            data, good, x0, y0, x1, y1 = data.T, good.T, y0, x0, y1, x1
        rows = np.arange(len(data))
        middle = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        half = 4 * factor + 12
        strip = _strip(data, good, middle, half)
        strip = np.clip(strip - level, -_CLIP * sigma, None)
        fit = _fitted(strip, sigma)
        if fit is None:
            return None
        shift, rows = fit
        middle = middle + shift
        reach = _half_width(_strip(data, good, middle, half)[rows] - level, sigma)
        return cls(middle, rows, reach, flat)

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Return where it is in a frame."""
        mask = np.zeros(shape[::-1] if self.flat else shape, bool)
        columns = np.arange(mask.shape[1])
        mask[self.rows] = np.abs(columns - self.middle[self.rows, None]) <= self.reach
        return mask.T if self.flat else mask


def _strip(data: np.ndarray, good: np.ndarray, middle: np.ndarray, half: int) -> np.ndarray:
    """Return the pixels beside a line, row by row; NaN where there is no good one."""
    columns = np.rint(middle).astype(int)[:, None] + np.arange(-half, half + 1)
    inside = (columns >= 0) & (columns < data.shape[1])
    columns = columns.clip(0, data.shape[1] - 1)
    rows = np.arange(len(data))[:, None]
    return np.where(inside & good[rows, columns], data[rows, columns], np.nan)


def _profile(strip: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the median across rows less its own median, and how many rows there are."""
    has = np.isfinite(strip).sum(axis=0) > 0.5 * len(strip)
    profile = np.full(strip.shape[1], np.nan)
    if has.sum() > 0.5 * has.size:
        profile[has] = np.nanmedian(strip[:, has], axis=0)
        profile -= np.nanmedian(profile)
    return profile, len(strip)


def _fitted(strip: np.ndarray, sigma: float) -> tuple[np.ndarray, slice] | None:
    """Return by how much a trail is off the middle of its strip, and in which rows it is."""
    half = strip.shape[1] // 2
    pieces = np.array_split(np.arange(len(strip)), min(_PIECES, len(strip) // 4))
    at, shift, usable = [], [], []
    for number, piece in enumerate(pieces):
        profile, n = _profile(strip[piece[0] : piece[-1] + 1])
        if np.isnan(profile[half - 1 : half + 2]).any():
            continue
        usable.append(number)
        three = np.convolve(np.nan_to_num(profile), np.ones(3) / 3, mode="same")
        error = 1.2533 * sigma / np.sqrt(3 * n)
        if three.max() > _CERTAIN * error:
            at.append(number)
            shift.append(float(np.argmax(three) - half))
    at, shift = np.array(at), np.array(shift)
    kept = np.ones(at.size, bool)
    for tolerance in (6.0, 3.0, 2.0):
        if kept.sum() < max(3, _SHOWN * len(usable)):
            return None
        slope, start = _theil_sen(at[kept], shift[kept])
        kept = np.abs(shift - start - slope * at) <= tolerance
    if kept.sum() < max(3, _SHOWN * len(usable)):
        return None
    middle = np.array([piece.mean() for piece in pieces])
    slope, start = np.polyfit(middle[at[kept]], shift[kept], 1)
    first, last = max(at[kept].min() - 1, 0), min(at[kept].max() + 1, len(pieces) - 1)
    first = 0 if first <= min(usable) else first  # where it leaves the frame little is usable
    last = len(pieces) - 1 if last >= max(usable) else last
    rows = slice(int(pieces[first][0]), int(pieces[last][-1]) + 1)
    return start + slope * np.arange(len(strip)), rows


def _theil_sen(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and start of a line by medians, which half of the points cannot spoil."""
    i, j = np.triu_indices(x.size, 1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    return slope, float(np.median(y - slope * x))


def _half_width(strip: np.ndarray, sigma: float) -> float:
    """Return how far a trail reaches to either side, along the rows."""
    profile, n = _profile(np.clip(strip, -_CLIP * sigma, None))
    half = strip.shape[1] // 2
    profile = np.nan_to_num(profile)
    error = 1.2533 * sigma / np.sqrt(n)
    height = profile[half - 1 : half + 2].max()
    limit = max(min(_EDGE * height, _FAINT * sigma), 2 * error)
    bright = profile > limit
    right = np.argmin(np.append(bright[half:], False))
    left = np.argmin(np.append(bright[half::-1], False))
    return float(max(right, left, 1)) + 0.5

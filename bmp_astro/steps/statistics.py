"""Statistics of a frame into the table."""

import math
from typing import Any

import numpy as np
from astropy.nddata import CCDData

from ..fits import WHOLE, MaskBit, color_planes, flags_of

SAMPLE = 200_000  # pixels: the median is then good to 0.003 of the background's sigma
_LEVELS = ("median", "background", "background_sigma")
_BAND = 64
_CLIP = 3.0
_MAD_TO_SIGMA = 1.4826022185056018


def image_statistics(
    ccd: CCDData, bmp_meta: dict[str, Any] | None = None, instrument: Any = None, **kwargs: Any
) -> CCDData:
    """Write statistics of the pixels into the metadata.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``median``; ``background`` and ``background_sigma``, the
        median and the standard deviation of what is left after clipping at 3 sigma until nothing
        more goes; these in the unit of the frame. ``negative_fraction`` is one of the pixels that
        are not masked; ``saturated_fraction`` and ``masked_fraction`` are of all pixels. Of a color
        mosaic each color has a ``background_R`` and so on; the others are their means.
    instrument : Instrument or str, optional
        Knows the pattern of a color mosaic; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame as it is.

    Notes
    -----
    Masked pixels, and those that are not finite, do not count. The fractions are exact; the rest
    is of 200,000 to 400,000 pixels of a large frame, taken evenly. A frame of which every
    pixel is masked has no median and no background.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import image_statistics
    >>> meta = {}
    >>> _ = image_statistics(CCDData(np.arange(5.0)[None], unit="adu"), bmp_meta=meta)
    >>> meta["median"], meta["negative_fraction"]
    (<Quantity 2. adu>, 0.0)
    """
    if bmp_meta is None:
        return ccd
    flags = flags_of(ccd)
    n_good, n_negative, n_saturated = _counts(ccd.data, flags)
    colors = color_planes(ccd.header, instrument)
    found = {}
    for color, plane in (colors if colors else {"": WHOLE}).items():
        part = None if flags is None else flags[plane]
        sample = np.sort(even_sample(ccd.data[plane], part, n_good // max(len(colors), 1)))
        if sample.size:
            found[color] = (float(_median(sample)), *_clipped(sample.astype(float)))
    if found:
        for name, values in zip(_LEVELS, zip(*found.values(), strict=True), strict=True):
            bmp_meta[name] = float(np.mean(values)) * ccd.unit
        bmp_meta["negative_fraction"] = n_negative / n_good
    for color in colors:
        if color in found:
            bmp_meta[f"background_{color}"] = found[color][1] * ccd.unit
    bmp_meta["saturated_fraction"] = n_saturated / ccd.data.size
    bmp_meta["masked_fraction"] = (ccd.data.size - n_good) / ccd.data.size
    return ccd


def _counts(data: np.ndarray, flags: np.ndarray | None) -> tuple[int, int, int]:
    """Count pixels that are good, good and negative, saturated: a band of rows at a time.

    A band stays in the processor's cache, where every plane of it is looked at once.
    """
    n_good = n_negative = n_saturated = 0
    for start in range(0, len(data), _BAND):
        rows = data[start : start + _BAND]
        bits = None if flags is None else flags[start : start + _BAND]
        lowest = rows.min()
        if lowest > -np.inf and rows.max() < np.inf:  # found sooner than where pixels are finite
            n_good += rows.size - (0 if bits is None else int(np.count_nonzero(bits)))
            if lowest < 0:
                below = rows < 0
                below = below if bits is None else np.logical_and(below, bits == 0, out=below)
                n_negative += int(np.count_nonzero(below))
        else:
            good = _is_good(rows, bits)
            n_good += int(np.count_nonzero(good))
            n_negative += int(np.count_nonzero(good & (rows < 0)))
        if bits is not None:
            n_saturated += int(np.count_nonzero(bits & np.uint8(MaskBit.SATURATED)))
    return n_good, n_negative, n_saturated


def _is_good(data: np.ndarray, flags: np.ndarray | None) -> np.ndarray:
    """Return where pixels are finite and not flagged."""
    good = np.isfinite(data)
    return good if flags is None else np.logical_and(good, flags == 0, out=good)


def clipped_background(pixels: np.ndarray) -> tuple[float, float]:
    """Median and standard deviation of pixels without those beyond 3 sigma, again and again.

    Parameters
    ----------
    pixels : `~numpy.ndarray`
        Finite values, in one dimension.

    Returns
    -------
    tuple of float
        The center of each pass is the median, and its sigma is by the median absolute deviation,
        which many stars disturb least.
    """
    return _clipped(np.sort(pixels).astype(float))


def _clipped(kept: np.ndarray) -> tuple[float, float]:
    """Return the same of values in their order."""
    while True:
        center = float(_median(kept))
        sigma = _MAD_TO_SIGMA * _median_deviation(kept, center)
        sigma = sigma if sigma > 0 else float(np.std(kept))  # more than half are one integer
        first = np.searchsorted(kept, center - _CLIP * sigma, side="left")
        last = np.searchsorted(kept, center + _CLIP * sigma, side="right")
        if last - first == kept.size:
            return center, float(np.std(kept))
        kept = kept[first:last]


def _median(ordered: np.ndarray) -> np.floating:
    """Return the median of values in their order."""
    middle = len(ordered) // 2
    return np.mean(ordered[(len(ordered) - 1) // 2 : middle + 1])


def _median_deviation(ordered: np.ndarray, center: float) -> float:
    """Return the median distance of values in their order from a center.

    On either side distances are in their order already, so that few of them are looked at.
    """
    first = int(np.searchsorted(ordered, center))
    n = len(ordered)

    def smallest(count: int) -> float:
        """Return the largest of the `count` smallest distances."""
        least, most = max(0, count - (n - first)), min(count, first)
        while least < most:  # how many of them are below the center
            below = (least + most) // 2
            if center - ordered[first - 1 - below] < ordered[first + count - below - 1] - center:
                least = below + 1
            else:
                most = below
        distances = []
        if least:
            distances.append(center - ordered[first - least])
        if count > least:
            distances.append(ordered[first + count - least - 1] - center)
        return float(max(distances))

    return (smallest((n + 1) // 2) + smallest(n // 2 + 1)) / 2


def even_sample(data: np.ndarray, flags: np.ndarray | None, n_good: int) -> np.ndarray:
    """Return good pixels, every k-th of the frame, where k visits all columns in turn."""
    step = max(1, n_good // SAMPLE)
    while math.gcd(step, data.shape[1]) > 1:
        step += 1
    pixels = data.ravel()[::step].copy()  # each of them is far from the next in memory
    return pixels[_is_good(pixels, None if flags is None else flags.ravel()[::step])]

"""The level of an overscan, from its pixels."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..fits.readouts import ascending, range_of
from ..fits.section import Section, format_section, section_shape

METHODS = ("polynomial", "mean", "median")
_ROUNDING = 1e-6  # adu: what is nearer to the polynomial is on it


class OverscanLevel(NamedTuple):
    """Overscan level, adu, and its variance, both float64, ``(ny, 1)`` or ``(1, nx)``."""

    level: np.ndarray
    variance: np.ndarray


def frame_level(
    raw: np.ndarray, sections: Sequence[Section], axis: int | None = None, **options: Any
) -> OverscanLevel:
    """Overscan level of every row or column of a frame, or both.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The whole raw frame, ``(ny, nx)``.
    sections : sequence of tuple of slice
        ``(slice_y, slice_x)`` of the overscan, or of several.
    axis : {None, 0, 1}
        As `subtract_overscan` has it.
    **options
        Of `overscan_level`.

    Returns
    -------
    OverscanLevel
        Rows (columns) beside the section have the level of the nearest one in it.
    """
    whole = tuple(slice(0, size) for size in raw.shape)
    return sections_level(raw.__getitem__, sections, whole, axis, **options)


def sections_level(
    pixels: Callable[[Section], np.ndarray],
    sections: Sequence[Section],
    data: Section,
    axis: int | None = None,
    **options: Any,
) -> OverscanLevel:
    """Overscan level of a part of a frame, from one or several sections of overscan.

    Parameters
    ----------
    pixels : callable
        Gives the pixels of a section.
    sections : sequence of tuple of slice
        The overscan. Of columns and rows at once, the columns come first; what they leave in the
        rows is the level of each column.
    data : tuple of slice
        The part, whose ranges may run down: the level then does so too.
    axis : {None, 0, 1}
        As `subtract_overscan` has it.
    **options
        Of `overscan_level`.

    Returns
    -------
    OverscanLevel
        Of the part: ``(ny, 1)``, ``(1, nx)``, or ``(ny, nx)`` from columns and rows.
    """
    ny, nx = section_shape(data)

    def axis_of(section: Section) -> int:
        height, width = section_shape(section)
        return int(height * nx >= width * ny) if axis is None else axis

    found: list[tuple[int, int, OverscanLevel]] = []
    for section in sorted(map(ascending, sections), key=axis_of, reverse=True):
        part = pixels(section)
        for earlier in found:
            part = part - _at(*earlier, section).level
        which = axis_of(section)
        found.append((which, section[1 - which].start, overscan_level(part, which, **options)))
    parts = [_at(*each, data) for each in found]
    return OverscanLevel(*(sum(planes[1:], planes[0]) for planes in zip(*parts, strict=True)))


def _at(axis: int, start: int, found: OverscanLevel, section: Section) -> OverscanLevel:
    """Return the level in the rows (axis 1) or columns of a section; the nearest one beside it."""
    lines = found.level.shape[1 - axis]
    index = np.clip(np.array(range_of(section[1 - axis])) - start, 0, lines - 1)
    return OverscanLevel(*(np.take(plane, index, axis=1 - axis) for plane in found))


def overscan_level(
    pixels: np.ndarray,
    axis: int,
    *,
    method: str = "polynomial",
    order: int = 2,
    sigma: float = 3.0,
    iterations: int = 1,
    skip: int | tuple[int, int] = 0,
) -> OverscanLevel:
    """Level of each row of overscan columns (axis 1), or of each column of overscan rows (axis 0).

    Parameters
    ----------
    pixels : `~numpy.ndarray`
        The overscan's pixels, ``(ny, nx)``.
    axis : {0, 1}
        The axis along which pixels are averaged.
    method, order, sigma, iterations, skip
        As the ``overscan_`` keywords of `subtract_overscan`.

    Returns
    -------
    OverscanLevel
        ``(ny, 1)`` for axis 1, ``(1, nx)`` for axis 0. The variance comes from the scatter about
        the polynomial, or from that of the pixels in their rows; columns of different level
        add to it for the median alone.

    Raises
    ------
    ValueError
        If an argument makes no sense, or too few rows are left.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.steps.overscan import overscan_level
    >>> overscan_level(np.array([[10, 12, 99], [20, 22, 99]]), 1, method="mean", skip=(0, 1)).level
    array([[11.],
           [21.]])
    """
    if axis not in (0, 1):
        raise ValueError(f"overscan_axis is {axis!r} but must be 0, 1 or None")
    if method not in METHODS:
        raise ValueError(f"overscan_method is {method!r} but must be one of {METHODS}")
    lines = _without_skipped(pixels if axis == 1 else pixels.T, skip)
    if method == "polynomial":
        found = _polynomial(lines.mean(axis=1, dtype=float), order, sigma, iterations)
    else:
        found = _each_line(lines, method)
    return OverscanLevel(*(plane[:, None] if axis == 1 else plane[None, :] for plane in found))


def words_of(
    sections: Sequence[Section],
    *,
    method: str = "polynomial",
    order: int = 2,
    sigma: float = 3.0,
    iterations: int = 1,
    skip: int | tuple[int, int] = 0,
    **options: Any,
) -> str:
    """Return in words where the level of a frame, or of each amplifier, comes from, and how."""
    where = " and ".join(map(format_section, sections)) if sections else "of each amplifier"
    words = f"{where}, {method}"
    if method == "polynomial":
        words += f" of order {order}, {iterations} x rejection at {sigma:g} sigma"
    return words + (f", without {skip} at the edges" if np.any(skip) else "")


def _without_skipped(lines: np.ndarray, skip: int | tuple[int, int]) -> np.ndarray:
    """Return the lines without their first and last pixels."""
    first, last = (skip, skip) if np.ndim(skip) == 0 else skip
    size = lines.shape[1]
    if first < 0 or last < 0 or first + last >= size:
        raise ValueError(f"overscan_skip is {skip} but the overscan is {size} pixels wide")
    return lines[:, first : size - last]


def _each_line(lines: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each line's own mean or median, and the variance that all lines share."""
    means = lines.mean(axis=1, dtype=float)
    level = means if method == "mean" else np.median(lines, axis=1).astype(float)
    n_lines, size = lines.shape
    if size > 1 and n_lines > 1:
        residual = lines - means[:, None]
        if method == "mean":  # columns that differ in level are no noise of a mean
            residual -= residual.mean(axis=0)
        variance = np.sum(residual**2) / ((n_lines - 1) * (size - 1)) / size
    else:  # the lines' scatter is all there is
        variance = np.var(np.diff(level)) / 2 if n_lines > 2 else 0.0
    if method == "median":
        variance *= np.pi / 2  # of a normal distribution, in the limit of many pixels
    return level, np.full(n_lines, variance)


def _polynomial(
    means: np.ndarray, order: int, sigma: float, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a polynomial through the means, and the variance of its values."""
    keep = np.isfinite(means)
    for remaining in range(iterations, -1, -1):
        freedom = int(keep.sum()) - order - 1
        if freedom < 1:
            raise ValueError(
                f"{keep.sum()} rows of overscan are too few for a polynomial of order {order}: "
                "give a lower overscan_order, or overscan_method='mean'"
            )
        basis = _orthonormal(order, keep)
        coefficients = np.sum(basis * np.where(keep, means, 0), axis=1)
        level = np.sum(basis * coefficients[:, None], axis=0)
        residual = means - level
        variance = np.sum(residual[keep] ** 2) / freedom
        if remaining:
            keep &= np.abs(residual) <= max(sigma * np.sqrt(variance), _ROUNDING)
    return level, variance * np.sum(basis**2, axis=0)


def _orthonormal(order: int, keep: np.ndarray) -> np.ndarray:
    """Return polynomials of degree 0 to `order` that are orthonormal over the rows that are kept.

    With them a fit is a sum of products (Forsythe 1957, J. SIAM 5, 74), for which no library
    starts threads that go on spinning.
    """
    x = np.linspace(-1, 1, len(keep))
    found = [np.full(len(keep), 1 / np.sqrt(np.count_nonzero(keep)))]
    for _ in range(order):
        further = x * found[-1]
        for earlier in found:
            further -= np.sum(further * earlier, where=keep) * earlier
        found.append(further / np.sqrt(np.sum(further**2, where=keep)))
    return np.array(found)

"""Subtract the level of the overscan."""

from typing import Any, NamedTuple

import numpy as np
from astropy.nddata import CCDData

from ..fits.section import Section
from .facts import find_section, required
from .image import remade, run
from .provenance import record_overscan

METHODS = ("polynomial", "mean", "median")
_ROUNDING = 1e-6  # adu: what is nearer to the polynomial is on it


class OverscanLevel(NamedTuple):
    """Overscan level, adu, and its variance, both float64, ``(ny, 1)`` or ``(1, nx)``."""

    level: np.ndarray
    variance: np.ndarray


def subtract_overscan(
    ccd: CCDData,
    overscan_section: str | Section | None = None,
    overscan_axis: int | None = None,
    overscan_method: str = "polynomial",
    overscan_order: int = 2,
    overscan_sigma: float = 3.0,
    overscan_iterations: int = 1,
    overscan_skip: int | tuple[int, int] = 0,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Subtract the overscan level; the overscan itself stays, for `trim` to cut off.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The raw frame, adu, ``(ny, nx)``. It is not changed.
    overscan_section : str or tuple of slice, optional
        FITS text such as ``"[2049:2079,1:4096]"`` or slices ``(y, x)``; by default the header's.
    overscan_axis : {None, 0, 1}
        1 when each row has its own level (the overscan is columns), 0 when each column has;
        None decides by the shape of the section.
    overscan_method : {"polynomial", "mean", "median"}
        A polynomial through the means of the rows, or each row's own mean or median.
    overscan_order : int
        Degree of the polynomial.
    overscan_sigma : float
        Rows whose means are farther than so many standard deviations from the polynomial are
        rejected.
    overscan_iterations : int
        Passes of rejection.
    overscan_skip : int or tuple of int
        Leading and trailing columns of the overscan (rows, for axis 0) that are not used.
    instrument : Instrument or str, optional
        Knows where the header keeps the section; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the level, float32; ``OSCANLEV`` and ``OSCANVAR`` in its header are the
        level and its variance, means over the frame.

    Raises
    ------
    ValueError
        If there is no overscan section, or it does not fit.

    Notes
    -----
    The polynomial is what IRAF's ``linebias`` fits.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import subtract_overscan
    >>> raw = CCDData(np.full((50, 20), 1000, dtype=np.uint16), unit="adu")
    >>> raw.data[:, :16] += 50
    >>> ccd = subtract_overscan(raw, overscan_section="[17:20,1:50]")
    >>> print(ccd.data[0, 0], ccd.header["OSCANLEV"])
    50.0 1000.0
    """
    section = required(
        find_section(ccd, "overscan_section", overscan_section, instrument),
        "overscan section",
        "overscan_section",
    )
    found = frame_level(
        ccd.data,
        section,
        overscan_axis,
        method=overscan_method,
        order=overscan_order,
        sigma=overscan_sigma,
        iterations=overscan_iterations,
        skip=overscan_skip,
    )
    frame = remade(ccd)
    record_overscan(frame.header, found.level, found.variance)
    return run(frame, {"level": found.level, "level_variance": frame.header["OSCANVAR"]})


def frame_level(
    raw: np.ndarray, section: Section, axis: int | None = None, **options: Any
) -> OverscanLevel:
    """Overscan level of every row or column of a frame.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The whole raw frame, ``(ny, nx)``.
    section : tuple of slice
        ``(slice_y, slice_x)`` of the overscan.
    axis : {None, 0, 1}
        As `subtract_overscan` has it.
    **options
        Of `overscan_level`.

    Returns
    -------
    OverscanLevel
        Rows (columns) beside the section have the level of the nearest one in it.
    """
    pixels = raw[section]
    if axis is None:
        axis = int(pixels.shape[0] * raw.shape[1] >= pixels.shape[1] * raw.shape[0])
    found = overscan_level(pixels, axis, **options)
    along = section[1 - axis]
    beside = [(0, 0), (0, 0)]
    beside[1 - axis] = (along.start, raw.shape[1 - axis] - along.stop)
    return OverscanLevel(*(np.pad(plane, beside, mode="edge") for plane in found))


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
    basis = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, len(means)), order)
    keep = np.isfinite(means)
    for remaining in range(iterations, -1, -1):
        freedom = int(keep.sum()) - order - 1
        if freedom < 1:
            raise ValueError(
                f"{keep.sum()} rows of overscan are too few for a polynomial of order {order}: "
                "give a lower overscan_order, or overscan_method='mean'"
            )
        coefficients = np.linalg.lstsq(basis[keep], means[keep], rcond=None)[0]
        level = basis @ coefficients
        residual = means - level
        variance = np.sum(residual[keep] ** 2) / freedom
        if remaining:
            keep &= np.abs(residual) <= max(sigma * np.sqrt(variance), _ROUNDING)
    covariance = np.linalg.inv(basis[keep].T @ basis[keep]) * variance
    return level, np.einsum("ij,jk,ik->i", basis, covariance, basis)

"""Subtract the level of the overscan."""

from typing import Any

from astropy.nddata import CCDData

from ..fits.section import Section
from .amplifiers import amplifier_levels, check_given, raw_readouts
from .facts import find_overscan, level_variance, required
from .image import remade, run
from .level import OverscanLevel, frame_level, overscan_level, words_of
from .provenance import record_amplifiers, record_overscan

__all__ = ["OverscanLevel", "frame_level", "overscan_level", "subtract_overscan"]


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
        Text of two sections, ``"[1:40,1:2200] [41:2240,2201:2230]"``, is columns and rows: what
        the columns leave in the rows is the level of each column. Each of several amplifiers has
        its own, from the header or the instrument.
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
    options = {
        "axis": overscan_axis,
        "method": overscan_method,
        "order": overscan_order,
        "sigma": overscan_sigma,
        "iterations": overscan_iterations,
        "skip": overscan_skip,
    }
    frame = remade(ccd)
    readouts = raw_readouts(ccd, instrument)
    if readouts:
        check_given(overscan_section, readouts)
        found, plane = amplifier_levels(ccd.data, readouts, **options)
        found = required(found, "overscan section", "overscan_section")
        record_amplifiers(frame.header, readouts, found, words_of((), **options))
        return run(frame, {"level": plane, "level_variance": level_variance(frame)})
    sections = required(
        find_overscan(ccd, overscan_section, instrument), "overscan section", "overscan_section"
    )
    found = frame_level(ccd.data, sections, **options)
    record_overscan(frame.header, *found, words_of(sections, **options))
    return run(frame, {"level": found.level, "level_variance": frame.header["OSCANVAR"]})

"""FITS files to images in memory, whoever wrote them."""

import os
from contextlib import closing
from os import PathLike
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from .bands import fixed_header, open_frame
from .flags import with_flags
from .header import record_source
from .instrument import Instrument
from .layout import HduSpec, find_layout, scan
from .pixels import encoding_of
from .source import open_source
from .wcs import wcs_of


class FrameHeader(NamedTuple):
    """A frame without its pixels; made by `read_header`.

    Attributes
    ----------
    header : `~astropy.io.fits.Header`
        As `read_frame` gives it.
    shape : tuple of int
        ``(ny, nx)``.
    dtype : `~numpy.dtype`
        Type that the pixels would have.
    hdu : int
        Number of the image's unit in the file.
    """

    header: fits.Header
    shape: tuple[int, int]
    dtype: np.dtype
    hdu: int


def read_frame(
    path: str | PathLike,
    *,
    hdu: HduSpec = None,
    unit: str | u.UnitBase | None = None,
    instrument: Instrument | str | PathLike | None = None,
    record_input: bool = False,
) -> CCDData:
    """Read an image, its uncertainty and its mask.

    Parameters
    ----------
    path : path-like
        A FITS file, plain, gzipped or tile-compressed.
    hdu : int, str or (str, int), optional
        Number, name, or name and version of the image's unit; None: the first 2-D image, or
        the extensions of all amplifiers, one upon the other: see `~bmp_astro.steps.trim`.
    unit : str or `~astropy.units.UnitBase`, optional
        Unit of the pixels; None: BUNIT where it names a unit, else adu.
    instrument : Instrument, str or path-like, optional
        Knows the amplifiers; its `fix_header` is applied.
    record_input : bool
        Write the file's name and checksum into the header, for the product that comes of it:
        INPUT and INPUTSUM, which is the DATASUM of the pixels as they are stored, the CRC-32
        of the header's cards, and the numbers of the units where these are not the primary one;
        INPUTHDU where `hdu` was given.

    Returns
    -------
    `~astropy.nddata.CCDData`
        Shape (ny, nx), native byte order; unscaled integers stay integers. The header has all
        cards, the WCS's among them, and FILENAME. Extensions UNCERT and MASK come back as a
        standard deviation and as ``ccd.flags``; BLANK and not-a-number are flagged
        `MaskBit.NO_DATA`.

    Raises
    ------
    OSError
        If the file cannot be read, is not FITS, or lacks pixels.
    ValueError
        If it has no such 2-D image.

    Notes
    -----
    Malformed cards are repaired, or dropped with a warning in the log that names them. A WCS
    that cannot be used is a warning too; its cards stay.

    Examples
    --------
    >>> from bmp_astro import read_frame
    >>> ccd = read_frame("NGC520-001-g.fit")  # doctest: +SKIP
    >>> ccd.shape, ccd.data.dtype, ccd.unit  # doctest: +SKIP
    ((1020, 1530), dtype('uint16'), Unit("adu"))
    """
    with open_frame(path, hdu=hdu, instrument=instrument, summed=record_input) as frame:
        ny = frame.shape[0]
        pixels, flags = frame.read(0, ny)
        deviation = frame.uncertainty_rows(0, ny)
        if record_input:
            name = os.path.basename(os.fspath(path))
            record_source(frame.header, name, frame.checksum(), None if hdu is None else frame.hdu)
    ccd = CCDData(
        pixels,
        unit=frame.unit if unit is None else u.Unit(unit),
        header=frame.header,
        wcs=None if frame.is_stacked else wcs_of(frame.header, frame.shape, os.path.basename(path)),
        uncertainty=None if deviation is None else StdDevUncertainty(deviation, copy=False),
    )
    return ccd if flags is None else with_flags(ccd, flags)


def read_header(
    path: str | PathLike,
    *,
    hdu: HduSpec = None,
    instrument: Instrument | str | PathLike | None = None,
    missing_ok: bool = False,
) -> FrameHeader:
    """Read what `read_frame` would give, without the pixels.

    Parameters
    ----------
    path : path-like
        A FITS file.
    hdu : int, str or (str, int), optional
        Number, name, or name and version of the image's unit; None: the first 2-D image, or
        the extensions of all amplifiers, one upon the other: see `~bmp_astro.steps.trim`.
    instrument : Instrument, str or path-like, optional
        Knows the amplifiers; its `fix_header` is applied.
    missing_ok : bool
        Read the header of a truncated file all the same, if that is whole.

    Returns
    -------
    FrameHeader
        ``header``, ``shape`` as (ny, nx), ``dtype`` and ``hdu``.

    Raises
    ------
    OSError
        If the file cannot be read, is not FITS, or lacks pixels.
    ValueError
        If it has no such 2-D image.

    Examples
    --------
    >>> from bmp_astro.fits import read_header
    >>> read_header("NGC520-001-g.fit").shape  # doctest: +SKIP
    (1020, 1530)
    """
    source = open_source(path)
    try:
        layout = find_layout(source, path, hdu, instrument=instrument, missing_ok=missing_ok)
    finally:
        source.close()
    image = layout.image
    return FrameHeader(
        fixed_header(layout.header, path, instrument),
        layout.shape,
        encoding_of(image.header, image.bitpix).dtype,
        image.index,
    )


def data_sums(path: str | PathLike) -> str | None:
    """Tell the data of a file from any other, by what its headers say.

    Parameters
    ----------
    path : path-like
        A FITS file.

    Returns
    -------
    str or None
        The DATASUM cards of all its units; None when one has none, or the file cannot be read.

    Examples
    --------
    >>> from bmp_astro.fits.reader import data_sums
    >>> data_sums("not there.fits") is None
    True
    """
    try:
        with closing(open_source(path)) as source:
            sums = [hdu.header.get("DATASUM") for hdu in scan(source, path)]
    except OSError:
        return None
    return None if None in sums else " ".join(["DATASUM", *map(str, sums)])


def is_product(header: fits.Header) -> bool:
    """Tell whether a file was written by `write_frame`.

    Parameters
    ----------
    header : `~astropy.io.fits.Header` or mapping
        Its header.

    Returns
    -------
    bool
        True if it has the card BMPVERS.

    Examples
    --------
    >>> from bmp_astro.fits import is_product
    >>> is_product({"BMPVERS": "0.1.0"})
    True
    """
    return "BMPVERS" in header

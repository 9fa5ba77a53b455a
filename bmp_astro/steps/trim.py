"""Cut a frame to its trim section."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.nddata import CCDData

from ..fits import Instrument, Readout, find_instrument, flags_of, wcs_of
from ..fits.section import Section
from .amplifiers import assemble, raw_readouts
from .facts import find_section, required
from .image import remade
from .provenance import record_assembly, record_trim


def trim(
    ccd: CCDData,
    trim_section: str | Section | None = None,
    instrument: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Cut a frame to its trim section, or put the parts of several amplifiers together.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``. It is not changed.
    trim_section : str or tuple of slice, optional
        FITS text such as ``"[1:2048,1:4096]"`` or slices ``(y, x)``; by default the header's. A
        frame of several amplifiers is first made one image, in which this section counts.
    instrument : Instrument or str, optional
        Knows where the header keeps the section; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        A copy of that part of pixels, uncertainty and mask. WCS, ``LTV1`` and ``LTV2`` are
        shifted; the cards of the sections, which counted in the old frame, are gone. Of several
        amplifiers ``AMPSEC1``, ``AMPGN1``, ``AMPRN1``, ... say where each one is, and what its
        gain (electron/adu) and read noise (electron) are.

    Raises
    ------
    ValueError
        If there is no trim section, or it does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps.trim import trim
    >>> trim(CCDData(np.zeros((50, 20)), unit="adu"), trim_section="[1:16,1:50]").shape
    (50, 16)
    """
    camera = find_instrument(instrument, ccd.header)
    readouts = raw_readouts(ccd, camera)
    frame = assembled(remade(ccd), readouts, camera) if readouts else remade(ccd)
    if readouts and trim_section is None:
        return frame
    section = required(
        find_section(frame, "trim_section", trim_section, camera), "trim section", "trim_section"
    )
    window = cut(frame, section, camera)
    data, flags = np.array(window.data), flags_of(window)  # lets go of the whole frame
    return remade(window, data=data, flags=None if flags is None else np.array(flags))


def assembled(frame: CCDData, readouts: Sequence[Readout], instrument: Instrument) -> CCDData:
    """Return the image that several amplifiers make; its header says where each one is in it."""
    uncertainty, flags = frame.uncertainty, flags_of(frame)
    if uncertainty is not None:
        uncertainty = type(uncertainty)(
            assemble(uncertainty.array, readouts), unit=uncertainty.unit
        )
    image = remade(
        frame,
        data=assemble(frame.data, readouts),
        uncertainty=uncertainty,
        flags=None if flags is None else assemble(flags, readouts),
        wcs=None,
    )
    record_assembly(image.header, readouts, instrument)
    image.wcs = wcs_of(image.header, image.shape)
    return image


def cut(frame: CCDData, section: Section, instrument: Instrument) -> CCDData:
    """Return a view of a section; its place is written into the header of the view."""
    uncertainty, flags, wcs = frame.uncertainty, flags_of(frame), frame.wcs
    if uncertainty is not None:
        uncertainty = type(uncertainty)(uncertainty.array[section], unit=uncertainty.unit)
    if wcs is not None and instrument.wcs_frame == "raw":
        wcs = wcs.slice(section)
    view = remade(
        frame,
        data=frame.data[section],
        uncertainty=uncertainty,
        flags=None if flags is None else flags[section],
        wcs=wcs,
    )
    record_trim(view.header, section, instrument)
    return view

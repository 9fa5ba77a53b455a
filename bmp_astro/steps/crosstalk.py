"""Remove what one amplifier's signal leaves in another's."""

from typing import Any

import numpy as np
from astropy.nddata import CCDData

from ..fits import find_instrument
from ..fits.readouts import write_readouts
from .amplifiers import Assembly, find_crosstalk, raw_readouts
from .image import remade, run
from .provenance import record_crosstalk


def correct_crosstalk(
    ccd: CCDData, crosstalk: Any = None, instrument: Any = None, **kwargs: Any
) -> CCDData:
    """Remove what the signals of other amplifiers leave in a raw frame.

    From each amplifier's pixels a fraction of the signal is subtracted that each other amplifier
    read at the same moment: signal above the typical level of its overscan.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The raw frame, adu, ``(ny, nx)``. It is not changed.
    crosstalk : sequence of sequence of float, optional
        A row for each amplifier: the fraction of the signal of each other one, a column each, that
        is in its pixels; by default the instrument's.
    instrument : Instrument or str, optional
        Knows amplifiers and coefficients; by default chosen by the header.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame, float32.

    Raises
    ------
    ValueError
        If there are no coefficients, they do not fit the amplifiers, or the overscan is gone.

    Notes
    -----
    The amplifiers read in the order in which their data sections are written, which a section
    such as ``"[1024:513,1:512]"`` turns round. The noise that comes with the other signal,
    thousandths of its own, is not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro import Instrument
    >>> from bmp_astro.fits import Amplifier
    >>> from bmp_astro.steps import correct_crosstalk
    >>> camera = Instrument("two", amplifiers=(Amplifier("[1:2,1:1]"), Amplifier("[4:3,1:1]")))
    >>> raw = CCDData(np.array([[1000, 10, 0, 0]]), unit="adu")
    >>> correct_crosstalk(raw, crosstalk=[[0, 0], [0.5, 0]], instrument=camera).data
    array([[1000.,   10.,   -5., -500.]], dtype=float32)
    """
    camera = find_instrument(instrument, ccd.header)
    readouts = raw_readouts(ccd, camera)
    if not readouts:
        raise ValueError(
            "crosstalk is a matter of several amplifiers, but this frame is of a piece (or "
            "assembled already): correct it first, or give an instrument that has amplifiers"
        )
    if "OSCANLEV" in ccd.header:
        raise ValueError("crosstalk must be corrected before the overscan is subtracted")
    found = find_crosstalk(ccd.header, crosstalk, camera)
    assembly = Assembly(readouts, ccd.data.__getitem__, found, levels=False)
    if assembly.crosstalk is None:
        raise ValueError("there are no coefficients: give crosstalk=, or an instrument that has it")
    plane = np.zeros(ccd.shape, np.float32)
    for number, one in enumerate(readouts):
        plane[one.raw] = assembly.crosstalk_into(number, slice(None))
    frame = remade(ccd)
    write_readouts(frame.header, readouts)
    record_crosstalk(frame.header)
    return run(frame, {"level": plane})

"""Whether the data of a file are still those that were written."""

from os import PathLike

import numpy as np

from .checksum import ones_complement_sum
from .layout import scan
from .source import Hdu, Source, open_source

_CHUNK = 2**20


def changed_units(path: str | PathLike) -> list[str]:
    """Tell which units of a file have other data than their DATASUM says.

    Parameters
    ----------
    path : path-like
        A FITS file.

    Returns
    -------
    list of str
        Their names; a unit without DATASUM is taken to be as it was.

    Raises
    ------
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.fits import changed_units, write_frame
    >>> path = getfixture("tmp_path") / "frame.fits"
    >>> _ = write_frame(CCDData([[1.0, 2.0]], unit="adu"), path, checksum=True)
    >>> changed_units(path)
    []
    """
    source = open_source(path)
    try:
        return [
            hdu.name if hdu.name else f"unit {hdu.index}"
            for hdu in scan(source, path)
            if not _is_intact(source, hdu)
        ]
    finally:
        source.close()


def _is_intact(source: Source, hdu: Hdu) -> bool:
    """Tell whether the data of a unit add up to its DATASUM, if it has one."""
    said = str(hdu.header.get("DATASUM", "")).strip()
    if not said.isdigit():
        return True
    total = 0
    for start in range(0, hdu.nbytes, _CHUNK):
        chunk = np.zeros(min(_CHUNK, hdu.nbytes - start), np.uint8)
        source.read_into(memoryview(chunk), hdu.offset + start)
        total = ones_complement_sum([chunk], total)
    return total == int(said)

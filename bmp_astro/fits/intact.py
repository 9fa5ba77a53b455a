"""Whether the data of a file are still those that were written."""

from contextlib import closing
from os import PathLike

import numpy as np

from .checksum import fold, name_of_input, ones_complement_sum, units_of_input
from .layout import cards_crc, check_complete, scan
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
    with closing(open_source(path)) as source:
        return [
            hdu.name if hdu.name else f"unit {hdu.index}"
            for hdu in scan(source, path)
            if not _is_intact(source, hdu)
        ]


def checksum_now(path: str | PathLike, recorded: str) -> str:
    """Return the checksum that a file has now, of the units that a recorded one is of.

    Parameters
    ----------
    path : path-like
        A FITS file.
    recorded : str
        A checksum as `OpenFrame.checksum` gives it. The units that it names are read, so that no
        instrument is needed to know which they were.

    Returns
    -------
    str
        The same if nothing has changed.

    Raises
    ------
    OSError
        If the file cannot be read, or lacks pixels.
    ValueError
        If it has no such units.
    """
    numbers = units_of_input(recorded)
    with closing(open_source(path)) as source:
        hdus = list(scan(source, path))
        if max(numbers) >= len(hdus):
            raise ValueError(f"{path} has no unit {max(numbers)}: it has {len(hdus)} units")
        units = [hdus[number] for number in numbers]
        for unit in units:
            check_complete(source, path, unit)
        total = fold(sum(_data_sum(source, unit) for unit in units))
        return name_of_input(total, cards_crc(hdus[0], units), numbers)


def _is_intact(source: Source, hdu: Hdu) -> bool:
    """Tell whether the data of a unit add up to its DATASUM, if it has one."""
    said = str(hdu.header.get("DATASUM", "")).strip()
    if not said.isdigit():
        return True
    return _data_sum(source, hdu) == int(said)


def _data_sum(source: Source, hdu: Hdu) -> int:
    """Return what the data of a unit add up to, as they are stored."""
    total = 0
    for start in range(0, hdu.nbytes, _CHUNK):
        chunk = np.zeros(min(_CHUNK, hdu.nbytes - start), np.uint8)
        source.read_into(memoryview(chunk), hdu.offset + start)
        total = ones_complement_sum([chunk], total)
    return total

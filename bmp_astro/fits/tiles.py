"""Tile-compressed images: their headers, and their pixels unpacked by astropy."""

import io
import re

import numpy as np
from astropy.io import fits

from .source import Hdu

_TABLE = r"XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|T(?:TYPE|FORM|UNIT|NULL|DIM)\d+"
_TILES = (
    r"ZIMAGE|ZCMPTYPE|ZTILE\d+|ZNAME\d+|ZVAL\d+|ZQUANTIZ|ZDITHER0|ZSCALE|ZZERO|ZBLANK|ZMASKCMP|"
    r"ZBITPIX|ZNAXIS\d*|ZSIMPLE|ZTENSION|ZEXTEND|ZBLOCKED|ZPCOUNT|ZGCOUNT"
)
_OF_THE_TABLE = re.compile(rf"{_TABLE}|{_TILES}")
_NOT_OF_THE_IMAGE = re.compile(rf"{_TABLE}|{_TILES}|ZHECKSUM|ZDATASUM|CHECKSUM|DATASUM|EXTEND")


def image_header(hdu: Hdu) -> fits.Header:
    """Return the cards of the image that a table holds, in the order of an image's."""
    header = fits.Header()
    header["SIMPLE"] = (True, "conforms to FITS standard")
    header["BITPIX"] = (hdu.bitpix, "array data type")
    header["NAXIS"] = (len(hdu.axes), "number of array dimensions")
    for axis, length in enumerate(hdu.axes, 1):
        header[f"NAXIS{axis}"] = length
    for card in hdu.header.cards:
        is_default_name = card.keyword == "EXTNAME" and card.value == "COMPRESSED_IMAGE"
        if not _NOT_OF_THE_IMAGE.fullmatch(card.keyword) and not is_default_name:
            header.append(card, end=True)
    return header


def unpack(hdu: Hdu, data: bytes) -> np.ndarray:
    """Return the stored numbers of a tile-compressed image, not yet scaled.

    Raises
    ------
    OSError
        If they cannot be unpacked.
    """
    cards = [card for card in hdu.header.cards if _OF_THE_TABLE.fullmatch(card.keyword)]
    table = fits.Header(cards).tostring().encode("ascii")
    primary = fits.PrimaryHDU().header.tostring().encode("ascii")
    padding = b"\0" * (-len(data) % 2880)
    try:
        with fits.open(
            io.BytesIO(primary + table + data + padding),
            memmap=False,
            do_not_scale_image_data=True,
        ) as hdus:
            stored = np.asarray(hdus[1].data)
    except Exception as error:  # each decoder has exceptions of its own for damaged tiles
        raise OSError(f"tiles cannot be unpacked: {error}") from error
    if stored.shape != hdu.axes[::-1]:
        raise OSError(f"tiles are {stored.shape} but the header says {hdu.axes[::-1]} (ny, nx)")
    return stored

"""Units of a file written one after the other, their pixels a few rows at a time."""

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.io.fits.hdu.compressed import DITHER_SEED_CHECKSUM, SUBTRACTIVE_DITHER_2

from .cards import CARD_LENGTH
from .checksum import sum_cards, with_checksum
from .encode import Stored
from .rowsums import RowSums
from .source import BLOCK
from .words import reserve

_TILE_ROWS = 16
_BITPIX = {("i", 1): 8, ("u", 1): 8, ("i", 2): 16, ("i", 4): 32, ("i", 8): 64}
_BITPIX |= {("f", 4): -32, ("f", 8): -64}


class PlainFile:
    """Image units that are not compressed, written to a stream.

    Parameters
    ----------
    stream : file
        Open for writing, anywhere.
    checksum : bool
        Whether each unit has CHECKSUM and DATASUM.
    """

    def __init__(self, stream: BinaryIO, checksum: bool) -> None:
        self._stream = stream
        self._checksum = checksum

    def add(
        self, name: str, header: fits.Header, stored: Stored, *, extend: bool = False
    ) -> np.ndarray | None:
        """Write one unit.

        Parameters
        ----------
        name : str
            Its name; the first unit has none.
        header : `~astropy.io.fits.Header`
            Its cards, without those that tell its structure.
        stored : Stored
            Its pixels.
        extend : bool
            Whether other units may follow the first.

        Returns
        -------
        `~numpy.ndarray` of bool or None
            Where pixels were not finite; None if all are.
        """
        text = _structure(name, stored, extend) + header.tostring(endcard=False, padding=False)
        start, lacking = self._stream.tell(), None
        sums = RowSums(stored.shape[0], stored.shape[1] * stored.dtype.itemsize)
        cards, padding = self._header(text, 0), -stored.nbytes % BLOCK
        reserve(self._stream.fileno(), start, len(cards) + stored.nbytes + padding)
        self._stream.write(cards)
        for band, numbers, missing in stored.bands():
            self._stream.write(memoryview(numbers.reshape(-1)).cast("B"))
            if self._checksum:
                sums.add(band.start, numbers)
            if missing is not None:
                lacking = np.zeros(stored.shape, bool) if lacking is None else lacking
                lacking[band] = missing
        self._stream.write(b"\0" * padding)
        if self._checksum:
            end = self._stream.tell()
            self._stream.seek(start)
            self._stream.write(self._header(text, sums.total))
            self._stream.seek(end)
        return lacking

    def _header(self, text: str, datasum: int) -> bytes:
        """Return a header in whole blocks, whose length does not depend on the checksum."""
        if not self._checksum:
            return _padded(text).encode("ascii")
        text = _padded("".join([text, *sum_cards(datasum)]))
        return with_checksum(text, datasum).encode("ascii")

    def close(self) -> None:
        """Nothing is left to write."""


class TileFile:
    """Tile-compressed units, which are written when the file is complete.

    Parameters
    ----------
    stream : file
        Open for writing.
    checksum : bool
        Whether each unit has CHECKSUM and DATASUM.
    quantize : float or None
        Floating-point numbers are rounded to this fraction of their noise; None keeps them.
    """

    def __init__(self, stream: BinaryIO, checksum: bool, quantize: float | None) -> None:
        self._stream = stream
        self._checksum = checksum
        self._quantize = quantize
        self._units: list[fits.CompImageHDU] = []

    def add(
        self, name: str, header: fits.Header, stored: Stored, *, extend: bool = False
    ) -> np.ndarray | None:
        """Compress one unit; as `PlainFile.add`."""
        numbers, lacking = stored.whole()
        is_float = numbers.dtype.kind == "f"
        method: dict[str, Any] = {"compression_type": "RICE_1", "quantize_level": 0.0}
        if is_float and self._quantize is None:
            method["compression_type"] = "GZIP_2"
        elif is_float:
            header = header.copy()
            header["QUANTIZE"] = (self._quantize, "rounded to noise / QUANTIZE, with dither")
            method |= {
                "quantize_level": self._quantize,
                "quantize_method": SUBTRACTIVE_DITHER_2,  # leaves what is exactly 0 as it is
                "dither_seed": DITHER_SEED_CHECKSUM,
                "tile_shape": (min(_TILE_ROWS, stored.shape[0]), stored.shape[1]),
            }
        hdu = fits.CompImageHDU(numbers, header, name=name if name else None, **method)
        last = "GCOUNT" if "GCOUNT" in hdu.header else "NAXIS2"
        for keyword, value in stored.cards.items():
            hdu.header.set(keyword, value, after=last)
        self._units.append(hdu)
        return lacking

    def close(self) -> None:
        """Write all units."""
        hdus = fits.HDUList([fits.PrimaryHDU(), *self._units])
        hdus.writeto(self._stream, checksum=self._checksum)


def _structure(name: str, stored: Stored, extend: bool) -> str:
    """Return the cards that every unit begins with."""
    ny, nx = stored.shape
    bitpix = _BITPIX[stored.dtype.kind, stored.dtype.itemsize]
    cards = [("NAXIS", 2, "number of axes"), ("NAXIS1", nx, "columns"), ("NAXIS2", ny, "rows")]
    cards.insert(0, ("BITPIX", bitpix, "bits of a pixel; negative: floating point"))
    if name:
        lines = ["XTENSION= 'IMAGE   '           / image extension".ljust(CARD_LENGTH)]
        cards += [("PCOUNT", 0, "no parameters"), ("GCOUNT", 1, "one group")]
    else:
        lines = [_card("SIMPLE", "T", "conforms to the FITS standard")]
    lines += [_card(*card) for card in cards]
    if extend:
        lines.append(_card("EXTEND", "T", "extensions may follow"))
    scaling: Mapping[str, float | int] = stored.cards
    lines += [str(fits.Card(keyword, value)) for keyword, value in scaling.items()]
    if name:
        lines.append(f"EXTNAME = '{name:8}'           / name of this unit".ljust(CARD_LENGTH))
    return "".join(lines)


def _card(keyword: str, value: int | str, comment: str) -> str:
    return f"{keyword:8}= {value:>20} / {comment}".ljust(CARD_LENGTH)


def _padded(text: str) -> str:
    """Return a header's text with END, to whole blocks."""
    text += "END"
    return text.ljust(-(-len(text) // BLOCK) * BLOCK)

"""Stored numbers to pixels: byte order, BSCALE, BZERO, BLANK and not-a-number."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from .flags import MaskBit
from .keywords import Keyword
from .words import copy_numbers

_STORED = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Offsets that turn signed integers into unsigned ones, and unsigned bytes into signed ones
# (FITS standard, table 11).
_UNSIGNED = {8: (-128, "i1"), 16: (2**15, "u2"), 32: (2**31, "u4"), 64: (2**63, "u8")}
_BZERO = Keyword("BZERO", kind=float)
_BSCALE = Keyword("BSCALE", kind=float)
_BLANK = Keyword("BLANK", "ZBLANK", kind=int)


@dataclass(frozen=True)
class Encoding:
    """How the pixels of an image are stored."""

    bitpix: int
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None

    @property
    def stored(self) -> np.dtype:
        """Type in the file."""
        return np.dtype(_STORED[self.bitpix])

    @property
    def dtype(self) -> np.dtype:
        """Type of the decoded pixels, in native byte order."""
        if self.is_unsigned:
            return np.dtype(_UNSIGNED[self.bitpix][1])
        if self.is_plain:
            return self.stored.newbyteorder("=")
        return np.dtype("f4" if abs(self.bitpix) <= 16 or self.bitpix == -32 else "f8")

    @property
    def is_plain(self) -> bool:
        """Whether stored numbers are the pixels."""
        return self.bscale == 1.0 and self.bzero == 0.0

    @property
    def is_unsigned(self) -> bool:
        """Whether BZERO only says that integers are of the other signedness."""
        return (
            self.bitpix in _UNSIGNED
            and self.bscale == 1.0
            and self.bzero == _UNSIGNED[self.bitpix][0]
        )

    @property
    def may_lack(self) -> bool:
        """Whether some pixels may have no value."""
        return self.bitpix < 0 or self.blank is not None


def encoding_of(header: fits.Header, bitpix: int) -> Encoding:
    """Return how an image is stored, as its header says."""
    if bitpix not in _STORED:
        raise OSError(f"BITPIX is {bitpix} but must be one of {sorted(_STORED)}")
    bscale, bzero = _BSCALE.read(header), _BZERO.read(header)
    return Encoding(
        bitpix,
        1.0 if bscale is None else bscale,
        0.0 if bzero is None else bzero,
        _BLANK.read(header) if bitpix > 0 else None,
    )


def decode(
    stored: np.ndarray, encoding: Encoding, out: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn stored numbers into pixels.

    Parameters
    ----------
    stored : `~numpy.ndarray`
        Numbers as in the file, in any byte order; left as they are.
    encoding : Encoding
        How they are stored.
    out : `~numpy.ndarray`, optional
        Filled with the pixels; of their type.

    Returns
    -------
    pixels : `~numpy.ndarray`
        In native byte order: integers where the file has unscaled ones, else floats.
    flags : `~numpy.ndarray` of uint8 or None
        `MaskBit.NO_DATA` where a pixel is BLANK or not finite; None when there is none.
    """
    pixels = np.empty(stored.shape, encoding.dtype) if out is None else out
    lacking = None
    if encoding.blank is not None:
        lacking = stored == encoding.blank
    if encoding.is_unsigned or encoding.is_plain:
        is_finite = copy_numbers(stored, pixels, flip=encoding.is_unsigned)
    else:
        np.copyto(pixels, stored, casting="unsafe")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is flagged
            if encoding.bscale != 1.0:
                np.multiply(pixels, encoding.bscale, out=pixels)
            if encoding.bzero != 0.0:
                np.add(pixels, encoding.bzero, out=pixels)
        is_finite = encoding.bitpix > 0
    if not is_finite:
        lacking = ~np.isfinite(pixels)
    if lacking is None or not lacking.any():
        return pixels, None
    return pixels, lacking.astype(np.uint8) * np.uint8(MaskBit.NO_DATA)

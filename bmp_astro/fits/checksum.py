"""DATASUM and CHECKSUM (FITS standard 4.0, section 4.4.2.7 and appendix J)."""

import re
from collections.abc import Iterable

import numpy as np

from .words import add_up

_ROWS = 64  # a band of them stays in the processor's cache
_WORD = 0xFFFFFFFF
_ZEROS = "0" * 16


def ones_complement_sum(chunks: Iterable[np.ndarray], total: int = 0) -> int:
    """Add up big-endian 32-bit words with the carry brought around.

    Parameters
    ----------
    chunks : iterable of `~numpy.ndarray`
        Contiguous arrays as they are stored in a file; only the last may be no whole number of
        words, and counts as if zeros followed.
    total : int
        Sum to begin with.

    Returns
    -------
    int
        The sum, of 32 bits.

    Examples
    --------
    >>> import numpy as np
    >>> ones_complement_sum([np.array([1.0, 2.0], dtype=">f4")])
    2139095040
    """
    return fold(sum(map(add_up, chunks), total))


def fold(total: int) -> int:
    """Bring the carry of a sum around until it has 32 bits."""
    while total >> 32:
        total = (total & _WORD) + (total >> 32)
    return total


def data_sum(pixels: np.ndarray) -> str:
    """FITS ``DATASUM`` that the pixels have as float32: a name for what they are.

    Parameters
    ----------
    pixels : `~numpy.ndarray`
        Pixels of any dtype and byte order, ``(ny, nx)``.

    Returns
    -------
    str
        The ones' complement sum of 32-bit words (FITS standard 4.0, section 4.4.2.7), decimal.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.fits import data_sum
    >>> data_sum(np.array([[1.0, 2.0]]))
    '2139095040'
    """
    rows = np.atleast_2d(pixels)
    bands = (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
    return str(ones_complement_sum(np.ascontiguousarray(band, dtype=">f4") for band in bands))


def name_of_input(total: int, crc: int, units: Iterable[int]) -> str:
    """Return the text that tells a file's image and header from any others.

    That is the DATASUM of the image as it is stored, the CRC-32 of the header's cards, and the
    numbers of its units where it is not the primary one.
    """
    numbers = ",".join(map(str, units))
    return f"{total} {crc:08x}" if numbers == "0" else f"{total} {crc:08x} {numbers}"


def units_of_input(text: str) -> tuple[int, ...]:
    """Return the numbers of the units that a text of `name_of_input` is about."""
    _, _, numbers = [*text.split(), "0"][:3]
    return tuple(map(int, numbers.split(",")))


def sum_cards(datasum: int) -> list[str]:
    """Return the text of the two cards, CHECKSUM with zeros in the place of its value."""
    quoted = f"'{datasum}'"
    return [
        f"CHECKSUM= '{_ZEROS}'   / checksum of this unit".ljust(80),
        f"DATASUM = {quoted:20} / checksum of its data".ljust(80),
    ]


def with_checksum(header: str, datasum: int) -> str:
    """Put the value of CHECKSUM into the text of a header that has `sum_cards`."""
    words = np.frombuffer(header.encode("ascii"), dtype=np.uint8)
    total = ones_complement_sum([words], datasum)
    return re.sub(f"(?<=CHECKSUM= '){_ZEROS}", _encoded(~total & _WORD), header, count=1)


def _encoded(value: int) -> str:
    """Return 16 letters and digits that add up to a value (appendix J.2 of the standard)."""
    columns = []
    for shift in (24, 16, 8, 0):
        byte = value >> shift & 0xFF
        four = [byte // 4 + 48] * 4
        four[0] += byte % 4
        columns.append(_without_punctuation(four))
    text = "".join(chr(columns[word][place]) for place in range(4) for word in range(4))
    return text[-1] + text[:-1]


def _without_punctuation(four: list[int]) -> list[int]:
    """Return four characters of the same sum, all of them letters or digits."""
    while any(not chr(code).isalnum() for code in four):
        for one, other in ((0, 1), (2, 3)):
            if not (chr(four[one]).isalnum() and chr(four[other]).isalnum()):
                four[one] += 1
                four[other] -= 1
    return four

"""Files as telescopes write them, made card by card."""

import numpy as np
import pytest

BLOCK = 2880


def _card(keyword, value):
    return f"{keyword:8}= {value:>20}"


@pytest.fixture(scope="session")
def fits_bytes():
    """A function that makes the bytes of a FITS file from card texts, without any library."""

    def make(cards=(), pixels=None, *, end=True, pad=b"\0", junk=b""):
        pixels = np.arange(12, dtype=">i2").reshape(3, 4) if pixels is None else pixels
        bitpix = 8 * pixels.dtype.itemsize * (-1 if pixels.dtype.kind == "f" else 1)
        lines = [_card("SIMPLE", "T"), _card("BITPIX", bitpix), _card("NAXIS", pixels.ndim)]
        lines += [_card(f"NAXIS{i}", n) for i, n in enumerate(reversed(pixels.shape), 1)]
        lines += [*cards, *(["END"] if end else [])]
        text = b"".join(
            (line if isinstance(line, bytes) else line.encode("latin-1")).ljust(80)[:80]
            for line in lines
        )
        text = text + junk
        text = text.ljust(-(-len(text) // BLOCK) * BLOCK)
        data = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
        return text + data.ljust(-(-len(data) // BLOCK) * BLOCK, pad)

    return make


@pytest.fixture
def fits_file(tmp_path, fits_bytes):
    """The same in a file: a function that returns its path."""

    def make(*args, name="frame.fits", **kwargs):
        path = tmp_path / name
        path.write_bytes(fits_bytes(*args, **kwargs))
        return path

    return make

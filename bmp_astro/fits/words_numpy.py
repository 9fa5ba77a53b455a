"""What the compiled module does with stored bytes, by numpy."""

import os

import numpy as np


def add_up(stored: np.ndarray) -> int:
    """Return the sum of big-endian words, the carry of which has not been brought around."""
    data = stored.reshape(-1).view(np.uint8)
    whole = data[: data.size // 4 * 4]
    # in native order the sum of the words is that of their bytes in other places
    words = whole.view(">u4").astype(np.uint32)
    rest = data[whole.size :].tobytes().ljust(4, b"\0")
    return int(words.sum(dtype=np.uint64)) + int.from_bytes(rest, "big")


def copy(source: np.ndarray, target: np.ndarray, flip: bool) -> bool:
    """Copy numbers of one size; return whether all are finite."""
    if flip:
        size = source.dtype.itemsize
        given, found = (each.view(f"{each.dtype.byteorder}u{size}") for each in (source, target))
        np.bitwise_xor(given, given.dtype.type(1 << (8 * size - 1)), out=found)
        return True
    np.copyto(target, source)
    # checked in native order: that is several times slower in the other
    return target.dtype.kind != "f" or _is_finite(source if source.dtype.isnative else target)


def _is_finite(numbers: np.ndarray) -> bool:
    """Tell whether all numbers are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.einsum("ij->", numbers)  # finite only if all are, and several times faster
    return bool(np.isfinite(total) or np.isfinite(numbers).all())


def read_pieces(file: int, target: np.ndarray, offset: int, step: int) -> int:
    """Fill rows with what begins so many bytes apart; return how many bytes the file has of it."""
    pieces = memoryview(target.reshape(-1)).cast("B")
    size, done = target[:1].nbytes, 0
    while done < len(pieces):
        number, within = divmod(done, size)
        rest = pieces[done : done - within + size]
        count = os.preadv(file, [rest], offset + number * step + within)
        if count == 0:
            break
        done += count
    return done


def reserve(file: int, offset: int, length: int) -> None:
    """Leave it to the file system to find room for what is written."""

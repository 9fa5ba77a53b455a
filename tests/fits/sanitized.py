"""Drive the module of stored bytes, compiled with sanitizers: ``sanitized.py MODULE``."""

import ctypes
import importlib.util
import itertools
import sys
import tempfile

import numpy as np


def load(path):
    """The module at `path`."""
    spec = importlib.util.spec_from_file_location("_words", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def placed(nbytes, shift):
    """Bytes that begin at any address, with none to spare after them."""
    return np.empty(nbytes + shift, np.uint8)[shift:]


def everything(words):
    """Sum, copy, read and reserve what is short, long, and anywhere in memory."""
    for nbytes, shift in itertools.product([*range(70), 1000, 4099], range(5)):
        stored = placed(nbytes, shift)
        stored[:] = 255
        words.add_up(stored)
        for size, flip in itertools.product((2, 4, 8), (False, True)):
            some = stored[nbytes % size :]
            words.copy(some, placed(some.size, 3), size, True, size > 2, flip)
    with tempfile.TemporaryFile() as stream:
        stream.write(bytes(1000))
        stream.flush()
        for size, offset, step in itertools.product((1, 7, 64), (0, 999, 5000), (64, 200)):
            words.read_pieces(stream.fileno(), placed(size * 20, 1), size, offset, step)
        words.reserve(stream.fileno(), 999, 5000)


def nonsense(words):
    """Calls that are wrong are refused."""
    room = np.zeros(16, np.uint8)
    calls = [
        (words.copy, (room, room[1:], 4, True, True, False)),
        (words.copy, (room[:8], room[4:12], 4, True, True, False)),
        (words.copy, (room[:6], room[8:14], 4, True, True, False)),
        (words.copy, (room[:8], room[8:], 3, True, False, False)),
        (words.copy, (room[:8], room[8:], 2, True, True, False)),
        (words.read_pieces, (0, room, 0, 0, 1)),
        (words.read_pieces, (0, room, 3, 0, 3)),
        (words.read_pieces, (0, room, 4, -1, 4)),
        (words.read_pieces, (0, room, 4, 0, 3)),
        (words.read_pieces, (0, room, 4, sys.maxsize, 4)),
        (words.read_pieces, (0, room, 4, 0, sys.maxsize)),
        (words.reserve, (0, -1, 5)),
        (words.reserve, (0, 5, 0)),
        (words.reserve, (0, 5, 2**63 - 5)),
    ]
    for function, arguments in calls:
        try:
            function(*arguments)
        except ValueError:
            continue
        raise AssertionError(arguments)


if __name__ == "__main__":
    assert hasattr(ctypes.CDLL(None), "__asan_init"), "the sanitizer does not run"
    compiled = load(sys.argv[1])
    everything(compiled)
    nonsense(compiled)
    print("clean")

"""Unpacked bytes in temporary files without a name, where memory is for other things."""

import os
import tempfile
from collections.abc import Callable
from os import PathLike
from typing import IO, Any

import numpy as np


class Spill:
    """Temporary files of one compressed file; they are gone with `close`, or with the process.

    Parameters
    ----------
    path : path-like
        The compressed file, for messages.
    """

    def __init__(self, path: str | PathLike) -> None:
        self._path = path
        self._files: list[IO[bytes]] = []

    def file(self) -> IO[bytes]:
        """Return a new file, open for reading and writing."""
        try:
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise self._error(error) from error
        self._files.append(file)
        return file

    def append(self, file: IO[bytes], data: Any) -> None:
        """Write all of some bytes at the end of a file."""
        left = memoryview(data).cast("B")
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            raise self._error(error) from error

    def image(self, pixels: np.ndarray) -> Callable[[int, int], np.ndarray]:
        """Put an image into a file; what is returned gives rows of it, from any thread."""
        file, nx, dtype = self.file(), pixels.shape[1], pixels.dtype
        self.append(file, np.ascontiguousarray(pixels).reshape(-1))

        def rows(y0: int, y1: int) -> np.ndarray:
            found = np.empty((y1 - y0, nx), dtype)
            read_at(file, memoryview(found.reshape(-1)).cast("B"), y0 * nx * dtype.itemsize)
            return found

        return rows

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files:
            file.close()

    def _error(self, error: OSError) -> OSError:
        """Return an error that says what to do."""
        return OSError(
            f"{self._path} cannot be unpacked into {tempfile.gettempdir()}: {error}; set TMPDIR to "
            "a directory with more room"
        )


def read_at(file: IO[bytes], buffer: memoryview, offset: int) -> int:
    """Fill a buffer from a place in a file, as far as that goes; return the number of bytes."""
    done = 0
    while done < len(buffer):
        count = os.preadv(file.fileno(), [buffer[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done

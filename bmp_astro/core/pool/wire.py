"""Frames on the pipe between a pool and one of its workers: a kind, a length, that many bytes."""

import enum
import socket
import struct

_HEADER = struct.Struct("!BQ")


class Kind(enum.IntEnum):
    """What a frame holds."""

    CONTEXT = 1
    """To the worker: the working directory and the module search path of what follows."""
    INITIALIZE = 2
    """To the worker: a call to make before it is ready, or nothing."""
    TASK = 3
    """To the worker: a call to make."""
    READY = 4
    """From the worker: it has started."""
    VALUE = 5
    """From the worker: what the call returned."""
    ERROR = 6
    """From the worker: what the call raised."""


def framed(kind: Kind, body: bytes = b"") -> bytes:
    """Return a frame as it goes through the pipe."""
    return _HEADER.pack(kind, len(body)) + body


class FrameReader:
    """Read frames from a socket, blocking or not.

    A non-blocking socket that has nothing more raises BlockingIOError from `read`; what has come so
    far is kept for the next call.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._kind: Kind | None = None
        self._expect(_HEADER.size)

    def read(self) -> tuple[Kind, bytearray]:
        """Return the next frame; EOFError when the other side is gone or talks nonsense."""
        while True:
            self._fill()
            if self._kind is not None:
                frame = self._kind, self._buffer
                self._kind = None
                self._expect(_HEADER.size)
                return frame
            number, size = _HEADER.unpack(self._buffer)
            try:
                self._kind = Kind(number)
                self._expect(size)
            except (ValueError, MemoryError, OverflowError) as error:
                raise EOFError(f"not a frame: {error}") from error

    def _expect(self, size: int) -> None:
        self._buffer = bytearray(size)
        self._filled = 0

    def _fill(self) -> None:
        while self._filled < len(self._buffer):
            with memoryview(self._buffer) as view:
                try:
                    count = self._pipe.recv_into(view[self._filled :])
                except ConnectionError as error:
                    raise EOFError(str(error)) from error
            if count == 0:
                raise EOFError("the other side has closed the pipe")
            self._filled += count

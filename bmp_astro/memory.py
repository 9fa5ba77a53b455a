"""Memory of large arrays: what they leave goes to the next ones of their size, or to the system.

New memory is cleared by the operating system, which takes a third as long as to calibrate what goes
into it. So what the frames of a run leave serves those that follow.
"""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np

_SMALLEST = 2**22  # bytes; what is smaller the C library keeps itself
Item = TypeVar("Item")


class _Loan:
    """Owner of an array's memory: alive as long as any array looks at it, and then it is free."""

    def __init__(self, block: np.ndarray, memory: "Memory") -> None:
        self.__array_interface__: dict[str, Any] = block.__array_interface__
        self._block, self._memory = block, memory

    def __del__(self) -> None:
        self._memory.take_back(self._block)


class Memory:
    """Blocks of memory that are free, by their size.

    They may come back at any moment and in any thread, also from within a method: so there is no
    lock, and each change is a single operation of a dictionary or list.

    Examples
    --------
    >>> from bmp_astro.memory import Memory
    >>> memory = Memory()
    >>> with memory.reused():
    ...     first = memory.empty((2048, 1024), "f4")
    ...     place = first.ctypes.data
    ...     del first
    ...     memory.empty((2048, 1024), "f4").ctypes.data == place
    True
    """

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = {}
        self._runs: list[None] = []

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array as `numpy.empty` does, in memory that is free if a run reuses it.

        Where no block of its size is free, all others are let go of before new memory is taken, so
        that it is never more than without them.
        """
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        if not self._runs:
            return _new(size).view(dtype).reshape(shape)
        try:
            block = self._free[size].pop()
        except (KeyError, IndexError):
            self._free.clear()
            block = _new(size)
        return np.asarray(_Loan(block, self)).view(dtype).reshape(shape)

    def take_back(self, block: np.ndarray) -> None:
        """Keep a block that is free, if there is a run that may want it."""
        self._free.setdefault(block.size, []).append(block)
        if not self._runs:
            self._free.clear()

    @contextmanager
    def reused(self) -> Iterator[None]:
        """Reuse memory in this run, in all its threads; the last run to end lets go of it.

        What the C library has kept of earlier work goes back to the system before.
        """
        _give_back()
        self._runs.append(None)
        try:
            yield
        finally:
            self._runs.pop()
            if not self._runs:
                self._free.clear()

    def while_reused(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items of a run that reuses memory."""
        with self.reused():
            yield from items


def _new(size: int) -> np.ndarray:
    """Return bytes that go back to the system when the last array that looks at them is gone.

    What the C library gets back it may keep for smaller things, up to 32 MiB at a time.
    """
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.empty(size, np.uint8)
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # as numpy does for its own; not all systems have them
        block.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(block, np.uint8)


def _give_back() -> None:
    """Have the C library give back what it keeps for later; not all of them can."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


_MEMORY = Memory()
empty = _MEMORY.empty
reused_memory = _MEMORY.reused
while_reused = _MEMORY.while_reused

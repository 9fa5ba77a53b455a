"""What was read from files last: each is read once, whoever wants it and under whatever name."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


class FileCache(Generic[Item, Made]):
    """The items that were read last, by file; threads that want the same one read it once.

    Beside them is what was just made, and has not been asked for. The content of a file is known by
    what a renaming leaves as it is.

    Parameters
    ----------
    size : int
        How many are kept.
    load : callable
        ``load(origin, made)`` gives the item of a file: ``origin`` is its path, and what tells its
        content; ``made`` is what was just written into it, or None if it is to be read.
    """

    def __init__(self, size: int, load: Callable[[tuple, Made | None], Item]) -> None:
        self._size, self._load_item = size, load
        self._lock = threading.Lock()
        # by path and content what was read, by content alone what was made; the oldest come first
        self._kept: OrderedDict[tuple, Future[Item] | Made] = OrderedDict()

    def keep(self, path: str | os.PathLike, made: Made) -> None:
        """Keep what was just written."""
        with self._lock:
            self._put(_content(path), made)

    def get(self, path: str) -> Item:
        """Return the item in a file."""
        path = os.path.abspath(path)
        content = _content(path)
        key = (path, *content)
        with self._lock:
            future = self._kept.get(key)
            mine = future is None
            made = self._kept.pop(content, None) if mine else None
            future = Future() if mine else future
            self._put(key, future)
        if mine:
            self._load(key, future, made)
        return future.result()

    def _put(self, key: tuple, what: Future | Made) -> None:
        """Make something the newest, and let go of the oldest."""
        self._kept[key] = what
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def _load(self, key: tuple, future: Future, made: Made | None) -> None:
        """Read the file for all who wait; a failure is not kept."""
        try:
            future.set_result(self._load_item(key, made))
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            future.set_exception(error)


def _content(path: str | os.PathLike) -> tuple[int, ...]:
    """Return what tells the content of a file, under whatever name."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

"""The log of a night: what was decided, and every note of ours while it was made."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..core.context import TaskLogHandler, current_task

LOG_NAME = "bmp_astro.log"


class _LogFile(logging.FileHandler):
    """A log file that says nothing on the terminal when the disk takes no more of it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a record that cannot be written: what counts of it is in the table as well."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; what is about no single file, such as a misspelled keyword, is shown."""
        super().emit(record)
        if record.name.startswith("bmp_astro") and not record.of_file:
            others = [h for h in logging.getLogger().handlers if not isinstance(h, TaskLogHandler)]
            last = logging.lastResort
            if last is not None and record.levelno >= last.level and not others:
                last.handle(record)


@contextmanager
def night_log(path: str | os.PathLike) -> Iterator[logging.Logger]:
    """Append to a log file: what the returned logger is told, and our loggers' warnings.

    The logger stands alone, so that its details go to the file and nowhere else.
    """
    handler = _LogFile(path, delay=True, encoding="utf-8")
    handler.addFilter(_name_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(about)s%(message)s"))
    ours = logging.getLogger("bmp_astro")
    own = logging.Logger("night", logging.INFO)
    own.addHandler(handler)
    ours.addHandler(handler)
    try:
        yield own
    finally:
        ours.removeHandler(handler)
        with suppress(OSError):  # a full disk: what was not written yet cannot be
            handler.close()


def _name_file(record: logging.LogRecord) -> bool:
    """Note in a record which file it is about, unless its message says so."""
    task = current_task()
    name = getattr(record, "in_name", "") if task is None else task.in_name
    record.of_file = bool(name)
    record.about = f"{name}: " if name and name not in record.getMessage() else ""
    return True

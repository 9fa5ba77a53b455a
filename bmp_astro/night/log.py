"""The log of a night: what was decided, and every note of ours while it was made."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

LOG_NAME = "bmp_astro.log"


@contextmanager
def night_log(path: str | os.PathLike) -> Iterator[logging.Logger]:
    """Append to a log file: what the returned logger is told, and our loggers' warnings.

    The logger stands alone, so that its details go to the file and nowhere else.
    """
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("bmp_astro")
    own = logging.Logger("night", logging.INFO)
    own.addHandler(handler)
    ours.addHandler(handler)
    try:
        yield own
    finally:
        ours.removeHandler(handler)
        handler.close()

"""A progress bar, on a terminal or in a notebook, when it is wanted."""

import sys
from typing import Any


class Progress:
    """Counts inputs on a progress bar, or nowhere.

    Parameters
    ----------
    wanted : bool or None
        `None` shows it when standard error is a terminal.
    total : int or None
        How many inputs there are, where that is known.
    """

    def __init__(self, wanted: bool | None, total: int | None) -> None:
        self._wanted = sys.stderr.isatty() if wanted is None else wanted
        self._total = total
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self._wanted:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self._total, unit="file")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """Count one input."""
        if self._bar is not None:
            self._bar.update()

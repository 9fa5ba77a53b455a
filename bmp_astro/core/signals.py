"""An orderly stop: what Ctrl-C and SIGTERM mean while tasks run."""

import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class OrderlyStop(contextlib.AbstractContextManager["OrderlyStop"]):
    """Count requests to stop instead of being interrupted by them.

    Inside the context the first SIGINT or SIGTERM sets `requested` to 1 (start nothing more), the
    next one sets it to 2 (end everything now). Nothing is raised: the code inside looks at
    `requested`, or is told through `on_stop`.

    Handlers can be installed in the main thread only; elsewhere the context does nothing. A signal
    that was ignored (as in the background of a non-interactive shell) or whose handler does not
    belong to Python is left alone. Leaving the context puts the previous handlers back.

    Parameters
    ----------
    on_stop : callable, optional
        Called as ``on_stop(requested)`` with 1, then 2 at every later signal. It runs inside the
        signal handler, in the main thread, between any two instructions there: it must be quick and
        take no lock that the main thread may hold (``queue.SimpleQueue.put`` is safe).

    Attributes
    ----------
    requested : int
        0, 1 or 2.
    signal_name : str or None
        The name of the last signal, such as ``'SIGTERM'``.
    installed : tuple of signal.Signals
        The signals that are handled inside the context.

    Examples
    --------
    >>> import signal
    >>> with OrderlyStop() as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     print(stop.requested, stop.signal_name)
    1 SIGTERM
    """

    def __init__(self, on_stop: Callable[[int], object] | None = None) -> None:
        self.requested = 0
        self.signal_name: str | None = None
        self._on_stop = on_stop
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def installed(self) -> tuple[signal.Signals, ...]:
        """The signals that are handled inside the context."""
        return tuple(self._previous)

    def __enter__(self) -> Self:
        """Install the handlers, where that is possible."""
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                # None: a handler installed from C, which could not be put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the previous handlers back."""
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = min(self.requested + 1, 2)
        self.signal_name = signal.Signals(number).name
        if self._on_stop is not None:
            self._on_stop(self.requested)

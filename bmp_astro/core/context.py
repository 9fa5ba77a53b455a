"""What is known about the task that runs here: its step, its notes, its names.

A context variable holds one record for each running task, so that the same code serves worker
processes, threads and the parent. Outside a task there is no record and nothing is noted.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TaskRecord:
    """What a task collects while it runs.

    Parameters
    ----------
    in_name : str
        Its input, for log records.
    step : str
        The step or method that was entered last and has not returned.
    status : str
        Set when the task decides it itself: "rejected", "skipped" or "done"; else "".
    message : str
        Why it has that status.
    decided_in : str
        The step that decided it.
    warnings : list of str
        What goes into the row's ``warnings``.
    forward : list or None
        Log records, as dictionaries, for the parent; `None` in the parent itself.
    protected : frozenset of str
        Real paths that this task must not write: the inputs of the run.
    claims : str or None
        The folder in which the tasks of a run claim their output names.
    since : float or None
        When the run began, for a task that is run again: a younger output is its own.
    owner : str
        The run, in the names of its temporaries.
    """

    in_name: str = ""
    step: str = ""
    status: str = ""
    message: str = ""
    decided_in: str = ""
    warnings: list[str] = field(default_factory=list)
    forward: list[dict[str, Any]] | None = None
    protected: frozenset[str] = frozenset()
    claims: str | None = None
    since: float | None = None
    owner: str = ""


_current: ContextVar[TaskRecord | None] = ContextVar("bmp_astro_task", default=None)


def current_task() -> TaskRecord | None:
    """Return the record of the task that runs in this context, or `None` outside a task."""
    return _current.get()


@contextmanager
def recording(record: TaskRecord | None) -> Iterator[TaskRecord | None]:
    """Make ``record`` the current task's for the length of a ``with`` block."""
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


@contextmanager
def in_step(name: str) -> Iterator[None]:
    """Note which step runs; after an error the name stays, to say where it was."""
    record = _current.get()
    if record is None:
        yield
        return
    before, record.step = record.step, name
    yield
    record.step = before


def decide(status: str, message: str = "", step: str | None = None) -> None:
    """Give the current task a status of its own, once: the first decision stands."""
    record = _current.get()
    if record is not None and not record.status:
        record.status, record.message = status, message
        record.decided_in = record.step if step is None else step


class TaskLogHandler(logging.Handler):
    """Puts what a task logs at WARNING and above into that task's row."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note one record; outside a task do what logging does without any handler."""
        task = _current.get()
        if task is not None:
            if record.levelno >= logging.WARNING:
                task.warnings.append(record.getMessage())
            if task.forward is not None:
                task.forward.append({**portable(record), "in_name": task.in_name})
                return
        self._last_resort(record)

    def _last_resort(self, record: logging.LogRecord) -> None:
        """Print as `logging` itself would if this were no handler at all."""
        last = logging.lastResort
        if last is None or record.levelno < last.level:
            return
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        last.handle(record)


def portable(record: logging.LogRecord) -> dict[str, Any]:
    """Return a log record as a dictionary of plain values that can cross to another process."""
    kept = ("name", "levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName")
    values = {key: getattr(record, key) for key in kept}
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return {**values, "msg": text, "args": None, "created": record.created}


def replay(records: list[dict[str, Any]]) -> None:
    """Hand log records from a worker to the loggers of the same names here."""
    for values in records:
        record = logging.makeLogRecord(values)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)


_handler = TaskLogHandler(level=logging.NOTSET)
_users = 0
_users_lock = threading.Lock()


@contextmanager
def capturing_logs() -> Iterator[None]:
    """Have the root logger note what tasks log, for the length of a ``with`` block."""
    global _users
    with _users_lock:
        _users += 1
        if _users == 1:
            logging.getLogger().addHandler(_handler)
    try:
        yield
    finally:
        with _users_lock:
            _users -= 1
            if _users == 0:
                logging.getLogger().removeHandler(_handler)

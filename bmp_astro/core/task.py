"""What runs around a task in any worker, the same in every executor."""

import logging
import os
import pickle
import socket
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from .context import TaskRecord, capturing_logs, recording
from .control import call
from .files import leaves
from .machine.disk import refused_writing
from .machine.resources import peak_memory, reset_peak_memory
from .outcome import Rejected
from .shipping import NotVisible, Shipped, receive

_LARGEST_EXCEPTION = 1_000_000
_LARGE_META = 1_000_000
Home = tuple[str, int]

logger = logging.getLogger(__name__)


class StopNow(BaseException):
    """Ends a task that runs in the parent itself, when the run is to end at once."""


@dataclass(frozen=True)
class Job:
    """What all tasks of a run share.

    Parameters
    ----------
    pipe : object
        Has ``file_process(in_name, **control)``.
    control : dict
        The control stream given to `pipeline`.
    protected : frozenset of str
        Real paths of the inputs, which no output may have.
    claims : str or None
        The folder in which output names are claimed.
    home : (str, int)
        Host and process id of the parent.
    log_level : int
        The parent's level of logging.
    owner : str
        The run, in the names of its temporaries.
    """

    pipe: Any
    control: dict[str, Any]
    protected: frozenset[str] = frozenset()
    claims: str | None = None
    home: Home = ("", 0)
    log_level: int = logging.WARNING
    owner: str = ""


@dataclass
class Report:
    """What a worker tells of a task, in plain values that any executor can carry.

    ``value`` is the pair, pickled where the task ran in another process. ``error`` is the
    pickled exception, where it can be had back. ``unwritable`` is what the system said when there
    was no writing to the disk. ``fatal`` says that no other task can do better, ``unseen`` that the
    worker could not see the control data.
    """

    status: str = ""
    value: Any = None
    step: str = ""
    message: str = ""
    traceback: str = ""
    error: bytes | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    worker: str = ""
    warnings: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    unwritable: str = ""
    fatal: bool = False
    unseen: bool = False


def here() -> Home:
    """Return host and process id."""
    return (socket.gethostname(), os.getpid())


def run_task(job: Job | Shipped, in_name: Any, since: float | None = None) -> Report:
    """Run one task and report on it, whatever happens in it.

    Parameters
    ----------
    job : Job or Shipped
        What all tasks share, as it is (in the parent) or as shipped.
    in_name : any
        The input.
    since : float, optional
        When the run began, for a task that is run again.

    Returns
    -------
    Report
    """
    report = Report(worker="{}:{}".format(*here()))
    started = time.perf_counter()
    try:
        known = receive(job) if isinstance(job, Shipped) else job
    except NotVisible as error:
        report.unseen, report.message = True, str(error)
        return report
    except BaseException as error:
        _blame(report, error)
        report.message = f"the worker cannot load the pipe: {report.message}"
        report.fatal = True
        return report
    away = known.home != here()
    record = TaskRecord(
        in_name=_named(in_name),
        protected=known.protected,
        claims=known.claims,
        since=since,
        owner=known.owner,
        forward=[] if away else None,
    )
    with recording(record), _surroundings(known, record, report, away):
        _attempt(known, in_name, record, report)
        if away:
            _seal(report)
    report.seconds = time.perf_counter() - started
    report.warnings = record.warnings
    report.records = [] if record.forward is None else record.forward
    return report


def _attempt(job: Job, in_name: Any, record: TaskRecord, report: Report) -> None:
    """Process the input; put into the report what came of it."""
    try:
        keywords = job.pipe.kwargs_merge(**job.control)
        outname, meta = call(job.pipe.file_process, in_name, keywords=keywords)
    except StopNow:
        raise
    except Rejected as reason:
        report.status, report.value = "rejected", (None, {})
        report.step, report.message = record.step, str(reason)
        return
    except BaseException as error:
        _blame(report, error)
        report.step = record.step
        report.unwritable = refused_writing(error)
        return
    status = record.status
    if not status:  # a file_process of the user's own
        status = "rejected" if outname is None and len(meta) == 0 else "done"
    report.status, report.message = status, record.message
    report.step = record.decided_in
    report.value = (None if outname is None else os.fspath(outname), meta)


def _named(in_name: Any) -> str:
    """Return what an input is called in log records."""
    first, *others = leaves(in_name) if in_name is not None else [""]
    return f"{first} and {len(others)} more" if others else first


def _blame(report: Report, error: BaseException) -> None:
    """Put an error into a report: always as text, and itself where it survives pickling."""
    report.status, report.value = "failed", (None, {})
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be had)"
    report.message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    try:
        report.traceback = "".join(traceback.format_exception(error))
    except Exception:
        report.traceback = report.message
    try:
        sent = cloudpickle.dumps(error)
        if len(sent) <= _LARGEST_EXCEPTION and isinstance(pickle.loads(sent), BaseException):
            report.error = sent
    except Exception:
        report.error = None


def _seal(report: Report) -> None:
    """Pickle the pair here, so that one that cannot be pickled costs only its own row."""
    meta = report.value[1]
    try:
        report.value = cloudpickle.dumps(report.value)
    except BaseException as error:
        culprits = [key for key in meta if not _can_travel(meta[key])]
        _blame(report, error)
        report.message = f"the metadata {culprits} cannot be pickled: {report.message}"
        report.value = cloudpickle.dumps(report.value)
        return
    if len(report.value) > _LARGE_META:
        _tell_large(meta)


def _tell_large(meta: dict[str, Any]) -> None:
    """Log which metadata are large: they cross between processes and stay in memory."""
    sizes = {key: len(cloudpickle.dumps(value)) for key, value in meta.items()}
    large = {key: size for key, size in sizes.items() if size > _LARGE_META // 10}
    told = ", ".join(f"{key} ({size / 1e6:.1f} MB)" for key, size in large.items())
    logger.warning("its metadata are large: %s; keep such things in a file", told)


def _can_travel(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True


class _Memory:
    """The peak memory of a worker's tasks, above what the worker had before its first one.

    Looking costs about as much as a tiny task: it is done once for each, and the system's mark is
    set back only after a task that raised it.
    """

    _SLACK = 2**20

    def __init__(self) -> None:
        self._counts = True
        self._baseline = 0
        self._highest = 0

    def begin(self) -> None:
        """Be ready for a task."""
        if self._baseline == 0 or self._highest > self._baseline + self._SLACK:
            self._counts = reset_peak_memory()
            if self._baseline == 0:
                self._baseline = peak_memory()

    def peak(self) -> int | None:
        """Return the peak of the task that has ended, where the system tells it."""
        if not self._counts:
            return None
        self._highest = peak_memory()
        return max(self._highest - self._baseline, 0)


_memory = _Memory()


@contextmanager
def _surroundings(job: Job, record: TaskRecord, report: Report, away: bool) -> Iterator[None]:
    """Capture logs and, in a worker process of its own, warnings and peak memory."""
    if not away:
        yield
        return
    with capturing_logs():
        if threading.current_thread() is not threading.main_thread():
            yield  # warnings and memory belong to the whole process
            return
        logging.getLogger().setLevel(job.log_level)
        _memory.begin()
        with warnings.catch_warnings(record=True) as caught:
            yield
        for warning in caught:
            record.warnings.append(f"{warning.category.__name__}: {warning.message}")
        report.peak_memory = _memory.peak()

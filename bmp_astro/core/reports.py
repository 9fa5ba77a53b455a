"""From what a worker reports, or from its loss, to an outcome."""

import logging
import pickle
from concurrent.futures import BrokenExecutor
from typing import Any

from .context import replay
from .outcome import Outcome
from .pool.errors import PoolError, WorkerDied, WorkerStartError
from .task import Report

logger = logging.getLogger(__name__)


def to_outcome(in_name: Any, report: Report) -> Outcome:
    """Return what a report says as the outcome of its input, and replay its log records."""
    replay(report.records)
    value = report.value
    if isinstance(value, bytes):
        value = _unpickled(report)
    outname, meta = (None, {}) if value is None else value
    outcome = Outcome(
        outname,
        meta,
        in_name=in_name,
        status=report.status,
        step=report.step,
        message=report.message,
        traceback=report.traceback,
        seconds=report.seconds,
        peak_memory=report.peak_memory,
        worker=report.worker,
        warnings=report.warnings,
    )
    _log_failure(outcome)
    return outcome


def blamed_on_worker(in_name: Any, error: BaseException) -> Outcome:
    """Return the outcome of a task that was lost with its worker or its executor."""
    text = str(error) if isinstance(error, PoolError) else f"{type(error).__name__}: {error}"
    message = _in_short(error, text)
    outcome = Outcome(in_name=in_name, status="failed", message=message, traceback=text)
    _log_failure(outcome)
    return outcome


def is_broken(error: BaseException) -> bool:
    """Tell whether an error means that the executor takes no more tasks."""
    return isinstance(error, BrokenExecutor | WorkerStartError)


def was_killed(error: BaseException) -> bool:
    """Tell whether a worker was ended by no fault that the task is known to have.

    By SIGKILL, perhaps for want of memory in the machine; or it ran on a dask worker with others,
    all of which dask blames.
    """
    if isinstance(error, WorkerDied):
        return error.signal == "SIGKILL"
    return type(error).__name__ == "KilledWorker"


def _unpickled(report: Report) -> Any:
    """Return the pair that a worker pickled; one that cannot be had here fails its own row."""
    try:
        value = pickle.loads(report.value)
    except Exception as error:
        report.status = "failed"
        report.message = f"the metadata cannot be unpickled here: {type(error).__name__}: {error}"
        return None
    return value


def _in_short(error: BaseException, text: str) -> str:
    """Return the first line of an error; of a worker that cannot start, its own error too."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0].removesuffix("; its standard error ended with:") if lines else ""
    return f"{first}: {lines[-1]}" if isinstance(error, WorkerStartError) and lines[1:] else first


def _log_failure(outcome: Outcome) -> None:
    if outcome.status != "failed":
        return
    where = f" in {outcome.step}" if outcome.step else ""
    about = {"in_name": str(outcome.in_name)}
    logger.error("%s failed%s: %s", outcome.in_name, where, outcome.message, extra=about)
    logger.info("%s", outcome.traceback)

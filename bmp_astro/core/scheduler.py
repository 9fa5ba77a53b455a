"""Which task may start now, which is tried again, and one outcome for each."""

import logging
import pickle
import queue
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError
from dataclasses import dataclass, field
from typing import Any

from .context import replay
from .executors import Engine
from .outcome import Outcome
from .task import Report

logger = logging.getLogger(__name__)

_LARGE_META = 1_000_000


@dataclass(eq=False)
class Task:
    """One input on its way.

    Parameters
    ----------
    index : int
        Its place among the inputs.
    in_name : any
        The input.
    size : float
        Bytes that it is thought to need.
    outcome : Outcome or None
        What is known without running it.
    """

    index: int
    in_name: Any
    size: float = 0.0
    outcome: Outcome | None = None
    alone: bool = False
    attempts: int = 0
    killed: bool = False
    passed_by: int = 0
    generation: int = 0
    error: bytes | None = field(default=None, repr=False)


class Scheduler:
    """Runs tasks on an engine and yields what becomes of them, as it comes.

    Parameters
    ----------
    tasks : iterator of Task
        Drawn from only when there is room.
    engine : Engine
        What the tasks run on.
    submit : callable
        ``submit(task)`` hands a task to the engine and returns a future.
    retries : int
        How often a task that failed is tried again.
    stop_on_failure : bool
        Start nothing more once a task has failed.
    """

    def __init__(
        self,
        tasks: Iterator[Task],
        engine: Engine,
        submit: Callable[[Task], Any],
        *,
        retries: int = 0,
        stop_on_failure: bool = False,
    ) -> None:
        self._tasks = tasks
        self._engine = engine
        self._submit = submit
        self._retries = retries
        self._stop_on_failure = stop_on_failure
        self._waiting: deque[Task] = deque()
        self._running: dict[Any, Task] = {}
        self._known: deque[Task] = deque()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._drawn_out = False
        self.stopping = False

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        """Run everything; yield each task with its outcome."""
        while True:
            self._start_what_may()
            while self._known:
                task = self._known.popleft()
                assert task.outcome is not None
                yield task, task.outcome
            if self._running:
                finished = self._finish(self._events.get())
                if finished is not None:
                    yield finished
            elif self.stopping or (self._drawn_out and not self._waiting):
                break
        for task in self._waiting:
            yield task, Outcome(in_name=task.in_name, status="not_run")

    def _draw(self) -> None:
        """Draw inputs until enough are waiting to choose from."""
        while not self._drawn_out and len(self._waiting) < 2 * self._engine.window:
            task = next(self._tasks, None)
            if task is None:
                self._drawn_out = True
            elif task.outcome is not None:
                self._known.append(task)
                return
            else:
                self._waiting.append(task)

    def _start_what_may(self) -> None:
        """Submit tasks while there is room for one."""
        while not self.stopping and len(self._running) < self._engine.window:
            self._draw()
            task = self._next()
            if task is None:
                return
            self._waiting.remove(task)
            self._start(task)

    def _next(self) -> Task | None:
        """Return the first waiting task that fits, unless a larger one has waited too long."""
        if not self._waiting or any(task.alone for task in self._running.values()):
            return None
        for task in self._waiting:
            if self._fits(task):
                head = self._waiting[0]
                head.passed_by += task is not head
                return task
            if task.alone or task.passed_by >= 2 * self._engine.window:
                return None
        return None

    def _fits(self, task: Task) -> bool:
        """Tell whether a task may run beside those that run; alone, any may."""
        if not self._running:
            return True
        if task.alone:
            return False
        budget = self._engine.budget
        used = sum(other.size for other in self._running.values())
        return budget is None or used + task.size <= budget

    def _start(self, task: Task) -> None:
        """Hand a task to the engine."""
        task.attempts += 1
        task.generation = self._engine.generation
        future = self._submit(task)
        self._running[future] = task
        future.add_done_callback(self._events.put)

    def _finish(self, future: Any) -> tuple[Task, Outcome] | None:
        """Turn a finished future into an outcome, or `None` when its task is tried again."""
        task = self._running.pop(future)
        try:
            report = future.result()
        except CancelledError:
            return task, Outcome(in_name=task.in_name, status="not_run")
        except BaseException as error:
            report = Report(status="failed", message=f"{type(error).__name__}: {error}")
            report.fatal = isinstance(error, BrokenExecutor)
        outcome = to_outcome(task, report)
        if outcome.status == "failed":
            if not report.fatal and task.attempts <= self._retries:
                self._waiting.appendleft(task)
                return None
            self.stopping = self.stopping or self._stop_on_failure or report.fatal
        return task, outcome


def to_outcome(task: Task, report: Report) -> Outcome:
    """Return what a report says as the outcome of its input, and replay its log records."""
    replay(report.records)
    value = report.value
    if isinstance(value, bytes):
        large = len(value) > _LARGE_META
        try:
            value = pickle.loads(value)
        except Exception as error:
            report.status, value = "failed", None
            report.message = f"the metadata cannot be unpickled here: {error}"
        else:
            if large:
                _report_large(task.in_name, value[1])
    outname, meta = (None, {}) if value is None else value
    task.error = report.error
    outcome = Outcome(
        outname,
        meta,
        in_name=task.in_name,
        status=report.status,
        step=report.step,
        message=report.message,
        traceback=report.traceback,
        seconds=report.seconds,
        peak_memory=report.peak_memory,
        worker=report.worker,
        warnings=report.warnings,
    )
    if outcome.status == "failed":
        where = f" in {outcome.step}" if outcome.step else ""
        logger.error("%s failed%s: %s", task.in_name, where, outcome.message)
        logger.info("%s", outcome.traceback)
    return outcome


def _report_large(in_name: Any, meta: dict[str, Any]) -> None:
    """Log which metadata are large: they cross between processes and stay in memory."""
    sizes = {key: len(pickle.dumps(value)) for key, value in meta.items()}
    large = {key: size for key, size in sizes.items() if size > _LARGE_META // 10}
    told = ", ".join(f"{key} ({size / 1e6:.1f} MB)" for key, size in large.items())
    logger.warning("the metadata of %s are large: %s; keep them in a file", in_name, told)

"""Which task may start now, which is tried again, and one outcome for each."""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from .admission import Task, next_to_start
from .executors import Engine
from .outcome import Outcome
from .reports import blamed_on_worker, is_broken, to_outcome, was_killed
from .task import Report

logger = logging.getLogger(__name__)

_BRAKE_INTERVAL = 0.5
_FAILED_STARTS = 3


@dataclass(frozen=True)
class Policy:
    """What the scheduler does when something goes wrong.

    Parameters
    ----------
    retries : int
        How often a task that failed is tried again.
    stop_on_failure : bool
        Start nothing more once a task has failed.
    grace : float
        Seconds that running tasks have to finish after a stop was asked for.
    memory_is_short : callable or None
        Tells whether the machine itself has little memory left just now.
    """

    retries: int = 0
    stop_on_failure: bool = False
    grace: float = 10.0
    memory_is_short: Callable[[], bool] | None = None


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
    policy : Policy
        What to do when something goes wrong.
    resend : callable, optional
        Called when a worker cannot see the control data; makes them travel with each task.
    """

    def __init__(
        self,
        tasks: Iterator[Task],
        engine: Engine,
        submit: Callable[[Task], Any],
        policy: Policy,
        resend: Callable[[], None] | None = None,
    ) -> None:
        self._tasks = tasks
        self._engine = engine
        self._submit = submit
        self._policy = policy
        self._resend = resend
        self._waiting: deque[Task] = deque()
        self._running: dict[Any, Task] = {}
        self._known: deque[Task] = deque()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._drawn_out = False
        self._stopping = False
        self._asked = 0
        self._deadline: float | None = None
        self._braked = False
        self._broke = False
        self._culprits = 0
        self._some_worked = False
        self._unwritable = 0
        self._reason = ""

    @property
    def interrupted(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked > 0

    def request_stop(self, level: int) -> None:
        """Ask for an end: 1 lets running tasks finish, 2 does not. Safe in a signal handler."""
        self._asked = level
        self._events.put(None)

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        """Run everything; yield each task with its outcome."""
        try:
            yield from self._outcomes()
        finally:  # also when nobody wants the rest
            self._take_back()

    def _outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        while True:
            self._obey()
            self._start_what_may()
            while self._known:
                task = self._known.popleft()
                assert task.outcome is not None
                yield task, task.outcome
            if self._running:
                finished = self._wait()
                if finished is not None:
                    yield finished
            elif self._stopping or (self._drawn_out and not self._waiting):
                break
        for task in self._waiting:
            yield task, self.not_run(task)

    def not_run(self, task: Task) -> Outcome:
        """Return the outcome of a task that is not begun any more."""
        return Outcome(in_name=task.in_name, status="not_run", message=self._reason)

    def _obey(self) -> None:
        """Do what `request_stop` asked for."""
        if self._asked == 0:
            return
        if self._deadline is None:
            self._deadline = time.monotonic() + self._policy.grace
            self._stop()
        if self._asked > 1 or time.monotonic() >= self._deadline:
            self._engine.end_now()
            if not self._engine.can_end:
                self._abandon()

    def _stop(self) -> None:
        """Start nothing more, and take back what has not begun."""
        self._stopping = True
        self._take_back()

    def _take_back(self) -> None:
        """Cancel what was submitted but has not begun."""
        if self._engine.cancels:
            for future in list(self._running):
                future.cancel()

    def _abandon(self) -> None:
        """Wait no longer for what runs, where it cannot be ended."""
        running, self._running = self._running, {}
        self._waiting.extend(running.values())
        if self._engine.owned:
            for future in running:
                future.cancel()

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
        self._braked = False
        while not self._stopping and len(self._running) < self._engine.window:
            self._draw()
            task = next_to_start(
                self._waiting, self._running.values(), self._engine.budget, 2 * self._engine.window
            )
            if task is None:
                return
            if self._running and self._short_of_memory():
                self._braked = True
                return
            self._waiting.remove(task)
            self._start(task)

    def _short_of_memory(self) -> bool:
        """Tell whether the machine is so short of memory that what runs should end first."""
        short = self._policy.memory_is_short
        return short is not None and short()

    def _start(self, task: Task) -> None:
        """Hand a task to the engine."""
        task.generation = self._engine.generation
        try:
            future = self._submit(task)
        except Exception as error:
            if not is_broken(error):
                raise
            lost = self._broken(task, error)
            if lost is not None:
                _, task.outcome = lost
                self._known.append(task)
            return
        task.attempts += 1
        self._running[future] = task
        future.add_done_callback(self._events.put)

    def _wait(self) -> tuple[Task, Outcome] | None:
        """Wait for the next event; return an outcome if it was one."""
        patience = _BRAKE_INTERVAL if self._braked else None
        if self._deadline is not None:
            patience = max(self._deadline - time.monotonic(), 0.05)
        try:
            future = self._events.get(timeout=patience)
        except queue.Empty:
            return None
        task = self._running.pop(future, None)
        if task is None:
            return None
        try:
            report = future.result()
        except CancelledError:
            return task, self.not_run(task)
        except BaseException as error:
            return self._lost(task, error)
        return self._reported(task, report)

    def _reported(self, task: Task, report: Report) -> tuple[Task, Outcome] | None:
        """Deal with what a worker reported."""
        self._some_worked = True
        if report.unseen and self._resend is not None:
            self._resend()
            self._waiting.appendleft(task)
            return None
        if self._asked and report.message.startswith("KeyboardInterrupt"):
            return task, _ended(task)
        if self._tries_again(task, report.status, report.fatal):
            return None
        outcome = to_outcome(task.in_name, report)
        task.error = report.error
        if report.fatal:
            self._stop()
        self._note_failure(outcome)
        self._note_disk(report)
        return task, outcome

    def _lost(self, task: Task, error: BaseException) -> tuple[Task, Outcome] | None:
        """Deal with a task that has no report, because of its worker or its executor."""
        if self._asked:
            return task, _ended(task)
        if is_broken(error):
            return self._broken(task, error)
        if was_killed(error) and not task.alone:
            task.alone = True
            self._waiting.appendleft(task)
            return None
        if self._tries_again(task, "failed", False):
            return None
        outcome = blamed_on_worker(task.in_name, error)
        self._note_failure(outcome)
        return task, outcome

    def _broken(self, task: Task, error: BaseException) -> tuple[Task, Outcome] | None:
        """Deal with an executor that broke: make it anew, and find out who did it."""
        culprit = task.alone and task.generation == self._engine.generation and task.attempts > 0
        if self._engine.again and task.generation == self._engine.generation:
            self._engine.rebuild()
        if self._engine.again and not culprit:
            task.alone = True
            self._waiting.appendleft(task)
            return None
        if self._broke:
            return task, _ended(task)
        self._culprits += 1
        never_works = not self._some_worked and self._culprits >= _FAILED_STARTS
        self._broke = never_works or not self._engine.again
        outcome = blamed_on_worker(task.in_name, error)
        if self._broke:
            self._stop()
        self._note_failure(outcome)
        return task, outcome

    def _tries_again(self, task: Task, status: str, fatal: bool) -> bool:
        """Put a failed task back if it has tries left."""
        again = (
            status == "failed"
            and not fatal
            and not self._stopping
            and task.attempts <= self._policy.retries
        )
        if again:
            self._waiting.appendleft(task)
        return again

    def _note_failure(self, outcome: Outcome) -> None:
        """Start nothing more after a failure, where that is the rule."""
        if outcome.status == "failed" and self._policy.stop_on_failure and not self._stopping:
            self._stop()

    def _note_disk(self, report: Report) -> None:
        """Start nothing more when the disk takes nothing more.

        Files that are written at the same time may leave no room for each other: more of them
        must fail, one after the other, than can be under way together.
        """
        if report.unwritable:
            self._unwritable += 1
        elif report.status == "done":
            self._unwritable = 0
        if self._unwritable > self._engine.window + 1 and not self._stopping:
            self._reason = (
                f"not begun, as {self._unwritable} files in a row could not be written "
                f"({report.unwritable}): make room, and run again"
            )
            logger.error("nothing more is started: %s", self._reason)
            self._stop()


def _ended(task: Task) -> Outcome:
    """Return the outcome of a task that was running when the run was stopped."""
    message = "it was ended while it ran, as the run was stopped"
    return Outcome(in_name=task.in_name, status="not_run", message=message)

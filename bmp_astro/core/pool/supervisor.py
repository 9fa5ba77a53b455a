"""The thread that watches a pool's workers: gives them work, and notices how it ends."""

import collections
import contextlib
import functools
import logging
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping

from .errors import (
    PoolError,
    TaskMemoryExceeded,
    TaskTimeout,
    WorkerDied,
    WorkerStartError,
)
from .process import Work, WorkerProcess
from .settle import again, fail, settle
from .wire import Kind

logger = logging.getLogger(__name__)

_FAILED_STARTS = 3
_RETRY_INTERVAL = 0.1
_LIVENESS_INTERVAL = 0.5
_MEMORY_INTERVAL = 0.05
_DUMP_TIME = 0.3
_LEAVE_TIME = 5.0


class Supervisor:
    """The state of a pool, and the thread that alone changes it.

    Other threads append to `pending`, set flags, and call `wake`; nothing of that takes a lock, so
    that a signal handler may do it.

    Parameters
    ----------
    max_workers : int
        How many worker processes there may be.
    environment : mapping
        Their environment variables.
    context, initializer : bytes
        What each of them is sent first.
    start_timeout : float
        How long the start of one may take, in seconds.
    """

    def __init__(
        self,
        max_workers: int,
        environment: Mapping[str, str],
        context: bytes,
        initializer: bytes,
        start_timeout: float,
    ) -> None:
        self.pid = os.getpid()
        self.pending: collections.deque[Work] = collections.deque()
        self.closing = False
        self.killing = False
        self.cancelling = False
        self.at_least = 0
        self.broken: PoolError | None = None
        self.lock = threading.Lock()
        self.started = False
        self.finished = False
        self._max_workers = max_workers
        self._new_worker = functools.partial(
            WorkerProcess, environment, context, initializer, start_timeout
        )
        self._failed_starts = 0
        self._next_look = 0.0
        self._workers: list[WorkerProcess] = []
        self._thread = threading.Thread(target=self._run, name="bmp_astro pool", daemon=True)

    def start(self) -> None:
        """Start the thread, and open what it needs: a pool that is never used has nothing open."""
        self._selector = selectors.DefaultSelector()
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._awake, selectors.EVENT_READ, self._clear_wakes)
        self.started = True
        try:
            self._thread.start()
        except BaseException:
            self.started = False
            raise

    def wake(self) -> None:
        """Let the thread look at what has been asked."""
        # Full: it will wake anyway. Closed: it has finished.
        with contextlib.suppress(OSError):
            if self.started:
                self._waker.send(b"\0")

    def kill(self) -> None:
        """Ask the thread to end everything at once."""
        self.killing = True
        self.wake()

    def join(self) -> None:
        """Wait until everything has ended."""
        if self.started and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def _run(self) -> None:
        try:
            while not self._is_over():
                for key, events in self._selector.select(self._patience()):
                    key.data(events)
                self._obey()
                self._check()
                self._dispatch()
        except BaseException as error:
            logger.exception("the pool's supervisor failed")
            self.broken = PoolError(f"the pool's supervisor failed: {error!r}")
        finally:
            self._wind_up()

    def _is_over(self) -> bool:
        return (self.closing or self.killing) and not self.pending and not self._workers

    def _wind_up(self) -> None:
        """End what is left, and let no future wait for ever."""
        with self.lock:
            self.finished = True
        try:
            self._kill_workers()
        finally:
            for worker in self._workers:
                if worker.work is not None:
                    fail(worker.work.future, PoolError("the pool's supervisor failed"))
            self._drop_pending()
        self._selector.close()
        self._awake.close()
        self._waker.close()

    def _clear_wakes(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._awake.recv(4096):
                pass

    def _patience(self) -> float | None:
        """Return how long there is nothing to do but to wait for what the workers say."""
        times = [worker.deadline for worker in self._workers if worker.deadline is not None]
        if any(worker.work is not None for worker in self._workers):
            times.append(self._next_look)
        if times:
            return max(min(times) - time.monotonic(), 0)
        return _RETRY_INTERVAL if self.pending else None

    def _obey(self) -> None:
        """Do what other threads have asked."""
        if self.killing:
            self._kill_workers()
        if self.killing or self.cancelling or self.broken is not None:
            self.cancelling = False
            self._drop_pending()
        if self.closing and not self.pending:
            for worker in self._workers:
                if worker.work is None and not worker.leaving:
                    worker.leave()
                    worker.deadline = time.monotonic() + _LEAVE_TIME

    def _kill_workers(self) -> None:
        for worker in self._workers:
            worker.end()
        for worker in list(self._workers):
            self._bury(worker)

    def _drop_pending(self) -> None:
        """Cancel what has not started; fail it if the pool is broken."""
        while self.pending:
            work = self.pending.popleft()
            if self.broken is None:
                work.future.cancel()
                work.future.set_running_or_notify_cancel()
            elif work.future.set_running_or_notify_cancel():
                work.future.set_exception(again(self.broken))

    def _check(self) -> None:
        """End workers that are over a limit, and notice those that died unheard."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.deadline is not None and now >= worker.deadline:
                self._overdue(worker)
        if now < self._next_look:
            return
        limited = [worker for worker in self._workers if worker.memory_limit is not None]
        self._next_look = now + (_MEMORY_INTERVAL if limited else _LIVENESS_INTERVAL)
        for worker in limited:
            self._check_memory(worker)
        for worker in list(self._workers):
            if not worker.alive:
                self._on_pipe(worker)
                if worker in self._workers:
                    self._bury(worker)

    def _check_memory(self, worker: WorkerProcess) -> None:
        used, limit = worker.used_memory(), worker.memory_limit
        if limit is not None and used > limit and worker.verdict is None:
            worker.verdict = TaskMemoryExceeded(limit, used)
            worker.end()

    def _overdue(self, worker: WorkerProcess) -> None:
        """End a worker; one that is over its task's time says first where it is."""
        if not worker.ready:
            worker.verdict = WorkerStartError("it was not ready in time")
        elif worker.time_limit is not None and worker.verdict is None:
            worker.verdict = TaskTimeout(worker.time_limit)
            worker.dump()
            worker.deadline = time.monotonic() + _DUMP_TIME
            return
        worker.end()
        worker.deadline = None

    def _dispatch(self) -> None:
        """Give work to idle workers, and start workers where there are too few."""
        for worker in self._workers:
            if worker.idle and self.pending:
                self._give_work(worker)
        alive = [worker for worker in self._workers if not worker.leaving]
        starting = sum(not worker.ready for worker in alive)
        missing = max(len(self.pending) - starting, self.at_least - len(alive))
        if (self.closing and not self.pending) or self.killing or self.broken is not None:
            return
        for _ in range(min(missing, self._max_workers - len(alive))):
            self._start_worker()

    def _give_work(self, worker: WorkerProcess) -> None:
        while self.pending:
            work = self.pending.popleft()
            if work.future.set_running_or_notify_cancel():
                worker.begin(work)
                self._watch_pipe(worker)
                if work.max_memory is not None:
                    soon = time.monotonic() + _MEMORY_INTERVAL
                    self._next_look = min(self._next_look, soon)
                return

    def _start_worker(self) -> None:
        try:
            worker = self._new_worker()
        except OSError as error:
            self._start_failed(WorkerStartError(str(error)))
            return
        self._workers.append(worker)
        self._selector.register(
            worker.errors, selectors.EVENT_READ, lambda events: self._on_errors(worker)
        )
        self._selector.register(worker.pipe, selectors.EVENT_READ, self._pipe_callback(worker))
        self._watch_pipe(worker)

    def _pipe_callback(self, worker: WorkerProcess) -> Callable[[int], None]:
        def on_event(events: int) -> None:
            if worker not in self._workers:
                return
            if events & selectors.EVENT_WRITE:
                worker.send_more()
                self._watch_pipe(worker)
            if events & selectors.EVENT_READ:
                self._on_pipe(worker)

        return on_event

    def _watch_pipe(self, worker: WorkerProcess) -> None:
        """Select for writing only while there is something to write."""
        key = self._selector.get_key(worker.pipe)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        if events != key.events:
            self._selector.modify(worker.pipe, events, key.data)

    def _on_errors(self, worker: WorkerProcess) -> None:
        """Pass on what a worker wrote to its standard error."""
        if worker not in self._workers:
            return
        written = worker.read_errors()
        if written:
            _show(written)
        else:
            self._selector.unregister(worker.errors)

    def _on_pipe(self, worker: WorkerProcess) -> None:
        """Take what a worker says, to the last word of one that has died."""
        try:
            while True:
                self._take(worker, *worker.read())
        except BlockingIOError:
            pass
        except EOFError:
            self._bury(worker)

    def _take(self, worker: WorkerProcess, kind: Kind, body: bytearray) -> None:
        if kind is Kind.READY:
            worker.started()
            self._failed_starts = 0
        elif worker.verdict is None:
            work = worker.finish()
            if work is not None:
                settle(work.future, kind, body)
                if work.max_memory is not None and worker.kept_memory() > work.max_memory:
                    # What earlier tasks left behind must not be held against the next one.
                    worker.leave()
                    worker.deadline = time.monotonic() + _LEAVE_TIME

    def _bury(self, worker: WorkerProcess) -> None:
        """Remove a worker that has ended or is ending, and tell whoever waits for it."""
        self._workers.remove(worker)
        for file in (worker.pipe, worker.errors):
            with contextlib.suppress(KeyError):  # its end has been seen before
                self._selector.unregister(file)
        died, written = worker.bury()
        _show(written)
        work = worker.finish()
        if work is not None:
            fail(work.future, _verdict(worker.verdict, died))
        elif not worker.ready and not (worker.leaving or self.killing):
            reason = str(WorkerDied(died.signal, died.exit_code))
            if worker.verdict is not None:
                reason = "it was not ready in time"
            self._start_failed(WorkerStartError(reason, died.stderr))

    def _start_failed(self, error: WorkerStartError) -> None:
        """Try again a few times, then do with the workers that there are, if there are any."""
        self._failed_starts += 1
        if self._failed_starts < _FAILED_STARTS:
            return
        if self._workers:
            logger.info("the pool goes on with %d workers: %s", len(self._workers), error)
            self._max_workers = len(self._workers)
        else:
            self.broken = error


def _verdict(verdict: PoolError | None, died: WorkerDied) -> PoolError:
    """Return why a task was ended: our reason, if we ended it."""
    if isinstance(verdict, TaskTimeout):
        return TaskTimeout(verdict.limit, died.stderr)
    return died if verdict is None else verdict


def _show(written: bytes) -> None:
    """Write what a worker wrote to its standard error to ours."""
    # There may be none, or it may be closed: that is no reason to stop.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        if written:
            sys.stderr.write(written.decode(errors="replace"))
            sys.stderr.flush()

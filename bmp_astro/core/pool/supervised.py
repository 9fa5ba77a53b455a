"""Worker processes that can die alone, as an executor: `SupervisedPool`.

A `SupervisedPool` starts the interpreter anew for each worker and talks to it through a pipe of its
own, so that it always knows which task a worker was doing when it ended. It needs pipes that a
process can inherit and signals, so it works on Linux and macOS and not on Windows.
"""

import atexit
import functools
import os
import pickle
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from ..machine.resources import available_cores, check_number
from ..machine.threads import thread_limits
from .process import Work, search_path
from .sending import packed
from .settle import again
from .supervisor import Supervisor

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SupervisedPool(Executor):
    """An executor whose worker processes can die without costing more than their own task.

    - A worker that dies (signal, ``os._exit``) fails the future of its task with `WorkerDied`; one
      that takes too long with `TaskTimeout`, too much memory with `TaskMemoryExceeded`. Another
      takes its place, and every other task goes on. Processes that a task started end with their
      worker, as long as they stayed in its process group.
    - A function and its arguments are sent by cloudpickle: lambdas and functions of scripts and
      notebooks work, and no ``__main__`` guard is needed. What cannot be sent is a TypeError of
      `submit`. Relative file names mean the same as in the caller at the time of `submit`.
    - An exception of a task arrives as itself when it survives pickling, else as `RemoteError`;
      so do SystemExit and KeyboardInterrupt, which would stop the caller's program.
    - Workers take no notice of SIGINT and SIGTERM; they leave when this process is gone, however
      it went. They are not daemonic: a task may start processes and pools.
    - Callbacks of futures run in the supervising thread, and hold it up.
    - At the end of the interpreter a pool that is still open is ended as by `kill`.

    Parameters
    ----------
    max_workers : int, optional
        How many workers; as many as there are cores if None. They start when there is work for
        them, or by `start`.
    timeout : float, optional
        Longest time of a task, in seconds.
    max_memory : float, optional
        Most memory of a task, in bytes above what its worker had before; looked at 20 times a
        second. Pages of files (memory maps) are not counted on Linux, processes that the task
        started nowhere.
    threads_per_worker : int, optional
        How many threads the libraries (BLAS, OpenMP, numba) in a worker use. None: the cores shared
        among the workers, and no more than the environment variables of this process say.
    initializer : callable, optional
        Called in each worker when it starts; one that raises is a worker that cannot start.
    initargs : tuple, optional
        The arguments of `initializer`.
    start_timeout : float, optional
        How long the start of a worker may take, in seconds.

    Raises
    ------
    ValueError, TypeError
        When a limit is not a number above 0.
    NotImplementedError
        On Windows.

    Examples
    --------
    >>> with SupervisedPool(1) as pool:
    ...     pool.submit(lambda x: x + 1, 41).result()
    42
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        timeout: float | None = None,
        max_memory: float | None = None,
        threads_per_worker: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        start_timeout: float = 120.0,
    ) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(
                "SupervisedPool needs inherited pipes and signals, which Windows does not have: "
                "use executor='thread', or a concurrent.futures.ProcessPoolExecutor"
            )
        for name, value in (
            ("max_workers", max_workers),
            ("timeout", timeout),
            ("max_memory", max_memory),
            ("threads_per_worker", threads_per_worker),
            ("start_timeout", start_timeout),
        ):
            if value is not None:
                check_number(name, value)
        if max_workers is None:
            max_workers = available_cores()
        self.max_workers = max_workers
        self.timeout = timeout
        self.max_memory = max_memory
        initial = b"" if initializer is None else packed(initializer, initargs, {})
        environment = {**os.environ, **thread_limits(max_workers, threads_per_worker)}
        self._supervisor = Supervisor(max_workers, environment, _context(), initial, start_timeout)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Ask for a call, with the pool's own limits.

        Parameters
        ----------
        fn : callable
            What to call.
        *args, **kwargs
            Its arguments.

        Returns
        -------
        future : concurrent.futures.Future
            Its result to be.

        Raises
        ------
        TypeError
            When the function or an argument cannot be sent.
        RuntimeError
            After `shutdown` or `kill`.
        WorkerStartError
            When no worker could be started for earlier calls.
        """
        return self._submit(packed(fn, args, kwargs), self.timeout, self.max_memory)

    def submit_limited(
        self,
        fn: Callable[..., _T],
        /,
        *args: Any,
        timeout: float | None,
        max_memory: float | None,
    ) -> Future[_T]:
        """Ask for a call, with limits of its own in place of the pool's.

        Parameters
        ----------
        fn : callable
            What to call.
        *args
            Its arguments.
        timeout : float or None
            Its longest time, in seconds, from when a worker gets it; None for no limit.
        max_memory : float or None
            Its most memory, in bytes; None for no limit.

        Returns
        -------
        future : concurrent.futures.Future
            Its result to be.

        Raises
        ------
        TypeError, RuntimeError, WorkerStartError
            As `submit`.
        """
        return self._submit(packed(fn, args, {}), timeout, max_memory)

    def start(self) -> None:
        """Start all workers now, without waiting for them, and keep their number from then on."""
        self._supervisor.at_least = self.max_workers
        with self._supervisor.lock:
            self._check_open()
            self._run()
        self._supervisor.wake()

    @property
    def pids(self) -> list[int]:
        """The process ids of the present workers."""
        return self._supervisor.pids

    def cancel_pending(self) -> None:
        """Cancel every call that no worker has got yet.

        It returns at once, and may be called by a signal handler. A call submitted right after it
        may be cancelled too.
        """
        self._supervisor.cancelling = True
        self._supervisor.wake()

    def kill(self, wait: bool = True) -> None:
        """End everything at once: cancel what waits, and fail what runs with `WorkerDied`.

        Parameters
        ----------
        wait : bool, optional
            Whether to return only when the workers are gone. A signal handler must give False.
        """
        self._supervisor.kill()
        if wait:
            self._supervisor.join()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and let the workers leave when they have done what there is.

        Parameters
        ----------
        wait : bool, optional
            Whether to return only when the workers are gone.
        cancel_futures : bool, optional
            Whether to cancel the calls that no worker has got yet.
        """
        if os.getpid() != self._supervisor.pid:
            return
        with self._supervisor.lock:
            self._supervisor.closing = True
        if cancel_futures:
            self._supervisor.cancelling = True
        self._supervisor.wake()
        if wait:
            self._supervisor.join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut down; when the program is being interrupted, without what has not begun."""
        interrupted = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=True, cancel_futures=interrupted)

    def _submit(self, body: bytes, timeout: float | None, max_memory: float | None) -> Future[Any]:
        work = Work(Future(), body, _context(), timeout, max_memory)
        with self._supervisor.lock:
            self._check_open()
            self._supervisor.pending.append(work)
            self._run()
        self._supervisor.wake()
        return work.future

    def _check_open(self) -> None:
        supervisor = self._supervisor
        if os.getpid() != self._supervisor.pid:
            raise RuntimeError("a pool cannot be used in a process forked from the one it is of")
        if supervisor.broken is not None:
            raise again(supervisor.broken)
        if supervisor.closing or supervisor.killing or supervisor.finished:
            raise RuntimeError("cannot submit: the pool is shut down")

    def _run(self) -> None:
        """Start the supervising thread, the first time."""
        if not self._supervisor.started:
            self._supervisor.start()
            # The thread knows nothing of the pool: one that nobody refers to any more closes.
            weakref.finalize(self, _close, self._supervisor).atexit = False
            _open_supervisors.add(self._supervisor)


_open_supervisors: weakref.WeakSet[Supervisor] = weakref.WeakSet()


@atexit.register
def _kill_all() -> None:
    """End the pools that are still open when the interpreter ends."""
    own = [each for each in _open_supervisors if each.pid == os.getpid()]
    for supervisor in own:
        supervisor.kill()
    for supervisor in own:
        supervisor.join()


def _close(supervisor: Supervisor) -> None:
    if supervisor.pid == os.getpid():
        supervisor.closing = True
        supervisor.wake()


def _context() -> bytes:
    """Return the working directory and search path of a call made now, as a worker takes them."""
    try:
        folder = os.getcwd()
    except OSError:
        folder = None
    return _context_of(folder, tuple(sys.path))


@functools.lru_cache(maxsize=8)
def _context_of(folder: str | None, path: tuple[str, ...]) -> bytes:
    return pickle.dumps((folder, search_path()))

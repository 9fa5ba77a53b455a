"""A name, an object or a function -> something that tasks are submitted to."""

import importlib
import inspect
import math
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from .control import is_thread_safe
from .localexecutors import PoolExecutor, SerialExecutor, ThreadExecutor
from .machine.resources import WORKER_SIZE, available_cores, available_memory, num_can_process
from .pool.supervised import SupervisedPool
from .settings import DASK, EXECUTORS, Settings

_FOREIGN_WINDOW = 4


class Engine:
    """An executor, and what the scheduler has to know of it.

    Parameters
    ----------
    make : callable
        Makes the executor.
    window : int
        Tasks that may be submitted at a time.
    budget : float or None
        Bytes for all tasks together; `None` sets no limit.
    in_process : bool
        Tasks run in this process and get their arguments as they are.
    owned : bool
        The executor is shut down at the end of the run.
    cancels : bool
        Cancelling a future takes back what has not begun, and that alone.
    again : bool
        One that breaks can be made anew.
    reruns : bool
        It may run a task again by itself, as clusters do when a worker is lost.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        window: int,
        *,
        budget: float | None = None,
        in_process: bool = False,
        owned: bool = True,
        cancels: bool = True,
        again: bool = False,
        reruns: bool = False,
    ) -> None:
        self._make = make
        self.window = window
        self.budget = budget
        self.in_process = in_process
        self.owned = owned
        self.cancels = cancels and owned
        self.again = again
        self.reruns = reruns
        self.generation = 0
        self.ended = False
        self.executor = make()

    @property
    def can_end(self) -> bool:
        """Whether running tasks can be ended, so that their futures tell of it."""
        return isinstance(self.executor, SupervisedPool)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Submit a call, by position."""
        return self.executor.submit(function, *args)

    def rebuild(self) -> None:
        """Make the executor anew after it broke."""
        with suppress(Exception):
            self.executor.shutdown(wait=False)
        self.executor = self._make()
        self.generation += 1

    def end_now(self) -> None:
        """End what runs, where that can be done, and wait for nothing when closing."""
        if not self.ended and self.owned:
            if hasattr(self.executor, "kill"):
                self.executor.kill(wait=False)
            else:
                _kill_processes(self.executor)
        self.ended = True

    def close(self) -> None:
        """Shut the executor down, if it is ours to do so."""
        if self.owned:
            # Workers that were killed are gone soon; threads may never be.
            wait = self.can_end or not self.ended
            self.executor.shutdown(wait=wait)


def _kill_processes(executor: Any) -> None:
    """End the workers of a pool like the standard library's, which would keep the program alive."""
    processes = getattr(executor, "_processes", None)
    if isinstance(processes, dict):
        for process in list(processes.values()):
            process.kill()


def choose_engine(
    settings: Settings,
    functions: Iterable[Callable[..., Any]],
    n_tasks: int | None,
    worker_size: float = 0.0,
) -> Engine:
    """Return the engine for a run.

    Parameters
    ----------
    settings : Settings
        The settings of the run.
    functions : iterable of callable
        The steps and overridden methods, which decide what "auto" is.
    n_tasks : int or None
        How many inputs there are, where that is known.
    worker_size : float
        Bytes that stay in each worker process, or once in all threads.

    Returns
    -------
    Engine

    Raises
    ------
    ValueError
        For a limit that this executor cannot keep.
    TypeError
        For an object that is no executor.
    """
    kind = settings.executor
    if settings.PoolClass is not None:
        return _pool_engine(settings, n_tasks)
    if isinstance(kind, str):
        return _named_engine(kind, settings, functions, n_tasks, worker_size)
    _refuse_limits(settings, "an executor of your own")
    budget = None if settings.mem_available is None else float(settings.mem_available)
    window = _wanted(settings, _FOREIGN_WINDOW * available_cores())
    if hasattr(kind, "submit") and not inspect.isclass(kind):
        return Engine(lambda: kind, window, budget=budget, owned=False, reruns=True)
    if callable(kind):
        return Engine(kind, window, budget=budget, again=True)
    raise TypeError(
        f"executor is {kind!r}: expected one of {', '.join(EXECUTORS)}, a "
        "concurrent.futures.Executor or a function that makes one"
    )


def _named_engine(
    kind: str,
    settings: Settings,
    functions: Iterable[Callable[..., Any]],
    n_tasks: int | None,
    worker_size: float,
) -> Engine:
    """Return one of the engines that have names."""
    limited = settings.timeout is not None or settings.max_memory is not None
    if kind.startswith(DASK):
        _refuse_limits(settings, "dask")
        return _dask_engine(kind.removeprefix(DASK), settings)
    if kind == "auto":
        safe = not limited and all(is_thread_safe(function) for function in functions)
        kind = "thread" if safe else "process"
    if kind == "serial" or (settings.num_processes == 1 and not limited):
        _refuse_limits(settings, "the serial executor")
        return Engine(SerialExecutor, 1, in_process=True)
    workers = _workers(settings, n_tasks)
    budget = _budget(settings)
    if kind == "thread":
        _refuse_limits(settings, "the thread executor")
        return Engine(
            lambda: ThreadExecutor(workers),
            workers,
            budget=None if budget is None else max(budget - worker_size, 1),
            in_process=True,
        )
    if budget is not None:
        each = WORKER_SIZE + worker_size
        workers = max(min(workers, int(budget / 2 // each)), 1)
        budget = max(budget - workers * each, 1)
    window = workers if budget is not None else 2 * workers
    return Engine(lambda: _process_pool(workers, settings), window, budget=budget)


def _process_pool(workers: int, settings: Settings) -> Executor:
    """Return worker processes of our own, which start at once."""
    pool = SupervisedPool(workers, timeout=settings.timeout, max_memory=settings.max_memory)
    pool.start()
    return pool


def _pool_engine(settings: Settings, n_tasks: int | None) -> Engine:
    """Return an engine on a `multiprocessing.pool.Pool` class."""
    _refuse_limits(settings, "a PoolClass")
    if settings.num_processes == 1:
        return Engine(SerialExecutor, 1, in_process=True)
    workers = _workers(settings, n_tasks)
    return Engine(
        lambda: PoolExecutor(settings.PoolClass(processes=workers)),
        workers,
        budget=_budget(settings),
    )


def _dask_engine(address: str, settings: Settings) -> Engine:
    """Return an engine on a dask cluster."""
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError(
            "executor='dask:...' needs the package distributed: pip install bmp_astro[dask]"
        ) from error
    try:
        client = distributed.Client(address)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no dask scheduler answers at {address!r}: {error}; give the address that it printed "
            "when it started, such as dask:tcp://host:8786"
        ) from error
    threads = sum(client.nthreads().values())
    budget = None if settings.mem_available is None else float(settings.mem_available)
    return Engine(
        lambda: _DaskExecutor(client),
        _wanted(settings, 2 * max(threads, 1)),
        budget=budget,
        cancels=False,  # dask does not tell what has begun, and would drop that too
        reruns=True,
    )


class _DaskExecutor(Executor):
    """A dask client's executor that closes its client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False, retries=0)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand the call to the cluster."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which goes on."""
        self._executor.shutdown(wait=wait)
        self._client.close()


def _refuse_limits(settings: Settings, kind: str) -> None:
    """Raise ValueError when a limit was asked for that needs worker processes of ours."""
    for name in ("timeout", "max_memory"):
        if getattr(settings, name) is not None:
            raise ValueError(f"{kind} cannot keep {name}=: use executor='process'")


def _workers(settings: Settings, n_tasks: int | None) -> int:
    """Return how many tasks may run at a time on this machine."""
    size = settings.process_size
    numeric = None if size is None or callable(size) else float(size)
    return num_can_process(
        n_tasks if n_tasks is None else max(n_tasks, 1),
        settings.num_processes if settings.num_processes else None,
        settings.mem_available,
        settings.mem_frac,
        numeric if numeric else None,
    )


def _wanted(settings: Settings, otherwise: int) -> int:
    """Return ``num_processes`` as a whole number, or what holds when it was not given."""
    wanted = settings.num_processes
    if not wanted:
        return otherwise
    return max(1, math.floor(wanted)) if wanted >= 1 else max(1, round(wanted * otherwise))


def _budget(settings: Settings) -> float | None:
    """Return the bytes for all tasks together, when their sizes are known."""
    if settings.process_size is None:
        return None
    return float(available_memory(mem_frac=settings.mem_frac, mem_available=settings.mem_available))

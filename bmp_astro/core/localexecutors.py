"""Small executors: one after the other, in threads, on a pool of the standard library."""

import multiprocessing.context
import multiprocessing.pool
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any


class SerialExecutor(Executor):
    """Runs each call when it is submitted, where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` now and return a future that is done."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with _same_folder():
            _settle(future, fn, args, kwargs)
        return future


class ThreadExecutor(Executor):
    """Runs calls in threads that do not hold up the end of the program.

    The threads of `concurrent.futures.ThreadPoolExecutor` are waited for when the interpreter
    ends, so that a task that never returns would keep the program for ever.

    Parameters
    ----------
    max_workers : int
        How many threads.
    """

    def __init__(self, max_workers: int) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"bmp_astro-{number}", daemon=True)
            for number in range(max_workers)
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            future, fn, args, kwargs = call
            if future.set_running_or_notify_cancel():
                _settle(future, fn, args, kwargs)
            del call, future, fn, args, kwargs

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand the call to the next free thread."""
        future: Future[Any] = Future()
        self._calls.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they have done what was submitted."""
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()


class PoolExecutor(Executor):
    """A `multiprocessing.pool.Pool` seen as an executor.

    Parameters
    ----------
    pool : multiprocessing.pool.Pool
        An open pool. A worker that dies leaves its task without an end, as such pools do.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand the call to the pool."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._pool.apply_async(
            fn, args, kwargs, callback=future.set_result, error_callback=future.set_exception
        )
        return future

    def kill(self, wait: bool = True) -> None:
        """End the pool's workers at once."""
        self._pool.terminate()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the pool's workers."""
        self._pool.terminate()
        self._pool.join()


class _NoDaemonProcess(multiprocessing.context.SpawnProcess):
    """A process that stays non-daemonic, whatever its pool wants."""

    @property
    def daemon(self) -> bool:
        """Always False: a daemonic process may not have children."""
        return False

    @daemon.setter
    def daemon(self, daemonic: bool) -> None:
        pass


class _NoDaemonContext(multiprocessing.context.SpawnContext):
    Process = _NoDaemonProcess


class NoDaemonPool(multiprocessing.pool.Pool):
    """`multiprocessing.pool.Pool` whose workers may start processes of their own.

    It is given as ``PoolClass``. Its workers are spawned, so that a script needs the usual
    ``if __name__ == "__main__":`` guard; and like every pool of this kind it makes no promise about
    workers that die. `SupervisedPool` needs neither.

    Parameters
    ----------
    processes, initializer, initargs, maxtasksperchild : optional
        As in `multiprocessing.pool.Pool`.
    context : optional
        Replaces the context that makes the non-daemonic processes.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        if context is None:
            context = _NoDaemonContext()
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)


@contextmanager
def _same_folder() -> Iterator[None]:
    """Return to the present directory, wherever a call goes: relative names keep their meaning."""
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        yield
        return
    yield
    with suppress(OSError):
        os.chdir(folder)


def _settle(
    future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Make a call and put what came of it into its future."""
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)

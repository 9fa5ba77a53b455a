"""A pool of the standard library whose workers may start processes of their own."""

import multiprocessing.context
import multiprocessing.pool
from typing import Any


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

"""How many threads the numerical libraries use beside several workers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .resources import available_cores

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Environment variables from which libraries take their number of threads when they are loaded."""


def thread_limits(workers: int, threads: int | None = None) -> dict[str, str]:
    """Return the environment variables with which workers and their threads fill the cores.

    They must be set before a worker loads numpy: that is, when its process is made.

    Parameters
    ----------
    workers : int
        How many worker processes there are.
    threads : int, optional
        How many threads each may use. None: the cores shared among the workers, at least 1, and no
        more than any of these variables says in this process.

    Returns
    -------
    variables : dict of str
        The value of each of `THREAD_VARIABLES`.

    Examples
    --------
    >>> thread_limits(4, threads=2)["OMP_NUM_THREADS"]
    '2'
    """
    if threads is None:
        given = [os.environ.get(name, "") for name in THREAD_VARIABLES]
        limits = [int(text) for text in given if text.isdigit() and int(text) > 0]
        threads = min([max(available_cores() // workers, 1), *limits])
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


@contextmanager
def limited_here(threads: int) -> Iterator[None]:
    """Have each of the libraries of this process use so many threads."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(threads):
        yield


def limited_call(threads: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a thread beside which others run, and return what it returns.

    To `limited_here`, which counts for the process, this adds the libraries that count threads for
    each thread that calls them, as OpenMP has it.

    Parameters
    ----------
    threads : int
        How many threads each library may use in this call.
    function : callable
        Called with ``*args``.
    """
    import threadpoolctl

    with threadpoolctl.threadpool_limits(threads, user_api="openmp"):
        return function(*args)

"""Threads of a task: a part of its work for each, while what they note is noted of the task."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from .context import TaskRecord, current_task, recording
from .machine.resources import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads_for(num_threads: int | None) -> int:
    """Return the number of threads that were asked for, by default one a core."""
    if num_threads is None:
        return available_cores()
    if num_threads < 1:
        raise ValueError(f"num_threads={num_threads}: expected at least 1")
    return int(num_threads)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int | None
) -> list[Result]:
    """Apply a function to items in threads that belong to the current task, if there is one.

    Parameters
    ----------
    function : callable
        Takes one item; does not decide what becomes of the task.
    items : iterable
        What there is to do.
    num_threads : int or None
        So many at a time; as many as there are cores if None.

    Returns
    -------
    list
        The results. They, and what was logged on the way, are in the order of the items, as if
        there were no threads.

    Examples
    --------
    >>> from bmp_astro.core.threads import in_threads
    >>> in_threads(lambda number: number**2, range(5), num_threads=2)
    [0, 1, 4, 9, 16]
    """
    items, task = list(items), current_task()
    records = [_part_of(task) for _ in items]

    def apply(item: Item, record: TaskRecord | None) -> Result:
        with recording(record):
            return function(item)

    workers = min(threads_for(num_threads), len(items))
    try:
        if workers < 2:
            return list(map(apply, items, records))
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(apply, items, records))
    finally:
        for record in records:
            _join(task, record)


def _part_of(task: TaskRecord | None) -> TaskRecord | None:
    """Return a record that takes the notes of a part of the task."""
    if task is None:
        return None
    return replace(task, warnings=[], forward=None if task.forward is None else [])


def _join(task: TaskRecord | None, part: TaskRecord | None) -> None:
    """Add the notes of a part to those of the task."""
    if task is None or part is None:
        return
    task.warnings += part.warnings
    if task.forward is not None and part.forward is not None:
        task.forward += part.forward

"""Which of the tasks that wait may start beside those that run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from .outcome import Outcome


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
    alone : bool
        Nothing else may run beside it: it is suspected of ending workers.
    attempts : int
        How often it was started, apart from what was not its fault.
    passed_by : int
        How many later tasks were started before it.
    generation : int
        Which making of the executor it was given to.
    error : bytes or None
        The exception that it failed with, pickled.
    """

    index: int
    in_name: Any
    size: float = 0.0
    outcome: Outcome | None = None
    alone: bool = False
    attempts: int = 0
    passed_by: int = 0
    generation: int = 0
    error: bytes | None = field(default=None, repr=False)


def next_to_start(
    waiting: Sequence[Task], running: Collection[Task], budget: float | None, patience: int
) -> Task | None:
    """Return the first waiting task that fits, unless a larger one has waited too long.

    Parameters
    ----------
    waiting : sequence of Task
        In the order in which they came. The first one is told when another one passes it.
    running : collection of Task
        Those that have begun.
    budget : float or None
        Bytes for all that run together; `None` sets no limit.
    patience : int
        How many may pass one that does not fit before nothing starts until it does.

    Returns
    -------
    Task or None
        `None` when nothing may start now. With nothing running something always may: a task that
        is larger than the budget runs alone.

    Examples
    --------
    >>> waiting = [Task(0, "large", size=80), Task(1, "small", size=10)]
    >>> next_to_start(waiting, [Task(2, "running", size=50)], budget=100, patience=4).in_name
    'small'
    """
    if any(task.alone for task in running):
        return None
    for task in waiting:
        if _fits(task, running, budget):
            waiting[0].passed_by += task is not waiting[0]
            return task
        if task.alone or task.passed_by >= patience:
            return None
    return None


def _fits(task: Task, running: Collection[Task], budget: float | None) -> bool:
    """Tell whether a task may run beside those that run; alone, any may."""
    if not running:
        return True
    if task.alone:
        return False
    return budget is None or sum(other.size for other in running) + task.size <= budget

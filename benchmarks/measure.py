"""Programs run side by side: what each costs, in rotating order."""

import multiprocessing
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Cost(NamedTuple):
    """What one run of a whole process took, its interpreter's start included."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
    """Run a program to its end; seconds, and the GB of its largest process.

    Python may keep its bytecode, as that of installed packages is kept.

    Raises
    ------
    RuntimeError
        If it fails; the message is what it printed last.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **({} if env is None else env)},
    )
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:3]} failed:\n{printed.decode()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9)


def apart(function: Callable[..., object], *arguments: object) -> None:
    """Call a function in another process: what it takes would count as the peak of all children."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{function.__name__} failed")


def side_by_side(
    programs: Mapping[str, Callable[[], Cost]], rounds: int, before: Callable[[], None]
) -> dict[str, list[Cost]]:
    """Run each program once a round, beginning with another one each time.

    Every other round runs backwards, so that no program always follows the same one.

    Parameters
    ----------
    programs : mapping
        What runs each.
    rounds : int
        How often.
    before : callable
        Called before each: deletes outputs, for example. The disk is synced after it.

    Returns
    -------
    dict
        The costs of each, one a round.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    names = list(programs)
    for turn in range(rounds):
        shift = turn % len(names)
        order = names[shift:] + names[:shift]
        for name in order if turn % 2 == 0 else reversed(order):
            before()
            os.sync()
            costs[name].append(programs[name]())
            wall, cpu, peak = costs[name][-1]
            print(f"  {name:12} {wall:8.2f} s wall {cpu:8.2f} s CPU {peak:6.2f} GB", flush=True)
    return costs


def report(costs: Mapping[str, Sequence[Cost]], ours: str) -> str:
    """Medians of each program, and the ratios of what it takes to what ours takes.

    The spread is from the least to the largest ratio of runs in the same round.
    """
    lines = [f"{'':12} {'wall s':>8} {'CPU s':>8} {'peak GB':>8}   ratio to {ours} (spread)"]
    for name, rows in costs.items():
        medians = [statistics.median(row[i] for row in rows) for i in range(3)]
        texts = []
        for i, what in enumerate(Cost._fields):
            base = statistics.median(row[i] for row in costs[ours])
            spread = [row[i] / own[i] for row, own in zip(rows, costs[ours], strict=True)]
            texts.append(f"{what} {medians[i] / base:.2f} ({min(spread):.2f}-{max(spread):.2f})")
        numbers = " ".join(f"{value:8.2f}" for value in medians)
        lines.append(f"{name:12} {numbers}   {'' if name == ours else ', '.join(texts)}")
    return "\n".join(lines)

"""The engine beside other ways to run a function over many files, all in one run.

Prints seconds, and each as a multiple of the fastest; for admission by memory the peak of all
workers together as well. Usage: ``python benchmarks/engine.py [PART ...]``, a part being start,
overhead, array or admission; all of them without one. joblib, loky and dask take part where they
are installed.
"""

import functools
import importlib
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import psutil

from bmp_astro.core import BigMultiPipe
from bmp_astro.core.machine.resources import WORKER_SIZE

WORKERS = 2
Runner = Callable[..., None]


class Call(BigMultiPipe):
    """Calls a function with each input."""

    def file_process(self, in_name: object, function: Callable, **kwargs: object) -> tuple:
        """Call the function with those keywords that are its own."""
        own = {key: kwargs[key] for key in ("master", "work") if key in kwargs}
        return (None, {"value": function(in_name, **own)})


def tiny(item: int) -> int:
    """Do as good as nothing."""
    return item


def with_master(item: int, master: np.ndarray) -> float:
    """Use a large array that is the same for all."""
    return float(master[item])


def hold(item: int, work: list) -> int:
    """Hold a block of memory for as long as a frame takes."""
    block = np.ones(work[item] // 8)
    time.sleep(0.4)
    return block.size


def ours(function: Callable, items: list, keywords: dict, **settings: object) -> None:
    """Run on a pipe."""
    settings.setdefault("num_processes", WORKERS)
    pipe = Call(executor="process", function=function, **keywords)
    for _ in pipe.iter_pipeline(items, **settings):
        pass


def pool(function: Callable, items: list, keywords: dict, workers: int = WORKERS) -> None:
    """Run on a pool of multiprocessing."""
    with multiprocessing.get_context("spawn").Pool(workers) as made:
        made.map(functools.partial(function, **keywords), items)


def futures(function: Callable, items: list, keywords: dict, workers: int = WORKERS) -> None:
    """Run on a pool of concurrent.futures."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as executor:
        for future in [executor.submit(function, item, **keywords) for item in items]:
            future.result()


def loky(function: Callable, items: list, keywords: dict, workers: int = WORKERS) -> None:
    """Run on loky."""
    with importlib.import_module("loky").ProcessPoolExecutor(workers) as executor:
        for future in [executor.submit(function, item, **keywords) for item in items]:
            future.result()


def joblib(function: Callable, items: list, keywords: dict, workers: int = WORKERS) -> None:
    """Run on joblib, and end the workers that it would keep for the next call."""
    module = importlib.import_module("joblib")
    module.Parallel(n_jobs=workers)(module.delayed(function)(item, **keywords) for item in items)
    module.externals.loky.get_reusable_executor().shutdown(wait=True)


def dask(function: Callable, items: list, keywords: dict, workers: int = WORKERS) -> None:
    """Run on a dask cluster on this machine."""
    distributed = importlib.import_module("distributed")
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        kept = client.scatter(keywords, broadcast=True) if keywords else {}
        client.gather(client.map(function, items, pure=False, **kept))


RUNNERS = {
    "bmp_astro": ours,
    "multiprocessing.Pool": pool,
    "ProcessPoolExecutor": futures,
    "loky": loky,
    "joblib": joblib,
    "dask": dask,
}
MODULES = {"loky": "loky", "joblib": "joblib", "dask": "distributed"}


def side_by_side(title: str, runners: dict[str, Callable], *call: object, rounds: int = 3) -> None:
    """Print the best time of each, in rounds that take them in turn."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            run(*call)
            best[name] = min(best.get(name, np.inf), time.perf_counter() - start)
    print(f"\n{title}")
    for name, seconds in best.items():
        print(f"  {name:32s} {seconds:8.3f} s   {seconds / min(best.values()):6.2f}")


def slope(run: Runner) -> float:
    """Return seconds a task: so many more tasks that they take longer than a start varies."""
    n, before = 500, _seconds(run, 500)
    while True:
        after = _seconds(run, 2 * n)
        if after - before > 1.5 or n >= 4_000:
            return (after - before) / n
        n, before = 2 * n, after


def _seconds(run: Runner, n: int) -> float:
    start = time.perf_counter()
    run(tiny, list(range(n)), {})
    return time.perf_counter() - start


def overhead(runners: dict[str, Runner], rounds: int = 3) -> None:
    """Print what a tiny task costs: medians, and the median of the ratios in each round."""
    print("\noverhead of a task (slope of tiny tasks; joblib and multiprocessing.Pool batch them)")
    costs = [{name: slope(run) for name, run in runners.items()} for _ in range(rounds)]
    for name in runners:
        cost = statistics.median(each[name] for each in costs)
        ratio = statistics.median(each[name] / each["ProcessPoolExecutor"] for each in costs)
        print(f"  {name:32s} {cost * 1e6:8.0f} us  {ratio:6.2f} x ProcessPoolExecutor")


class PeakOfWorkers(threading.Thread):
    """Looks at the memory of all processes that this one has started, and keeps the most.

    What this process itself takes more than before counts too: one worker may be this one.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self._this = psutil.Process()
        self._before = own_memory(self._this)
        self._over = threading.Event()

    def run(self) -> None:
        """Look every 20 ms."""
        while not self._over.wait(0.02):
            workers = sum(map(own_memory, self._this.children(recursive=True)))
            here = max(own_memory(self._this) - self._before, 0)
            self.most = max(self.most, workers + here)

    def __enter__(self) -> "PeakOfWorkers":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self.join()


def own_memory(process: psutil.Process) -> float:
    """Bytes that a process shares with no other; 0 when it is gone."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0.0
    return memory.rss - getattr(memory, "shared", 0)


def admission(runners: dict[str, Runner]) -> None:
    """Print what admission by memory is for: time and peak, with and without it.

    Ours is given the budget. The others know of none: either as many workers as there are cores
    run, and the largest tasks meet, or as few as hold the largest tasks one beside the other.
    """
    workers, budget = 4, 1000e6
    sizes = [60_000_000] * 12 + [450_000_000] * 6 + [60_000_000] * 12
    worst = max(int(budget / (max(sizes) + WORKER_SIZE)), 1)
    call = (hold, list(range(len(sizes))), {"work": sizes})
    memory = {"num_processes": workers, "mem_available": budget}
    one_by_one = functools.partial(ours, process_size=lambda name: sizes[int(name)], **memory)
    programs = {
        "bmp_astro, a size for each": one_by_one,
        "bmp_astro, the largest for all": functools.partial(
            ours, process_size=max(sizes), **memory
        ),
    }
    for name, run in runners.items():
        if run is not ours:
            programs[f"{name}, {workers} workers"] = functools.partial(run, workers=workers)
            programs[f"{name}, {worst} worker"] = functools.partial(run, workers=worst)
    print("\n24 tasks of 60 MB and 6 of 450 MB, 0.4 s each, inside 1000 MB with the workers")
    for name, run in programs.items():
        start = time.perf_counter()
        with PeakOfWorkers() as peak:
            run(*call)
        seconds = time.perf_counter() - start
        beyond = "  beyond the budget" if peak.most > budget else ""
        print(f"  {name:32s} {seconds:8.2f} s  {peak.most / 1e6:6.0f} MB{beyond}", flush=True)


def installed(name: str) -> bool:
    """Tell whether a runner can run here."""
    try:
        importlib.import_module(MODULES.get(name, "os"))
    except ImportError:
        return False
    return True


def main(parts: list[str]) -> None:
    """Print the comparisons asked for, or all."""
    runners = {name: run for name, run in RUNNERS.items() if installed(name)}
    array = {"master": np.arange(25e6)}
    comparisons = {
        "start": lambda: side_by_side("start-up: 4 tiny tasks", runners, tiny, list(range(4)), {}),
        "overhead": lambda: overhead(runners),
        "array": lambda: side_by_side(
            "40 tasks with a 200 MB array", runners, with_master, list(range(40)), array, rounds=1
        ),
        "admission": lambda: admission(runners),
    }
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {WORKERS} workers")
    for name, show in comparisons.items():
        if not parts or name in parts:
            show()


if __name__ == "__main__":
    main(sys.argv[1:])

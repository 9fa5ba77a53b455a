"""The engine beside other ways to run a function over many files, all in one run.

Prints seconds, and each as a multiple of the fastest. Usage: ``python benchmarks/engine.py``.
joblib, loky and dask take part where they are installed.
"""

import functools
import importlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from bmp_astro.core import BigMultiPipe

WORKERS = 2
Runner = Callable[[Callable, list, dict], None]


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
    """Hold a block of memory for a moment."""
    block = np.ones(work[item] // 8)
    time.sleep(0.05)
    return block.size


def ours(function: Callable, items: list, keywords: dict, **settings: object) -> None:
    """Run on a pipe."""
    pipe = Call(executor="process", num_processes=WORKERS, function=function, **keywords)
    for _ in pipe.iter_pipeline(items, **settings):
        pass


def pool(function: Callable, items: list, keywords: dict) -> None:
    """Run on a pool of multiprocessing."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as workers:
        workers.map(functools.partial(function, **keywords), items)


def futures(function: Callable, items: list, keywords: dict) -> None:
    """Run on a pool of concurrent.futures."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=spawn) as executor:
        for future in [executor.submit(function, item, **keywords) for item in items]:
            future.result()


def loky(function: Callable, items: list, keywords: dict) -> None:
    """Run on loky."""
    with importlib.import_module("loky").ProcessPoolExecutor(WORKERS) as executor:
        for future in [executor.submit(function, item, **keywords) for item in items]:
            future.result()


def joblib(function: Callable, items: list, keywords: dict) -> None:
    """Run on joblib, and end the workers that it would keep for the next call."""
    module = importlib.import_module("joblib")
    module.Parallel(n_jobs=WORKERS)(module.delayed(function)(item, **keywords) for item in items)
    module.externals.loky.get_reusable_executor().shutdown(wait=True)


def dask(function: Callable, items: list, keywords: dict) -> None:
    """Run on a dask cluster on this machine."""
    distributed = importlib.import_module("distributed")
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=50
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


def admission() -> None:
    """Print memory admission beside a number of workers fixed for the worst case."""
    sizes = [int(size) for size in np.random.default_rng(1).integers(10e6, 150e6, 60)]
    budget = 300e6
    items, keywords = list(range(len(sizes))), {"work": sizes}
    side_by_side(
        "60 tasks of 10-150 MB inside 300 MB",
        {
            "bmp_astro, a size for each": functools.partial(
                ours, process_size=lambda name: sizes[int(name)], mem_available=budget + 140e6
            ),
            "bmp_astro, the largest for all": functools.partial(
                ours, process_size=max(sizes), mem_available=budget + 140e6
            ),
        },
        hold,
        items,
        keywords,
        rounds=1,
    )


def installed(name: str) -> bool:
    """Tell whether a runner can run here."""
    try:
        importlib.import_module(MODULES.get(name, "os"))
    except ImportError:
        return False
    return True


def main() -> None:
    """Print all comparisons."""
    runners = {name: run for name, run in RUNNERS.items() if installed(name)}
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {WORKERS} workers")
    side_by_side("start-up: 4 tiny tasks", runners, tiny, list(range(4)), {})
    overhead(runners)
    master = {"master": np.arange(25e6)}
    title = "40 tasks with a 200 MB array"
    side_by_side(title, runners, with_master, list(range(40)), master, rounds=1)
    admission()


if __name__ == "__main__":
    main()

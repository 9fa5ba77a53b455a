"""How the cost of a night grows with its frames, their size and the cores.

Usage: ``python benchmarks/scaling.py [--size NY NX] [--folder DIR]``.  Each row is the median of
runs of whole processes, in rotating order.  The last two columns are what 4 and 16 cores would
take if the disk kept up, by Amdahl's law from one and two threads.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from frames import make_night
from measure import Cost, apart, run, side_by_side

_CODE = (
    "import sys; from bmp_astro import reduce_night; "
    "reduce_night(sys.argv[1], sys.argv[2], num_processes=int(sys.argv[3]), "
    "num_threads=int(sys.argv[3]))"
)


def reduce(raw: Path, out: Path, threads: int) -> Cost:
    """Reduce a night with so many threads."""
    return run([sys.executable, "-c", _CODE, str(raw), str(out), str(threads)])


def nights(folder: Path, size: tuple[int, int]) -> dict[str, Path]:
    """Make nights that differ from the first in one thing each."""
    half = (size[0] // 2, size[1] // 2)
    base = dict.fromkeys(("bias", "dark", "flat", "light"), 10)
    plans = {
        "10 of each kind": (base, size),
        "40 lights": ({**base, "light": 40}, size),
        "20 of each calibration": ({**dict.fromkeys(base, 20), "light": 10}, size),
        "half as wide and high": (base, half),
    }
    found = {}
    for number, (name, (numbers, shape)) in enumerate(plans.items()):
        found[name] = folder / f"raw-{number}"
        apart(make_night, found[name], numbers, shape)
    return found


def main() -> None:
    """Run all nights with one and two threads, and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(2048, 2112), metavar=("NY", "NX"))
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        out = folder / "out"
        programs: dict[str, Callable[[], Cost]] = {
            f"{name}, {threads}": partial(reduce, raw, out, threads)
            for name, raw in nights(folder, tuple(options.size)).items()
            for threads in (1, 2)
        }
        costs = side_by_side(programs, options.rounds, partial(shutil.rmtree, out, True))
        shutil.rmtree(out, ignore_errors=True)
    print(table(costs))


def table(costs: dict[str, list[Cost]]) -> str:
    """Medians by night, with what four and sixteen cores would take if the disk kept up."""
    lines = [
        f"{os.cpu_count()} cores",
        f"{'night':26} {'1: s':>7} {'2: s':>7} {'CPU s':>7} {'GB':>6} {'4: s':>7} {'16: s':>7}",
    ]
    for name in dict.fromkeys(key.rpartition(",")[0] for key in costs):
        one, two = (
            [statistics.median(cost[i] for cost in costs[f"{name}, {threads}"]) for i in range(3)]
            for threads in (1, 2)
        )
        serial = max(0.0, 2 * two[0] - one[0])
        more = [serial + (one[0] - serial) / cores for cores in (4, 16)]
        numbers = [one[0], two[0], two[1]]
        text = " ".join(f"{value:7.2f}" for value in numbers)
        projected = " ".join(f"{value:7.2f}" for value in more)
        lines.append(f"{name:26} {text} {two[2]:6.2f} {projected}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

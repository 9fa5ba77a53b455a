"""Headers of many files: ImageFileCollection beside ours, in one process after all imports.

Usage: ``python benchmarks/inventory.py [--number N] [--rounds N]``.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ccdproc import ImageFileCollection
from frames import OVERSCAN, make_night

from bmp_astro.night import inventory

REPEATS = 9


def seconds(act: Callable[[], object]) -> float:
    """Return how long something takes, without clearing away what was there before."""
    gc.collect()
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main() -> None:
    """Make small files, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        raw, cache = Path(temporary, "raw"), Path(temporary, "cache.json")
        kinds = ("bias", "dark", "flat", "light")
        make_night(raw, dict.fromkeys(kinds, options.number // 4), (16, 16 + OVERSCAN))
        inventory(raw, cache=cache)
        first, cached = [], []
        for _ in range(options.rounds):
            theirs = seconds(lambda: ImageFileCollection(raw))
            first.append(theirs / seconds(lambda: inventory(raw)))
            # so short that one call says more of the machine's mood than of the code
            ours = [seconds(lambda: inventory(raw, cache=cache)) for _ in range(REPEATS)]
            cached.append(theirs / statistics.median(ours))
    for name, ratios in (("first", first), ("cached", cached)):
        spread = f"{min(ratios):.1f}-{max(ratios):.1f}"
        print(f"ImageFileCollection / ours, {name}: {statistics.median(ratios):.1f} ({spread})")


if __name__ == "__main__":
    main()

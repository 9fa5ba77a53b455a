"""Many frames into one within a limit of memory: `bmp_astro.combine` and ``ccdproc.combine``.

Usage: ``python benchmarks/combine.py [--frames N] [--size N] [--memory MB] [--rounds N]``;
``--size 1024`` runs in a minute.  See README.rst.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from astropy.nddata import CCDData
from frames import OVERSCAN, make_night
from measure import Cost, apart, report, run, side_by_side


def with_ours() -> Callable[[list[str], float], CCDData]:
    """Clip by the median absolute deviation and average, in bands, with two threads."""
    from bmp_astro import combine

    return lambda paths, memory: combine(paths, clip="sigma", mem_limit=memory, num_threads=2)


def with_ccdproc() -> Callable[[list[str], float], CCDData]:
    """The same rule (without our guards), in as many pieces as it finds that the memory needs."""
    import ccdproc
    import numpy as np
    from astropy.stats import mad_std

    return lambda paths, memory: ccdproc.combine(
        paths,
        method="average",
        unit="adu",
        mem_limit=memory,
        dtype=np.float32,
        sigma_clip=True,
        sigma_clip_low_thresh=3,
        sigma_clip_high_thresh=3,
        sigma_clip_func=np.ma.median,
        sigma_clip_dev_func=mad_std,
    )


TOOLS = {"ours": with_ours, "ccdproc": with_ccdproc}


def combine_once(tool: str, raw: Path, out: Path, memory: float) -> None:
    """Combine, write the master, and note the bytes that were read and the seconds it took."""
    paths = [str(path) for path in sorted(raw.glob("*.fits"))]
    combine = TOOLS[tool]()
    before, begun = _bytes_read(), time.perf_counter()
    master = combine(paths, memory)
    noted = {"read": _bytes_read() - before, "seconds": time.perf_counter() - begun}
    out.mkdir(parents=True, exist_ok=True)
    master.write(out / f"{tool}.fits", overwrite=True)
    (out / f"{tool}.json").write_text(json.dumps(noted))


def _bytes_read() -> int:
    """What this process has read by system calls (not through memory maps); Linux knows it."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(next(line for line in lines if line.startswith("rchar")).split()[1])


def start(tool: str, raw: Path, out: Path, megabytes: int) -> Cost:
    """One tool in a process of its own."""
    options = ["--tool", tool, "--folder", str(raw.parent), "--memory", str(megabytes)]
    cost = run([sys.executable, __file__, *options])
    noted = json.loads((out / f"{tool}.json").read_text())
    size = sum(path.stat().st_size for path in raw.iterdir())
    times = noted["read"] / size
    print(f"  {tool:12} {noted['seconds']:8.2f} s in combine, each byte read {times:.2f} times")
    return cost


def main() -> None:
    """Make the frames, run both tools, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=4096, help="pixels along each axis")
    parser.add_argument("--memory", type=int, default=500, help="limit for each tool, MB")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], help="tools to leave out")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    parser.add_argument("--tool", choices=TOOLS, help="combine what is in the folder, with this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        raw, out = folder / "raw", folder / "out"
        if options.tool is not None:
            combine_once(options.tool, raw, out, options.memory * 1e6)
            return
        shape = (options.size, options.size + OVERSCAN)
        apart(make_night, raw, {"dark": options.frames}, shape)
        tools = {
            name: partial(start, name, raw, out, options.memory)
            for name in TOOLS
            if name not in options.without
        }
        costs = side_by_side(tools, options.rounds, lambda: shutil.rmtree(out, ignore_errors=True))
        print(f"{options.frames} frames {shape} (ny, nx), at most {options.memory} MB\n")
        print(report(costs, "ours"))


if __name__ == "__main__":
    main()

"""A night, reduced by each tool that is installed, side by side in one run.

Usage: ``python benchmarks/night.py [--rounds N] [--size NY NX] [--number N] [--folder DIR]``;
``--size 1024 1088`` runs in a minute.  See README.rst.
"""

import argparse
import getpass
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from frames import OVERSCAN, make_night
from measure import Cost, apart, report, run, side_by_side

HERE = Path(__file__).parent
KINDS = ("bias", "dark", "flat", "light")


def ours(raw: Path, out: Path) -> Cost:
    """`bmp_astro.reduce_night` with two threads."""
    code = (
        "import sys; from bmp_astro import reduce_night; "
        "reduce_night(sys.argv[1], sys.argv[2], num_processes=2)"
    )
    return run([sys.executable, "-c", code, str(raw), str(out)])


def with_ccdproc(raw: Path, out: Path) -> Cost:
    """The script in ccdproc_night.py."""
    return run([sys.executable, str(HERE / "ccdproc_night.py"), str(raw), str(out)])


def copy(raw: Path, out: Path, sizes: list[int]) -> Cost:
    """Read what the others read, and write as much as ours writes."""
    command = [sys.executable, str(HERE / "copy_night.py"), str(raw), str(out)]
    return run([*command, *map(str, sizes)])


def with_siril(program: str, raw: Path, out: Path, trim: tuple[int, int]) -> Cost:
    """Siril's own calibration: stacks of bias, dark and flat, no overscan, sigma or mask."""
    folders = {kind: out / kind for kind in KINDS}
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    is_old = re.search(r"siril 1\.[01]\b", said.stdout)  # calibrate was called preprocess then
    calibrate = "preprocess" if is_old else "calibrate"
    lines = ["requires 1.0.0", "setext fits", "set32bits"]
    for kind, folder in folders.items():
        folder.mkdir(parents=True)
        for path in sorted(raw.glob(f"{kind}-*.fits")):
            (folder / path.name).symlink_to(path.resolve())
        lines += [f"cd {folder}", f"link {kind} -out=."]
        if kind == "flat":
            lines.append(f"{calibrate} flat -bias={folders['bias']}/master")
        if kind != "light":
            name, norm = ("pp_flat", "-norm=mul") if kind == "flat" else (kind, "-nonorm")
            lines.append(f"stack {name} rej 3 3 {norm} -out=master")
    masters = f"-dark={folders['dark']}/master -flat={folders['flat']}/master"
    lines.append(f"{calibrate} light {masters}")
    script = out / "night.ssf"
    script.write_text("\n".join([*lines, "close", ""]))
    return run([program, "-d", str(out), "-s", str(script)])


def with_iraf(program: str, raw: Path, out: Path, trim: tuple[int, int]) -> Cost:
    """IRAF's ccdred: zerocombine, darkcombine, flatcombine and ccdproc."""
    out.mkdir(parents=True)
    for path in raw.iterdir():
        shutil.copyfile(path, out / path.name)
    ny, nx = trim
    sections = f'biassec="[{nx + 1}:{nx + OVERSCAN},1:{ny}]" trimsec="[1:{nx},1:{ny}]"'
    common = f'overscan+ trim+ fixpix- interactive- {sections} ccdtype=""'
    script = "\n".join(
        [
            "noao",
            "imred",
            "ccdred",
            f"ccdproc bias-*.fits zerocor- darkcor- flatcor- {common}",
            'zerocombine bias-*.fits output=Zero ccdtype="" process-',
            f"ccdproc dark-*.fits,flat-*.fits,light-*.fits zerocor+ zero=Zero "
            f"darkcor- flatcor- {common}",
            'darkcombine dark-*.fits output=Dark ccdtype="" process-',
            f"ccdproc flat-*.fits,light-*.fits zerocor- darkcor+ dark=Dark flatcor- {common}",
            'flatcombine flat-*.fits output=Flat ccdtype="" process- subsets-',
            f"ccdproc light-*.fits zerocor- darkcor- flatcor+ flat=Flat {common}",
            "logout",
            "",
        ]
    )
    (out / "night.cl").write_text(script)
    # it ends well whatever happened, and does not begin without the name of a user
    command = f"{program} < night.cl > night.log 2>&1; cat night.log; ! grep -q ERROR night.log"
    return run(["sh", "-c", f"cd {out} && {command}"], env={"USER": getpass.getuser()})


def stages(raw: Path, out: Path) -> str:
    """The seconds of each stage of ours, in a run of its own."""
    command = [sys.executable, str(HERE / "stages.py"), str(raw), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ends = json.loads(done.stdout)
    before, parts = 0.0, []
    for name, end in ends.items():
        parts.append(f"{name} {end - before:.2f}")
        before = end
    return ", ".join(parts)


def programs(raw: Path, out: Path, shape: tuple[int, int]) -> dict[str, Callable[[], Cost]]:
    """Everything that can run here; ours runs once before, for its products' sizes."""
    ours(raw, out)
    sizes = [path.stat().st_size for path in sorted(out.rglob("*.fits"))]
    found: dict[str, Callable[[], Cost]] = {
        "ours": partial(ours, raw, out),
        "copy": partial(copy, raw, out, sizes),
    }
    trim = (shape[0], shape[1] - OVERSCAN)
    if importlib.util.find_spec("ccdproc"):
        found["ccdproc"] = partial(with_ccdproc, raw, out)
    for name, peer, commands in (
        ("siril", with_siril, ("siril-cli",)),
        ("IRAF", with_iraf, ("irafcl", "ecl", "cl")),
    ):
        program = next(filter(None, map(shutil.which, commands)), None)
        if program is not None:
            found[name] = partial(peer, program, raw, out, trim)
    return found


def main() -> None:
    """Make the night, run all, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(4096, 4160), metavar=("NY", "NX"))
    parser.add_argument("--number", type=int, default=10, help="frames of each kind")
    parser.add_argument("--without", nargs="*", default=[], help="programs to leave out")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        raw, out = folder / "raw", folder / "out"
        apart(make_night, raw, dict.fromkeys(KINDS, options.number), tuple(options.size))

        def clean() -> None:
            shutil.rmtree(out, ignore_errors=True)

        clean()
        chosen = programs(raw, out, tuple(options.size))
        for name in options.without:
            chosen.pop(name, None)
        costs = side_by_side(chosen, options.rounds, clean)
        print(report(costs, "ours"))
        clean()
        print(f"ours, seconds of each stage: {stages(raw, out)}")
        clean()


if __name__ == "__main__":
    main()

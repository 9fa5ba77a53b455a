"""``reduce`` and ``demo``: a night, and what became of it."""

import argparse
import re
from typing import Any

from .options import (
    DONE,
    MASK,
    add_choice,
    add_command,
    add_raw_command,
    choice,
    positive,
    print_table,
    size,
    together,
)

# A number that stands alone: none in a name, a date or a time.
_NUMBER = re.compile(r"(?<![\w.:/-])[-+]?\d+(?:\.\d+)?(?![\w:-]|\.\w)")
_MASTER = re.compile(r"\S*masters/\S+: ")


def add_reduce(commands: Any) -> None:
    """A night."""
    parser = add_raw_command(commands, "reduce", "reduce a night, or several", _reduce)
    add = parser.add_argument
    add("--outdir", metavar="OUT", required=True, help="where the products go")
    add_choice(parser)
    add("--plan", metavar="FILE", help="a plan.ecsv to follow, edited or not")
    add(
        "--executor",
        default="auto",
        help="auto, process, thread, serial or dask:ADDRESS (%(default)s)",
    )
    add("--num-processes", type=int, metavar="N", help="at most so many at a time")
    add("--mem-available", type=size, metavar="SIZE", help="memory to use, such as 4G")
    add("--no-resume", action="store_true", help="do not build on an earlier run")
    add("--overwrite", action="store_true", help="make every product again")
    add("--previous-masters", metavar="DIR", help="masters to compare the new ones with")
    add("--no-defects", action="store_true", help="do not look for hot, dead and unstable pixels")
    add("--compress", action="store_true", help="write lights Rice-compressed, as .fits.fz")
    _add_facts(parser)
    _add_extra(parser)
    _add_progress(parser)


def _add_facts(parser: argparse.ArgumentParser) -> None:
    """What the headers may not say, or say wrongly."""
    add = parser.add_argument
    add("--gain", type=positive, metavar="G", help="electron/adu (default: the header's)")
    add(
        "--read-noise",
        type=positive,
        metavar="R",
        help="electron (default: the header's, else measured on the bias frames)",
    )
    add(
        "--saturation",
        type=positive,
        metavar="LEVEL",
        help="raw level, adu, from which pixels are masked (default: the header's, else the "
        "largest value of its integers)",
    )


def _add_extra(parser: argparse.ArgumentParser) -> None:
    """What may be done with the lights after the calibration."""
    add = parser.add_argument
    add("--cosmic-rays", action="store_true", help="mask cosmic rays in the lights")
    add("--trails", action="store_true", help="mask the trails of satellites in the lights")
    add("--fringe", metavar="FILE", help="a fringe frame to scale and subtract from the lights")
    add("--background", action="store_true", help="subtract the sky from the lights")
    add(
        "--sky",
        choices=("dithers",),
        help="subtract the sky that the lights beside each one in time have in common",
    )
    add("--sources", action="store_true", help="count the sources, and measure their width")


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a progress bar (default: on a terminal)",
    )


def add_report(commands: Any) -> None:
    """The page of a night that was reduced."""
    parser = add_command(commands, "report", "make the page of a reduced night again", _report)
    parser.add_argument("outdir", metavar="OUT", help="the directory of a reduced night")


def add_demo(commands: Any) -> None:
    """A night for everybody."""
    parser = add_command(commands, "demo", "simulate a small night and reduce it", _demo)
    parser.add_argument("raw", metavar="RAW", nargs="?", help="reduce these raw frames instead")
    parser.add_argument("--outdir", metavar="OUT", default="bmp_astro_demo", help="(%(default)s)")


def _reduce(options: argparse.Namespace) -> int:
    from ..night import reduce_night

    table = reduce_night(
        options.raw,
        options.outdir,
        **choice(options),
        plan=options.plan,
        executor=options.executor,
        num_processes=options.num_processes,
        mem_available=options.mem_available,
        resume=not options.no_resume,
        overwrite=options.overwrite,
        progress=options.progress,
        compress=options.compress,
        extra_steps=_extra_steps(options),
        sky=options.sky,
        **_given(options),
    )
    return _show(table, options.outdir)


def _extra_steps(options: argparse.Namespace) -> list[str]:
    """What is to be done with the lights after the calibration."""
    asked = {
        "cosmic_rays": options.cosmic_rays,
        "trails": options.trails,
        "fringes": options.fringe is not None,
        "background": options.background,
        "sources": options.sources,
    }
    return [name for name, is_asked in asked.items() if is_asked]


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The control keywords that were given; others would make a resumed run another one."""
    keywords = {
        "previous_masters": options.previous_masters,
        "find_defects": False if options.no_defects else None,
        "bad_pixel_mask": dict(options.set).get(MASK),
        "master_fringe": options.fringe,
        "gain": options.gain,
        "read_noise": options.read_noise,
        "saturation": options.saturation,
    }
    return {name: value for name, value in keywords.items() if value is not None}


def _show(table: Any, outdir: str) -> int:
    """Print the summary of a night and where everything lies; the exit status it deserves."""
    from ..night import attention, exit_status, summary

    page = _page(outdir)
    print_table(summary(table))
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for row in attention(table):
        for why in _reasons(str(row["status"]), str(row["why"])):
            same = alike.setdefault((row["status"], _NUMBER.sub("#", why)), {})
            same[str(row["in_name"])] = why
    for (status, _), whys in alike.items():
        print(f"{status}: {together(list(whys))}: {_as_one(list(whys.values()))}")
    print(f"\nproducts, night.ecsv, plan.ecsv and bmp_astro.log are in {outdir}")
    print(page)
    return exit_status(table)


def _reasons(status: str, why: str) -> list[str]:
    """The alarms of a row, one by one; why it is not done is one reason."""
    if status not in ("done", "skipped"):
        return [why]
    first, *others = why.split("; ")
    reasons = [first]
    for text in others:  # the alarms of a master come last, and it is named before the first
        master = _MASTER.match(reasons[-1])
        of_same = master is not None and _MASTER.match(text) is None
        reasons.append(f"{master[0]}{text}" if of_same else text)
    return reasons


def _as_one(texts: list[str]) -> str:
    """Texts that differ in numbers only as one, with the range of each number."""
    columns = zip(*map(_NUMBER.findall, texts), strict=True)
    ranges = iter(
        column[0]
        if len(set(column)) == 1
        else f"{min(column, key=float)} to {max(column, key=float)}"
        for column in columns
    )
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _page(outdir: str) -> str:
    """Write the page before anything is printed, and tell where it is, or why there is none."""
    from ..report import write_report

    try:
        return f"the page is {write_report(outdir)}"
    except (ImportError, OSError) as error:
        return f"no report.html: {error}"


def _report(options: argparse.Namespace) -> int:
    from ..report import write_report

    print(f"the page is {write_report(options.outdir)}")
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from pathlib import Path

    from ..night import reduce_night

    outdir = Path(options.outdir)
    raw = _simulated(outdir / "raw") if options.raw is None else options.raw
    reduced = outdir / "reduced"
    table = reduce_night(raw, reduced, overwrite=True)
    _show(table, str(reduced))
    return DONE


def _simulated(raw: Any) -> Any:
    """Simulate the demo's raw night, unless an earlier demo did."""
    import shutil

    from ..simulate import simulate_night

    if raw.exists():
        print(f"the simulated night in {raw} is used again")
        return raw
    unfinished = raw.with_name("raw.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    night = simulate_night(unfinished)
    unfinished.rename(raw)
    print(f"a night was simulated in {raw}; {len(night.bad_files)} files are bad on purpose:")
    for path, problem in night.bad_files.items():
        print(f"  {path.name}: {problem}")
    return raw

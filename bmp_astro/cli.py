"""The ``bmp-astro`` command; nothing but argument handling."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
STOPPED = 130  # what a shell tells of a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; by default the process's own.

    Returns
    -------
    int
        0 all done; 1 some rows failed; 2 nothing could be done; 130 stopped by Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt as stop:
        print(f"bmp-astro: {stop}; the same command goes on from here", file=sys.stderr)
        return STOPPED
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"bmp-astro: {error}", file=sys.stderr)
        return NOTHING_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bmp-astro",
        description="Reduce nights of observatory images.",
        epilog="Exit status: 0 all done, 1 some files failed, 2 nothing could be done.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_reduce(commands)
    _add_look(commands, "inventory", "what is there, as a table", _inventory)
    _add_choice(_add_look(commands, "plan", "what would be done with it, and why", _plan))
    _add_instrument(commands)
    _add_combine(commands)
    report = _add(commands, "report", "make the page of a reduced night again", _report)
    report.add_argument("outdir", metavar="OUT", help="the directory of a reduced night")
    demo = _add(commands, "demo", "simulate a small night and reduce it", _demo)
    demo.add_argument("raw", metavar="RAW", nargs="?", help="reduce these raw frames instead")
    demo.add_argument("--outdir", metavar="OUT", default="bmp_astro_demo", help="(%(default)s)")
    return parser


class _Version(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"bmp-astro {version('bmp_astro')}")
        parser.exit()


def _add(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _add_camera(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instrument",
        metavar="NAME",
        help="the camera: a built-in name or a TOML file (default: chosen by each header)",
    )


def _add_look(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser = _add(commands, name, text, run)
    parser.add_argument("raw", metavar="RAW", nargs="+", help="directories and raw frames")
    _add_camera(parser)
    return parser


def _add_reduce(commands: Any) -> None:
    parser = _add_look(commands, "reduce", "reduce a night", _reduce)
    add = parser.add_argument
    add("--outdir", metavar="OUT", required=True, help="where the products go")
    _add_choice(parser)
    add("--plan", metavar="FILE", help="a plan.ecsv to follow, edited or not")
    add(
        "--executor",
        default="auto",
        help="auto, process, thread, serial or dask:ADDRESS (%(default)s)",
    )
    add("--num-processes", type=int, metavar="N", help="at most so many at a time")
    add("--mem-available", type=_bytes, metavar="SIZE", help="memory to use, such as 4G")
    add("--no-resume", action="store_true", help="do not build on an earlier run")
    add("--overwrite", action="store_true", help="make every product again")
    add("--compress", action="store_true", help="write lights Rice-compressed, as .fits.fz")
    _add_progress(parser)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """How masters are chosen: the same for the plan and for what is made by it."""
    add = parser.add_argument
    add("--masters", metavar="PATH", nargs="+", help="existing masters, or directories of them")
    add(
        "--set",
        metavar="KIND=FILE",
        action="append",
        default=[],
        type=_assignment,
        help="a master that all lights are to use, such as dark=dark.fits",
    )
    add(
        "--require",
        metavar="KINDS",
        default="bias,flat",
        help="masters without which a light is not reduced, with commas (%(default)s)",
    )


def _assignment(text: str) -> tuple[str, str]:
    """KIND=FILE as a pair."""
    kind, sign, path = text.partition("=")
    if kind not in ("bias", "dark", "flat") or not sign or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not bias=FILE, dark=FILE or flat=FILE")
    return kind, path


def _choice(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "instrument": options.instrument,
        "masters": options.masters,
        "use": dict(options.set),
        "require": [kind for kind in options.require.split(",") if kind],
    }


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a progress bar (default: on a terminal)",
    )


def _add_instrument(commands: Any) -> None:
    parser = _add(commands, "instrument", "what is understood of a file", _instrument)
    add = parser.add_argument
    add("file", metavar="FILE", help="a FITS file")
    add("--hdu", metavar="HDU", help="number or name of the unit (default: the first image)")
    add("--toml", metavar="OUT", help="write a TOML file to start from")
    add("--overwrite", action="store_true", help="replace an existing TOML file")
    _add_camera(parser)


def _add_combine(commands: Any) -> None:
    parser = _add(commands, "combine", "combine frames into one", _combine)
    add = parser.add_argument
    add("frames", metavar="FILE", nargs="+")
    add("-o", "--output", metavar="MASTER", required=True, help="the file to write")
    add("--method", default="mean", choices=("mean", "median", "sum"), help="(%(default)s)")
    add("--clip", choices=("minmax", "sigma", "noise"), help="reject values (default: none)")
    add("--n-low", type=int, default=0, help="minmax: lowest values to drop (%(default)s)")
    add("--n-high", type=int, default=0, help="minmax: highest values to drop (%(default)s)")
    add("--sigma-low", type=float, default=3.0, metavar="S", help="(%(default)s)")
    add("--sigma-high", type=float, default=3.0, metavar="S", help="(%(default)s)")
    add("--gain", type=float, metavar="G", help="electron/adu")
    add("--read-noise", type=float, metavar="R", help="electron")
    add("--scale", choices=("median", "mean"), help="bring the frames to one level first")
    add("--mem-limit", type=_bytes, metavar="SIZE", help="memory to use, such as 500M")
    add("--overwrite", action="store_true", help="replace an existing file")


def _bytes(text: str) -> int:
    """A size such as 500M or 4G in bytes."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    number = text.upper().removesuffix("B").removesuffix("I")
    factor = units.get(number[-1:], 1)
    try:
        size = int(float(number.rstrip("KMGT")) * factor)
    except ValueError:
        size = 0
    if size <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 4G")
    return size


def _reduce(options: argparse.Namespace) -> int:
    from .night import reduce_night

    table = reduce_night(
        options.raw,
        options.outdir,
        **_choice(options),
        plan=options.plan,
        executor=options.executor,
        num_processes=options.num_processes,
        mem_available=options.mem_available,
        resume=not options.no_resume,
        overwrite=options.overwrite,
        progress=options.progress,
        compress=options.compress,
    )
    return _show(table, options.outdir)


def _show(table: Any, outdir: str) -> int:
    """Print the summary of a night and where everything lies; the exit status it deserves."""
    from .night import attention, exit_status, summary

    _print_table(summary(table))
    for row in attention(table):
        print(f"{row['status']}: {row['in_name']}: {row['why']}")
    print(f"\nproducts, night.ecsv, plan.ecsv and bmp_astro.log are in {outdir}")
    _write_page(outdir)
    return exit_status(table)


def _write_page(outdir: str) -> None:
    from .report import write_report

    try:
        page = write_report(outdir)
    except ImportError as error:
        print(f"no report.html: {error}")
    else:
        print(f"the page is {page}")


def _print_table(table: Any) -> None:
    print("\n".join(table.pformat(max_lines=-1, max_width=-1, align="<")))


def _inventory(options: argparse.Namespace) -> int:
    from .night import inventory

    table = inventory(options.raw, instrument=options.instrument)
    _print_table(table)
    return DONE if len(table) else NOTHING_DONE


def _plan(options: argparse.Namespace) -> int:
    from .night import plan_night

    table = plan_night(options.raw, **_choice(options))
    _print_table(table["in_name", "frame_type", "product"])
    print()
    told = set()
    for row in table:
        what = row["in_name"] if row["frame_type"] == "light" else row["product"]
        reasons = " ".join(filter(None, [row["why"] and f"{row['why']}.", row["message"]]))
        if reasons and (what, reasons) not in told:
            told.add((what, reasons))
            print(f"{what if what else row['in_name']}: {reasons}")
    return DONE if any(table["product"] != "") else NOTHING_DONE


def _instrument(options: argparse.Namespace) -> int:
    from .fits import understand

    hdu = options.hdu
    hdu = int(hdu) if hdu is not None and hdu.isdigit() else hdu
    found = understand(options.file, hdu=hdu, instrument=options.instrument)
    print(f"{options.file} is read as: {found.instrument.name}\n")
    _print_table(found.facts)
    print(*(f"note: {note}" for note in found.notes), sep="\n")
    if options.toml is not None:
        with open(options.toml, "w" if options.overwrite else "x", encoding="utf-8") as stream:
            stream.write(found.toml)
        print(f"a TOML file to start from is {options.toml}")
    return DONE


def _combine(options: argparse.Namespace) -> int:
    import astropy.units as u

    from .fits import write_frame
    from .masters import combine

    gain = None if options.gain is None else options.gain * u.electron / u.adu
    noise = None if options.read_noise is None else options.read_noise * u.electron
    names = ("method", "clip", "n_low", "n_high", "sigma_low", "sigma_high", "scale", "mem_limit")
    keywords = {name: getattr(options, name) for name in names}
    master = combine(options.frames, gain=gain, read_noise=noise, **keywords)
    write_frame(master, options.output, overwrite=options.overwrite, checksum=True)
    print(f"{len(options.frames)} frames combined into {options.output}")
    return DONE


def _report(options: argparse.Namespace) -> int:
    from .report import write_report

    print(f"the page is {write_report(options.outdir)}")
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from pathlib import Path

    from .night import reduce_night

    outdir = Path(options.outdir)
    raw = _simulated(outdir / "raw") if options.raw is None else options.raw
    reduced = outdir / "reduced"
    table = reduce_night(raw, reduced, overwrite=True)
    _show(table, str(reduced))
    return DONE


def _simulated(raw: Any) -> Any:
    """Simulate the demo's raw night, unless an earlier demo did."""
    import shutil

    from .simulate import simulate_night

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

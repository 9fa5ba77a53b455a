"""The ``bmp-astro`` command; nothing but argument handling."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .combine import add_combine
from .look import add_instrument, add_inventory, add_plan
from .options import NOTHING_DONE
from .provenance import add_provenance
from .reduce import add_demo, add_reduce, add_report

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
    options = command_parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt as stop:
        print(f"bmp-astro: {stop}; the same command goes on from here", file=sys.stderr)
        return STOPPED
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"bmp-astro: {error}", file=sys.stderr)
        return NOTHING_DONE


def command_parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    parser = argparse.ArgumentParser(
        prog="bmp-astro",
        description="Reduce nights of observatory images.",
        epilog="Exit status: 0 all done, 1 some files failed, 2 nothing could be done.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        add_reduce,
        add_inventory,
        add_plan,
        add_instrument,
        add_combine,
        add_report,
        add_provenance,
        add_demo,
    ):
        add(commands)
    return parser


class _Version(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"bmp-astro {version('bmp_astro')}")
        parser.exit()

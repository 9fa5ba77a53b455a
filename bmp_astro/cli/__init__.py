"""The ``bmp-astro`` command; nothing but argument handling."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from .combine import add_combine
from .look import add_instrument, add_inventory, add_plan
from .options import NOTHING_DONE
from .parser import Parser
from .provenance import add_provenance
from .reduce import add_demo, add_reduce, add_report

# What a shell tells of a command that Ctrl-C ended, and of one whose reader went away.
STOPPED, UNREAD = 130, 141


def command() -> int:
    """Run the command in a process of its own, and return the process's status.

    All that is left goes with the process: Python is kept from looking through it for garbage
    before it ends, which takes longer than many a command.
    """
    try:
        return main()
    finally:
        gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; by default the process's own.

    Returns
    -------
    int
        0 all done; 1 some rows failed; 2 nothing could be done; 130 stopped by Ctrl-C;
        141 nobody reads what is printed (``| head``).
    """
    parser = command_parser()
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        parser.print_help(sys.stderr)
        return NOTHING_DONE
    options = parser.parse_args(given)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        what = str(stop) if str(stop) else "stopped"
        print(f"bmp-astro: {what}; the same command goes on from here", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        # What is still buffered must not raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"bmp-astro: {_in_words(error, options)}", file=sys.stderr)
        return NOTHING_DONE
    return status


def _in_words(error: Exception, options: argparse.Namespace) -> str:
    """What went wrong, without error numbers; what the system says names the file first."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    name = getattr(options, "outdir", None) if error.filename is None else error.filename
    return error.strerror if name is None else f"{os.fsdecode(name)}: {error.strerror}"


def command_parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    parser = Parser(
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

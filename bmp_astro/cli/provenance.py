"""``provenance``: what a product was made of, and what of it no longer matches."""

import argparse
from typing import Any

from .options import DONE, SOME_FAILED, add_command


def add_provenance(commands: Any) -> None:
    """Down to the raw files."""
    text = "what a product was made of, and what no longer matches"
    parser = add_command(commands, "provenance", text, _provenance)
    parser.epilog = "Exit status: 0 all matches, 1 something does not, 2 it cannot be traced."
    parser.add_argument("file", metavar="FILE", help="a reduced light frame or a master")
    parser.add_argument(
        "--search", metavar="DIR", nargs="+", default=(), help="directories to find its files in"
    )


def _provenance(options: argparse.Namespace) -> int:
    from ..night import provenance

    tree = provenance(options.file, search=options.search)
    print(*tree.lines(), sep="\n")
    files = list(tree.files())
    wrong = [one for one in files if one.problems]
    if not wrong:
        print(f"\nall {len(files)} files are there and as they were")
        return DONE
    print(f"\n{len(wrong)} of {len(files)} files no longer match:")
    for one in wrong:
        where = one.name if one.path is None else one.path
        print(f"  {where} ({one.role}): {'; '.join(one.problems)}")
    return SOME_FAILED

"""``inventory``, ``plan`` and ``instrument``: what is there, and what would be done with it."""

import argparse
from typing import Any

from .options import (
    DONE,
    NOTHING_DONE,
    add_camera,
    add_choice,
    add_command,
    add_raw_command,
    choice,
    nights,
    print_table,
    together,
)


def add_inventory(commands: Any) -> None:
    """What there is of each file."""
    add_raw_command(commands, "inventory", "what is there, as a table", _inventory)


def add_plan(commands: Any) -> None:
    """What a night would do."""
    add_choice(add_raw_command(commands, "plan", "what would be done with it, and why", _plan))


def add_instrument(commands: Any) -> None:
    """How one file is understood."""
    parser = add_command(commands, "instrument", "what is understood of a file", _instrument)
    add = parser.add_argument
    add("file", metavar="FILE", help="a FITS file")
    add("--hdu", metavar="HDU", help="number or name of the unit (default: the first image)")
    add("--toml", metavar="OUT", help="write a TOML file to start from")
    add("--overwrite", action="store_true", help="replace an existing TOML file")
    add_camera(parser)


def _inventory(options: argparse.Namespace) -> int:
    from ..night import inventory

    table = inventory(options.raw, instrument=options.instrument, **nights(options))
    unknown = [name for name in table.colnames if name != "message" and _is_empty(table[name])]
    print_table(table[[name for name in table.colnames if not _is_empty(table[name])]])
    if unknown and len(table):
        print(f"\nno file tells: {', '.join(unknown)}")
    return DONE if len(table) else NOTHING_DONE


def _is_empty(column: Any) -> bool:
    """Whether a column says nothing of any file."""
    masked = getattr(column, "mask", False)
    return bool(((column == "") if column.dtype.kind == "U" else masked).all())


def _plan(options: argparse.Namespace) -> int:
    from ..night import plan_night

    table = plan_night(options.raw, **choice(options))
    print_table(table["in_name", "frame_type", "product"])
    print()
    alike: dict[tuple[str, str], list[str]] = {}
    for row in table:
        master = "" if row["frame_type"] == "light" else str(row["product"])
        alike.setdefault((master, _reasons(row)), []).append(str(row["in_name"]))
    for (master, reasons), names in alike.items():
        if reasons:
            print(f"{master if master else together(names)}: {reasons}")
    return DONE if any(table["product"] != "") else NOTHING_DONE


def _reasons(row: Any) -> str:
    """Why a row of a plan is as it is, each reason once."""
    why = str(row["why"])
    own = "; ".join(text for text in str(row["message"]).split("; ") if text not in why)
    return " ".join(filter(None, [why and f"{why}.", own]))


def _instrument(options: argparse.Namespace) -> int:
    from ..fits import understand

    hdu = options.hdu
    hdu = int(hdu) if hdu is not None and hdu.isdigit() else hdu
    found = understand(options.file, hdu=hdu, instrument=options.instrument)
    print(f"{options.file} is read as: {found.instrument.name}\n")
    print_table(found.facts)
    print(*(f"note: {note}" for note in found.notes), sep="\n")
    if options.toml is not None:
        with open(options.toml, "w" if options.overwrite else "x", encoding="utf-8") as stream:
            stream.write(found.toml)
        print(f"a TOML file to start from is {options.toml}")
    return DONE

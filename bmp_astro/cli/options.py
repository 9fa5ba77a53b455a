"""What the commands share: their options, the exit statuses, and how a table is printed."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
KINDS = ("bias", "dark", "flat")
MASK = "mask"  # given as a master is, but a mask of bad pixels


def add_command(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    """A command that ``run`` carries out."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def add_camera(parser: argparse.ArgumentParser) -> None:
    """Which camera it is."""
    parser.add_argument(
        "--instrument",
        metavar="NAME",
        help="the camera: a built-in name or a TOML file (default: chosen by each header)",
    )


def add_raw_command(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    """A command on raw frames."""
    parser = add_command(commands, name, text, run)
    add = parser.add_argument
    add("raw", metavar="RAW", nargs="+", help="directories (each is a night), and raw frames")
    add_camera(parser)
    add(
        "--split-nights",
        action="store_true",
        help="a night goes from local noon to noon (default: it is a directory)",
    )
    add(
        "--longitude",
        type=float,
        metavar="DEG",
        help="of the site, to the east (default: the headers', else gaps of 6 h part nights)",
    )
    return parser


def nights(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_raw_command` asked of nights, as keywords."""
    return {"split_nights": options.split_nights, "longitude": options.longitude}


def add_choice(parser: argparse.ArgumentParser) -> None:
    """How masters are chosen: the same for the plan and for what is made by it."""
    add = parser.add_argument
    add("--masters", metavar="PATH", nargs="+", help="existing masters, or directories of them")
    add(
        "--set",
        metavar="KIND=FILE",
        action="append",
        default=[],
        type=_assignment,
        help="a master that all lights are to use, such as dark=dark.fits; mask=FILE is a mask of "
        "bad pixels, which joins those that are found",
    )
    add(
        "--require",
        metavar="KINDS",
        default="bias,flat",
        help="masters without which a light is not reduced, with commas, or none (%(default)s)",
    )
    add(
        "--max-age",
        metavar="AGE",
        action="append",
        default=[],
        type=_age,
        help="how far in time masters may be, such as 2d; of one kind, such as flat=30d",
    )
    add(
        "--classification",
        choices=("strict", "warn", "trust"),
        default="warn",
        help="refuse frames that do not look like their type, warn of them, or do not look; trust "
        "also takes frames that were calibrated already (%(default)s)",
    )


def _age(text: str) -> tuple[str, str]:
    """KIND=AGE as a pair; AGE alone is for all kinds, and its kind is empty."""
    kind, sign, age = text.rpartition("=")
    if not age or (sign and kind not in KINDS):
        raise argparse.ArgumentTypeError(f"{text!r} is not AGE, bias=AGE, dark=AGE or flat=AGE")
    return kind, age


def _max_age(ages: list[tuple[str, str]]) -> dict[str, str] | None:
    """The limit of each kind: its own, else that for all."""
    limits = dict(ages)
    for_all = {kind: limits[""] for kind in KINDS if "" in limits}
    return {**for_all, **{kind: age for kind, age in ages if kind}} if ages else None


def _assignment(text: str) -> tuple[str, str]:
    """KIND=FILE as a pair."""
    kind, sign, path = text.partition("=")
    if kind not in (*KINDS, MASK) or not sign or not path:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not bias=FILE, dark=FILE, flat=FILE or mask=FILE"
        )
    return kind, path


def choice(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_choice` and `add_camera` asked, as keywords of the night and its plan."""
    return {
        "instrument": options.instrument,
        "masters": options.masters,
        "use": {kind: path for kind, path in options.set if kind != MASK},
        "require": [kind for kind in options.require.split(",") if kind not in ("", "none")],
        "max_age": _max_age(options.max_age),
        "classification": options.classification,
        **nights(options),
    }


def positive(text: str) -> float:
    """A number greater than 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return number


def size(text: str) -> int:
    """A size such as 500M or 4G in bytes."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    number = text.upper().removesuffix("B").removesuffix("I")
    factor = units.get(number[-1:], 1)
    try:
        found = int(float(number.rstrip("KMGT")) * factor)
    except ValueError:
        found = 0
    if found <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 4G")
    return found


def print_table(table: Any) -> None:
    """Print a table whole, however wide the terminal is, with six digits of each number."""
    table = table.copy(copy_data=False)
    for name in table.colnames:
        if table[name].dtype.kind == "f":
            table[name].info.format = ".6g"
    print("\n".join(table.pformat(max_lines=-1, max_width=-1, align="<")))


def together(names: Sequence[str]) -> str:
    """Files about which the same is said, in few words."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

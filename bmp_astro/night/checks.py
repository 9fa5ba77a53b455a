"""What is refused before a night is begun."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..ccdmultipipe import CalibrationPipe
from ..core import Settings
from ..core.filepipe import step_list
from ..core.machine.resources import check_number
from ..masters import guess_types
from .inventory import Frame, Raw, Spec, tops_of
from .plan import KINDS

PerKind = Mapping[str, Mapping[str, Any]]
_NAMED = 3


def check_kinds(**given: PerKind | None) -> None:
    """Refuse a recipe or gate for something that is no kind of master; a sky has a recipe too."""
    for name, mapping in given.items():
        kinds = [*KINDS, "sky"] if name == "combine" else [*KINDS]
        unknown = sorted(set({} if mapping is None else mapping) - set(kinds))
        if unknown:
            raise ValueError(f"{name} has {unknown}: expected some of {kinds}")


def check_run(
    pipe: Any, executor: Any, num_processes: float | None, keywords: Mapping[str, Any]
) -> None:
    """Refuse, before masters are built, what cannot reduce the lights."""
    if not (isinstance(pipe, type) and issubclass(pipe, CalibrationPipe)):
        raise TypeError(
            f"pipe is {pipe!r}: expected CalibrationPipe or a subclass of it, the class itself"
        )
    Settings(executor=executor)
    for name in ("pre_process_list", "post_process_list"):
        step_list(name, keywords.get(name))
    if num_processes is not None:
        check_number("num_processes", num_processes)


def check_apart(raw: Raw, out: Path) -> None:
    """Refuse to write among the raw frames."""
    for top in tops_of(raw):
        if Path(top).resolve() == out.resolve():
            raise ValueError(
                f"outdir is {out}, the directory of the raw frames: give the products a "
                "directory of their own (one inside it will do)"
            )
    if out.exists() and not out.is_dir():
        raise ValueError(f"outdir is {out}, a file: give the name of a directory")


def with_guesses(frames: Sequence[Frame], instrument: Spec) -> list[Frame]:
    """The frames, those without a type with a message that says what their pixels look like."""
    unknown = [
        frame.path for frame in frames if frame.readable and not frame.kind and not frame.calibrated
    ]
    guesses = guess_types(unknown, instrument=instrument)
    return [
        replace(frame, message=f"{frame.message}; its pixels look like: {guess}")
        if (guess := guesses.get(frame.path, ""))
        else frame
        for frame in frames
    ]


def check_usable(frames: Sequence[Frame], raw: Raw) -> None:
    """Refuse a night of which no file can be used, and say how to help."""
    names = [os.fspath(top) for top in tops_of(raw)]
    where = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        where += f" and {len(names) - _NAMED} more"
    if not frames:
        raise ValueError(
            f"there are no FITS files in {where}: names should end with .fits, .fit or .fts, or "
            "these with .gz or .fz"
        )
    if any(not frame.message for frame in frames):
        return
    reasons = Counter(frame.message for frame in frames).most_common(_NAMED)
    lines = [f"  {count} of {len(frames)}: {reason}" for reason, count in reasons]
    advice = ""
    if any(frame.readable and not frame.kind for frame in frames):
        advice = (
            "\nTo tell the types by the files' names give an instrument, such as a TOML file "
            'with\n  name = "mine"\n  [file_types]\n  "*bias*" = "bias"\n  "*flat*" = "flat"\n'
            '  "*" = "light"'
        )
    raise ValueError("\n".join([f"no file in {where} can be used:", *lines]) + advice)

"""The table of a night: one row for each input file, and what it comes to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Column, QTable, Row, Table, vstack

from ..core import Outcome, pout_to_table
from ..fits.text import joined
from .inventory import Frame

# The columns that come from the inventory, under the keywords that observers know.
_TEXTS = {"OBJECT": "object", "FILTER": "filter", "DATE-OBS": "date_obs"}
_NUMBERS = {"EXPTIME": "exptime", "CCD-TEMP": "temperature"}
# The order of the columns after those of every pipe; others follow.
_ORDER = ("night", "frame_type", "used_in", "alarms", *_TEXTS, *_NUMBERS, "MBIAS", "MDARK", "MFLAT")
_GOOD = ("done", "skipped")
DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2


def night_table(frames: Sequence[Frame], outcomes: Mapping[str, Outcome]) -> QTable:
    """The outcomes of all frames as one table, in the order of the inventory."""
    table = pout_to_table([_with_facts(frame, outcomes[frame.path]) for frame in frames])
    first = table.colnames[: table.colnames.index("frame_type")]
    first = [name for name in first if name not in _ORDER]
    known = [name for name in _ORDER if name in table.colnames]
    rest = [name for name in table.colnames if name not in {*first, *known}]
    return table[[*first, *known, *rest]]


def _with_facts(frame: Frame, outcome: Outcome) -> Outcome:
    meta = {"frame_type": frame.kind, "used_in": "", "alarms": ""}
    if frame.night:
        meta["night"] = frame.night
    for column, fact in _TEXTS.items():
        value = frame.facts.get(fact)
        meta[column] = "" if value is None else value
    for column, fact in _NUMBERS.items():
        if frame.facts.get(fact) is not None:
            meta[column] = frame.facts[fact]
    return Outcome(outcome.outname, {**meta, **outcome.meta}, **vars(outcome))


def summary(table: Table) -> Table:
    """How many files of each type came to what.

    Parameters
    ----------
    table : `~astropy.table.Table`
        What `reduce_night` returned.

    Returns
    -------
    `~astropy.table.Table`
        One row for each frame type, one column for each status that occurs. Of several nights
        each has its rows.
    """
    if "night" in table.colnames:
        nights = sorted(set(map(str, table["night"])))
        parts = [_with_night(_counts(table[table["night"] == night]), night) for night in nights]
        return _with_zeros(vstack(parts))
    return _counts(table)


def _with_night(counts: Table, night: str) -> Table:
    """The counts of one night, which they name first."""
    counts.add_column(Column([night] * len(counts), name="night"), index=0)
    return counts


def _with_zeros(counts: Table) -> Table:
    """The counts with 0 for a status that does not occur in one of the nights."""
    return counts.filled(0) if counts.has_masked_columns else counts


def _counts(table: Table) -> Table:
    """How many files of each type came to what."""
    types = [kind for kind in ("bias", "dark", "flat", "light", "") if kind in table["frame_type"]]
    statuses = list(dict.fromkeys(table["status"]))
    counts = Table({"frame_type": [kind if kind else "unknown" for kind in types]})
    for status in statuses:
        counts[status] = [
            int(np.sum((table["frame_type"] == kind) & (table["status"] == status)))
            for kind in types
        ]
    return counts


def attention(table: Table) -> Table:
    """The rows that somebody should look at: what was not done, and what has an alarm."""
    wanted = ~np.isin(table["status"], _GOOD) | (table["alarms"] != "")
    chosen = table[wanted]
    texts = [joined(_why(row), str(row["alarms"])) for row in chosen]
    names = ("in_name", "status")
    return Table({**{name: list(chosen[name]) for name in names}, "why": texts})


def _why(row: Row) -> str:
    """Why a row has its status; a step that says no without a reason is named."""
    message, step = str(row["message"]), str(row["step"])
    return f"{step} said no" if row["status"] == "rejected" and step and not message else message


def exit_status(table: Table) -> int:
    """What a command that reduced this night should end with.

    Parameters
    ----------
    table : `~astropy.table.Table`
        What `reduce_night` returned.

    Returns
    -------
    int
        0 if no file failed, 1 if some did, 2 if nothing could be done.
    """
    statuses = [str(status) for status in table["status"]]
    if not any(status in _GOOD for status in statuses):
        return NOTHING_DONE
    return SOME_FAILED if {"failed", "not_run"} & set(statuses) else DONE


def failed(name: str, message: str) -> Outcome:
    """A row for a file that could not be used."""
    return Outcome(None, {}, in_name=name, status="failed", message=message)


def rejected(name: str, message: str, **meta: Any) -> Outcome:
    """A row for a file that should not be used."""
    return Outcome(None, meta, in_name=name, status="rejected", message=message)

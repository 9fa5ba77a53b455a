"""The table of a night as plain rows, in which a value is there or is not."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from astropy.table import Table
from astropy.time import Time
from astropy.units import Quantity

Row = Mapping[str, Any]

MADE = ("done", "skipped")
FRAME_TYPES = ("bias", "dark", "flat", "light")


def as_rows(table: Table) -> list[Row]:
    """Return one mapping for each row, without what is masked, empty or not a number."""
    columns = {name: _values(table[name]) for name in table.colnames}
    return [
        {name: values[i] for name, values in columns.items() if values[i] is not None}
        for i in range(len(table))
    ]


def _values(column: Any) -> list[Any]:
    mask = getattr(column, "mask", None)
    hidden = [False] * len(column) if mask is None else mask
    return [None if gone else _value(value) for value, gone in zip(column, hidden, strict=True)]


def _value(value: Any) -> Any:
    """Return a value of one cell as a plain object, None if it says nothing."""
    value = getattr(value, "unmasked", value)
    if isinstance(value, Time):
        return value.isot
    if isinstance(value, Quantity):
        return value if value.isscalar and math.isfinite(value.value) else None
    if isinstance(value, list | tuple | set):
        value = "; ".join(str(item) for item in value)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if isinstance(value, str) and not value.strip() else value


def first(row: Row, names: Iterable[str]) -> Any:
    """Return the first of several columns that has a value, or None."""
    return next((row[name] for name in names if name in row), None)


def number(value: Any) -> float | None:
    """Return the number in a cell, without its unit, or None if it holds none."""
    value = value.value if isinstance(value, Quantity) else value
    return float(value) if isinstance(value, int | float) else None


def unit_text(values: Iterable[Any]) -> str:
    """Return the unit of the first quantity among some values, as one would write it."""
    unit = next((value.unit for value in values if isinstance(value, Quantity)), None)
    return "" if unit is None else f"{unit:unicode}"


def shown(value: Any, style: str = "") -> str:
    """Return the text of a cell: numbers in a format, "" for nothing, the unit left out."""
    if value is None:
        return ""
    if isinstance(value, bool) or number(value) is None:
        return str(value).strip()
    return format(number(value), style if style else ".6g").replace("-", "\N{MINUS SIGN}")


def status(row: Row) -> str:
    """Return the status of a row; "unknown" if the table does not say."""
    return str(row.get("status", "unknown"))


def frame_type(row: Row) -> str:
    """Return the frame type of a row, "other" if it is none of the four."""
    kind = row.get("frame_type")
    return kind if kind in FRAME_TYPES else "other"


def nights_of(rows: Iterable[Row]) -> list[str]:
    """Return the nights that rows belong to, in order; none where the table names no nights."""
    return sorted({str(row["night"]) for row in rows if "night" in row})


def file_name(row: Row) -> str:
    """Return the base name of the input file."""
    return PurePath(str(row.get("in_name", ""))).name


def filter_name(row: Row) -> str:
    """Return the filter of a row, "no filter" if there is none."""
    name = first(row, ("FILTER", "filter"))
    return "no filter" if name is None else shown(name)


def start_time(row: Row) -> datetime | None:
    """Return when the exposure began (UT), or None if the row does not say so readably."""
    try:
        time = datetime.fromisoformat(shown(first(row, ("DATE-OBS", "date_obs"))))
    except ValueError:
        return None
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)

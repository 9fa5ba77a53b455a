"""A plan that was made before, read back and checked, and the files that its names stand for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from .inventory import Frame
from .names import LIGHTS, MASTERS, is_product_name
from .plan import COLUMNS, KINDS, NOT_IN_PLAN, Entry, as_plan


def read_plan(plan: str | os.PathLike | Table, frames: Sequence[Frame]) -> Table:
    """A plan that was made before, edited or not, as one row for each of ``frames``.

    A frame that the plan does not name is left out; a name that is not among the frames, a missing
    column or a master that does not exist is a ValueError.
    """
    table = plan if isinstance(plan, Table) else _read(plan)
    lacking = [name for name in COLUMNS if name not in table.colnames]
    if lacking:
        raise ValueError(f"the plan has no column {', '.join(lacking)}: see plan_night")
    known = [name for name in (*COLUMNS, "why", "night") if name in table.colnames]
    rows = {str(row["in_name"]): {name: _said(row[name]) for name in known} for row in table}
    unknown = sorted(set(rows) - {frame.path for frame in frames})
    if unknown:
        raise ValueError(
            f"the plan names {unknown[0]}, which is not among the raw files: was it made with "
            "another name for the same directory?"
        )
    products = {row["product"] for row in rows.values()}
    for name, row in rows.items():
        folder = LIGHTS if row["frame_type"] == "light" else MASTERS
        if row["product"] and not is_product_name(row["product"], folder):
            raise ValueError(
                f"the plan gives {name} the product {row['product']}: expected a name such as "
                f"{folder}name.fits"
            )
    for name, row in rows.items():
        for kind in KINDS:
            master = row[f"master_{kind}"]
            if master and master not in products and not os.path.exists(master):
                raise ValueError(
                    f"the plan gives {name} the master {kind} {master}, which is neither one of "
                    "its products nor a file"
                )
    left_out = {"message": NOT_IN_PLAN, "product": ""}
    return as_plan(
        [
            _entry(rows.get(frame.path, {"in_name": frame.path, **left_out}), frame)
            for frame in frames
        ]
    )


def master_path(master: str, plan: Table, out: Path) -> str | None:
    """Where a master is: in the output directory when the plan makes it, else where it says."""
    if not master:
        return None
    return os.path.join(out, master) if master in plan["product"] else master


def _read(path: str | os.PathLike) -> Table:
    try:
        return Table.read(path, format="ascii.ecsv")
    except ValueError as error:
        raise ValueError(
            f"{path} is no plan: expected a plan.ecsv of plan_night ({error})"
        ) from error


def _said(value: Any) -> str:
    return "" if value is np.ma.masked else str(value).strip()


def _entry(row: Mapping[str, str], frame: Frame) -> Entry:
    masters = {kind: row.get(f"master_{kind}", "") for kind in KINDS}
    kind = row.get("frame_type", frame.kind)
    told = (row["message"], row.get("why", ""), row.get("night", frame.night))
    return Entry(frame.path, kind, row["product"], masters, *told)

"""The masters of a night: each built from the frames that the plan gives it."""

import json
import os
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.table import Table

from ..core import Outcome
from ..fits.text import joined
from ..masters import MasterPipe, build_master
from .names import folder_of
from .planfile import master_path
from .rows import failed

_USED = ("bias", "dark")  # what goes into other masters

# Control keywords of the lights that hold for the frames of the masters as well.
_SHARED = frozenset(signature(build_master).parameters) - {"combine"}
_NO_LIGHTS = frozenset(("find_defects", "previous_masters", "mem_limit", "num_threads"))


def build_masters(
    kind: str,
    plan: Table,
    out: Path,
    lost: dict[str, str],
    keywords: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Build the masters of one kind, of all nights, one after the other, each on all cores.

    Parameters
    ----------
    kind : str
        "bias", "dark" or "flat".
    plan : Table
        See `~bmp_astro.plan_night`.
    out : Path
        The output directory.
    lost : dict
        For each product that could not be made: why. What fails here is added.
    keywords : mapping
        What `~bmp_astro.masters.MasterPipe` takes besides.

    Yields
    ------
    Outcome
        Of each frame that the plan gives to a master, as soon as that master is made.
    """
    parts: dict[str, dict[str, Table]] = {}
    for product, rows in _by_product(plan, kind):
        parts.setdefault(folder_of(product), {})[product] = rows
    for folder, products in parts.items():
        yield from _build_in(folder, products, plan, out, lost, {"kind": kind, **keywords})


def _build_in(
    folder: str,
    masters: Mapping[str, Table],
    plan: Table,
    out: Path,
    lost: dict[str, str],
    keywords: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Build the masters of one directory."""
    products, single, lacking = {}, {}, {}
    for product, rows in masters.items():
        names = [str(name) for name in rows["in_name"]]
        wanted = {f"master_{other}": str(rows[f"master_{other}"][0]) for other in _USED}
        missing = [f"{master}: {lost[master]}" for master in wanted.values() if master in lost]
        if missing:
            lost[product] = f"a master could not be made: {'; '.join(missing)}"
            yield from (failed(name, lost[product]) for name in names)
            continue
        paths = {key: master_path(master, plan, out) for key, master in wanted.items()}
        single[names[0]] = {"outname": product.removeprefix(folder), **paths}
        products[names[0]] = (product, names)
        lacking[product] = str(rows["message"][0])
    if not products:
        return
    pipe = MasterPipe(
        file_keywords=single,
        outdir=out / folder,
        create_outdir=True,
        on_error="record",
        **keywords,
    )
    for outcome in pipe.iter_pipeline([names for _, names in products.values()]):
        product, names = products[outcome.in_name[0]]
        if outcome.outname is None:
            lost[product] = outcome.message.partition("\n")[0]
        for name, row in zip(names, _rows(outcome, names), strict=True):
            yield _of_input(name, row, product, outcome, out, lacking[product])


def master_keywords(control: Mapping[str, Any]) -> dict[str, Any]:
    """What the masters take of the control keywords of a night, and how they are run.

    The bands of one master are combined in threads, so one master at a time uses all cores.
    """
    shared = {name: value for name, value in control.items() if name in _SHARED}
    return {"executor": "serial", **shared}


def light_keywords(control: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of the control keywords of a night without those that are for masters alone."""
    return {name: value for name, value in control.items() if name not in _NO_LIGHTS}


def _by_product(plan: Table, kind: str) -> Iterator[tuple[str, Table]]:
    """The masters of one kind that a plan makes, each with its rows."""
    rows: dict[str, list[int]] = {}
    columns = (plan[name].tolist() for name in ("frame_type", "product"))
    for number, (frame_type, product) in enumerate(zip(*columns, strict=True)):
        if frame_type == kind and product:
            rows.setdefault(product, []).append(number)
    for product, numbers in rows.items():
        yield product, plan[numbers]


def _rows(outcome: Outcome, names: list[str]) -> list[Mapping[str, Any]]:
    """What the master says of each input; nothing when it was there already or failed."""
    if "inputs" not in outcome.meta:
        return [{}] * len(names)
    said = {row["path"]: row for row in json.loads(outcome.meta["inputs"])}
    return [said[name] for name in names]


def _of_input(
    name: str, row: Mapping[str, Any], product: str, master: Outcome, out: Path, lacking: str
) -> Outcome:
    """What became of one frame, from what became of its master and what that had to do without."""
    if row and not row["used"]:
        status = "failed" if row["error"] else "rejected"
        return Outcome(None, {}, in_name=name, status=status, step=product, message=row["reason"])
    if master.status == "not_run":
        return Outcome(in_name=name, status="not_run")
    if master.outname is None:
        return failed(name, _why_failed(name, product, master.message))
    meta: dict[str, Any] = {"used_in": os.path.join(out, product)}
    if row:
        meta.update(_level(row, master.meta["level_unit"]))
        meta["alarms"] = "; ".join([*row["alarms"], *_alarms_of(product, master, name, lacking)])
    return Outcome(None, meta, in_name=name, status=master.status, message=master.message)


def _level(row: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """The level of a frame; that of a flat in electron has a column of its own."""
    column = "level" if unit == "adu" else "flat_level"
    return {} if row["level"] is None else {column: u.Quantity(row["level"], unit)}


def _alarms_of(product: str, master: Outcome, name: str, lacking: str) -> list[str]:
    """The alarms of a master, said in the row of its first file."""
    first = next(row["path"] for row in json.loads(master.meta["inputs"]) if row["used"])
    alarms = joined(lacking, master.meta["alarms"])
    return [f"{product}: {alarms}"] if alarms and name == first else []


def _why_failed(name: str, product: str, message: str) -> str:
    """A failed master's message for one of its files; after the first line each file has one."""
    first, *others = message.splitlines()
    own = [line.removeprefix(f"{name}: ") for line in others if line.startswith(f"{name}: ")]
    return "; ".join([*own, f"{product} could not be made: {first}"])

"""The masters of a night: each built from the frames that the plan gives it."""

import json
import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.table import Table

from ..core import Outcome
from ..masters import MasterPipe, build_master
from .plan import KINDS, master_path
from .rows import failed

# Control keywords of the lights that hold for the frames of the masters as well.
_SHARED = frozenset(signature(build_master).parameters) - {"combine"}


def build_masters(
    kind: str,
    plan: Table,
    out: Path,
    lost: dict[str, str],
    keywords: Mapping[str, Any],
) -> dict[str, Outcome]:
    """Build the masters of one kind, one after the other, each on all cores.

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

    Returns
    -------
    dict
        The outcome of each frame that the plan gives to a master, by its name.
    """
    outcomes, inputs, groups = {}, {}, {}
    chosen = plan[(plan["frame_type"] == kind) & (plan["product"] != "")]
    for product in dict.fromkeys(map(str, chosen["product"])):
        rows = chosen[chosen["product"] == product]
        names = [str(name) for name in rows["in_name"]]
        wanted = {f"master_{other}": str(rows[f"master_{other}"][0]) for other in KINDS}
        missing = [f"{master}: {lost[master]}" for master in wanted.values() if master in lost]
        if missing:
            lost[product] = f"a master could not be made: {'; '.join(missing)}"
            outcomes.update({name: failed(name, lost[product]) for name in names})
            continue
        inputs[product] = names
        paths = {key: master_path(master, plan, out) for key, master in wanted.items()}
        groups[names[0]] = {**paths, "outname": product}
    if inputs:
        (out / "masters").mkdir(exist_ok=True)
        pipe = MasterPipe(kind=kind, groups=groups, outdir=out, on_error="record", **keywords)
        made = pipe.pipeline(list(inputs.values()))
        for product, outcome in zip(inputs, made, strict=True):
            if outcome.outname is None:
                lost[product] = outcome.message.partition("\n")[0]
            for name, row in zip(inputs[product], _rows(outcome, inputs[product]), strict=True):
                outcomes[name] = _of_input(name, row, product, outcome, out)
    return outcomes


def master_keywords(
    num_processes: float | None, mem_available: float | None, control: Mapping[str, Any]
) -> dict[str, Any]:
    """What the masters take of the settings and the control keywords of a night.

    The bands of one master are combined in threads, so that one master at a time uses all cores.
    """
    threads = None if num_processes is None else max(1, int(num_processes))
    shared = {name: value for name, value in control.items() if name in _SHARED}
    return {"executor": "serial", "num_threads": threads, "mem_limit": mem_available, **shared}


def _rows(outcome: Outcome, names: list[str]) -> list[Mapping[str, Any]]:
    """What the master says of each input; nothing when it was there already or failed."""
    if "inputs" not in outcome.meta:
        return [{}] * len(names)
    said = {row["path"]: row for row in json.loads(outcome.meta["inputs"])}
    return [said[name] for name in names]


def _of_input(
    name: str, row: Mapping[str, Any], product: str, master: Outcome, out: Path
) -> Outcome:
    """What became of one frame, from what became of its master."""
    if row and not row["used"]:
        status = "failed" if row["error"] else "rejected"
        return Outcome(None, {}, in_name=name, status=status, step=product, message=row["reason"])
    if master.outname is None:
        return failed(name, _why_failed(name, product, master.message))
    meta: dict[str, Any] = {"used_in": os.path.join(out, product)}
    if row:
        meta.update(_level(row, master.meta["level_unit"]))
        meta["alarms"] = "; ".join([*row["alarms"], *_alarms_of(product, master, name)])
    return Outcome(None, meta, in_name=name, status=master.status, message=master.message)


def _level(row: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """The level of a frame; that of a flat in electron has a column of its own."""
    column = "level" if unit == "adu" else "flat_level"
    return {} if row["level"] is None else {column: u.Quantity(row["level"], unit)}


def _alarms_of(product: str, master: Outcome, name: str) -> list[str]:
    """The alarms of a master, said in the row of its first file."""
    first = next(row["path"] for row in json.loads(master.meta["inputs"]) if row["used"])
    alarms = master.meta["alarms"]
    return [f"{product}: {alarms}"] if alarms and name == first else []


def _why_failed(name: str, product: str, message: str) -> str:
    """A failed master's message for one of its files; after the first line each file has one."""
    first, *others = message.splitlines()
    own = [line.removeprefix(f"{name}: ") for line in others if line.startswith(f"{name}: ")]
    return "; ".join([*own, f"{product} could not be made: {first}"])

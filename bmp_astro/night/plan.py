"""What would be done with a night: which frames make which product, with which masters."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Row, Table

from ..core.table import column
from ..fits import find_instrument
from ..masters import find_masters
from .inventory import Frame, Raw, Spec, as_table, survey
from .matching import (
    Candidate,
    as_one,
    best,
    exposures_of,
    group,
    same_exposure,
    seconds_of,
    shared_facts,
)
from .names import LIGHTS, MASTERS, light_names, master_name, unique

Masters = str | os.PathLike | Iterable[str | os.PathLike]
Select = Callable[[Row], bool] | Mapping[str, Any]

KINDS = ("bias", "dark", "flat")
REQUIRED = ("bias", "flat")
COLUMNS = ("in_name", "frame_type", "product", *(f"master_{kind}" for kind in KINDS), "message")


@dataclass
class Entry:
    """One line of a plan: a frame, the product it goes into, and the masters used for that."""

    in_name: str
    frame_type: str
    product: str = ""
    masters: dict[str, str] = field(default_factory=dict)
    message: str = ""


def plan_night(
    raw: Raw,
    *,
    instrument: Spec = None,
    masters: Masters | None = None,
    select: Select | None = None,
    require: Collection[str] = REQUIRED,
) -> Table:
    """Tell what `reduce_night` would do, without touching a pixel.

    Parameters
    ----------
    raw : str, path or iterable of them
        Directories of raw frames, and raw frames.
    instrument : Instrument or str, optional
        The camera; by default each header chooses.
    masters : path or iterable of paths, optional
        Existing masters, or directories of them, for what the night itself cannot provide.
    select : callable or mapping, optional
        Which light frames to reduce: a function of a row of the `inventory`, or the wanted value
        (or list of values) of some of its columns.
    require : collection of str
        The kinds of master without which a light frame is not reduced. A dark that is missing is
        reported, and the light reduced without it, unless it is named here.

    Returns
    -------
    `~astropy.table.Table`
        One row for each file: ``in_name``, ``frame_type``, ``product`` (inside the output
        directory; ``""`` for a file that is left out), ``master_bias``, ``master_dark``,
        ``master_flat`` (a product, or an existing file) and ``message``. It may be edited and
        given back to `reduce_night`.

    Raises
    ------
    FileNotFoundError
        If one of the names does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro import plan_night
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(32, 48), filters=("V",), bad_files=False)
    ...     plan = plan_night(folder)
    >>> sorted(name for name in set(plan["product"].tolist()) if name.startswith("masters"))
    ['masters/master_bias.fits', 'masters/master_dark_120s.fits', 'masters/master_flat_V.fits']
    """
    frames = survey(raw, instrument=instrument)
    return make_plan(frames, masters=masters, select=select, require=require)


def make_plan(
    frames: Sequence[Frame],
    *,
    masters: Masters | None = None,
    select: Select | None = None,
    require: Collection[str] = REQUIRED,
) -> Table:
    """The plan for frames that have been surveyed; see `plan_night`."""
    unknown = sorted(set(require) - set(KINDS))
    if unknown:
        raise ValueError(f"require names {', '.join(unknown)}: only {', '.join(KINDS)} can be")
    entries = {frame.path: Entry(frame.path, frame.kind, "", {}, frame.message) for frame in frames}
    usable = [frame for frame in frames if not frame.message]
    candidates = [] if masters is None else _existing(masters)
    taken: set[str] = set()
    for kind in KINDS:
        made = []
        for members in group([frame for frame in usable if frame.kind == kind], kind):
            made.append(_plan_master(kind, members, candidates, entries, taken))
        candidates = candidates + made
    _plan_lights(_selected(frames, usable, select, entries), candidates, entries, require)
    return _as_plan(list(entries.values()))


def _plan_master(
    kind: str,
    members: list[Frame],
    candidates: list[Candidate],
    entries: dict[str, Entry],
    taken: set[str],
) -> Candidate:
    """Choose the masters that one new master needs, and enter its members."""
    needs: dict[str, str] = {}
    message = ""
    one, exposures = as_one(members), exposures_of(members)
    if kind in ("dark", "flat"):
        bias, _ = best(one, candidates, "bias")
        needs["bias"] = bias[0].name if bias else ""
    if kind == "flat":
        dark, message = choose_dark(one, candidates, exposures, has_bias=bool(needs["bias"]))
        needs["dark"] = "" if dark is None else dark.name
        if dark is not None and not dark.bias_removed:
            needs["bias"] = ""
    name = unique(master_name(kind, one), taken)
    for frame in members:
        entries[frame.path] = Entry(frame.path, kind, name, needs, message)
    removed = kind != "dark" or bool(needs["bias"])
    return Candidate(name, kind, shared_facts(members), exposures, bias_removed=removed)


def choose_dark(
    frame: Frame,
    candidates: Sequence[Candidate],
    exposures: tuple[float, float] | None,
    *,
    has_bias: bool,
) -> tuple[Candidate | None, str]:
    """The dark that serves a frame of these exposures: an equal one, else a longer one, scaled.

    Scaling needs a dark without its bias, a bias for the frame and a camera that allows it.
    Returns the dark or None, and then in words why there is none.
    """
    fitting, refused = best(frame, candidates, "dark")
    low, high = exposures if exposures is not None else (None, None)
    reasons = [refused] if refused else []
    longer = []
    for dark in fitting:
        seconds = None if dark.exposures is None else dark.exposures[1]
        if same_exposure(seconds, low) and same_exposure(seconds, high):
            if has_bias or not dark.bias_removed:
                return dark, ""
            reasons.append(f"{dark.name}: its bias is removed, and there is no bias here")
        elif not (frame.instrument is None or frame.instrument.dark_scaling):
            reasons.append(f"{dark.name}: {seconds:g} s, and this camera's darks do not scale")
        elif not (has_bias and dark.bias_removed):
            reasons.append(f"{dark.name}: {seconds:g} s, and without a bias it cannot be scaled")
        elif seconds < high:
            reasons.append(f"{dark.name}: its {seconds:g} s are shorter than {high:g} s")
        else:
            longer.append((seconds, dark))
    if longer:
        return min(longer, key=lambda pair: pair[0])[1], ""
    return None, "; ".join(["no master dark fits", *reasons])


def _plan_lights(
    lights: list[Frame],
    candidates: list[Candidate],
    entries: dict[str, Entry],
    require: Collection[str],
) -> None:
    names = light_names([frame.path for frame in lights])
    for frame in lights:
        masters, missing = choose_masters(frame, candidates)
        lacking = [text for kind, text in missing.items() if kind in require]
        product = "" if lacking else names[frame.path]
        message = "; ".join(lacking if lacking else missing.values())
        entries[frame.path] = Entry(frame.path, "light", product, masters, message)


def choose_masters(
    frame: Frame, candidates: Sequence[Candidate]
) -> tuple[dict[str, str], dict[str, str]]:
    """The masters for one light, by kind, and in words what is missing, by kind."""
    masters, missing = dict.fromkeys(KINDS, ""), {}
    bias, no_bias = best(frame, candidates, "bias")
    exptime = seconds_of(frame)
    exposures = None if exptime is None else (exptime, exptime)
    dark, no_dark = choose_dark(frame, candidates, exposures, has_bias=bool(bias))
    flat, no_flat = best(frame, candidates, "flat")
    if dark is not None:
        masters["dark"] = dark.name
    else:
        missing["dark"] = no_dark
    if dark is None or dark.bias_removed:
        if bias:
            masters["bias"] = bias[0].name
        else:
            missing["bias"] = _none_fits("bias", no_bias)
    if flat:
        masters["flat"] = flat[0].name
    else:
        missing["flat"] = _none_fits("flat", no_flat)
    return masters, missing


def _none_fits(kind: str, refused: str) -> str:
    return f"no master {kind} fits ({refused})" if refused else f"there is no master {kind}"


def _existing(masters: Masters) -> list[Candidate]:
    """Masters that were made before, as candidates."""
    found = []
    for master in find_masters(masters):
        camera = find_instrument(None, master.header)
        # Size and origin are the raw frames': a product's own have been trimmed.
        names = ("camera", "serial", "xbinning", "ybinning", "readout_mode", "gain_setting")
        names += ("offset", "temperature", "filter", "exptime", "date_obs")
        frame = Frame(master.path, master.kind, {n: camera.value(n, master.header) for n in names})
        removed = bool(master.header.get("BIASSUB", True))
        found.append(
            Candidate(master.path, master.kind, frame.facts, exposures_of([frame]), False, removed)
        )
    return found


def _selected(
    frames: Sequence[Frame],
    usable: list[Frame],
    select: Select | None,
    entries: dict[str, Entry],
) -> list[Frame]:
    """The lights to reduce; those that were not selected say so."""
    lights = [frame for frame in usable if frame.kind == "light"]
    if select is None:
        return lights
    table = as_table(list(frames))
    rows = dict(zip(table["in_name"], table, strict=True))
    chosen = [frame for frame in lights if _wanted(rows[frame.path], select)]
    for frame in lights:
        if frame not in chosen:
            entries[frame.path].message = "not selected"
    return chosen


def _wanted(row: Row, select: Select) -> bool:
    if callable(select):
        return bool(select(row))
    return all(row[key] in np.atleast_1d(values) for key, values in select.items())


def read_plan(plan: str | os.PathLike | Table, frames: Sequence[Frame]) -> Table:
    """A plan that was made before, edited or not, as one row for each of ``frames``.

    A frame that the plan does not name is left out; a name that is not among the frames, a missing
    column or a master that does not exist is a ValueError.
    """
    table = plan if isinstance(plan, Table) else Table.read(plan, format="ascii.ecsv")
    lacking = [name for name in COLUMNS if name not in table.colnames]
    if lacking:
        raise ValueError(f"the plan has no column {', '.join(lacking)}: see plan_night")
    rows = {str(row["in_name"]): {name: _said(row[name]) for name in COLUMNS} for row in table}
    unknown = sorted(set(rows) - {frame.path for frame in frames})
    if unknown:
        raise ValueError(
            f"the plan names {unknown[0]}, which is not among the raw files: was it made with "
            "another name for the same directory?"
        )
    products = {row["product"] for row in rows.values()}
    for name, row in rows.items():
        folder = LIGHTS if row["frame_type"] == "light" else MASTERS
        if row["product"] and not re.fullmatch(rf"{folder}[^/]+\.fits", row["product"]):
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
    left_out = {"message": "not in the plan", "product": ""}
    return _as_plan(
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


def _said(value: Any) -> str:
    return "" if value is np.ma.masked else str(value).strip()


def _entry(row: Mapping[str, str], frame: Frame) -> Entry:
    masters = {kind: row.get(f"master_{kind}", "") for kind in KINDS}
    kind = row.get("frame_type", frame.kind)
    return Entry(frame.path, kind, row["product"], masters, row["message"])


def _as_plan(entries: list[Entry]) -> Table:
    plan = Table()
    plan["in_name"] = column([entry.in_name for entry in entries])
    plan["frame_type"] = column([entry.frame_type for entry in entries])
    plan["product"] = column([entry.product for entry in entries])
    for kind in KINDS:
        plan[f"master_{kind}"] = column([entry.masters.get(kind, "") for entry in entries])
    plan["message"] = column([entry.message for entry in entries])
    return plan

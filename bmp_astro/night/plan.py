"""What would be done with a night: which frames make which product, with which masters."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import Row, Table

from ..core.table import column
from ..fits import find_instrument
from ..masters import find_masters
from .choosing import Choice, choose, choose_dark, choose_for_light, given, names_of
from .dates import Limits, MaxAge, age_limits
from .inventory import Frame, Raw, Spec, as_table, survey
from .matching import (
    Candidate,
    as_one,
    exposures_of,
    group,
    shared_facts,
)
from .names import light_names, master_name, unique
from .nights import Longitude

Masters = str | os.PathLike | Iterable[str | os.PathLike]
Select = Callable[[Row], bool] | Mapping[str, Any]

KINDS = ("bias", "dark", "flat")
REQUIRED = ("bias", "flat")
# Why a light frame has no product where somebody wanted it so.
NOT_SELECTED, NOT_IN_PLAN = "not selected", "not in the plan"
COLUMNS = ("in_name", "frame_type", "product", *(f"master_{kind}" for kind in KINDS), "message")


@dataclass
class Entry:
    """One line of a plan: a frame, the product it goes into, and the masters used for that."""

    in_name: str
    frame_type: str
    product: str = ""
    masters: dict[str, str] = field(default_factory=dict)
    message: str = ""
    why: str = ""
    night: str = ""


def plan_night(
    raw: Raw,
    *,
    instrument: Spec = None,
    masters: Masters | None = None,
    select: Select | None = None,
    require: Collection[str] = REQUIRED,
    use: Mapping[str, str | os.PathLike] | None = None,
    max_age: MaxAge = None,
    classification: str = "warn",
    split_nights: bool = False,
    longitude: Longitude = None,
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
    use : mapping of str to path, optional
        Masters that all lights are to use whatever their facts: ``{"dark": "dark.fits"}``.
    max_age : `~astropy.units.Quantity`, str or mapping, optional
        How far in time a master may be from what it is used for: ``"2 d"`` for all kinds, or a
        limit for some of them: ``{"bias": "12 h", "flat": "30 d"}``. Of what fits the nearest is
        taken in any case.
    classification : {"strict", "warn", "trust"}
        With ``"trust"`` frames whose header says that they were calibrated already are taken.
    split_nights : bool
        Divide the frames into nights from local noon to noon. Else each of several directories
        with light frames is a night, and a single one, with all below it, too.
    longitude : float or `~astropy.units.Quantity`, optional
        Of the site, degrees to the east; by default what the headers say, else nights are told by
        gaps of more than 6 hours.

    Returns
    -------
    `~astropy.table.Table`
        One row for each file: ``in_name``, ``frame_type``, ``product`` (inside the output
        directory; ``""`` for a file that is left out), ``master_bias``, ``master_dark``,
        ``master_flat`` (a product, or an existing file), ``message`` (what is wrong or missing)
        and ``why`` (each choice with its reasons: how far away in time, what else would have
        done, what was refused). It may be edited and given back to `reduce_night`. With several
        nights there is a column ``night`` too, and products lie in a directory for each.

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
    nights = {"split_nights": split_nights, "longitude": longitude}
    frames = survey(raw, instrument=instrument, classification=classification, **nights)
    chosen = {"masters": masters, "select": select, "require": require, "use": use}
    return make_plan(frames, instrument=instrument, max_age=max_age, **chosen)


def make_plan(
    frames: Sequence[Frame],
    *,
    instrument: Spec = None,
    masters: Masters | None = None,
    select: Select | None = None,
    require: Collection[str] = REQUIRED,
    use: Mapping[str, str | os.PathLike] | None = None,
    max_age: MaxAge = None,
) -> Table:
    """The plan for frames that have been surveyed; see `plan_night`."""
    unknown = sorted(set(require) - set(KINDS))
    if unknown:
        raise ValueError(f"require names {', '.join(unknown)}: only {', '.join(KINDS)} can be")
    limits = age_limits(max_age, KINDS)
    entries = {
        frame.path: Entry(frame.path, frame.kind, message=frame.message, night=frame.night)
        for frame in frames
    }
    usable = [frame for frame in frames if not frame.message]
    candidates = [] if masters is None else _existing(masters, instrument)
    taken: set[str] = set()
    for kind in KINDS:
        made = []
        for members in group([frame for frame in usable if frame.kind == kind], kind):
            made.append(_plan_master(kind, members, candidates, limits, entries, taken))
        candidates = candidates + made
    lights = _selected(frames, usable, select, entries)
    told = {} if use is None else _told(use, instrument)
    _plan_lights(lights, candidates, limits, entries, require, told)
    return as_plan(list(entries.values()))


def _plan_master(
    kind: str,
    members: list[Frame],
    candidates: list[Candidate],
    limits: Limits,
    entries: dict[str, Entry],
    taken: set[str],
) -> Candidate:
    """Choose the masters that one new master needs, and enter its members."""
    one, exposures = as_one(members), exposures_of(members)
    choices = {}
    if kind in ("dark", "flat"):
        choices["bias"] = choose("bias", one, candidates, limits)
    if kind == "flat":
        has_bias = choices["bias"].master is not None
        dark = choices["dark"] = choose_dark(one, candidates, exposures, limits, has_bias=has_bias)
        if dark.master is not None and not dark.master.bias_removed:
            del choices["bias"]
    needs = names_of(choices)
    name = unique(master_name(kind, one), taken)
    missing = [choice.missing for choice in choices.values() if choice.missing]
    message = "; ".join(missing) if kind == "flat" else ""
    why = ". ".join(choice.sentence for choice in choices.values())
    for frame in members:
        entries[frame.path] = Entry(frame.path, kind, name, needs, message, why, one.night)
    removed = kind != "dark" or bool(needs["bias"])
    facts = shared_facts(members)
    return Candidate(name, kind, facts, exposures, bias_removed=removed, night=one.night)


def _plan_lights(
    lights: list[Frame],
    candidates: list[Candidate],
    limits: Limits,
    entries: dict[str, Entry],
    require: Collection[str],
    use: Mapping[str, Choice],
) -> None:
    """Choose the masters of each light; one that lacks a required master has no product."""
    names = light_names(lights)
    for frame in lights:
        choices = {**choose_for_light(frame, candidates, limits), **use}
        missing = {kind: choice.missing for kind, choice in choices.items() if choice.missing}
        lacking = [text for kind, text in missing.items() if kind in require]
        entries[frame.path] = Entry(
            frame.path,
            "light",
            "" if lacking else names[frame.path],
            names_of(choices),
            "; ".join(lacking if lacking else missing.values()),
            ". ".join(choice.sentence for choice in choices.values()),
            frame.night,
        )


def _told(use: Mapping[str, str | os.PathLike], instrument: Spec) -> dict[str, Choice]:
    """The choices of somebody who named masters; each must be one of its kind."""
    choices = {}
    for kind, path in use.items():
        [master] = _existing([path], instrument)
        if master.kind != kind:
            raise ValueError(f"{path} is given as master {kind} but is a master {master.kind}")
        choices[kind] = given(kind, master)
    return choices


def _existing(masters: Masters, instrument: Spec) -> list[Candidate]:
    """Masters that were made before, as candidates."""
    found = []
    for master in find_masters(masters):
        camera = find_instrument(instrument, master.header)
        # Size and origin are the raw frames': a product's own have been trimmed.
        names = ("camera", "serial", "xbinning", "ybinning", "readout_mode", "gain_setting")
        names += ("em_gain", "offset", "temperature", "filter", "exptime", "date_obs", *camera.keys)
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
            entries[frame.path].message = NOT_SELECTED
    return chosen


def _wanted(row: Row, select: Select) -> bool:
    if callable(select):
        return bool(select(row))
    return all(row[key] in np.atleast_1d(values) for key, values in select.items())


def as_plan(entries: list[Entry]) -> Table:
    """The entries as the table that `plan_night` describes."""
    columns: dict[str, Any] = {}
    columns["in_name"] = column([entry.in_name for entry in entries])
    if any(entry.night for entry in entries):
        columns["night"] = column([entry.night for entry in entries])
    columns["frame_type"] = column([entry.frame_type for entry in entries])
    columns["product"] = column([entry.product for entry in entries])
    for kind in KINDS:
        columns[f"master_{kind}"] = column([entry.masters.get(kind, "") for entry in entries])
    columns["message"] = column([entry.message for entry in entries])
    columns["why"] = column([entry.why for entry in entries])
    return Table(columns, copy=False)

"""The light frames of a night: each calibrated with the masters that the plan chose for it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData
from astropy.table import Table

from ..ccdmultipipe import CalibrationPipe
from ..core import Outcome, assure_list
from .plan import KINDS, master_path
from .rows import failed

# Cards of a product that become columns of the table.
_NAMES = ("MBIAS", "MDARK", "MFLAT")
_MEASURES = {
    "dark_scale": ("DARKSCAL", None),
    "overscan_level": ("OSCANLEV", u.adu),
    "read_noise": ("RDNOISE", u.electron),
}


def reduce_lights(
    plan: Table,
    out: Path,
    pipe: type[CalibrationPipe],
    lost: Mapping[str, str],
    keywords: Mapping[str, Any],
) -> dict[str, Outcome]:
    """Calibrate the lights of a plan.

    Parameters
    ----------
    plan : Table
        See `~bmp_astro.plan_night`.
    out : Path
        The output directory.
    pipe : type
        The pipe to use.
    lost : mapping
        For each product that could not be made: why.
    keywords : mapping
        What the pipe takes besides.

    Returns
    -------
    dict
        The outcome of each light, by its name.
    """
    outcomes, masters, names = {}, {}, {}
    for row in plan[(plan["frame_type"] == "light") & (plan["product"] != "")]:
        name = str(row["in_name"])
        wanted = {f"master_{kind}": str(row[f"master_{kind}"]) for kind in KINDS}
        missing = [f"{master}: {lost[master]}" for master in wanted.values() if master in lost]
        if missing:
            outcomes[name] = failed(name, f"a master could not be made: {'; '.join(missing)}")
            continue
        names[name] = os.path.join(out, str(row["product"]))
        masters[name] = {key: master_path(master, plan, out) for key, master in wanted.items()}
    if names:
        (out / "lights").mkdir(exist_ok=True)
        outcomes.update(_run(pipe, names, masters, keywords))
    alarms = dict(zip(plan["in_name"], plan["message"], strict=True))
    return {name: _with_alarm(outcome, alarms[name]) for name, outcome in outcomes.items()}


def _run(
    pipe: type[CalibrationPipe],
    names: Mapping[str, str],
    masters: Mapping[str, Mapping[str, str | None]],
    keywords: Mapping[str, Any],
) -> dict[str, Outcome]:
    keywords = dict(keywords)
    before = assure_list(keywords.pop("pre_process_list", None))
    after = assure_list(keywords.pop("post_process_list", None))
    lights = pipe(
        pre_process_list=[use_planned_masters, *before],
        post_process_list=[*after, *pipe.summary_steps, product_facts],
        outnames=names,
        planned_masters=masters,
        **keywords,
    )
    return {str(outcome.in_name): outcome for outcome in lights.iter_pipeline(list(names))}


def use_planned_masters(
    ccd: CCDData,
    in_name: str = "",
    planned_masters: Mapping[str, Mapping[str, Any]] | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Pre-processing step: add the masters that were chosen for this file to its keywords."""
    planned = {} if planned_masters is None else planned_masters
    return {"bmp_data": ccd, "bmp_kwargs": dict(planned.get(os.fspath(in_name), {}))}


def product_facts(ccd: CCDData, bmp_meta: dict[str, Any] | None = None, **kwargs: Any) -> CCDData:
    """Post-processing step: which masters were used, and what the header says was measured."""
    if bmp_meta is not None:
        bmp_meta.update({name: ccd.header[name] for name in _NAMES if name in ccd.header})
        for column, (card, unit) in _MEASURES.items():
            if card in ccd.header:
                value = ccd.header[card]
                bmp_meta[column] = value if unit is None else value * unit
    return ccd


def _with_alarm(outcome: Outcome, text: str) -> Outcome:
    if text and outcome.outname is not None:
        outcome.meta["alarms"] = text
    return outcome

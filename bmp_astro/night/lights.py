"""The light frames of a night: each calibrated with the masters that the plan chose for it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData
from astropy.table import Table

from ..ccdmultipipe import CalibrationPipe
from ..core import Outcome, assure_list
from .names import LIGHTS
from .plan import KINDS
from .planfile import master_path
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
) -> Iterator[Outcome]:
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
        What the pipe takes besides. With ``quantize`` products are tile-compressed.

    Yields
    ------
    Outcome
        Of each light that the plan has a product for, as soon as it is known.
    """
    single, alarms = {}, {}
    suffix = "" if keywords.get("quantize") is None else ".fz"
    for row in plan[(plan["frame_type"] == "light") & (plan["product"] != "")]:
        name = str(row["in_name"])
        alarms[name] = str(row["message"])
        wanted = {f"master_{kind}": str(row[f"master_{kind}"]) for kind in KINDS}
        missing = [f"{master}: {lost[master]}" for master in wanted.values() if master in lost]
        if missing:
            yield failed(name, f"a master could not be made: {'; '.join(missing)}")
            continue
        masters = {key: master_path(master, plan, out) for key, master in wanted.items()}
        single[name] = {"outname": str(row["product"]).removeprefix(LIGHTS) + suffix, **masters}
    if not single:
        return
    keywords = dict(keywords)
    after = assure_list(keywords.pop("post_process_list", None))
    lights = pipe(
        outdir=out / LIGHTS,
        create_outdir=True,
        post_process_list=[*after, *pipe.summary_steps, product_facts],
        file_keywords=single,
        **keywords,
    )
    for outcome in lights.iter_pipeline(list(single)):
        if outcome.outname is not None:
            told = [alarms[outcome.in_name], outcome.meta.get("alarms", "")]
            outcome.meta["alarms"] = "; ".join(filter(None, told))
        yield outcome


def product_facts(ccd: CCDData, bmp_meta: dict[str, Any] | None = None, **kwargs: Any) -> CCDData:
    """Post-processing step: which masters were used, and what the header says was measured."""
    if bmp_meta is not None:
        bmp_meta.update({name: ccd.header[name] for name in _NAMES if name in ccd.header})
        for column, (card, unit) in _MEASURES.items():
            if card in ccd.header:
                value = ccd.header[card]
                bmp_meta[column] = value if unit is None else value * unit
    return ccd

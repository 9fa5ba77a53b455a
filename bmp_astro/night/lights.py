"""The light frames of a night: each calibrated with the masters that the plan chose for it."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.nddata import CCDData
from astropy.table import Table

from ..ccdmultipipe import CalibrationPipe
from ..core import Outcome, assure_list
from ..fits import GENERIC, read_header
from ..fits.text import joined
from .dates import when
from .names import folder_of
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
    lights = plan[(plan["frame_type"] == "light") & (plan["product"] != "")]
    folders = [folder_of(str(product)) for product in lights["product"]]
    for folder in dict.fromkeys(folders):
        rows = lights[[each == folder for each in folders]]
        yield from _reduce_in(folder, rows, plan, out, pipe, lost, keywords)


def chosen_steps(
    pipe: type[CalibrationPipe], names: Collection[str], keywords: Mapping[str, Any]
) -> list[Callable[..., Any]]:
    """The extra steps of a pipe that were asked for by name, in their order."""
    if isinstance(names, str) or set(names) - set(pipe.extra_steps):
        raise ValueError(f"extra_steps is {names!r}: expected some of {list(pipe.extra_steps)}")
    if "fringes" in names and keywords.get("master_fringe") is None:
        raise ValueError("extra_steps has 'fringes' but there is no fringe frame: master_fringe=")
    return [step for name, step in pipe.extra_steps.items() if name in names]


def _reduce_in(
    folder: str,
    rows: Table,
    plan: Table,
    out: Path,
    pipe: type[CalibrationPipe],
    lost: Mapping[str, str],
    keywords: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Calibrate the lights whose products lie in one directory."""
    single, alarms = {}, {}
    suffix = "" if keywords.get("quantize") is None else ".fz"
    for row in rows:
        name = str(row["in_name"])
        alarms[name] = str(row["message"])
        wanted = {f"master_{kind}": str(row[f"master_{kind}"]) for kind in KINDS}
        missing = [f"{master}: {lost[master]}" for master in wanted.values() if master in lost]
        if missing:
            yield failed(name, f"a master could not be made: {'; '.join(missing)}")
            continue
        masters = {key: master_path(master, plan, out) for key, master in wanted.items()}
        single[name] = {"outname": str(row["product"]).removeprefix(folder) + suffix, **masters}
    if not single:
        return
    keywords = dict(keywords)
    after = assure_list(keywords.pop("post_process_list", None))
    lights = pipe(
        outdir=out / folder,
        create_outdir=True,
        post_process_list=[*after, *pipe.summary_steps, product_facts],
        file_keywords=single,
        **keywords,
    )
    for outcome in lights.iter_pipeline(list(single)):
        if outcome.outname is not None:
            told = outcome.meta.get("alarms", "")
            outcome.meta["alarms"] = joined(alarms[outcome.in_name], told)
        yield outcome


def product_facts(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    master_bias: Any = None,
    master_dark: Any = None,
    master_flat: Any = None,
    **kwargs: Any,
) -> CCDData:
    """Post-processing step: which masters were used, how old, and what was measured."""
    if bmp_meta is None:
        return ccd
    bmp_meta.update({name: ccd.header[name] for name in _NAMES if name in ccd.header})
    for column, (card, unit) in _MEASURES.items():
        if card in ccd.header:
            value = ccd.header[card]
            bmp_meta[column] = value if unit is None else value * unit
    taken = when({"date_obs": GENERIC.value("date_obs", ccd.header)})
    masters = {"bias": master_bias, "dark": master_dark, "flat": master_flat}
    for kind, master in masters.items():
        made = _date_of(master) if isinstance(master, str | os.PathLike) else None
        if made is not None and taken is not None:
            bmp_meta[f"{kind}_age"] = abs(taken - made) / 86400 * u.day
    return ccd


def _date_of(master: str | os.PathLike) -> float | None:
    """When the frames of a master were taken, in seconds."""
    try:
        return _date_in(os.fspath(master), os.stat(master).st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=256)
def _date_in(path: str, changed: int) -> float | None:
    """The same, read once for all lights; a master that was made anew is read again."""
    return when({"date_obs": GENERIC.value("date_obs", read_header(path).header)})

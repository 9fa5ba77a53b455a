"""The names of a night's products inside its output directory."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .inventory import Frame
from .matching import seconds_of

MASTERS, LIGHTS = "masters/", "lights/"


def master_name(kind: str, frame: Frame) -> str:
    """The name of the master that ``frame`` stands for: its kind, exposure time or filter."""
    detail = ""
    if kind == "dark" and (seconds := seconds_of(frame)) is not None:
        detail = f"_{seconds:g}s"
    elif kind == "flat" and frame.facts.get("filter"):
        detail = "_" + re.sub(r"[^A-Za-z0-9.+-]+", "_", str(frame.facts["filter"])).strip("_.")
    return f"{_night(frame.night)}{MASTERS}master_{kind}{detail}.fits"


def unique(name: str, taken: set[str]) -> str:
    """``name``, with a number when it is taken (whatever the case of its letters)."""
    stem, number, unique = name.removesuffix(".fits"), 1, name
    while unique.lower() in taken:
        number += 1
        unique = f"{stem}_{number}.fits"
    taken.add(unique.lower())
    return unique


def light_names(frames: Sequence[Frame]) -> dict[str, str]:
    """A product for each light, named after its file, and its directory where that is needed."""
    stems = {frame.path: stem_of(Path(frame.path).name) for frame in frames}
    count = Counter((frame.night, stems[frame.path].lower()) for frame in frames)
    taken: set[str] = set()
    names = {}
    for frame in frames:
        stem, parent = stems[frame.path], Path(frame.path).parent.name
        is_shared = count[frame.night, stem.lower()] > 1
        full = f"{parent}_{stem}" if is_shared and parent else stem
        names[frame.path] = unique(f"{_night(frame.night)}{LIGHTS}{full}_reduced.fits", taken)
    return names


def without_sky(name: str) -> str:
    """The name of a light without its sky: ``a_reduced.fits`` becomes ``a_skysub.fits``."""
    stem = stem_of(name)
    head, marked, tail = stem.rpartition("_reduced")
    return f"{head if marked else stem}_skysub{tail if marked else ''}{name[len(stem) :]}"


def folder_of(product: str) -> str:
    """The directory of a product: ``"masters/"``, or ``"2026-03-14/masters/"`` of a night."""
    return product[: product.rfind("/") + 1]


def is_product_name(name: str, folder: str) -> bool:
    """Whether a name is one of a product in ``folder`` (`MASTERS`, `LIGHTS`), of a night or not."""
    return re.fullmatch(rf"([^/]+/)?{folder}[^/]+\.fits", name) is not None


def _night(night: str) -> str:
    return f"{night}/" if night else ""


def stem_of(name: str) -> str:
    """A file's name without what says that it is a FITS file."""
    return re.sub(r"\.(fits|fit|fts)(\.(gz|fz|bz2|Z))?$|\.fz$", "", name, flags=re.IGNORECASE)

"""The names of a night's products inside its output directory."""

import re
from collections import Counter
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
    return f"{MASTERS}master_{kind}{detail}.fits"


def unique(name: str, taken: set[str]) -> str:
    """``name``, with a number when it is taken (whatever the case of its letters)."""
    stem, number, unique = name.removesuffix(".fits"), 1, name
    while unique.lower() in taken:
        number += 1
        unique = f"{stem}_{number}.fits"
    taken.add(unique.lower())
    return unique


def light_names(paths: list[str]) -> dict[str, str]:
    """A product for each light, named after its file, and its directory where that is needed."""
    stems = {path: stem_of(Path(path).name) for path in paths}
    count = Counter(stem.lower() for stem in stems.values())
    taken: set[str] = set()
    names = {}
    for path, stem in stems.items():
        parent = Path(path).parent.name
        full = f"{parent}_{stem}" if count[stem.lower()] > 1 and parent else stem
        names[path] = unique(f"{LIGHTS}{full}_reduced.fits", taken)
    return names


def stem_of(name: str) -> str:
    """A file's name without what says that it is a FITS file."""
    return re.sub(r"\.(fits|fit|fts)(\.(gz|fz|bz2|Z))?$|\.fz$", "", name, flags=re.IGNORECASE)

"""The masters of a night: a picture and the facts of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ..fits import is_fits_name
from .markup import plural
from .rows import MADE, Row, shown, status
from .thumbnails import Small, read_small, thumbnail

_SIZE = 420  # pixel
_UNITS = {"adu": "adu", "electron": "e⁻", "1": ""}
_CARDS = (
    ("Frames", "NCOMBINE", ""),
    ("Filter", "FILTER", ""),
    ("Exposure", "EXPTIME", "s"),
    ("Temperature", "CCD-TEMP", "°C"),
    ("Read noise", "RDNOISE", "e⁻"),
    ("Read noise from", "RDNSRC", ""),
)
_ORDER = ("bias", "dark", "flat")


@dataclass(frozen=True)
class Master:
    """One master as the page shows it: `picture` is a data URI, "" if there is none."""

    name: str
    anchor: str
    picture: str
    facts: tuple[tuple[str, str], ...]
    problem: str = ""


def read_masters(folder: Path) -> list[Master]:
    """Return the masters in a directory: bias, dark, flat, and what else there is."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if is_fits_name(path) and path.name[0] != "."]
    paths.sort(key=lambda path: (_rank(path), path.name))
    return [_read(path, f"master-{i}") for i, path in enumerate(paths)]


def _rank(path: Path) -> int:
    """Return the place of a kind of master, as the steps of a reduction go."""
    kinds = [i for i, kind in enumerate(_ORDER) if kind in path.name.lower()]
    return kinds[0] if kinds else len(_ORDER)


def _read(path: Path, anchor: str) -> Master:
    try:
        small = read_small(path, _SIZE)
    except (OSError, ValueError) as error:
        return Master(path.name, anchor, "", (), str(error))
    return Master(path.name, anchor, thumbnail(small.means), _facts(small))


def _facts(small: Small) -> tuple[tuple[str, str], ...]:
    header = small.header
    facts = [
        (title, f"{shown(header[card], '.4g')} {unit}".strip())
        for title, card, unit in _CARDS
        if header.get(card, "") != ""
    ]
    finite = small.sample[np.isfinite(small.sample)]
    if finite.size:
        unit = _UNITS.get(str(header.get("BUNIT", "")), str(header.get("BUNIT", "")))
        low, middle, high = np.percentile(finite, (1, 50, 99))
        facts.append(("Median", f"{shown(float(middle), '.4g')} {unit}".strip()))
        facts.append(
            ("Pixels, 1 to 99 %", f"{shown(float(low), '.3g')} … {shown(float(high), '.3g')}")
        )
    ny, nx = small.shape
    facts.append(("Size", f"{nx} \N{MULTIPLICATION SIGN} {ny}"))
    return tuple(facts)


def master_figure(master: Master, rows: Sequence[Row]) -> str:
    """Return one master as an HTML figure."""
    lights = sum(
        1
        for row in rows
        if status(row) in MADE
        and master.name in {row.get(card) for card in ("MBIAS", "MDARK", "MFLAT")}
    )
    facts = [*master.facts, ("Used by", plural(lights, "light"))]
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts)
    picture = (
        f'<img src="{master.picture}" alt="{escape(master.name)} in gray, zscale">'
        if master.picture
        else f"<p>No picture: {escape(master.problem)}</p>"
    )
    return (
        f"<figure id={master.anchor}>{picture}<figcaption>"
        f"<h3 class=file>{escape(master.name)}</h3><dl>{listed}</dl></figcaption></figure>"
    )

"""The sections of the page, each from the rows of the night to markup."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path, PurePath
from urllib.parse import quote

from .markup import Column, cell, grid, head_cell, plural, table
from .masters import Master, master_figure
from .plots import trend_figures
from .rows import (
    FRAME_TYPES,
    MADE,
    Row,
    file_name,
    first,
    frame_type,
    shown,
    start_time,
    status,
)
from .thumbnails import read_small, thumbnail

MAX_PICTURES = 60  # of lights: beyond, the page would be too heavy to open

_THUMBNAIL = 300  # pixel
_STATUSES = ("done", "skipped", "rejected", "failed", "not_run", "unknown")
_SYMBOLS = {"done": "✓", "skipped": "✓", "failed": "✕"}
_GRAVITY = {"failed": 0, "not_run": 1, "rejected": 2}
_PLURALS = {"bias": "Bias", "dark": "Darks", "flat": "Flats", "light": "Lights", "other": "Other"}


def verdict(rows: Sequence[Row]) -> str:
    """Return how the night went, in a sentence or two."""
    if not rows:
        return "<p class='verdict none'>The table is empty: there was nothing to reduce.</p>"
    lights = [row for row in rows if frame_type(row) == "light"]
    subject, noun, verb = (lights, "light", "reduced") if lights else (rows, "file", "done")
    made = sum(status(row) in MADE for row in subject)
    unused = sum(status(row) not in MADE for row in rows)
    alarmed = sum("alarms" in row for row in rows)
    sentences = [f"{_how_many(made, len(subject), noun)} {verb}."]
    if unused:
        sentences.append(f"{plural(unused, 'file')} of {len(rows)} could not be used.")
    if alarmed:
        sentences.append(f"{plural(alarmed, 'file')} raised an alarm.")
    css = "none" if not made else "some" if unused or alarmed else "all"
    return f"<p class='verdict {css}'>{' '.join(sentences)}</p>"


def _how_many(made: int, n: int, noun: str) -> str:
    if made == n:
        return f"The only {noun} was" if n == 1 else f"All {n} {noun}s were"
    if made == 0:
        return f"The only {noun} was not" if n == 1 else f"None of the {n} {noun}s was"
    return f"{made} of {n} {noun}s {'was' if made == 1 else 'were'}"


def summary(rows: Sequence[Row]) -> str:
    """Return how many files of each type there are, and what became of them."""
    counts = Counter((frame_type(row), status(row)) for row in rows)
    known = [s for s in _STATUSES if any(key[1] == s for key in counts)]
    known += sorted({key[1] for key in counts} - set(_STATUSES))
    head = [head_cell("Files")]
    head += [head_cell(escape(s.replace("_", " ")), "number") for s in known]
    head.append(head_cell("all", "number"))
    body = []
    for kind in (*FRAME_TYPES, "other"):
        numbers = [counts[kind, s] for s in known]
        if sum(numbers):
            cells = [cell(f"{n}" if n else "·", "number") for n in (*numbers, sum(numbers))]
            body.append([head_cell(_PLURALS[kind], scope="row"), *cells])
    return grid(head, body, "summary") if rows else ""


def attention(rows: Sequence[Row]) -> str:
    """Return what an observer should look at first: files not used, alarms, notes."""
    bad = [row for row in rows if status(row) not in MADE]
    bad.sort(key=lambda row: _GRAVITY.get(status(row), len(_GRAVITY)))
    alarmed = [row for row in rows if "alarms" in row]
    noted = [row for row in rows if "warnings" in row]
    parts = []
    if bad:
        parts.append(f"<h3>Not used</h3>{table((_FILE, _STATUS, _MESSAGE, _TYPE, _STEP), bad)}")
    if alarmed:
        alarms = Column("Alarm", ("alarms",), css="message")
        parts.append(f"<h3>Alarms</h3>{table((_FILE, _STATUS, alarms, _TYPE), alarmed)}")
    if noted:
        parts.append(f"<details><summary>{plural(len(noted), 'file')} with notes</summary>")
        notes = Column("Notes", ("warnings",), css="message")
        parts.append(f"{table((_FILE, notes, _TYPE), noted)}</details>")
    if not parts:
        return ""
    return f"<section class=attention><h2>Needs attention</h2>{''.join(parts)}</section>"


def nights_section(rows: Sequence[Row], nights: Sequence[str]) -> str:
    """Return the nights, each with a link to its page and what became of its lights."""
    head = [head_cell(text) for text in ("Night", "Lights", "Files", "Not used", "Alarms")]
    body = []
    for night in nights:
        own = [row for row in rows if row.get("night") == night]
        lights = [row for row in own if frame_type(row) == "light"]
        numbers = (
            f"{sum(status(row) in MADE for row in lights)} of {len(lights)}",
            len(own),
            sum(status(row) not in MADE for row in own),
            sum("alarms" in row for row in own),
        )
        link = f'<a href="{quote(night)}/report.html">{escape(night)}</a>'
        cells = [cell(str(number), "number") for number in numbers]
        body.append([head_cell(link, scope="row"), *cells])
    return f"<section><h2>Nights</h2>{grid(head, body, 'summary')}</section>"


def masters_section(masters: Sequence[Master], rows: Sequence[Row]) -> str:
    """Return the masters as pictures with their facts."""
    if not masters:
        return ""
    figures = "".join(master_figure(master, rows) for master in masters)
    return f"<section><h2>Masters</h2><div class=masters>{figures}</div></section>"


def lights_section(rows: Sequence[Row], outdir: Path, masters: Sequence[Master]) -> str:
    """Return the reduced lights: a picture, what was measured, and which masters were used."""
    lights = [row for row in rows if "outname" in row and frame_type(row) in ("light", "other")]
    lights = [row for row in lights if status(row) in MADE]
    if not lights:
        return ""
    pictures = {id(row): _picture(row, outdir) for row in lights[:MAX_PICTURES]}
    picture = Column("", ("outname",), markup=lambda row: pictures.get(id(row), ""))
    anchors = {master.name: master.anchor for master in masters}
    columns = (picture, _LIGHT, *_MEASURED, _masters_column(("MBIAS", "MDARK", "MFLAT"), anchors))
    more = (
        f"<p class=quiet>Pictures of the first {MAX_PICTURES} only.</p>"
        if len(lights) > MAX_PICTURES
        else ""
    )
    return f"<section><h2>Lights</h2>{more}{table(columns, lights, 'lights')}</section>"


def trends_section(rows: Sequence[Row]) -> str:
    """Return the plots over time."""
    figures = "".join(trend_figures(rows))
    if not figures:
        return ""
    axis = "Time is UT, as in DATE-OBS; without it, the frames stand in the table's order."
    return (
        f"<section><h2>Over the night</h2><p class=quiet>{axis}</p>"
        f"<div class=trends>{figures}</div></section>"
    )


def all_files(rows: Sequence[Row], masters: Sequence[Master]) -> str:
    """Return every file in one table, folded away."""
    if not rows:
        return ""
    anchors = {master.name: master.anchor for master in masters}
    product = Column("Product", ("outname",), markup=_product, css="file")
    used_in = _masters_column(("used_in",), anchors)
    columns = (_FILE, _TYPE, _OBJECT, *_MEASURED[:2], _START, _STATUS, used_in, product)
    return (
        f"<section><h2>Every file</h2><details><summary>{plural(len(rows), 'file')}</summary>"
        f"{table(columns, rows)}</details></section>"
    )


def _file(row: Row) -> str:
    return f'<span title="{escape(str(row.get("in_name", "")))}">{escape(file_name(row))}</span>'


def _light(row: Row) -> str:
    """Return the name of a light, and below it what it shows and since when."""
    below = (shown(first(row, _OBJECT.names)), _start(row))
    lines = "".join(f"<small>{escape(text)}</small>" for text in below if text)
    return f"<span class=file>{_file(row)}</span>{lines}"


def _start(row: Row) -> str:
    time = start_time(row)
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def _status(row: Row) -> str:
    name = status(row)
    css = name if name in _STATUSES else "unknown"
    symbol = _SYMBOLS.get(name, "\N{EN DASH}")
    return f'<span class="status {css}">{symbol} {escape(name.replace("_", " "))}</span>'


def _product(row: Row) -> str:
    return escape(PurePath(str(row.get("outname", ""))).name)


def _picture(row: Row, outdir: Path) -> str:
    """Return the thumbnail of a product, or why there is none."""
    name = Path(str(row["outname"]))
    places = (name, outdir / name, outdir / name.name, outdir / "lights" / name.name)
    path = next((place for place in places if place.is_file()), name)
    try:
        small = read_small(path, _THUMBNAIL)
    except (OSError, ValueError) as error:
        return f"<span class=quiet>no picture: {escape(str(error))}</span>"
    alt = escape(f"{path.name} in gray, zscale")
    return f'<img src="{thumbnail(small.means)}" alt="{alt}">'


def _masters_column(names: tuple[str, ...], anchors: Mapping[str, str]) -> Column:
    """Return a column of masters, one below the other, each linked to its picture."""

    def link(text: str) -> str:
        name = PurePath(text).name
        if name not in anchors:
            return escape(name)
        short = escape(name.removeprefix("master_").removesuffix(".fits"))
        return f'<a href="#{anchors[name]}" title="{escape(name)}">{short}</a>'

    def markup(row: Row) -> str:
        return "<br>".join(link(shown(row[name])) for name in names if name in row)

    return Column("Masters" if len(names) > 1 else "Used in", names, markup=markup, css="file")


_FILE = Column("File", ("in_name",), markup=_file, css="file")
_TYPE = Column("Type", ("frame_type",))
_STATUS = Column("Status", ("status",), markup=_status)
_STEP = Column("Step", ("step",))
_MESSAGE = Column("What happened", ("message",), css="message")
_OBJECT = Column("Object", ("OBJECT", "object"))
_START = Column("Start, UT", ("DATE-OBS", "date_obs"), markup=_start, css="time")
_LIGHT = Column("Light", ("in_name",), markup=_light)
_MEASURED = (
    Column("Filter", ("FILTER", "filter")),
    Column("Exposure", ("EXPTIME", "exptime"), ".6g"),
    Column("Background", ("background",), ".1f"),
    Column("\N{GREEK SMALL LETTER SIGMA}", ("background_sigma",), ".1f"),
    Column("FWHM", ("fwhm", "FWHM"), ".2f"),
    Column("Sources", ("n_sources",), ".0f"),
    Column("Airmass", ("airmass", "AIRMASS"), ".2f"),
    Column("Saturated", ("saturated_fraction",), ".3%"),
    Column("Masked", ("masked_fraction",), ".3%"),
    Column("Dark scale", ("dark_scale", "DARKSCAL"), ".4g"),
)

"""How the night went: one small plot over time for each quantity that was measured."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .rows import (
    FRAME_TYPES,
    Row,
    filter_name,
    first,
    frame_type,
    number,
    start_time,
    unit_text,
)

# The plots are drawn in these colors, which the page's style sheet then sets, for light and dark.
_INK, _GRID = "#0a0b01", "#0a0b02"
_SERIES = tuple(f"#0a0c{i:02d}" for i in range(6))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_SYMBOLS = ("●", "■", "▲", "◆", "▼", "✚")


@dataclass(frozen=True)
class Trend:
    """A quantity to plot: from which columns, of which frames, in which groups."""

    title: str
    columns: tuple[str, ...]
    frame_types: tuple[str, ...]
    group: Callable[[Row], str]


TRENDS = (
    Trend("Overscan level", ("overscan_level",), FRAME_TYPES, frame_type),
    Trend("Bias level", ("level", "bias_level"), ("bias",), frame_type),
    Trend("Flat level", ("flat_level",), ("flat",), filter_name),
    Trend("Sky background", ("background",), ("light", "other"), filter_name),
    Trend("Seeing (FWHM)", ("fwhm", "FWHM"), ("light", "other"), filter_name),
    Trend("Detector temperature", ("CCD-TEMP", "temperature"), FRAME_TYPES, frame_type),
)


def trend_figures(rows: Sequence[Row]) -> list[str]:
    """Return an HTML figure for each trend that has at least two points."""
    return [figure for trend in TRENDS if (figure := _figure(trend, rows))]


def _figure(trend: Trend, rows: Sequence[Row]) -> str:
    chosen = [row for row in rows if _value(trend, row) is not None]
    chosen = [row for row in chosen if frame_type(row) in trend.frame_types]
    timed = [row for row in chosen if start_time(row) is not None]
    chosen = timed if len(timed) > 1 else chosen
    if len(chosen) < 2:
        return ""
    unit = unit_text(first(row, trend.columns) for row in chosen)
    values = [_value(trend, row) for row in chosen]
    alt = (
        f"{trend.title} over time, {len(chosen)} frames, "
        f"from {min(values):.5g} to {max(values):.5g} {unit}"
    )
    groups = list(dict.fromkeys(trend.group(row) for row in chosen))
    legend = "".join(
        f'<li><span class="series-{_color(i)}" aria-hidden="true">{_SYMBOLS[_marker(i)]}</span> '
        f"{escape(name)}</li>"
        for i, name in enumerate(groups)
    )
    return (
        f"<figure class=trend><figcaption><h3>{escape(trend.title)}</h3>"
        f"<span class=unit>{escape(unit)}</span><ul class=legend>{legend}</ul></figcaption>"
        f"{_svg(trend, chosen, groups, alt.strip())}</figure>"
    )


def _value(trend: Trend, row: Row) -> float | None:
    return number(first(row, trend.columns))


def _color(group: int) -> int:
    return group % len(_SERIES)


def _marker(group: int) -> int:
    """Return the shape of a group: when the colors come round again, it is another."""
    return (group + group // len(_SERIES)) % len(_MARKERS)


def _svg(trend: Trend, rows: Sequence[Row], groups: Sequence[str], alt: str) -> str:
    """Return the plot as inline SVG, which takes its colors from the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.3))
    axes = figure.add_axes((0.1, 0.13, 0.88, 0.82))
    times = [start_time(row) for row in rows]
    abscissa = list(range(1, len(rows) + 1)) if None in times else times
    for i, name in enumerate(groups):
        points = [
            (x, _value(trend, row))
            for x, row in zip(abscissa, rows, strict=True)
            if trend.group(row) == name
        ]
        x, y = zip(*sorted(points), strict=True)
        color = _SERIES[_color(i)]
        axes.plot(x, y, color=color, linewidth=1, alpha=0.35)
        axes.plot(x, y, color=color, linestyle="", marker=_MARKERS[_marker(i)], markersize=6)
    _style(axes, timed=None not in times)
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _themed(buffer.getvalue(), alt, re.sub(r"\W+", "-", trend.title.lower()))


def _style(axes: Any, *, timed: bool) -> None:
    """Draw little: horizontal lines, numbers, and the hours below."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10, labelcolor=_INK, pad=6)
    axes.grid(visible=True, axis="y", color=_GRID, linewidth=0.8)
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.03, y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.get_major_formatter().set_useOffset(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if timed:
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _themed(svg: str, alt: str, prefix: str) -> str:
    """Return an SVG document as an element of the page: its colors, its own ids, a name."""
    svg = svg[svg.index("<svg") :]
    colors = {_INK: "var(--quiet)", _GRID: "var(--line)"}
    colors |= {color: f"var(--series-{i})" for i, color in enumerate(_SERIES)}
    for color, variable in colors.items():
        svg = svg.replace(color, variable)
    # matplotlib's ids are random; these are the same each time, and differ between plots.
    ids = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    for i, name in enumerate(ids):
        svg = re.sub(rf'(\bid="|"#|url\(#){re.escape(name)}(?=["\)])', rf"\g<1>{prefix}-{i}", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)

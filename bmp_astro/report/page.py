"""One self-contained HTML page about a reduced night."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from astropy.table import QTable, Table

from . import sections
from .markup import plural
from .masters import read_masters
from .picture import require_matplotlib
from .rows import Row, as_rows, first, nights_of, shown, start_time
from .style import STYLE


def write_report(outdir: str | Path, table: Table | None = None) -> Path:
    """Write ``report.html`` about the night that was reduced into a directory.

    The page says in a sentence how the night went, then what needs attention, and shows the
    masters, the lights, plots over time, and every file. It holds its pictures itself, needs no
    network and no script, and an older page is replaced. Columns that the table lacks, and
    products that are gone, are left out. Where several nights were reduced each has a page in its
    own directory, and this one leads to them.

    Parameters
    ----------
    outdir : str or Path
        Directory of the reduced night, with ``masters/`` and ``lights/``.
    table : Table, optional
        The table of the night; by default ``night.ecsv`` in that directory.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileNotFoundError
        If no table is given and the directory has none.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astropy.table import QTable
    >>> from bmp_astro.report import write_report
    >>> table = QTable({"in_name": ["a.fits", "b.fits"], "status": ["done", "failed"]})
    >>> with TemporaryDirectory() as outdir:
    ...     page = write_report(outdir, table)
    ...     "1 of 2 files was done." in page.read_text(encoding="utf-8")
    True
    """
    require_matplotlib()
    outdir = Path(outdir)
    table = _read_table(outdir) if table is None else table
    rows = as_rows(table)
    nights = [name for name in nights_of(rows) if (outdir / name).is_dir()]
    for night in nights:
        own = [row for row in rows if row.get("night") == night]
        _write(outdir / night, _page(outdir / night, own))
    return _write(outdir, _index(outdir, rows, nights) if nights else _page(outdir, rows))


def _write(outdir: Path, text: str) -> Path:
    """Write a page, whole or not at all."""
    page = outdir / "report.html"
    unfinished = page.with_suffix(".html.part")
    # A file name may hold bytes that are not UTF-8.
    try:
        unfinished.write_bytes(text.encode("utf-8", "backslashreplace"))
        os.replace(unfinished, page)
    finally:
        unfinished.unlink(missing_ok=True)
    return page


def _read_table(outdir: Path) -> Table:
    path = outdir / "night.ecsv"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no night.ecsv in {outdir}: a page needs the directory into which a night "
            "was reduced"
        )
    return QTable.read(path, format="ascii.ecsv")


def _page(outdir: Path, rows: Sequence[Row]) -> str:
    """Return the page of one night."""
    masters = read_masters(outdir / "masters")
    parts = [
        sections.attention(rows),
        sections.masters_section(masters, rows),
        sections.lights_section(rows, outdir, masters),
        sections.trends_section(rows),
        sections.all_files(rows, masters),
    ]
    return _document(_title(outdir, rows), outdir, rows, parts)


def _index(outdir: Path, rows: Sequence[Row], nights: Sequence[str]) -> str:
    """Return the page of several nights."""
    title = f"{plural(len(nights), 'night')} in {outdir.resolve().name}"
    parts = [
        sections.nights_section(rows, nights),
        sections.attention(rows),
        sections.all_files(rows, []),
    ]
    return _document(title, outdir, rows, parts)


def _document(title: str, outdir: Path, rows: Sequence[Row], parts: Sequence[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="quiet">{_facts(outdir, rows)}</p>
{sections.verdict(rows)}
{sections.summary(rows)}
</header>
<main>
{body}
</main>
<footer>Made by bmp_astro from night.ecsv and the products beside it.</footer>
</body>
</html>
"""


def _title(outdir: Path, rows: Sequence[Row]) -> str:
    """Return the name of the night: its date if there is one, else the directory's."""
    times = [time for row in rows if (time := start_time(row)) is not None]
    return f"Night of {min(times):%-d %B %Y}" if times else f"Night in {outdir.resolve().name}"


def _facts(outdir: Path, rows: Sequence[Row]) -> str:
    """Return the line below the title: camera, hours, number of files, and where they are."""
    times = sorted(time for row in rows if (time := start_time(row)) is not None)
    cameras = dict.fromkeys(shown(first(row, ("camera", "INSTRUME"))) for row in rows)
    parts = [escape(", ".join(camera for camera in cameras if camera))]
    if times:
        parts.append(f"{times[0]:%H:%M} to {times[-1]:%H:%M} UT")
    parts += [plural(len(rows), "file"), f"<code>{escape(str(outdir))}</code>"]
    return " · ".join(part for part in parts if part)

"""Tables and cells of HTML. Whatever comes from a file or a header is escaped here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from .rows import Row, first, number, shown, unit_text


def plural(n: int, noun: str) -> str:
    """Return ``"1 file"`` or ``"2 files"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def cell(text: str, css: str = "") -> str:
    """Return one cell; the text is markup already."""
    return f'<td class="{css}">{text}</td>'


def head_cell(text: str, css: str = "", scope: str = "col") -> str:
    """Return the cell that names a column or a row; the text is markup already."""
    return f'<th scope={scope} class="{css}">{text}</th>'


def grid(head: Iterable[str], body: Iterable[Iterable[str]], css: str = "") -> str:
    """Return a table from its cells; it scrolls by itself where the page is too narrow."""
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in body)
    return (
        f'<div class="scroll {css}" tabindex=0 role=group aria-label="table"><table>'
        f"<thead><tr>{''.join(head)}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


@dataclass(frozen=True)
class Column:
    """How one column of a table is made.

    Attributes
    ----------
    title : str
        What stands above it.
    names : tuple of str
        Where in the table of the night it is from: the first of them that has a value.
    style : str
        Format of numbers, "" for text.
    markup : callable, optional
        Row to markup, instead of the escaped value.
    css : str
        Class of its cells.
    """

    title: str
    names: tuple[str, ...]
    style: str = ""
    markup: Callable[[Row], str] | None = None
    css: str = ""

    def used(self, rows: Sequence[Row]) -> bool:
        """Tell whether any row has something to show in this column."""
        return any(first(row, self.names) is not None for row in rows)

    def head(self, rows: Sequence[Row]) -> str:
        """Return the cell above, with the unit of the values."""
        unit = unit_text(first(row, self.names) for row in rows)
        below = f"<span class=unit>{escape(unit)}</span>" if unit else ""
        return head_cell(escape(self.title) + below, "number" if self.style else "")

    def body(self, row: Row) -> str:
        """Return the cell of one row."""
        if self.markup is not None:
            return cell(self.markup(row), self.css)
        value = first(row, self.names)
        css = "number" if self.style and number(value) is not None else self.css
        return cell(escape(shown(value, self.style)), css)


def table(columns: Iterable[Column], rows: Sequence[Row], css: str = "") -> str:
    """Return a table of some rows, without the columns in which nothing would stand."""
    columns = [column for column in columns if column.used(rows)]
    head = [column.head(rows) for column in columns]
    return grid(head, ([column.body(row) for column in columns] for row in rows), css)

"""Where the files are that a product names: beside it, where its night read them, where asked."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from astropy.table import Table

from .names import LIGHTS, MASTERS

_TABLES = {"night.ecsv": ("in_name",), "plan.ecsv": ("master_bias", "master_dark", "master_flat")}


class Whereabouts:
    """Finds files by the names that cards have.

    Parameters
    ----------
    search : iterable of path
        Directories to look into, with all below them. What is not in them may be elsewhere.

    Raises
    ------
    FileNotFoundError
        If one of them is not a directory.
    """

    def __init__(self, search: Iterable[str | os.PathLike] = ()) -> None:
        self._searched: dict[str, list[str]] = {}
        self._around: dict[str, list[str]] = {}
        self._known: set[str] = set()
        for top in search:
            if not os.path.isdir(top):
                raise FileNotFoundError(f"{top} is not a directory to look for files in")
            for folder, _, names in os.walk(top):
                _add(self._searched, folder, names)

    def look_around(self, product: str) -> None:
        """Know also what lies beside a product, and what its night was made of.

        Parameters
        ----------
        product : str
            Its path.
        """
        own = Path(product).parent
        for folder in (own, own / LIGHTS, own / MASTERS, own.parent / LIGHTS, own.parent / MASTERS):
            self._add_folder(folder)
        for folder in (own, own.parent):
            self._add_folder(folder)
        for folder in (
            own,
            own.parent,
            own.parent.parent,
        ):  # the last one is that of several nights
            for name in _folders_of(folder):
                self._add_folder(Path(name))

    def of(self, name: str) -> list[str]:
        """Return the files of a name: those that were searched for, else what is around."""
        return self._searched.get(name, self._around.get(name, []))

    def _add_folder(self, folder: Path) -> None:
        where = os.path.realpath(folder)
        if where not in self._known and folder.is_dir():
            self._known.add(where)
            _add(self._around, str(folder), sorted(os.listdir(folder)))


def _add(found: dict[str, list[str]], folder: str, names: list[str]) -> None:
    """Add the files of a folder, by their names as a card has them."""
    for name in names:
        said = name.encode("ascii", "replace").decode()
        found.setdefault(said, []).append(os.path.join(folder, name))


def _folders_of(outdir: Path) -> Iterator[str]:
    """Yield the directories of the files that the tables of a night name."""
    for table, columns in _TABLES.items():
        if not (outdir / table).is_file():
            continue
        try:
            rows = Table.read(outdir / table, format="ascii.ecsv")
        except (OSError, ValueError):  # a table that is damaged tells nothing
            continue
        for column in set(columns) & set(rows.colnames):
            for name in dict.fromkeys(os.path.dirname(str(name)) for name in rows[column] if name):
                yield name
                if column != "in_name":  # a master of the run, by its name in there
                    yield os.path.join(outdir, name)

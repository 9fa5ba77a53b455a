"""What a product was made of, down to the raw files, and what of it no longer matches."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import NamedTuple

from astropy.io import fits

from ..fits import changed_units, data_sum, is_product, read_frame, read_header
from ..fits.intact import checksum_now
from ..fits.writer import VERSIONS
from .whereabouts import Whereabouts

_INDENT = "  "
_MASTERS = {
    "MBIAS": "master bias",
    "MDARK": "master dark",
    "MFLAT": "master flat",
    "MMASK": "bad pixel mask",
    "MFRNG": "fringe frame",
    "MSKY": "sky frame",
}
_CHANGED = ("its pixels have changed", "its header has changed")
_INPUTS = {
    ("IMCMB", "IMSUM"): "input",
    ("IMREJ", "IMRSM"): "not used",
    ("SKYIM", "SKYSM"): "sky",
}


@dataclass(frozen=True)
class Provenance:
    """A file, what it was made of, and what no longer matches.

    Attributes
    ----------
    name : str
        Its name in the header of the product that was made of it; for the product itself its path.
    role : str
        ``"product"``, ``"input"``, ``"not used"`` (an input that was refused), ``"master bias"``,
        ``"master dark"``, ``"master flat"``, ``"bad pixel mask"``, ``"fringe frame"``,
        ``"sky frame"`` or ``"sky"`` (a frame that the sky was taken from).
    path : str or None
        Where it is; None if it was not found.
    problems : list of str
        What no longer matches.
    notes : list of str
        What is different but need not matter.
    versions : dict
        Of a product: the versions of the packages that made it.
    steps : list of str
        Of a product: its HISTORY.
    sources : list of Provenance
        What it was made of.
    """

    name: str
    role: str
    path: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    sources: list["Provenance"] = field(default_factory=list)

    def files(self) -> Iterator["Provenance"]:
        """Yield this file and all that it was made of, each once."""
        seen = set()

        def below(one: Provenance) -> Iterator[Provenance]:
            key = (one.name, one.path, tuple(one.problems))
            if key not in seen:
                seen.add(key)
                yield one
                for source in one.sources:
                    yield from below(source)

        return below(self)

    @property
    def matches(self) -> bool:
        """Whether everything is there and as it was."""
        return not any(one.problems for one in self.files())

    def lines(self) -> list[str]:
        """Return the tree as lines of text; what is in it twice is told once."""
        told: set[int] = set()
        return list(_lines(self, 0, told))


def provenance(
    path: str | os.PathLike, search: str | os.PathLike | Iterable[str | os.PathLike] = ()
) -> Provenance:
    """Trace a product to its raw files, and see whether they are still what they were.

    Parameters
    ----------
    path : path
        A light frame or a master that this package made.
    search : path or iterable of paths
        Directories in which its files are looked for, with all below them. What is not there is
        looked for beside the product, and where its night was reduced from.

    Returns
    -------
    `~bmp_astro.night.Provenance`
        The tree. ``matches`` tells whether all of it is there and unchanged, and made by the
        version of this package that is installed.

    Raises
    ------
    OSError
        If the product cannot be read, or a directory does not exist.
    ValueError
        If it is not a product of this package.

    Notes
    -----
    Pixels and header of a raw file are compared by checksum (INPUTSUM, or IMSUM001 and so on in a
    master), a master by the DATASUM of its pixels, and products that have DATASUM by that.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro import provenance, reduce_night
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(f"{folder}/raw", shape=(32, 48), bad_files=False)
    ...     table = reduce_night(f"{folder}/raw", f"{folder}/reduced", num_processes=1)
    ...     light = table[table["frame_type"] == "light"][0]
    ...     tree = provenance(light["outname"])
    >>> tree.matches
    True
    >>> [source.role for source in tree.sources]
    ['input', 'master bias', 'master dark', 'master flat']
    """
    name = os.fspath(path)
    header = read_header(name).header
    if not is_product(header):
        raise ValueError(
            f"{name} is not a product of this package (it has no BMPVERS): expected a reduced "
            "light frame or a master"
        )
    tops = [search] if isinstance(search, str | os.PathLike) else search
    return _Tracer(Whereabouts(tops)).product(name, _Recorded(name, "product"))


class _Recorded(NamedTuple):
    """What the header of a product says of a file that it was made of."""

    name: str
    role: str
    checksum: str = ""


class _Tracer:
    """Traces files, each of them once."""

    def __init__(self, whereabouts: Whereabouts) -> None:
        self._whereabouts = whereabouts
        self._traced: dict[_Recorded, Provenance] = {}
        self._above: list[str] = []

    def product(self, path: str, recorded: _Recorded, problems: Iterable[str] = ()) -> Provenance:
        """Trace a file that this package may have made."""
        problems, header = [*problems], read_header(path).header
        if not is_product(header):
            return Provenance(recorded.name, recorded.role, path, problems)
        problems += [f"its {unit} has changed since it was written" for unit in changed_units(path)]
        versions = {name: str(header[key]) for key, name in VERSIONS.items() if key in header}
        own, *others = (
            f"made with {name} {said}, this is {version(name)}" if said != version(name) else ""
            for name, said in versions.items()
        )
        problems += filter(None, [own])
        self._whereabouts.look_around(path)
        self._above.append(os.path.realpath(path))
        sources = [self._source(one) for one in _recorded_in(header)]
        self._above.pop()
        steps = [str(line) for line in header.get("HISTORY", [])]
        notes = list(filter(None, others))
        return Provenance(
            recorded.name, recorded.role, path, problems, notes, versions, steps, sources
        )

    def _source(self, recorded: _Recorded) -> Provenance:
        """Trace a file that a header names."""
        if recorded not in self._traced:
            self._traced[recorded] = self._found(recorded)
        return self._traced[recorded]

    def _found(self, recorded: _Recorded) -> Provenance:
        """Trace the file of that name which matches, else the first of that name."""
        tried = []
        for path in self._whereabouts.of(recorded.name):
            if os.path.realpath(path) in self._above:
                continue
            problems = _differences(path, recorded)
            if not problems:
                return self.product(path, recorded)
            tried.append((path, problems))
        if not tried:
            return Provenance(recorded.name, recorded.role, None, ["it is not found"])
        path, problems = tried[0]
        try:
            return self.product(path, recorded, problems)
        except (OSError, ValueError):  # the problem that it cannot be read is there already
            return Provenance(recorded.name, recorded.role, path, problems)


def _recorded_in(header: fits.Header) -> Iterator[_Recorded]:
    """Yield the files that a product was made of, as its header names them."""
    if "INPUT" in header:
        yield _Recorded(str(header["INPUT"]), "input", str(header.get("INPUTSUM", "")))
    for keyword, role in _MASTERS.items():
        if keyword in header:
            yield _Recorded(str(header[keyword]), role, str(header.get(f"{keyword}SUM", "")))
    for (names, sums), role in _INPUTS.items():
        for keyword in header:
            number = keyword.removeprefix(names if keyword.startswith(names) else names[:-1])
            if len(keyword) == 8 and keyword.startswith(names[:-1]) and number.isdigit():
                checksum = header.get(f"{sums[: 8 - len(number)]}{number}", "")
                yield _Recorded(str(header[keyword]), role, str(checksum))


def _differences(path: str, recorded: _Recorded) -> list[str]:
    """Return in what a file differs from the one that was used."""
    if not recorded.checksum:
        return []
    try:
        if recorded.role in _MASTERS.values():
            found = data_sum(read_frame(path).data)
            return [] if found == recorded.checksum else [_CHANGED[0]]
        found = checksum_now(path, recorded.checksum)
    except (OSError, ValueError) as error:
        return [f"it cannot be read: {error}"]
    parts = zip(_CHANGED, found.split(), recorded.checksum.split(), strict=False)
    return [told for told, now, before in parts if now != before]


def _lines(one: Provenance, depth: int, told: set[int]) -> Iterator[str]:
    """Yield the lines of a file and of what it was made of."""
    indent = _INDENT * depth
    what = one.name if one.path is None else one.path
    is_top = one.role == "product"
    state = "; ".join(one.problems) if one.problems else "" if is_top else "as it was"
    role = "" if is_top else f"{one.role}: "
    if one.sources and id(one) in told:
        yield f"{indent}{role}{what}: see above"
        return
    told.add(id(one))
    yield f"{indent}{role}{what}: {state}".removesuffix(": ")
    if one.versions:
        made = ", ".join(f"{name} {said}" for name, said in one.versions.items())
        yield f"{indent}{_INDENT * 2}made with {made}"
    for text in [*one.notes, *one.steps]:
        yield f"{indent}{_INDENT * 2}{text}"
    for source in one.sources:
        yield from _lines(source, depth + 1, told)

"""Names of output files: how they are made, and which must not be written."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

OUTNAME_APPEND = "_bmp"
_COMPRESSED = (".gz", ".fz", ".bz2", ".xz", ".zst", ".z")
_INNER_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")


def leaves(in_name: Any) -> Iterator[str]:
    """Yield the file names of an input: itself, or those of a (nested) list."""
    if isinstance(in_name, str | os.PathLike):
        yield os.fsdecode(in_name)
    elif isinstance(in_name, list | tuple):
        for part in in_name:
            yield from leaves(part)
    else:
        yield str(in_name)


def split_suffix(name: str) -> tuple[str, str]:
    """Split a base name before its suffix, which may be double.

    Parameters
    ----------
    name : str
        A file name without its directory.

    Returns
    -------
    (stem, suffix) : tuple of str

    Examples
    --------
    >>> split_suffix("m31.fits.gz"), split_suffix("night.tar.gz"), split_suffix("m31.0012.fit")
    (('m31', '.fits.gz'), ('night', '.tar.gz'), ('m31.0012', '.fit'))
    """
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in _COMPRESSED:
        inner = _INNER_SUFFIX.search(stem)
        if inner is not None and inner.start() > 0:
            return stem[: inner.start()], inner.group() + suffix
    return stem, suffix


def outname_creator(
    in_name: Any,
    data: Any = None,
    meta: Mapping[str, Any] | None = None,
    outdir: str | os.PathLike[str] | None = None,
    outname_append: str = OUTNAME_APPEND,
    outname: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> str:
    """Make an output name from an input name.

    Parameters
    ----------
    in_name : str, path or (nested) list of them
        The input; of a list, the first one gives the name.
    data : any
        Not used; here for functions that replace this one.
    meta : mapping, optional
        Its keys ``outdir``, ``outname_append`` and ``outname``, where present, win over the
        parameters.
    outdir : str or path, optional
        The output directory; `None` is the current one.
    outname_append : str
        What is put between the name and its suffix: ``m31.fits.gz`` becomes ``m31_bmp.fits.gz``.
    outname : str or path, optional
        The whole name, relative to ``outdir`` if that is given; `None` makes one from ``in_name``.
    **kwargs
        Not used.

    Returns
    -------
    str

    Examples
    --------
    >>> outname_creator("raw/m31.fits.gz", outdir="reduced")
    'reduced/m31_bmp.fits.gz'
    >>> outname_creator(["a.fits", "b.fits"], meta={"outname": "ab.fits"}, outdir="reduced")
    'reduced/ab.fits'
    """
    told = {} if meta is None else meta
    outdir = told.get("outdir", outdir)
    outname_append = told.get("outname_append", outname_append)
    outname = told.get("outname", outname)
    if outname is not None:
        return os.fspath(outname) if outdir is None else os.path.join(outdir, outname)
    first = next(leaves(in_name), None)
    if first is None:
        raise ValueError("the input is an empty list: set meta['outname'] to name its output")
    stem, suffix = split_suffix(os.path.basename(first))
    directory = os.getcwd() if outdir is None else outdir
    return os.path.join(directory, f"{stem}{outname_append}{suffix}")


def is_there(path: str, but_not_since: float | None = None) -> bool:
    """Tell whether a file is there, and was before a moment where one is given."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    # Clocks of file systems are coarse, and may be those of another machine.
    return but_not_since is None or found.st_mtime < but_not_since - 2


def real(path: str | os.PathLike[str]) -> str:
    """Return the path by which two names of one file are seen to be the same."""
    return os.path.realpath(os.fspath(path))


def refused_input(in_name: Any, outname: str) -> ValueError:
    """Return the error for an output that would overwrite an input."""
    return ValueError(
        f"the output of {in_name} would overwrite the input {outname}: give an outdir, or an "
        "outname_append that is not empty"
    )


def refuse_inputs(in_name: Any, outname: str, protected: frozenset[str]) -> None:
    """Raise ValueError when an output name is one of the run's inputs."""
    path = real(outname)
    if path in protected or any(path == real(leaf) for leaf in leaves(in_name)):
        raise refused_input(in_name, outname)


def claim(folder: str, in_name: Any, outname: str) -> None:
    """Claim an output name for an input, so that no other task of the run writes it too.

    Parameters
    ----------
    folder : str
        The folder of claims; where it cannot be seen (on another machine) nothing is claimed.
    in_name : any
        The input.
    outname : str
        Its output.

    Raises
    ------
    ValueError
        When another input has claimed the name.
    """
    owner = "\n".join(map(real, leaves(in_name)))
    path = os.path.join(folder, hashlib.sha256(real(outname).encode()).hexdigest())
    try:
        with open(path, "x", errors="surrogateescape") as file:
            file.write(owner)
    except FileExistsError:
        with open(path, errors="surrogateescape") as file:
            other = file.read()
        if other != owner:
            raise ValueError(
                f"{outname} is the output of {other} in this run already: give each input a name "
                "of its own (meta['outname'])"
            ) from None
    except OSError:
        return

"""The masters that exist already, in a directory or by name."""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from astropy.io.fits import Header

from ..fits import is_fits_name, is_product, read_header

logger = logging.getLogger(__name__)

_KINDS = {"Master Bias": "bias", "Master Dark": "dark", "Master Flat": "flat"}


@dataclass(frozen=True)
class MasterFile:
    """A master on disk: where it is, what it is (``"bias"``, ``"dark"``, ``"flat"``), its cards."""

    path: str
    kind: str
    header: Header


def find_masters(where: str | os.PathLike | Iterable[str | os.PathLike]) -> list[MasterFile]:
    """Find master frames that this package made.

    Parameters
    ----------
    where : path or iterable of paths
        Directories and files. Of a directory its own files count, and those in ``masters`` below
        it, also one level deeper, as the output of a night or of several has them; other files
        are passed over.

    Returns
    -------
    list of MasterFile
        In the order of the names.

    Raises
    ------
    ValueError
        If a file that was named is not a master of this package.
    OSError
        If a file that was named cannot be read.
    """
    tops = [where] if isinstance(where, str | os.PathLike) else list(where)
    found = []
    for top in map(Path, tops):
        if top.is_dir():
            found += _masters_in(top)
            continue
        master = _master(top)
        if master is None:
            raise ValueError(
                f"{top} is not a master frame of this package: IMAGETYP should be one of "
                f"{', '.join(_KINDS)}, and BMPVERS should be there"
            )
        found.append(master)
    return found


def _masters_in(folder: Path) -> list[MasterFile]:
    """The masters among a directory's files; one that cannot be read is passed over, and named."""
    found = []
    folders = [folder, *sorted(folder.glob("masters")), *sorted(folder.glob("*/masters"))]
    paths = [path for each in folders if each.is_dir() for path in sorted(each.iterdir())]
    for path in (path for path in paths if is_fits_name(path.name)):
        try:
            master = _master(path)
        except (OSError, ValueError) as error:
            logger.warning("no master can be read from %s: %s", path, error)
            continue
        if master is not None:
            found.append(master)
    return found


def _master(path: Path) -> MasterFile | None:
    header = read_header(path).header
    kind = _KINDS.get(str(header.get("IMAGETYP", "")).strip())
    if kind is None or not is_product(header):
        return None
    return MasterFile(str(path), kind, header)

"""Masters as a pipeline: each item is a list of raw files that make one master."""

import os
from collections.abc import Callable
from typing import Any

from astropy.nddata import CCDData

from ..core import BigMultiPipe
from ..core.control import matching
from ..core.identity import file_digest
from ..fits import data_sums, is_fits_name
from ..fits.writer import write_master
from ..steps.master import keep_master
from .build import build_master
from .report import MasterReport


class MasterPipe(BigMultiPipe):
    """A pipe whose inputs are lists of raw files, and whose outputs are masters.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        Control keyword: what is built.
    process_size : float or callable, optional
        Bytes for each input file of a master; by default twice the file and 32 MiB.
    **kwargs
        Those of `bmp_astro.core.BigMultiPipe` and of `bmp_astro.masters.build_master`.

    Notes
    -----
    What differs from master to master, ``outname`` and ``master_bias`` for example, is given in
    ``file_keywords``, by the name of each master's first file.

    The metadata of a master are those of `MasterReport.meta`.  Masters are written with a checksum,
    by which other products name them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.masters import MasterPipe
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(64, 96), bad_files=False)
    ...     pipe = MasterPipe(kind="bias", outdir=folder, num_processes=1)
    ...     [(outname, meta)] = pipe.pipeline([night.paths("bias")], outname="bias.fits")
    >>> meta["alarms"]
    ''
    """

    def __init__(self, *args: Any, process_size: Any = None, **kwargs: Any) -> None:
        size = _size_of if process_size is None else process_size
        super().__init__(*args, process_size=size, **kwargs)

    def file_read(self, in_name: Any, **kwargs: Any) -> list[str]:
        """Return the names of the files; their pixels are read when they are combined."""
        if isinstance(in_name, list | tuple):
            return [path for name in in_name for path in self.file_read(name)]
        return [os.fspath(in_name)]

    def data_process(
        self, data: list[str], kind: str = "bias", **kwargs: Any
    ) -> tuple[CCDData, MasterReport]:
        """Build a master; see `bmp_astro.masters.build_master`."""
        return build_master(kind, data, **matching(build_master, kwargs, n_positional=2))

    def post_process(
        self, data: tuple[CCDData, MasterReport], **kwargs: Any
    ) -> tuple[CCDData | None, dict[str, Any]]:
        """Run the steps on the master, after its report has become metadata."""
        ccd, report = data
        ccd, meta = super().post_process(ccd, **kwargs)
        return ccd, {**report.meta(), **meta}

    def file_write(
        self, data: CCDData, outname: str, overwrite: bool = False, **kwargs: Any
    ) -> str:
        """Write the master with its uncertainty, mask and checksum."""
        super().file_write(data, outname, **kwargs)
        if write_master(data, outname, overwrite=overwrite):
            keep_master(outname, data)
        return outname

    def file_identity(self, path: str) -> str:
        """Tell a master that is named in the keywords from any other, when a run is resumed."""
        return file_identity(path)

    def control_functions(self) -> list[Callable[..., Any]]:
        """Return what names control keywords, `build_master` among them."""
        return [*super().control_functions(), build_master]


def _size_of(path: str | os.PathLike) -> int:
    """Return the bytes that one input of a master takes while it is made."""
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return 2 * size + 2**25


def file_identity(path: str | os.PathLike) -> str:
    """Tell the content of a file from any other: by its DATASUM cards, else by all its bytes."""
    sums = data_sums(path) if is_fits_name(path) else None
    return file_digest(os.fspath(path)) if sums is None else sums

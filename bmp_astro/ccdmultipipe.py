"""Pipes whose data are FITS frames, and whose result is an astropy table."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from astropy.nddata import CCDData
from astropy.table import QTable

from .core import BigMultiPipe, Outcome, PipelineError, Rejected, pout_to_table
from .fits import (
    Instrument,
    amplifiers_of,
    checked_classification,
    find_instrument,
    read_frame,
    read_header,
    write_frame,
)
from .fits.text import joined
from .fits.writer import check_frame
from .masters.pipe import file_identity
from .memory import reused_memory, while_reused
from .steps import (
    calibrate,
    find_sources,
    image_statistics,
    mask_trails,
    observation_facts,
    raise_alarms,
    remove_cosmic_rays,
    subtract_background,
    subtract_fringe,
)
from .steps.light import why_no_light
from .steps.master import CACHE_SIZE

logger = logging.getLogger(__name__)

# Raw integers, float32 pixels, variance and sigma, flags, and the float64 strips of a tile.
BYTES_PER_PIXEL = 24
# Of several amplifiers also their image, its level, and maps of gain, noise and saturation.
AMPLIFIERS_BYTES_PER_PIXEL = 24
# A product: float32 pixels, float32 sigma, and flags; and its headers.
PRODUCT_BYTES_PER_PIXEL = 9
PRODUCT_HEADERS = 64 * 2**10
# A master that is kept: float32 pixels and sigma, and flags.
MASTER_BYTES_PER_PIXEL = 9
MASTER_KEYWORDS = ("master_bias", "master_dark", "master_flat", "master_fringe", "bad_pixel_mask")
# What an interpreter with numpy, astropy and the steps takes before it sees a pixel.
BYTES_PER_TASK = 64 * 2**20


class CCDMultiPipe(BigMultiPipe):
    """A pipe from FITS files to FITS files, with a table that says what happened to each.

    Parameters
    ----------
    instrument : Instrument, str or None
        The camera (see `~bmp_astro.read_frame`); by default the class's own ``instrument``, and
        where that is None each header chooses.
    process_size : int or callable, optional
        The memory (bytes) that one file needs, or a function that tells it from the file's name;
        by default `frame_size`.
    worker_size : int or callable, optional
        The memory (bytes) that stays in each worker process from file to file, or a function that
        tells it from the control keywords; by default `masters_size`.
    output_size : int or callable, optional
        The room (bytes) that one output takes on the disk, or a function that tells it from the
        input; by default `product_size`. `None` starts a run without looking for room.
    on_error : {"record", "raise"}
        What one bad file does: a row that says so, or an error once the others are done.
    **kwargs
        What `~bmp_astro.core.BigMultiPipe` takes, and control keywords for the steps.

    Notes
    -----
    Subclasses override `data_process`, or any other method of `~bmp_astro.core.BigMultiPipe`.
    Pixels are ``(ny, nx)``. Outputs are named after the inputs with ``outname_append``, without
    the suffix of a compressed file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro import CCDMultiPipe
    >>> from bmp_astro.simulate import simulate_night
    >>> from bmp_astro.steps import as_single, header_to_meta, subtract_overscan, trim
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(32, 48), bad_files=False)
    ...     lights = night.paths("light")[:2]
    ...     pipe = CCDMultiPipe(pre_process_list=[subtract_overscan, trim, as_single],
    ...                         post_process_list=[header_to_meta], outdir=folder,
    ...                         header_keys=["OBJECT", ("EXPTIME", "s")], executor="serial")
    ...     table = pipe.pipeline(lights)
    >>> table["status"].tolist()
    ['done', 'done']
    >>> table["EXPTIME"].unit
    Unit("s")
    """

    instrument: Instrument | str | None = None

    def __init__(
        self,
        *args: Any,
        process_size: Any = None,
        on_error: str = "record",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("instrument", self.instrument)
        kwargs.setdefault("output_size", product_size)
        kwargs.setdefault("worker_size", masters_size)
        size = frame_size if process_size is None else process_size
        super().__init__(*args, process_size=size, on_error=on_error, **kwargs)

    def file_read(
        self,
        in_name: str,
        hdu: int | str | None = None,
        unit: Any = None,
        instrument: Any = None,
        **kwargs: Any,
    ) -> CCDData:
        """Read one frame, and record which it is; see `~bmp_astro.read_frame`."""
        return read_frame(in_name, hdu=hdu, unit=unit, instrument=instrument, record_input=True)

    def post_process(self, data: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Take the steps after `data_process`, which is to have returned a frame."""
        if type(self).file_write is CCDMultiPipe.file_write:
            check_frame(data, "what data_process returned")
        return super().post_process(data, **kwargs)

    def file_write(
        self,
        data: CCDData,
        outname: str,
        overwrite: bool = False,
        dtype: str = "float32",
        checksum: bool = False,
        planes: tuple[str, ...] = ("uncertainty", "mask"),
        quantize: float | None = None,
        **kwargs: Any,
    ) -> str:
        """Write one frame; see `~bmp_astro.write_frame`."""
        stored = {"dtype": dtype, "checksum": checksum, "planes": planes, "quantize": quantize}
        return write_frame(data, outname, overwrite=overwrite, **stored)

    def outname_create(self, in_name: Any, **kwargs: Any) -> str:
        """Name the output after the input; a compressed input has a plain output."""
        name = super().outname_create(in_name, **kwargs)
        was_told = kwargs.get("outname") is not None or "outname" in kwargs.get("meta", {})
        return name if was_told else re.sub(r"\.(gz|fz|bz2|Z)$", "", name)

    def file_identity(self, path: str) -> str:
        """Tell a master that is named in the keywords from any other, when a run is resumed."""
        return file_identity(path)

    def pipeline(self, in_names: Iterable[Any], **kwargs: Any) -> QTable:
        """Run the pipe over files.

        Parameters
        ----------
        in_names : iterable of str or path, or of lists of them
            The files; a list of files makes one output.
        **kwargs
            Control keywords for this run, over those of the pipe.

        Returns
        -------
        `~astropy.table.QTable`
            One row for each input, in their order: ``in_name``, ``outname``, ``status``, ``step``,
            ``message``, ``seconds``, ``peak_memory``, ``warnings``, then the metadata.

        Raises
        ------
        PipelineError
            With ``on_error="raise"``, if a file failed; its ``pout`` is the table.
        """
        try:
            with reused_memory():
                pout = super().pipeline(in_names, **kwargs)
        except PipelineError as error:
            error.pout = pout_to_table(error.pout)
            raise
        _log_failures(pout)
        return pout_to_table(pout)

    def iter_pipeline(self, in_names: Iterable[Any], **kwargs: Any) -> Iterator[Outcome]:
        """Yield each outcome as it comes; see `~bmp_astro.core.BigMultiPipe.iter_pipeline`."""
        return while_reused(super().iter_pipeline(in_names, **kwargs))


def check_light(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    classification: str = "warn",
    **kwargs: Any,
) -> CCDData:
    """Post-processing step: doubt a calibrated light frame that looks like a flat, dark or bias.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, ``(ny, nx)``, without bias and dark.
    bmp_meta : dict, optional
        The frame's metadata; a doubt joins the text in ``alarms``.
    classification : {"strict", "warn", "trust"}
        Reject a frame that is doubted, raise an alarm, or do not look.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame as it is.

    Raises
    ------
    Rejected
        With ``classification="strict"``.
    ValueError
        If there is no such classification.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.ccdmultipipe import check_light
    >>> flat, meta = CCDData(np.full((30, 40), 20_000.0), unit="electron"), {}
    >>> _ = check_light(flat, bmp_meta=meta)
    >>> meta["alarms"]
    'no star is seen, and a smooth level of 20000 electron: is it a flat, or were there clouds?'
    """
    if checked_classification(classification) == "trust":
        return ccd
    doubt = why_no_light(ccd, bmp_meta)
    if doubt and classification == "strict":
        raise Rejected(doubt)
    if doubt and bmp_meta is not None:
        bmp_meta["alarms"] = joined(bmp_meta.get("alarms", ""), doubt)
    return ccd


class CalibrationPipe(CCDMultiPipe):
    """A pipe that calibrates every frame with the masters it is given.

    The control keywords ``master_bias``, ``master_dark``, ``master_flat`` and ``bad_pixel_mask``
    (paths or CCDData), and those of the steps, reach `~bmp_astro.steps.calibrate`. For a camera
    of your own set ``instrument`` in a subclass.

    Parameters
    ----------
    **kwargs
        As for `CCDMultiPipe`.

    Examples
    --------
    >>> import astropy.units as u
    >>> from bmp_astro import CalibrationPipe, Instrument, Keyword
    >>> class SX694(CalibrationPipe):
    ...     instrument = Instrument(name="SX694", exptime=Keyword("EXPTIME", unit=u.s),
    ...                             gain=0.3 * u.electron / u.adu)
    >>> SX694(outdir="reduced").kwargs["instrument"].name
    'SX694'
    """

    #: What `~bmp_astro.reduce_night` does after the calibration if it is asked to, in this order.
    extra_steps: Mapping[str, Callable[..., Any]] = MappingProxyType(
        {
            "cosmic_rays": remove_cosmic_rays,
            "trails": mask_trails,
            "fringes": subtract_fringe,
            "background": subtract_background,
            "sources": find_sources,
        }
    )

    #: Post-processing steps that `~bmp_astro.reduce_night` adds, for the columns of its table.
    summary_steps: tuple[Callable[..., Any], ...] = (
        image_statistics,
        observation_facts,
        check_light,
        raise_alarms,
    )

    def data_process(self, data: CCDData, **kwargs: Any) -> CCDData:
        """Calibrate one frame; see `~bmp_astro.steps.calibrate`."""
        return calibrate(data, **kwargs)

    def control_functions(self) -> list[Callable[..., Any]]:
        """Add the keywords of `~bmp_astro.steps.calibrate` to those that are known."""
        return [*super().control_functions(), calibrate]


def frame_size(in_name: Any) -> int:
    """Estimate the memory that calibrating a file takes.

    Parameters
    ----------
    in_name : str, path or nested list of them
        The file or files; only headers are read. A file that cannot be read counts for little:
        its turn will say what is wrong with it.

    Returns
    -------
    int
        Bytes.
    """
    if not isinstance(in_name, str | os.PathLike):
        return sum(frame_size(name) for name in in_name)
    try:
        (ny, nx), several = _layout_of(in_name)
    except (OSError, ValueError):
        return BYTES_PER_TASK
    per_pixel = BYTES_PER_PIXEL + (AMPLIFIERS_BYTES_PER_PIXEL if several else 0)
    return BYTES_PER_TASK + per_pixel * ny * nx


def product_size(in_name: Any) -> int:
    """Estimate the room on the disk that the output of a file takes.

    Parameters
    ----------
    in_name : str, path or nested list of them
        The file; of a list, which makes one output, its first. Only the header is read.

    Returns
    -------
    int
        Bytes; 0 for a file that cannot be read, which has no output.
    """
    if not isinstance(in_name, str | os.PathLike):
        return next(iter(map(product_size, in_name)), 0)
    try:
        (ny, nx), _ = _layout_of(in_name)
    except (OSError, ValueError):
        return 0
    return PRODUCT_HEADERS + PRODUCT_BYTES_PER_PIXEL * ny * nx


def _layout_of(path: str | os.PathLike) -> tuple[tuple[int, int], bool]:
    """Return the shape of a frame, and whether several amplifiers read it.

    A file that is asked about again is not read again.
    """
    found = os.stat(path)
    return _layout_in(os.path.abspath(path), found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=2**12)
def _layout_in(path: str, size: int, time: int) -> tuple[tuple[int, int], bool]:
    found = read_header(path)
    return found.shape, bool(amplifiers_of(found.header, find_instrument(None, found.header)))


def masters_size(control: Mapping[str, Any]) -> int:
    """Estimate the memory that the masters take which a process keeps from frame to frame.

    Parameters
    ----------
    control : mapping
        The control keywords, with those of single files in ``file_keywords``. Masters that are
        paths count: their headers are read. As many of the largest as are kept at a time count.

    Returns
    -------
    int
        Bytes.
    """
    single = control.get("file_keywords")
    streams = [control, *({} if single is None else single).values()]
    given = [stream.get(key) for stream in streams for key in MASTER_KEYWORDS]
    paths = {os.fspath(path) for path in given if isinstance(path, str | os.PathLike)}
    sizes = sorted(map(_master_size, paths), reverse=True)
    return sum(sizes[:CACHE_SIZE])


def _master_size(path: str) -> int:
    """Return the bytes of a master in memory; of one that cannot be read, none."""
    try:
        (ny, nx), _ = _layout_of(path)
    except (OSError, ValueError):
        return 0
    return MASTER_BYTES_PER_PIXEL * ny * nx


def _log_failures(pout: list[Outcome]) -> None:
    for outcome in pout:
        if outcome.status == "failed":
            logger.error("%s failed in %s: %s", outcome.in_name, outcome.step, outcome.message)
            logger.debug("%s", outcome.traceback)

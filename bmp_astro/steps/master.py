"""Master frames: loaded once, and refused where they do not fit the frame."""

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, VarianceUncertainty

from ..fits import GENERIC, data_sum, flags_of, read_frame
from .image import variance_of

CACHE_SIZE = 4  # a bias, a dark, a flat, and a mask of bad pixels
_SAMPLE = 100_000  # pixels that tell a master's typical level


class Master:
    """A master frame, and what is worked out from it once."""

    def __init__(self, ccd: CCDData, name: str) -> None:
        self.ccd = ccd
        self.name = name.encode("ascii", "replace").decode()  # as a card can hold it

    @cached_property
    def variance(self) -> np.ndarray | None:
        """Variance, ``(ny, nx)``, in the unit of the master squared."""
        return variance_of(self.ccd)

    @cached_property
    def flags(self) -> np.ndarray | None:
        """Mask bits, ``(ny, nx)``."""
        return flags_of(self.ccd)

    @cached_property
    def checksum(self) -> str:
        """`data_sum` of the pixels."""
        return data_sum(self.ccd.data)

    @cached_property
    def level(self) -> float:
        """Median of the pixels that are finite, from an even sample of them."""
        pixels = self.ccd.data.ravel()
        pixels = pixels[:: max(1, pixels.size // _SAMPLE)]
        pixels = pixels[np.isfinite(pixels)]
        return float(np.median(pixels)) if pixels.size else 0.0


def load_master(master: str | os.PathLike | CCDData) -> CCDData:
    """Master frame from a file, or as given.

    Parameters
    ----------
    master : path-like or `~astropy.nddata.CCDData`
        A file is read once, and again when its size or its time of change differ; the latest
        few are kept. May be called from many threads at once.

    Returns
    -------
    `~astropy.nddata.CCDData`
        What came from a file is shared by all callers, so that its arrays are read-only; its
        uncertainty is a `~astropy.nddata.VarianceUncertainty`.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _opened(master).ccd


def open_master(master: Any, kind: str, ccd: CCDData) -> Master:
    """Return the master of a kind ("bias", "dark", "flat") for a frame, which it must fit."""
    if master is None:
        raise ValueError(f"there is no master {kind}: give master_{kind}=, a path or a CCDData")
    opened = _opened(master)
    _check_shape(opened.ccd.shape, ccd.shape, f"master {kind}")
    _check_kind(opened, kind)
    _check_unit(opened.ccd.unit, kind, ccd.unit)
    return opened


def open_bad_pixels(bad_pixel_mask: Any, *shapes: tuple[int, int]) -> np.ndarray:
    """Return where pixels are bad, bool; the shape must be one of ``shapes``."""
    mask = _mask(bad_pixel_mask).ccd.data
    if mask.shape not in shapes:
        _check_shape(mask.shape, shapes[0], "bad pixel mask")
    return mask != 0


def mask_names(bad_pixel_mask: Any) -> tuple[str, str]:
    """Return the name of a bad pixel mask, and its `data_sum`."""
    mask = _mask(bad_pixel_mask)
    return mask.name, mask.checksum


def _mask(bad_pixel_mask: Any) -> Master:
    """Return a bad pixel mask, be it a file, an image or an array."""
    if bad_pixel_mask is None:
        raise ValueError("there is no bad pixel mask: give bad_pixel_mask=, a path or an array")
    if isinstance(bad_pixel_mask, np.ndarray):
        bad_pixel_mask = CCDData(bad_pixel_mask, unit=u.dimensionless_unscaled)
    return _opened(bad_pixel_mask)


class _Cache:
    """The masters that were read last, by file; threads that want the same one read it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple, Future] = OrderedDict()

    def get(self, path: str) -> Master:
        """Return the master in a file."""
        path = os.path.abspath(path)
        stat = os.stat(path)
        key = (path, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            future = self._loaded.get(key)
            mine = future is None
            if mine:
                future = self._loaded[key] = Future()
            self._loaded.move_to_end(key)
            while len(self._loaded) > CACHE_SIZE:
                self._loaded.popitem(last=False)
        if mine:
            self._load(key, future)
        return future.result()

    def _load(self, key: tuple, future: Future) -> None:
        """Read the file for all who wait; a failure is not kept."""
        try:
            future.set_result(_read(key[0]))
        except BaseException as error:
            with self._lock:
                self._loaded.pop(key, None)
            future.set_exception(error)


_CACHE = _Cache()


def _opened(master: Any) -> Master:
    """Return the master of a file, from the cache, or around an image."""
    if isinstance(master, CCDData):
        return Master(master, str(master.header.get("FILENAME", "unnamed")))
    if not isinstance(master, str | os.PathLike):
        raise TypeError(f"a master is a path or a CCDData, but this is {type(master).__name__}")
    return _CACHE.get(os.fspath(master))


def _read(path: str) -> Master:
    """Read a master, and keep its variance instead of its uncertainty: arrays are read-only."""
    ccd = read_frame(path)
    variance, flags = variance_of(ccd), flags_of(ccd)
    if variance is not None:
        ccd.uncertainty = VarianceUncertainty(variance, copy=False)
    for plane in (ccd.data, variance, flags, ccd.mask):
        if plane is not None:
            plane.setflags(write=False)
    return Master(ccd, Path(path).name)


def _check_shape(found: tuple[int, ...], frame: tuple[int, ...], name: str) -> None:
    """Raise where a master and a frame differ in shape."""
    if found != frame:
        raise ValueError(
            f"{name} is {found} (ny, nx) but the frame is {frame}: was one of them not trimmed?"
        )


def _check_kind(master: Master, kind: str) -> None:
    """Raise where the header says that a master is one of another kind."""
    said = str(master.ccd.header.get("IMAGETYP", ""))
    word = said.lower().removeprefix("master").strip()
    found = GENERIC.frame_type_of({"IMAGETYP": word})
    if found in {"bias", "dark", "flat"} - {kind}:
        raise ValueError(f"{master.name} is given as master {kind} but its IMAGETYP is {said!r}")


def _check_unit(found: u.UnitBase, kind: str, frame: u.UnitBase) -> None:
    """Raise where a master's unit is not the one that its kind has."""
    if kind == "flat":
        if found != u.dimensionless_unscaled:
            raise ValueError(
                f"master flat is in {found} but must have no unit: normalize it first, and give "
                "it the unit ''"
            )
    elif frame == u.electron:
        raise ValueError(
            f"the frame is in electron already but the master {kind} is in {found}: subtract "
            "bias and dark before the gain is applied"
        )
    elif found != frame:
        raise ValueError(f"master {kind} is in {found} but the frame is in {frame}")

"""Master frames: loaded once, and refused where they do not fit the frame."""

import os
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from ..fits import (
    GENERIC,
    data_sum,
    flags_of,
    open_frame,
    read_frame,
    read_header,
    shift_wcs,
    wcs_of,
)
from ..fits.readouts import cut_readouts
from ..fits.section import Section
from .filecache import FileCache
from .image import remade, sigma_of
from .window import window_in

CACHE_SIZE = 4  # a bias, a dark, a flat, and a mask of bad pixels
_FEWEST = 100  # pixels that tell a scale
_SAMPLE = 100_000  # pixels that tell a master's typical level


class Master:
    """A master frame, and what is worked out from it once.

    One that was read from a file has an ``origin``: the path, and what tells its content.
    """

    def __init__(
        self,
        ccd: CCDData,
        name: str,
        *,
        whole: "Master | None" = None,
        origin: tuple | None = None,
    ) -> None:
        self.ccd = ccd
        self.name = name.encode("ascii", "replace").decode()  # as a card can hold it
        self.origin = origin
        self._whole = whole
        self._let_go: set[str] = set()

    @cached_property
    def sigma(self) -> np.ndarray | None:
        """Standard deviation, ``(ny, nx)``, in the unit of the master."""
        ccd = self.ccd  # before it is asked whether that is one without
        return _sigma_in(self.origin[0]) if "sigma" in self._let_go else sigma_of(ccd)

    @cached_property
    def flags(self) -> np.ndarray | None:
        """Mask bits, ``(ny, nx)``."""
        ccd = self.ccd
        return _flags_in(self.origin[0]) if "flags" in self._let_go else flags_of(ccd)

    def let_go(self, plane: str) -> None:
        """Keep the sigma or the flags no longer; the file has them for whoever asks again."""
        array = getattr(self, plane)
        if self.origin is None or array is None or array.strides == (0, 0):  # which takes no memory
            return
        self._let_go.add(plane)
        self.ccd = _with(self.ccd, **{"uncertainty" if plane == "sigma" else "flags": None})
        self.__dict__.pop(plane, None)

    def whole(self) -> CCDData:
        """Return the image with all its planes."""
        ccd = self.ccd
        missing: dict[str, Any] = {}
        if "sigma" in self._let_go:
            missing["uncertainty"] = StdDevUncertainty(self.sigma, copy=False)
        if "flags" in self._let_go:
            missing["flags"] = self.flags
        return _with(ccd, **missing) if missing else ccd

    def variance(self) -> np.ndarray | None:
        """Return the variance, made anew: a plane of it is kept by nobody."""
        return None if self.sigma is None else np.square(self.sigma)

    @cached_property
    def checksum(self) -> str:
        """`data_sum` of the pixels; of all of them, also where this is a window."""
        return data_sum(self.ccd.data) if self._whole is None else self._whole.checksum

    @cached_property
    def level(self) -> float:
        """Median of the pixels that are finite, from an even sample of them."""
        pixels = self.ccd.data.ravel()
        pixels = pixels[:: max(1, pixels.size // _SAMPLE)]
        pixels = pixels[np.isfinite(pixels)]
        return float(np.median(pixels)) if pixels.size else 0.0

    def window(self, section: Section) -> "Master":
        """Return a window of it, whose planes are views."""
        sigma = None if self.sigma is None else self.sigma[section]
        ccd = remade(
            self.ccd,
            data=self.ccd.data[section],
            uncertainty=None if sigma is None else StdDevUncertainty(sigma, copy=False),
            flags=None if self.flags is None else self.flags[section],
            wcs=None,
        )
        shift_wcs(ccd.header, section[1].start, section[0].start)
        cut_readouts(ccd.header, section)
        return Master(ccd, self.name, whole=self)


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
        uncertainty is a `~astropy.nddata.StdDevUncertainty`, and it has ``flags`` but no mask,
        which would say the same again.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _opened(master).whole()


def open_master(master: Any, kind: str, ccd: CCDData) -> Master:
    """Return the master of a kind ("bias", "dark", "flat") for a frame, which it must fit.

    Of a frame that is a window of the detector, and says so, it may be a larger one.
    """
    if master is None:
        raise ValueError(f"there is no master {kind}: give master_{kind}=, a path or a CCDData")
    opened = _opened(master)
    window = window_in(opened.ccd, ccd, f"master {kind}")
    _check_kind(opened, kind)
    _check_unit(opened.ccd.unit, kind, ccd.unit)
    return opened if window is None else opened.window(window)


def open_fringe(master_fringe: Any, ccd: CCDData) -> Master:
    """Return a fringe frame for a frame, which it must fit as masters must."""
    opened = _opened(master_fringe)
    window = window_in(opened.ccd, ccd, "fringe frame")
    return opened if window is None else opened.window(window)


def open_sky(master_sky: Any, ccd: CCDData) -> Master:
    """Return a sky frame for a frame, which it must fit as masters must, in its unit."""
    opened = _opened(master_sky)
    window = window_in(opened.ccd, ccd, "sky frame")
    _check_unit(opened.ccd.unit, "sky", ccd.unit)
    return opened if window is None else opened.window(window)


def open_bad_pixels(
    bad_pixel_mask: Any, ccd: CCDData, raw_shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Return where pixels of a frame are bad, bool; the mask must fit it as masters must.

    It may be one of the frame before that was trimmed, and then comes back as a whole.
    """
    mask = _mask(bad_pixel_mask).ccd
    if mask.shape == raw_shape != ccd.shape:
        return mask.data != 0
    window = window_in(mask, ccd, "bad pixel mask")
    return (mask.data if window is None else mask.data[window]) != 0


def good_in_both(
    ccd: CCDData, known: np.ndarray, flags: np.ndarray | None, name: str
) -> np.ndarray:
    """Return the pixels that may tell the scale of a master in a frame: good in both.

    ``known`` is where the master called `name` has a value, ``flags`` are those of both. ValueError
    where they are too few.
    """
    good = known & np.isfinite(ccd.data)
    good = good if flags is None else good & (flags == 0)
    if np.count_nonzero(good) < _FEWEST:
        raise ValueError(
            f"{np.count_nonzero(good)} pixels are good in the frame and in {name}: "
            f"at least {_FEWEST} are needed"
        )
    return good


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


def keep_master(path: str | os.PathLike, ccd: CCDData) -> None:
    """Keep the planes of a master that was just written, for whoever opens the file next.

    Parameters
    ----------
    path : path-like
        The file that was written with it; it may be renamed later.
    ccd : `~astropy.nddata.CCDData`
        What is in it, all of it finite, and nobody may change it any more. Kept only if a file
        gives that back: float32, with a standard deviation, and flags that tell the whole mask.
    """
    sigma, flags = sigma_of(ccd), flags_of(ccd)
    if sigma is None or flags is None or {ccd.data.dtype, sigma.dtype} != {np.dtype(np.float32)}:
        return
    if sigma is ccd.uncertainty.array and flags is ccd.flags:
        _CACHE.keep(path, ccd)


def _opened(master: Any) -> Master:
    """Return the master of a file, from the cache, or around an image."""
    if isinstance(master, CCDData):
        return Master(master, str(master.header.get("FILENAME", "unnamed")))
    if not isinstance(master, str | os.PathLike):
        raise TypeError(f"a master is a path or a CCDData, but this is {type(master).__name__}")
    return _CACHE.get(os.fspath(master))


def _as_read(origin: tuple, made: CCDData) -> Master:
    """Return a master as its file has it, with the planes that were written into it."""
    path = origin[0]
    header = read_header(path).header
    ccd = CCDData(
        made.data.view(),
        unit=made.unit,
        header=header,
        wcs=wcs_of(header, made.shape, Path(path).name),
        uncertainty=StdDevUncertainty(made.uncertainty.array, copy=False),
    )
    ccd.flags = made.flags.view()
    master = _shared(ccd, origin)
    if "DATASUM" in header:  # the pixels were added up when they were written
        master.checksum = header["DATASUM"]
    return master


def _loaded(origin: tuple, made: CCDData | None) -> Master:
    """Return the master in a file, which is read unless it was just made."""
    return _shared(read_frame(origin[0]), origin) if made is None else _as_read(origin, made)


_CACHE = FileCache(CACHE_SIZE, _loaded)


def _sigma_in(path: str) -> np.ndarray | None:
    """Read the standard deviation alone."""
    with open_frame(path) as frame:
        return read_only(frame.uncertainty_rows(0, frame.shape[0]))


def _flags_in(path: str) -> np.ndarray | None:
    """Read the mask bits, those of pixels without a value among them."""
    with open_frame(path) as frame:
        return read_only(frame.read(0, frame.shape[0])[1])


def read_only(plane: np.ndarray | None) -> np.ndarray | None:
    """Return a plane that nobody may change any more."""
    if plane is not None:
        plane.setflags(write=False)
    return plane


def _with(ccd: CCDData, **planes: Any) -> CCDData:
    """Return an image with other planes, and all else in common."""
    other = copy(ccd)
    for name, plane in planes.items():
        setattr(other, name, plane)
    return other


def _shared(ccd: CCDData, origin: tuple) -> Master:
    """Return a master with its standard deviation, and flags alone; all read-only."""
    sigma, flags = sigma_of(ccd), flags_of(ccd)
    if sigma is not None:
        ccd.uncertainty = StdDevUncertainty(sigma, copy=False)
    if flags is not None and not flags.any():  # as most are: it takes no memory then
        flags = np.broadcast_to(np.uint8(0), ccd.shape)
    ccd.flags, ccd.mask = flags, None
    for plane in (ccd.data, sigma, flags):
        read_only(plane)
    return Master(ccd, Path(origin[0]).name, origin=origin)


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
    elif frame == u.electron and kind != "sky":
        raise ValueError(
            f"the frame is in electron already but the master {kind} is in {found}: subtract "
            "bias and dark before the gain is applied"
        )
    elif found != frame:
        raise ValueError(f"master {kind} is in {found} but the frame is in {frame}")

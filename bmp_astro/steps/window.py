"""Which part of a master a frame needs that is a window of the detector."""

from typing import Any

from astropy.nddata import CCDData

from ..fits import GENERIC
from ..fits.section import Section


def window_in(master: CCDData, frame: CCDData, name: str) -> Section | None:
    """Tell which part of a master the frame needs.

    Parameters
    ----------
    master, frame : `~astropy.nddata.CCDData`
        Both trimmed. What part of the detector they are is in XORGSUBF and YORGSUBF, binned pixels.
    name : str
        What messages call the master.

    Returns
    -------
    tuple of slice or None
        None where it is the whole master.

    Raises
    ------
    ValueError
        If the frame is of another size, or another part of the detector, which the master has not.
    """
    ours, theirs = _corner(frame), _corner(master)
    if ours is None or theirs is None:
        check_shape(master.shape, frame.shape, name)
        return None
    start = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    if start == [0, 0] and master.shape == frame.shape:
        return None
    if _binning(frame) != _binning(master):
        check_shape(master.shape, frame.shape, name)
    sizes = zip(start, frame.shape, master.shape, strict=True)
    if not all(at >= 0 and at + size <= whole for at, size, whole in sizes):
        raise ValueError(
            f"{name} is of {_place(theirs, master.shape)} of the detector, but the frame of "
            f"{_place(ours, frame.shape)}: was one of them not trimmed, or is it another window?"
        )
    y, x = (slice(at, at + size) for at, size in zip(start, frame.shape, strict=True))
    return y, x


def _corner(ccd: CCDData) -> tuple[int, int] | None:
    """Return the first row and column on the detector, None where the header does not say."""
    found = [GENERIC.value(name, ccd.header) for name in ("y_origin", "x_origin")]
    return None if None in found else (found[0], found[1])


def _binning(ccd: CCDData) -> tuple[Any, Any]:
    """Return the binning as far as the header says it."""
    return tuple(GENERIC.value(name, ccd.header) for name in ("ybinning", "xbinning"))


def _place(corner: tuple[int, int], shape: tuple[int, ...]) -> str:
    """Return in words which pixels of a detector a frame has."""
    (y, x), (ny, nx) = corner, shape
    return f"rows {y} to {y + ny - 1} and columns {x} to {x + nx - 1}"


def check_shape(found: tuple[int, ...], frame: tuple[int, ...], name: str) -> None:
    """Raise where a master and a frame differ in shape."""
    if found != frame:
        raise ValueError(
            f"{name} is {found} (ny, nx) but the frame is {frame}: was one of them not trimmed?"
        )

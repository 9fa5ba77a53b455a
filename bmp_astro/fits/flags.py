"""What the bits of a pixel mask mean, and how a CCDData carries them."""

import enum

import numpy as np
from astropy.nddata import CCDData

from ..memory import empty

_BAND = 64


class MaskBit(enum.IntFlag):
    """Why a pixel is masked; the bits of a uint8 mask plane.

    Examples
    --------
    >>> from bmp_astro.fits import MaskBit
    >>> MaskBit.SATURATED | MaskBit.COSMIC_RAY
    <MaskBit.SATURATED|COSMIC_RAY: 10>
    """

    BAD_PIXEL = 1
    SATURATED = 2
    LOW_FLAT = 4
    COSMIC_RAY = 8
    NON_LINEAR = 16
    NO_DATA = 32
    TRAIL = 64
    UNSTABLE = 128


def with_flags(ccd: CCDData, flags: np.ndarray | None) -> CCDData:
    """Give an image its mask bits.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The image, changed in place.
    flags : `~numpy.ndarray` of uint8, shape (ny, nx), or None
        Sum of `MaskBit` values in each pixel. None takes flags and mask away.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The same object, with `flags` the bits and `mask` true where any bit is set.

    Raises
    ------
    ValueError
        If the flags have another shape than the image.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.fits import with_flags
    >>> ccd = with_flags(CCDData([[1.0, 2.0]], unit="adu"), np.array([[0, 8]], dtype=np.uint8))
    >>> ccd.mask
    array([[False,  True]])
    """
    if flags is None:
        ccd.mask = None
        ccd.flags = None
        return ccd
    flags = np.asarray(flags, dtype=np.uint8)
    if flags.shape != ccd.shape:
        raise ValueError(
            f"flags are {flags.shape} (ny, nx) but the image is {ccd.shape}: "
            "was one of them not trimmed?"
        )
    ccd.mask = np.not_equal(flags, 0, out=empty(flags.shape, bool))
    ccd.flags = flags
    return ccd


def flags_of(ccd: CCDData) -> np.ndarray | None:
    """Mask bits of an image, whoever made it.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The image; a pixel masked without a flag counts as `MaskBit.BAD_PIXEL`.

    Returns
    -------
    `~numpy.ndarray` of uint8, shape (ny, nx), or None
        The image's own array where it has one that agrees with its mask; None when nothing
        says that any pixel is bad.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.fits import flags_of
    >>> flags_of(CCDData([[1.0, 2.0]], unit="adu", mask=[[False, True]]))
    array([[0, 1]], dtype=uint8)
    """
    flags = ccd.flags
    if flags is not None:
        flags = np.asarray(flags)
        if flags.shape != ccd.shape or flags.dtype.kind not in "bui":
            raise ValueError(
                f"flags are {flags.dtype} {flags.shape} but must be integers {ccd.shape} (ny, nx)"
            )
        flags = flags.astype(np.uint8, copy=False)
    if ccd.mask is None:
        return flags
    mask = np.broadcast_to(np.asarray(ccd.mask, dtype=bool), ccd.shape)
    if flags is None:
        return mask.astype(np.uint8) * np.uint8(MaskBit.BAD_PIXEL)
    if not any(
        _unexplained(mask[y : y + _BAND], flags[y : y + _BAND]).any() for y in _starts(mask)
    ):
        return flags
    return flags | _unexplained(mask, flags).astype(np.uint8) * np.uint8(MaskBit.BAD_PIXEL)


def _unexplained(mask: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return where a pixel is masked but has no bit."""
    return mask.view(np.uint8) > flags


def _starts(mask: np.ndarray) -> range:
    """Return where bands of rows begin that stay in the processor's cache."""
    return range(0, len(mask), _BAND)

"""World coordinates from header cards, without astropy changing the cards or warning."""

import logging
import re

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from .cards import set_card
from .cardvalues import card_value
from .section import Section

logger = logging.getLogger(__name__)

_CARDS = re.compile(
    r"(?:WCSAXES|CTYPE[12]|CRVAL[12]|CRPIX[12]|CUNIT[12]|CDELT[12]|CROTA[12]|CD[12]_[12]|"
    r"PC[12]_[12]|PV[12]_\d+|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|EPOCH|"
    r"(?:A|B|AP|BP)_(?:ORDER|DMAX|\d+_\d+))"
)
_REPLACED = re.compile(
    r"(?:WCSAXES|WCSNAME|CTYPE[12]|CRVAL[12]|CRPIX[12]|CUNIT[12]|CDELT[12]|CROTA[12]|CD[12]_[12]|"
    r"PC[12]_[12]|PV[12]_\d+|PS[12]_\d+|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|"
    r"(?:A|B|AP|BP)_(?:ORDER|DMAX|\d+_\d+))"
)
_TEXT = re.compile(r"CTYPE.|CUNIT.|RADE")
_AXES = re.compile(r"WCSAXES[A-Z]?")
_PC = re.compile(r"PC\d_\d[A-Z]?")


def wcs_of(header: fits.Header, shape: tuple[int, int], where: str | None = None) -> WCS | None:
    """World coordinates of an image, or None when its cards do not give any.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The image's cards; they are not changed.
    shape : tuple of int
        ``(ny, nx)`` of the image.
    where : str, optional
        The file, for the note that is logged when there are cards but they cannot be used;
        without it nothing is logged.

    Returns
    -------
    `~astropy.wcs.WCS` or None
        Celestial coordinates that are finite in the middle of the image.
    """
    cards, problem = _wcs_cards(header)
    if cards is None:
        return None
    if not problem:
        wcs, problem = _build(cards, shape)
    if not problem:
        return wcs
    if where is not None:
        logger.warning("%s: the WCS is not usable: %s", where, problem)
    return None


def turn_wcs(header: fits.Header, raw: Section, target: Section) -> fits.Header:
    """Let a WCS count in an image into which a section was put, turned or not.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place; its WCS is linear, and counts in the raw frame.
    raw, target : tuple of slice
        ``(y, x)`` of the section in the raw frame and in the image, with steps of 1 or -1.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header: CRPIXi and their alternates are moved; where an axis runs in the opposite
        direction, so do CDi_j or PCi_j, or CDELTi where there are none of these.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits.wcs import turn_wcs
    >>> header = Header({"CRPIX1": 1.0, "CD1_1": 0.1, "CRPIX2": 1.0, "CD2_2": 0.1})
    >>> section = (slice(0, 50), slice(0, 80))
    >>> header = turn_wcs(header, section, (slice(0, 50), slice(79, None, -1)))
    >>> header["CRPIX1"], header["CD1_1"], header["CRPIX2"], header["CD2_2"]
    (80.0, -0.1, 1.0, 0.1)
    """
    for axis, here, there in ((1, raw[1], target[1]), (2, raw[0], target[0])):
        steps = [-1 if part.step == -1 else 1 for part in (here, there)]
        sign = steps[0] * steps[1]
        for name in [name for name in header if re.fullmatch(rf"CRPIX{axis}[A-Z]?", name)]:
            value = card_value(header, name)
            if isinstance(value, int | float):  # the first pixel of the one is that of the other
                set_card(header, name, there.start + 1 + sign * (value - here.start - 1))
        if sign == -1:
            _turn_axis(header, axis)
    return header


def same_sky(first: WCS, second: WCS, shape: tuple[int, int]) -> bool:
    """Tell whether two WCS give the same coordinates at the corners and in the middle."""
    ny, nx = shape
    x = np.array([0.0, nx - 1.0, 0.0, nx - 1.0, (nx - 1) / 2])
    y = np.array([0.0, 0.0, ny - 1.0, ny - 1.0, (ny - 1) / 2])
    if first.naxis != second.naxis or list(first.wcs.ctype) != list(second.wcs.ctype):
        return False
    if first.wcs.radesys != second.wcs.radesys:
        return False
    one, two = first.all_pix2world(x, y, 0), second.all_pix2world(x, y, 0)
    return bool(np.allclose(one, two, rtol=0.0, atol=1e-9, equal_nan=True))


def replace_wcs(header: fits.Header, wcs: WCS) -> None:
    """Put the cards of a WCS into a header, in place of those it has."""
    for name in [name for name in header if _REPLACED.fullmatch(name)]:
        header.remove(name, ignore_missing=True, remove_all=True)
    cards = wcs.to_header(relax=True)
    for name in ("DATE-OBS", "MJD-OBS", "MJDREF", "DATEREF", "LTV1", "LTV2"):
        cards.remove(name, ignore_missing=True)
    header.update(cards)


def standardize_wcs(header: fits.Header) -> None:
    """Put WCSAXES first and remove PCi_j where CDi_j is there too, as the standard demands."""
    for name in [name for name in header if _PC.fullmatch(name)]:
        if f"CD1_1{name[5:]}" in header:
            header.remove(name, ignore_missing=True, remove_all=True)
    for name in [name for name in header if _AXES.fullmatch(name)]:
        card = header.cards[name]
        header.remove(name, remove_all=True)
        header.insert(0, card)


def _wcs_cards(header: fits.Header) -> tuple[fits.Header | None, str]:
    """Return the cards that make a WCS on a header of their own, and what is wrong with them."""
    cards = fits.Header()
    for card in header.cards:
        name = card.keyword
        if not _CARDS.fullmatch(name) or name in cards:
            continue
        value = card.value
        if bool(_TEXT.match(name)) != isinstance(value, str):
            if name.startswith(("CTYPE", "CRVAL", "CRPIX", "CD")):
                return fits.Header(), f"{name} is {value!r}"
            continue
        cards[name] = value
    if not any(name.startswith(("CTYPE", "CRVAL", "CD1_", "PC1_")) for name in cards):
        return None, ""
    missing = [name for name in ("CTYPE1", "CTYPE2") if not str(cards.get(name, "")).strip()]
    if missing:
        return cards, f"there is no {' and no '.join(missing)}"
    for old, new in (("RADECSYS", "RADESYS"), ("EPOCH", "EQUINOX")):
        if old in cards:
            value = cards.pop(old)
            if new not in cards:
                cards[new] = value
    # one axis beyond the two of the image would need a card for each
    cards.remove("WCSAXES", ignore_missing=True)
    return cards, ""


def _build(cards: fits.Header, shape: tuple[int, int]) -> tuple[WCS | None, str]:
    """Return a WCS and "", or None and the reason."""
    try:
        wcs = WCS(cards, fix=False)
        wcs.wcs.set()
        if not wcs.has_celestial:
            return None, f"CTYPE is {list(wcs.wcs.ctype)}"
        middle = wcs.all_pix2world([shape[1] / 2], [shape[0] / 2], 0)
    except (ValueError, TypeError, KeyError, MemoryError, OverflowError) as error:
        return None, " ".join(str(error).split())
    if not np.all(np.isfinite(middle)):
        return None, "it gives no coordinates in the middle of the image"
    wcs.array_shape = shape
    return wcs, ""


def _turn_axis(header: fits.Header, axis: int) -> None:
    """Let a pixel axis run the other way, in the WCS and its alternates."""
    names = [name for name in header if re.fullmatch(rf"(?:CD|PC)[12]_{axis}[A-Z]?", name)]
    has_matrix = any(re.fullmatch(r"(?:CD|PC)\d_\d[A-Z]?", name) for name in header)
    for name in names if has_matrix else [f"CDELT{axis}"]:
        value = card_value(header, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            set_card(header, name, -value)

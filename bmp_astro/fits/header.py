"""What a header has to say after a step: all helpers change the header they are given.

Each returns that same header, so that calls can be chained. A step that must not change its
input gives a copy.
"""

import re
import textwrap
from collections.abc import Iterable
from typing import Any

import astropy.units as u
from astropy.io import fits

from .cameras import find_instrument
from .cards import set_card
from .keywords import card_value
from .units import parse_unit

_CRPIX = re.compile(r"CRPIX([12])[A-Z]?")
_STORAGE = (
    "BZERO",
    "BSCALE",
    "BLANK",
    "ZBLANK",
    "CHECKSUM",
    "DATASUM",
    "DATAMIN",
    "DATAMAX",
    "CBLACK",
    "CWHITE",
)
_OF_AMPLIFIER = re.compile(r"AMPSAT\d+")
_LIMITS = ("SATURATE", "SATLEVEL", "MAXLIN")
_IRAF_STEPS = ("TRIM", "OVERSCAN", "ZEROCOR", "DARKCOR", "FLATCOR")
_CALSTAT_ORDER = "OTBDF"
_HISTORY_WIDTH = 72
SUM_COMMENT = "DATASUM of its pixels, CRC-32 of its header"


def shift_wcs(header: fits.Header, dx: int, dy: int) -> fits.Header:
    """Move everything in a header that counts pixels, after an image was trimmed.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    dx, dy : int
        Number of columns removed at the left and of rows removed at the bottom.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header: CRPIX1 and CRPIX2 and their alternates are smaller by `dx` and `dy`;
        LTV1 and LTV2 too, which are made if need be, with LTM1_1 and LTM2_2; the subframe's
        origin (XORGSUBF, YORGSUBF) is larger; the phase of a Bayer pattern (XBAYROFF,
        YBAYROFF) is that of the new corner.

    Notes
    -----
    LTV and LTM are IRAF's: logical = LTM * physical + LTV.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits import shift_wcs
    >>> header = shift_wcs(Header({"CRPIX1": 512.5, "CRPIX2": 512.5}), 16, 0)
    >>> header["CRPIX1"], header["CRPIX2"], header["LTV1"]
    (496.5, 512.5, -16.0)
    """
    if dx == 0 and dy == 0:
        return header
    shifts = {"1": dx, "2": dy}
    for name in [name for name in header if _CRPIX.fullmatch(name)]:
        _add(header, name, -shifts[name[5]])
    for axis, shift in shifts.items():
        if card_value(header, f"LTM{axis}_{axis}") is None:
            set_card(header, f"LTM{axis}_{axis}", 1.0)
        if card_value(header, f"LTV{axis}") is None:
            set_card(header, f"LTV{axis}", 0.0)
        _add(header, f"LTV{axis}", -float(shift))
    _add(header, "XORGSUBF", dx)
    _add(header, "YORGSUBF", dy)
    if "BAYERPAT" in header:
        for name, shift in (("XBAYROFF", dx), ("YBAYROFF", dy)):
            if card_value(header, name) is None and shift % 2:
                set_card(header, name, 0)
            _add(header, name, shift, modulo=2)
    return header


def clean_product_header(header: fits.Header, *, applied: Iterable[str] = ()) -> fits.Header:
    """Remove the cards that describe the raw file and not the product.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    applied : iterable of str, optional
        Sections that have been used up, such as ``("BIASSEC", "TRIMSEC", "DATASEC")``.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header, without BZERO, BSCALE, BLANK (illegal with floats), CHECKSUM, DATASUM,
        DATAMIN, DATAMAX, CBLACK, CWHITE, and the sections.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits import clean_product_header
    >>> list(clean_product_header(Header({"BZERO": 32768, "OBJECT": "M 1"})))
    ['OBJECT']
    """
    for name in (*_STORAGE, *applied):
        header.remove(name, ignore_missing=True, remove_all=True)
    return header


def mark_electron(
    header: fits.Header,
    gain: u.Quantity | float,
    read_noise: u.Quantity | float | None = None,
    *,
    instrument: Any = None,
) -> fits.Header:
    """Say that the pixels are in electron now.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    gain : `~astropy.units.Quantity` or float
        The gain that was applied, electron/adu.
    read_noise : `~astropy.units.Quantity` or float, optional
        Read noise in electron, for RDNOISE.
    instrument : Instrument, str or path-like, optional
        Tells whether GAIN is a setting of the camera; None: by the header.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header: GAIN is 1.0, and EGAIN where there is one; RAWGAIN is `gain`; a camera
        setting that was called GAIN is GAINSET; BUNIT is electron.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits import mark_electron
    >>> header = mark_electron(Header({"GAIN": 139, "EGAIN": 0.8}), 0.8)
    >>> header["GAIN"], header["EGAIN"], header["RAWGAIN"], header["GAINSET"]
    (1.0, 1.0, 0.8, 139.0)
    """
    setting = find_instrument(instrument, header).value("gain_setting", header)
    if setting is not None and "GAIN" in header and "GAINSET" not in header:
        set_card(header, "GAINSET", setting, "gain setting of the camera")
    raw_gain = u.Quantity(gain, u.electron / u.adu).value
    if "RAWGAIN" not in header:
        set_card(header, "RAWGAIN", float(raw_gain), "[electron/adu] gain that was applied")
    for name in ("GAIN", *(name for name in ("EGAIN", "E-GAIN", "CCDGAIN") if name in header)):
        set_card(header, name, 1.0, "pixels are in electron")
    if read_noise is not None:
        value = float(u.Quantity(read_noise, u.electron).value)
        set_card(header, "RDNOISE", value, "[electron] read noise")
    set_card(header, "BUNIT", "electron", "unit of the pixels")
    return header


def follow_limits(
    header: fits.Header,
    *,
    subtract: u.Quantity | float = 0.0,
    multiply: u.Quantity | float = 1.0,
) -> fits.Header:
    """Keep SATURATE, SATLEVEL and MAXLIN true of pixels that were offset and scaled.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place; cards that are not there are not made.
    subtract : `~astropy.units.Quantity` or float, optional
        Typical level that was subtracted from the pixels: overscan, bias, dark.
    multiply : `~astropy.units.Quantity` or float, optional
        What the pixels were multiplied with, after that: the gain.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits import follow_limits
    >>> follow_limits(Header({"SATURATE": 65535}), subtract=535.0, multiply=2.0)["SATURATE"]
    130000.0
    """
    level = float(getattr(subtract, "value", subtract))
    factor = float(getattr(multiply, "value", multiply))
    for name in (*_LIMITS, *filter(_OF_AMPLIFIER.fullmatch, list(header))):
        limit = card_value(header, name)
        if isinstance(limit, int | float) and not isinstance(limit, bool):
            set_card(header, name, (limit - level) * factor)
    return header


def add_calstat(header: fits.Header, letters: str) -> fits.Header:
    """Add to the record of calibrations.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    letters : str
        Of ``"B"`` bias, ``"D"`` dark, ``"F"`` flat, as MaxIm DL writes them.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header, with each letter once in CALSTAT.

    Examples
    --------
    >>> from astropy.io.fits import Header
    >>> from bmp_astro.fits import add_calstat
    >>> add_calstat(Header({"CALSTAT": "D"}), "B")["CALSTAT"]
    'BD'
    """
    said = card_value(header, "CALSTAT")
    known = {*(said.strip().upper() if isinstance(said, str) else ""), *letters}
    order = [letter for letter in _CALSTAT_ORDER if letter in known]
    order += sorted(known.difference(_CALSTAT_ORDER, " "))
    set_card(header, "CALSTAT", "".join(order), "calibrations that were applied")
    return header


def set_frame_type(header: fits.Header, text: str) -> fits.Header:
    """Set IMAGETYP, such as 'Light Frame' or 'Master Bias'.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    text : str
        What the frame is.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header.
    """
    set_card(header, "IMAGETYP", text, "type of image")
    return header


def add_history(header: fits.Header, *lines: str) -> fits.Header:
    """Append HISTORY cards.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    *lines : str
        What was done; long lines take several cards, and what is not printable ASCII becomes a
        question mark.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header.
    """
    for line in lines:
        text = re.sub(r"[^ -~]", "?", line)
        for part in textwrap.wrap(text, _HISTORY_WIDTH, subsequent_indent="    "):
            header.add_history(part)
    return header


def record_source(
    header: fits.Header, name: str, checksum: str, hdu: int | None = None
) -> fits.Header:
    """Write which file a frame was read from: INPUT, INPUTSUM, and INPUTHDU if it was chosen.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Changed in place.
    name : str
        The file's name, without its directory.
    checksum : str
        As `OpenFrame.checksum` gives it.
    hdu : int, optional
        The unit that was asked for.

    Returns
    -------
    `~astropy.io.fits.Header`
        The same header.
    """
    for keyword in ("INPUT", "INPUTSUM", "INPUTHDU"):
        header.remove(keyword, ignore_missing=True)
    said = name.encode("ascii", "replace").decode()
    set_card(header, "INPUT", said, "file that this was made of")
    set_card(header, "INPUTSUM", checksum, SUM_COMMENT)
    if hdu is not None:
        set_card(header, "INPUTHDU", hdu, "unit of that file")
    return header


def calibrated_already(header: fits.Header) -> str:
    """Tell whether a frame has been calibrated before.

    Parameters
    ----------
    header : `~astropy.io.fits.Header` or mapping
        Header of the frame.

    Returns
    -------
    str
        The reason, or ``""`` for a frame that looks raw. IRAF's tasks record what they did in
        TRIM, OVERSCAN, ZEROCOR, DARKCOR and FLATCOR, MaxIm DL in CALSTAT; pixels in electron are
        multiplied by the gain; products of this package have BMPVERS.

    Examples
    --------
    >>> from bmp_astro.fits import calibrated_already
    >>> calibrated_already({"CALSTAT": "BDF"})
    "CALSTAT is 'BDF'"
    """
    if "BMPVERS" in header:
        return "it is a product of bmp_astro (BMPVERS)"
    for name in _IRAF_STEPS:
        said = card_value(header, name)
        if said is True or (isinstance(said, str) and said.strip()):
            return f"{name} is {said!r}"
    calstat = card_value(header, "CALSTAT")
    if isinstance(calstat, str) and set(calstat.upper()) & set("BDF"):
        return f"CALSTAT is {calstat.strip()!r}"
    said = card_value(header, "BUNIT")
    if isinstance(said, str) and parse_unit(said.partition("/")[0]) == u.electron:
        return f"BUNIT is {said.strip()!r}"  # or electron/s
    return ""


def _add(header: fits.Header, name: str, shift: float, modulo: int | None = None) -> None:
    """Add to a card's number, if there is one."""
    value = card_value(header, name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = value + shift
        set_card(header, name, value if modulo is None else value % modulo)

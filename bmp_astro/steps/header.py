"""Header cards into the table."""

import logging
from collections.abc import Iterable
from typing import Any

import astropy.units as u
from astropy.io.fits import VerifyError
from astropy.io.fits.card import Undefined
from astropy.nddata import CCDData

from ..fits import Keyword

logger = logging.getLogger(__name__)


def header_to_meta(
    ccd: CCDData,
    bmp_meta: dict[str, Any] | None = None,
    header_keys: Iterable[str | tuple[str, str | u.UnitBase]] = (),
    **kwargs: Any,
) -> CCDData:
    """Copy header cards into the metadata, which become columns of the table.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame.
    bmp_meta : dict, optional
        The frame's metadata, which is written to.
    header_keys : iterable of str or tuple
        Keywords, or pairs of a keyword and the unit of its value. With a unit, text such as
        ``'40      '`` is read as a number.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame as it is.

    Notes
    -----
    A card that is missing, undefined, or not a number where one is needed, is left out: its
    column is masked in that row.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import header_to_meta
    >>> ccd = CCDData([[1.0]], unit="adu", meta={"OBJECT": "NGC 520", "EXPTIME": "40      "})
    >>> meta = {}
    >>> _ = header_to_meta(ccd, bmp_meta=meta, header_keys=["OBJECT", ("EXPTIME", "s")])
    >>> meta
    {'OBJECT': 'NGC 520', 'EXPTIME': <Quantity 40. s>}
    """
    if bmp_meta is None:
        return ccd
    keys = [header_keys] if isinstance(header_keys, str) else header_keys
    for key in keys:
        name, unit = (key, None) if isinstance(key, str) else key
        value = (
            _plain(ccd.header, name) if unit is None else Keyword(name, unit=unit).read(ccd.header)
        )
        if value is not None:
            bmp_meta[name.upper()] = value
    return ccd


def _plain(header: Any, name: str) -> Any:
    """Return the value of a card as it is, text without padding; None where there is none."""
    try:
        value = header.get(name)
    except (ValueError, VerifyError) as error:
        logger.warning("the card %s cannot be read: %s", name, error)
        return None
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, str | bool | int | float | complex):
        return value.strip() if isinstance(value, str) else value
    return str(value)

"""The instruments that are built in, and how one is chosen for a header."""

import os
from collections.abc import Mapping
from functools import lru_cache
from os import PathLike, fspath
from typing import Any

from .cameras_desktop import ASIAIR, CCDSOFT, INDI, MAXIM, NINA, SHARPCAP
from .cameras_observatory import (
    DECAM,
    ESO,
    GMOS,
    HSC,
    IRAF,
    LCO,
    LIVERPOOL,
    MEGAPRIME,
    NOT,
    SDSS,
)
from .instrument import Instrument, did_you_mean

GENERIC = Instrument("generic")

# In the order in which a header is offered to them: IRAF leaves its mark on others' headers too.
BUILT_IN: tuple[Instrument, ...] = (
    *(MAXIM, CCDSOFT, NINA, SHARPCAP, ASIAIR, INDI),
    *(LCO, GMOS, LIVERPOOL, NOT, DECAM, MEGAPRIME, HSC, SDSS, ESO, IRAF),
    GENERIC,
)


def find_instrument(
    spec: Instrument | str | PathLike | None, header: Mapping[str, Any]
) -> Instrument:
    """Instrument by name, by file, or by what a header looks like.

    Parameters
    ----------
    spec : Instrument, str, path-like or None
        An instrument is returned as it is; text ending in ``.toml`` is a file; other text is
        the name of a built-in instrument, in any case; None chooses by the header.
    header : `~astropy.io.fits.Header` or mapping
        Used when `spec` is None.

    Returns
    -------
    Instrument
        `GENERIC` when nothing better is known.

    Raises
    ------
    ValueError
        If no built-in instrument has that name.
    TypeError
        If `spec` is something else.

    Examples
    --------
    >>> from bmp_astro.fits import find_instrument
    >>> find_instrument(None, {"SWCREATE": "MaxIm DL Version 5.12"}).name
    'MaxIm DL'
    """
    if spec is None:
        return next((camera for camera in BUILT_IN if camera.recognizes(header)), GENERIC)
    if isinstance(spec, Instrument):
        return spec
    if not isinstance(spec, str | PathLike):
        raise TypeError(f"instrument is {spec!r} but must be a name, a .toml file or an Instrument")
    text = fspath(spec)
    if text.lower().endswith(".toml"):
        found = os.stat(text)
        return _from_file(text, (found.st_mtime_ns, found.st_size))
    return built_in(text)


@lru_cache(maxsize=16)
def _from_file(path: str, _stamp: tuple[int, int]) -> Instrument:
    """Read a TOML file once for the many headers of a night, and again when it was changed."""
    return Instrument.from_toml(path)


def built_in(name: str) -> Instrument:
    """Return the built-in instrument of a name, in any case.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    Instrument
        The instrument.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from bmp_astro.fits.cameras import built_in
    >>> built_in("nina").name
    'NINA'
    """
    named = {camera.name.lower(): camera for camera in BUILT_IN}
    if name.lower() not in named:
        known = [camera.name for camera in BUILT_IN]
        raise ValueError(f"there is no built-in instrument {name!r}{did_you_mean(name, known)}")
    return named[name.lower()]

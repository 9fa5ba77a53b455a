"""The instruments that are built in, and how one is chosen for a header."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from .common import GAIN_UNIT
from .instrument import Instrument, did_you_mean
from .keywords import Keyword

GENERIC = Instrument("generic")

MAXIM = Instrument(
    "MaxIm DL",
    recognized_by={"SWCREATE": "MaxIm DL"},
    exptime=Keyword("EXPTIME", "EXPOSURE", unit="s", valid=(0.0, 1e7)),
    filter=Keyword("FILTER", kind=str),
    gain=Keyword("EGAIN", unit=GAIN_UNIT, valid=(1e-6, 1e9)),
    xbinning=Keyword("XBINNING", kind=int, valid=(1, 1000)),
    ybinning=Keyword("YBINNING", kind=int, valid=(1, 1000)),
    frame_types={
        "Bias Frame": "bias",
        "Dark Frame": "dark",
        "Flat Field": "flat",
        "Light Frame": "light",
    },
)

BUILT_IN: tuple[Instrument, ...] = (MAXIM, GENERIC)


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
        return Instrument.from_toml(text)
    named = {camera.name.lower(): camera for camera in BUILT_IN}
    if text.lower() not in named:
        known = [camera.name for camera in BUILT_IN]
        raise ValueError(f"there is no built-in instrument {text!r}{did_you_mean(text, known)}")
    return named[text.lower()]

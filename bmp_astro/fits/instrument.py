"""An instrument: where a camera keeps its facts, as data."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.io.fits import Header

from .common import FACTS, FRAME_TYPES, KEYWORDS
from .dates import observation_date
from .keywords import Keyword, card_value, meaningful

KINDS = ("bias", "dark", "flat", "light")
WCS_FRAMES = ("raw", "trimmed", "assembled")

FixHeader = Callable[[Header, str | PathLike], Header]
Fact = Keyword | tuple[Keyword, ...] | u.Quantity | str | float | int | None


def _unchanged(header: Header, path: str | PathLike) -> Header:
    """Return the header as it is."""
    return header


@dataclass(frozen=True, eq=False)
class Instrument:
    """Where a camera keeps its facts.

    Each fact is a `Keyword` (or a tuple of them, tried in order), a constant, or None for a
    camera that has no such thing. Facts that are not given are looked for under their common
    names.

    Parameters
    ----------
    name : str
        Name of the instrument.
    camera, serial, exptime, filter, xbinning, ybinning, temperature, set_temperature, gain, \
gain_setting, offset, readout_mode, read_noise, saturation, x_origin, y_origin, object, date_obs, \
overscan_section, trim_section, frame_type, bunit : `Keyword`, tuple of `Keyword`, value or None
        The facts; `value` says in which units they come.
    frame_types : mapping of str to str
        The header's words for ``"bias"``, ``"dark"``, ``"flat"`` and ``"light"``, before the
        common spellings; ``""`` takes a common spelling away.
    file_types : mapping of str to str
        Patterns of file names, such as ``{"bias_*": "bias"}``, for cameras that write no frame
        type.
    keys : mapping of str to `Keyword`
        More facts, under names of your own.
    match : mapping of str to mapping
        For each kind of master, what must agree with the frame: ``None`` means equal, a
        quantity is a tolerance.
    dark_scaling : bool
        Whether darks may be scaled to another exposure time; false for cameras with amplifier
        glow.
    wcs_frame : str
        The frame in which CRPIX counts: ``"raw"``, ``"trimmed"`` or ``"assembled"``.
    recognized_by : mapping of str to str
        Cards, and how their values begin, by which a header is known to be this instrument's.
    fix_header : callable, optional
        ``fix_header(header, path)`` returns the header that everything else sees. May be
        overridden by a subclass instead.

    Examples
    --------
    >>> import astropy.units as u
    >>> from bmp_astro.fits import Instrument, Keyword
    >>> camera = Instrument("SX694", gain=0.3 * u.electron / u.adu,
    ...                     exptime=Keyword("ITIME", unit=u.ms))
    >>> camera.value("exptime", {"ITIME": 1500})
    <Quantity 1.5 s>
    >>> camera.value("gain", {})
    <Quantity 0.3 electron / adu>
    """

    name: str
    camera: Fact = KEYWORDS["camera"]
    serial: Fact = KEYWORDS["serial"]
    exptime: Fact = KEYWORDS["exptime"]
    filter: Fact = KEYWORDS["filter"]
    xbinning: Fact = KEYWORDS["xbinning"]
    ybinning: Fact = KEYWORDS["ybinning"]
    temperature: Fact = KEYWORDS["temperature"]
    set_temperature: Fact = KEYWORDS["set_temperature"]
    gain: Fact = KEYWORDS["gain"]
    gain_setting: Fact = KEYWORDS["gain_setting"]
    offset: Fact = KEYWORDS["offset"]
    readout_mode: Fact = KEYWORDS["readout_mode"]
    read_noise: Fact = KEYWORDS["read_noise"]
    saturation: Fact = KEYWORDS["saturation"]
    x_origin: Fact = KEYWORDS["x_origin"]
    y_origin: Fact = KEYWORDS["y_origin"]
    object: Fact = KEYWORDS["object"]
    date_obs: Fact = KEYWORDS["date_obs"]
    overscan_section: Fact = KEYWORDS["overscan_section"]
    trim_section: Fact = KEYWORDS["trim_section"]
    frame_type: Fact = KEYWORDS["frame_type"]
    bunit: Fact = KEYWORDS["bunit"]
    frame_types: Mapping[str, str] = field(default_factory=dict)
    file_types: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Keyword] = field(default_factory=dict)
    match: Mapping[str, Mapping[str, u.Quantity | None]] = field(default_factory=dict)
    dark_scaling: bool = True
    wcs_frame: str = "raw"
    recognized_by: Mapping[str, str] = field(default_factory=dict)
    fix_header: FixHeader = _unchanged

    def __post_init__(self) -> None:
        if self.wcs_frame not in WCS_FRAMES:
            raise ValueError(f"wcs_frame is {self.wcs_frame!r} but must be one of {WCS_FRAMES}")
        for name in ("frame_types", "file_types"):
            wrong = set(getattr(self, name).values()) - {*KINDS, ""}
            if wrong:
                raise ValueError(f"{name} says {sorted(wrong)} but must say one of {KINDS}")
        wrong = set(self.match) - set(KINDS)
        if wrong:
            raise ValueError(f"match says {sorted(wrong)} but must say one of {KINDS}")
        clash = set(self.keys) & set(FACTS)
        if clash:
            raise ValueError(f"keys {sorted(clash)} are facts: give them as {name_list(clash)}=")
        is_overridden = type(self).fix_header is not Instrument.fix_header
        if is_overridden and self.fix_header is _unchanged:
            # lets the subclass's method be found, which the instance's own value would hide
            object.__delattr__(self, "fix_header")

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Instrument):
            return NotImplemented
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def value(self, fact: str, header: Mapping[str, Any]) -> Any:
        """Read a fact.

        Parameters
        ----------
        fact : str
            A fact's name, or one of `keys`.
        header : `~astropy.io.fits.Header` or mapping
            Where to look.

        Returns
        -------
        `~astropy.units.Quantity`, str, int, float or None
            ``exptime`` in s, ``temperature`` and ``set_temperature`` in deg_C, ``gain`` in
            electron/adu, ``read_noise`` in electron, ``saturation`` in adu; binning and origin
            are int; ``date_obs`` is ISO text; None when the header does not say.

        Raises
        ------
        ValueError
            If there is no such fact, or a constant has the wrong unit.
        """
        if fact in self.keys:
            return self.keys[fact].read(header)
        if fact not in FACTS:
            known = [*FACTS, *self.keys]
            raise ValueError(f"there is no fact {fact!r}{did_you_mean(fact, known)}")
        value = _typed(fact, _look_up(getattr(self, fact), header))
        return observation_date(header, value) if fact == "date_obs" else value

    def frame_type_of(self, header: Mapping[str, Any], path: str | PathLike = "") -> str:
        """Tell bias, dark, flat and light frames apart.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look; every card of `frame_type` is tried until one has a known word.
        path : path-like, optional
            The file, for `file_types`.

        Returns
        -------
        str
            ``"bias"``, ``"dark"`` (also for darks of flats), ``"flat"``, ``"light"``, or
            ``""`` when nothing tells.
        """
        words = {_spelling(word): kind for word, kind in self.frame_types.items()}
        for said in _all_values(self.frame_type, header):
            kind = {**FRAME_TYPES, **words}.get(_spelling(said))
            if kind:
                return kind
        name = Path(fspath(path)).name
        return next((kind for glob, kind in self.file_types.items() if fnmatch(name, glob)), "")

    def recognizes(self, header: Mapping[str, Any]) -> bool:
        """Tell whether a header is this instrument's, by `recognized_by`.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            The header.

        Returns
        -------
        bool
            False for an instrument that names no card to know it by.
        """
        return bool(self.recognized_by) and all(
            str(card_value(header, name)).strip().lower().startswith(start.lower())
            for name, start in self.recognized_by.items()
        )

    @classmethod
    def from_toml(cls, path: str | PathLike) -> "Instrument":
        """Read an instrument from a TOML file.

        Parameters
        ----------
        path : path-like
            The file: one entry for each field, quantities as text (``"0.3 electron / adu"``),
            keywords as tables (``{keyword = "EXPTIME", unit = "s"}``), ``false`` for a fact
            that the camera does not have.

        Returns
        -------
        Instrument
            The instrument.

        Raises
        ------
        ValueError
            If an entry is unknown or cannot be understood; the message says which.
        """
        from .instrument_toml import instrument_fields

        return cls(**instrument_fields(path, [item.name for item in fields(cls)]))


def did_you_mean(name: str, known: list[str]) -> str:
    """End of an error message: the nearest right name, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else f": expected one of {', '.join(known)}"


def name_list(names: set[str]) -> str:
    """Names in alphabetical order, for a message."""
    return ", ".join(sorted(names))


def _look_up(source: Fact, header: Mapping[str, Any]) -> Any:
    """Return the value of a keyword, of the first of several that has one, or of a constant."""
    if isinstance(source, Keyword):
        return source.read(header)
    if isinstance(source, tuple):
        found = (keyword.read(header) for keyword in source)
        return next((value for value in found if value is not None), None)
    return source


def _all_values(source: Fact, header: Mapping[str, Any]) -> list[str]:
    """Return every meaningful text that the cards of a fact have, in order."""
    if source is None or isinstance(source, str):
        return [] if source is None else [source]
    keywords = source if isinstance(source, tuple) else (source,)
    values = [
        meaningful(card_value(header, name)) for keyword in keywords for name in keyword.names
    ]
    return [str(value) for value in values if value is not None]


def _spelling(word: str) -> str:
    """Return a frame type's word without case, blanks, hyphens and underscores."""
    return "".join(letter for letter in word.lower() if letter not in " -_")


def _typed(fact: str, value: Any) -> Any:
    """Return a fact's value in the unit or type that the fact has everywhere."""
    wanted = FACTS[fact]
    if value is None:
        return None
    if isinstance(wanted, type):
        return wanted(value)
    quantity = value if isinstance(value, u.Quantity) else u.Quantity(value, wanted)
    try:
        return quantity.to(wanted, equivalencies=u.temperature())
    except u.UnitConversionError as error:
        raise ValueError(f"{fact} is {quantity} but must be in {wanted}") from error

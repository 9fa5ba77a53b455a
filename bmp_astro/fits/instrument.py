"""An instrument: where a camera keeps its facts, as data."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from os import PathLike, fspath
from typing import Any

import astropy.units as u
from astropy.io.fits import Header

from .amplifiers import Amplifier
from .cardvalues import card_value
from .common import FACTS, KEYWORDS
from .facts import (
    MULTIPLIED,
    UNKNOWN,
    Fact,
    Source,
    before_multiplication,
    check_source,
    fact_of,
    is_unset,
    look_up,
    words_of,
)
from .keywords import Keyword
from .kinds import KINDS, name_in_header, type_of_path, type_of_words

WCS_FRAMES = ("raw", "trimmed", "assembled")

FixHeader = Callable[[Header, str | PathLike], Header]


def _unchanged(header: Header, path: str | PathLike) -> Header:
    """Return the header as it is."""
    return header


@dataclass(frozen=True, eq=False)
class Instrument:
    """Where a camera keeps its facts.

    Each fact is a `Keyword` (or a tuple of them, tried in order, with a constant as the last one
    for headers that are silent), a constant, or None for a camera that has no such thing. Facts
    that are not given are looked for under their common names.

    Parameters
    ----------
    name : str
        Name of the instrument.
    camera, serial, exptime, filter, xbinning, ybinning, temperature, set_temperature, gain, \
em_gain, excess_noise, gain_setting, offset, readout_mode, read_noise, saturation, x_origin, \
y_origin, object, date_obs, overscan_section, trim_section, frame_type, color_pattern, bunit : \
`Keyword`, tuple of `Keyword`, value or None
        The facts; `value` says in which units they come.
        Of a CCD that multiplies electrons, ``em_gain`` is by how many, and gain and read noise are
        those of its output; ``excess_noise`` is what that does to the variance of the photons: 2.
        ``color_pattern`` is that of a mosaic: ``"RGGB"``.
    frame_types : mapping of str to str
        The header's words for ``"bias"``, ``"dark"``, ``"flat"`` and ``"light"``, before the
        common spellings; ``""`` takes a common spelling away.
    file_types : mapping of str to str
        Patterns of names, such as ``{"bias_*": "bias", "flats/*": "flat", "*": "light"}``, for
        frames whose header has no known word: the first that fits the end of the path wins.
    bias_exptime : `~astropy.units.Quantity`, optional
        A frame whose header has no known word, and which was exposed no longer than this, is a
        bias; ``0 * u.s`` for cameras that write no frame type.
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
    amplifiers : tuple of Amplifier
        Where several amplifiers read the detector: what each one reads. Files in which each has
        an extension with DATASEC and DETSEC need none.
    crosstalk : tuple of tuples of float
        A row for each amplifier: which fraction of the signal of each other one is in its pixels.
    recognized_by : mapping of str to str, or to tuple of str
        Cards, and how their values begin (one of several ways), by which a header is known to be
        this instrument's; ``""`` for a card that only has to be there.
    fix_header : callable, optional
        ``fix_header(header, path)`` returns the header that everything else sees. May be
        overridden by a subclass instead.

    Raises
    ------
    ValueError
        If an entry cannot be what it is given as; the message says how a header card is given.

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
    camera: Source = KEYWORDS["camera"]
    serial: Source = KEYWORDS["serial"]
    exptime: Source = KEYWORDS["exptime"]
    filter: Source = KEYWORDS["filter"]
    xbinning: Source = KEYWORDS["xbinning"]
    ybinning: Source = KEYWORDS["ybinning"]
    temperature: Source = KEYWORDS["temperature"]
    set_temperature: Source = KEYWORDS["set_temperature"]
    gain: Source = KEYWORDS["gain"]
    em_gain: Source = None
    excess_noise: Source = None
    gain_setting: Source = KEYWORDS["gain_setting"]
    offset: Source = KEYWORDS["offset"]
    readout_mode: Source = KEYWORDS["readout_mode"]
    read_noise: Source = KEYWORDS["read_noise"]
    saturation: Source = KEYWORDS["saturation"]
    x_origin: Source = KEYWORDS["x_origin"]
    y_origin: Source = KEYWORDS["y_origin"]
    object: Source = KEYWORDS["object"]
    date_obs: Source = KEYWORDS["date_obs"]
    overscan_section: Source = KEYWORDS["overscan_section"]
    trim_section: Source = KEYWORDS["trim_section"]
    frame_type: Source = KEYWORDS["frame_type"]
    color_pattern: Source = KEYWORDS["color_pattern"]
    bunit: Source = KEYWORDS["bunit"]
    frame_types: Mapping[str, str] = field(default_factory=dict)
    file_types: Mapping[str, str] = field(default_factory=dict)
    bias_exptime: u.Quantity | None = None
    keys: Mapping[str, Keyword] = field(default_factory=dict)
    match: Mapping[str, Mapping[str, u.Quantity | None]] = field(default_factory=dict)
    dark_scaling: bool = True
    wcs_frame: str = "raw"
    amplifiers: tuple[Amplifier, ...] = ()
    crosstalk: tuple[tuple[float, ...], ...] = ()
    recognized_by: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    fix_header: FixHeader = _unchanged

    def __post_init__(self) -> None:
        if self.wcs_frame not in WCS_FRAMES:
            raise ValueError(f"wcs_frame is {self.wcs_frame!r} but must be one of {WCS_FRAMES}")
        for name in FACTS:
            check_source(name, getattr(self, name))
        for name in ("frame_types", "file_types"):
            wrong = set(getattr(self, name).values()) - {*KINDS, ""}
            if wrong:
                raise ValueError(f"{name} says {sorted(wrong)} but must say one of {KINDS}")
        _check_match(self.match, [*FACTS, "ny", "nx", *self.keys])
        if self.bias_exptime is not None and not _is_time(self.bias_exptime):
            raise ValueError(f"bias_exptime is {self.bias_exptime!r} but must be a quantity in s")
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
            are int; ``date_obs`` is ISO text; None when the header does not say. Gain and read
            noise of a camera with an ``em_gain`` are in electrons before their multiplication.

        Raises
        ------
        ValueError
            If there is no such fact, or a constant has the wrong unit.
        """
        return self.fact(fact, header).value

    def fact(self, name: str, header: Mapping[str, Any]) -> Fact:
        """Read a fact, and tell where it comes from.

        Parameters
        ----------
        name : str
            A fact's name, or one of `keys`.
        header : `~astropy.io.fits.Header` or mapping
            Where to look.

        Returns
        -------
        Fact
            The value, as `value` returns it, and its source: ``"EXPTIME card"``, ``"constant"``,
            ``"default"``; ``""`` when nothing is known.

        Raises
        ------
        ValueError
            If there is no such fact, or a constant has the wrong unit.

        Examples
        --------
        >>> from bmp_astro.fits import GENERIC
        >>> GENERIC.fact("filter", {"FILTER1": "J", "FILTER2": "None"})
        Fact(value='J', source='FILTER1 card')
        """
        if name in self.keys:
            return look_up(self.keys[name], header)
        if name not in FACTS:
            known = [*FACTS, *self.keys]
            raise ValueError(f"there is no fact {name!r}{did_you_mean(name, known)}")
        found = fact_of(name, getattr(self, name), header)
        if name in MULTIPLIED and self.em_gain is not None and found.value is not None:
            return before_multiplication(name, found, self.fact("em_gain", header), header)
        if name == "temperature" and is_unset(found, lambda: self.fact("set_temperature", header)):
            return UNKNOWN
        return found

    def frame_type_of(self, header: Mapping[str, Any], path: str | PathLike = "") -> str:
        """Tell bias, dark, flat and light frames apart.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look; every card of `frame_type` is tried until one has a known word.
        path : path-like, optional
            The file, for `file_types`; else the name that the header has in FILENAME.

        Returns
        -------
        str
            ``"bias"``, ``"dark"`` (also for darks of flats), ``"flat"``, ``"light"``, or
            ``""`` when nothing tells.
        """
        return self.frame_type_fact(header, path).value

    def frame_type_fact(self, header: Mapping[str, Any], path: str | PathLike = "") -> Fact:
        """Tell bias, dark, flat and light frames apart, and by what.

        Parameters
        ----------
        header : `~astropy.io.fits.Header` or mapping
            Where to look.
        path : path-like, optional
            The file.

        Returns
        -------
        Fact
            As `frame_type_of` returns it, with ``"IMAGETYP card"``, ``"exposure time"`` or
            ``"file name 'bias*'"``.

        Examples
        --------
        >>> from bmp_astro.fits import Instrument
        >>> camera = Instrument("mine", file_types={"bias*": "bias", "flats/*": "flat"})
        >>> camera.frame_type_fact({}, "2026-03-14/flats/V-001.fits")
        Fact(value='flat', source="file name 'flats/*'")
        """
        found = type_of_words(words_of(self.frame_type, header), self.frame_types)
        if found is not None:
            return Fact(*found)
        exptime = None if self.bias_exptime is None else self.value("exptime", header)
        if exptime is not None and exptime <= self.bias_exptime:
            return Fact("bias", "exposure time")
        name = fspath(path)
        found = type_of_path(name if name else name_in_header(header), self.file_types)
        return Fact("", "") if found is None else Fact(found[0], f"file name {found[1]!r}")

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
            _begins(card_value(header, name), starts) for name, starts in self.recognized_by.items()
        )

    @classmethod
    def from_toml(cls, path: str | PathLike) -> "Instrument":
        """Read an instrument from a TOML file.

        Parameters
        ----------
        path : path-like
            The file: one entry for each field, quantities as text (``"0.3 electron / adu"``),
            keywords as tables (``{keyword = "EXPTIME", unit = "s"}``), ``false`` for a fact
            that the camera does not have. With an entry ``base``, the rest is as in the
            built-in instrument of that name.

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

        entries = instrument_fields(path, [item.name for item in fields(cls)])
        base = entries.pop("base", None)
        if base is not None:
            entries = {item.name: getattr(base, item.name) for item in fields(base)} | entries
        return cls(**entries)


def did_you_mean(name: str, known: list[str]) -> str:
    """End of an error message: the nearest right name, or all of them."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    if near:
        return f": did you mean {lower[near[0]]!r}?"
    return f": expected one of {', '.join(known)}"


def name_list(names: set[str]) -> str:
    """Names in alphabetical order, for a message."""
    return ", ".join(sorted(names))


def _check_match(match: Mapping[str, Mapping[str, Any]], known: list[str]) -> None:
    """Raise where a rule is for no kind of master, or for a fact that there is not."""
    wrong = set(match) - set(KINDS)
    if wrong:
        raise ValueError(f"match says {sorted(wrong)} but must say one of {KINDS}")
    for kind, rules in match.items():
        for name in rules:
            if name not in known:
                raise ValueError(f"match of {kind}: no fact {name!r}{did_you_mean(name, known)}")


def _is_time(value: Any) -> bool:
    """Tell whether a value is a quantity of time."""
    return isinstance(value, u.Quantity) and value.unit.is_equivalent(u.s)


def _begins(value: Any, starts: str | tuple[str, ...]) -> bool:
    """Tell whether a card is there and begins in one of the ways, which may have wildcards."""
    if value is None:
        return False
    text = str(value).strip().lower()
    starts = (starts,) if isinstance(starts, str) else starts
    return any(fnmatchcase(text, f"{start.lower()}*") for start in starts)

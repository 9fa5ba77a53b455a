"""Facts of a frame: as given, else as the header says through the instrument, else absent."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import find_instrument, format_section, parse_section
from ..fits.readouts import parse_sections
from ..fits.section import Section
from .amplifiers import amplifier_values
from .master import Master
from .quantum import highest_value

GAIN_UNIT = u.electron / u.adu
_OPTIONS = {"gain": "--gain", "read_noise": "--read-noise", "saturation": "--saturation"}


def fact_of(ccd: CCDData, fact: str, instrument: Any = None) -> Any:
    """Return what the header says of a fact, or None."""
    return find_instrument(instrument, ccd.header).value(fact, ccd.header)


def required(value: Any, what: str, keyword: str) -> Any:
    """Return the value, or raise an error that says how to give it."""
    if value is None:
        raise ValueError(
            f"the {what} is unknown: neither given nor in the header; {how_to_give(keyword)}"
        )
    return value


def how_to_give(keyword: str) -> str:
    """Return what somebody can do who knows a fact better than the header."""
    option = f" ({_OPTIONS[keyword]})" if keyword in _OPTIONS else ""
    return f"give {keyword}={option}, or an instrument that knows it"


def find_gain(ccd: CCDData, gain: Any, instrument: Any = None) -> Any:
    """Return electron per unit of the frame (a number, or an array given as such), or None."""
    if ccd.unit == u.electron:
        return 1.0
    if ccd.unit != u.adu:
        raise ValueError(f"the frame is in {ccd.unit} but must be in adu (or electron)")
    if gain is None:
        gain = amplifier_values(ccd, "gain", instrument)
    if gain is None:
        gain = fact_of(ccd, "gain", instrument)
    return None if gain is None else _positive(gain, GAIN_UNIT, "gain")


def find_read_noise(
    ccd: CCDData,
    read_noise: Any,
    gain: Any,
    instrument: Any = None,
    master_bias: Master | None = None,
) -> tuple[Any, str]:
    """Return the read noise in electron, or None, and who said so.

    That is "given", "header", or "measured" where a master bias says what was measured on the
    frames that it was made of.
    """
    if read_noise is not None:
        if isinstance(read_noise, u.Quantity) and read_noise.unit == u.adu:
            if ccd.unit == u.electron:
                raise ValueError("the frame is in electron: give read_noise in electron, not adu")
            read_noise = read_noise.value * required(gain, "gain", "gain") * u.electron
        return _positive(read_noise, u.electron, "read_noise"), "given"
    found = _said_read_noise(ccd, instrument)
    if found is not None:
        return found, str(ccd.header.get("RDNSRC", "header"))
    if master_bias is not None and master_bias.ccd.header.get("RDNSRC") == "measured":
        found = _said_read_noise(master_bias.ccd)
        if found is not None:
            return found, "measured"
    return None, ""


def _said_read_noise(ccd: CCDData, instrument: Any = None) -> Any:
    """Return what the header says of the read noise, electron: of each amplifier, or of all."""
    found = amplifier_values(ccd, "read_noise", instrument)
    if found is not None:
        return found
    found = fact_of(ccd, "read_noise", instrument)
    return None if found is None else found.value


def find_excess_noise(header: Any, instrument: Any = None) -> float:
    """Return by what the variance of the photons is larger than their number; 1 for most cameras.

    That of a CCD that multiplies electrons is 2 (Robbins and Hadwen 2003, IEEE Transactions on
    Electron Devices 50, 1227).
    """
    found = find_instrument(instrument, header).value("excess_noise", header)
    if found is not None and not found >= 1:
        raise ValueError(f"excess_noise is {found:g} but must be 1 or more")
    return 1.0 if found is None else found


def find_saturation(ccd: CCDData, saturation: Any, instrument: Any = None) -> tuple[Any, str]:
    """Return the raw level in adu from which a pixel is saturated, or None, and who said so."""
    if saturation is not None:
        level = _positive(saturation, u.adu, "saturation")
        if np.ndim(level):
            raise ValueError("saturation must be one level for the whole frame, not an array")
        return level, "given"
    found = amplifier_values(ccd, "saturation", instrument)
    if found is not None:
        return found, "header"
    found = fact_of(ccd, "saturation", instrument)
    highest = highest_value(ccd.data) if ccd.data.dtype.kind in "iu" else None
    if found is not None:
        return found.value if highest is None else min(found.value, highest), "header"
    return highest, "" if highest is None else "range"


def find_overscan(ccd: CCDData, given: Any, instrument: Any = None) -> tuple[Section, ...] | None:
    """Return the slices of the overscan, of one section or of several, in ascending order."""
    section = fact_of(ccd, "overscan_section", instrument) if given is None else given
    if section is None:
        return None
    parts = parse_sections(section) if isinstance(section, str) else (section,)
    return tuple(find_section(ccd, "overscan_section", part, instrument) for part in parts)


def find_section(ccd: CCDData, fact: str, given: Any, instrument: Any = None) -> Section | None:
    """Return the slices of an ``overscan_section`` or a ``trim_section``, in ascending order."""
    section = fact_of(ccd, fact, instrument) if given is None else given
    if section is None:
        return None
    slices = parse_section(section) if isinstance(section, str) else section
    if not (isinstance(slices, tuple) and [type(part) for part in slices] == [slice, slice]):
        raise TypeError(
            f"{fact} is {section!r} but must be FITS text like '[1:2048,1:4096]' or a pair of "
            "slices (y, x)"
        )
    return _inside(slices, ccd.shape, fact, section)


def _inside(slices: Section, shape: tuple[int, int], fact: str, section: Any) -> Section:
    """Return the slices without open ends and steps; raise where they leave the frame."""
    ranges = [range(size)[part] for part, size in zip(slices, shape, strict=True)]
    for part, size, found in zip(slices, shape, ranges, strict=True):
        ends = [end for end in (part.start, part.stop) if end is not None]
        if len(found) == 0 or abs(found.step) != 1 or max(ends, default=0) > size:
            said = section if isinstance(section, str) else _in_words(slices, shape)
            raise ValueError(f"{fact} {said} does not fit a frame of {shape} (ny, nx)")
    ends = [sorted((found[0], found[-1])) for found in ranges]
    return tuple(slice(first, last + 1) for first, last in ends)


def _in_words(slices: Section, shape: tuple[int, int]) -> str:
    """Return a section as FITS has it, or as it is where it has no such text."""
    whole = [
        slice(0 if part.start is None else part.start, size if part.stop is None else part.stop)
        if part.step is None
        else part
        for part, size in zip(slices, shape, strict=True)
    ]
    try:
        return format_section((whole[0], whole[1]))
    except ValueError:
        return str(slices)


def level_variance(ccd: CCDData) -> Any:
    """Return the variance of the overscan level, in the unit of the frame squared."""
    variance = amplifier_values(ccd, "level_variance")
    if variance is None:
        variance = float(ccd.header.get("OSCANVAR", 0.0))
    if ccd.unit == u.electron:
        gain = amplifier_values(ccd, "raw_gain")
        variance = variance * (float(ccd.header.get("RAWGAIN", 1.0)) if gain is None else gain) ** 2
    return variance


def _positive(value: Any, unit: u.UnitBase, name: str) -> Any:
    """Return a bare number (or array) in `unit`; raise where it makes no sense."""
    try:
        bare = value.to_value(unit) if isinstance(value, u.Quantity) else value
        bare = np.asarray(bare, dtype=float)
    except (u.UnitConversionError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r} but must be a number or in {unit}") from error
    if not np.all(np.isfinite(bare) & (bare > 0)):
        raise ValueError(f"{name} is {value!r} but must be greater than 0")
    return bare.item() if bare.ndim == 0 else bare

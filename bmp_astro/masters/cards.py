"""What the header of a combined frame says."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits

from ..fits import (
    Instrument,
    add_history,
    clean_product_header,
    find_instrument,
    set_card,
    set_frame_type,
)
from ..fits.cards import as_header
from ..fits.header import SUM_COMMENT
from ..fits.readouts import readouts_in, write_readouts
from ..steps.dark import SAME_EXPOSURE
from ..steps.provenance import record_read_noise
from .expected import ReadNoise
from .inputs import Input
from .noise import standard_error_factor
from .raw import RawFrame
from .recipe import Recipe
from .report import MasterReport, mid_date

_INPUTS_WITH_THREE_DIGITS = 999
_OF_OTHER_INPUTS = re.compile(r"FILENAME|INPUT(SUM|HDU)?|(IM(CM|SU|RE|RS)|SKY[IS])[A-Z]?\d{3,4}")
_ORIGINS = {
    "inputs": "those of the inputs",
    "noise": "gain and read noise",
    "scatter": "scatter at similar level",
}


def record_combination(
    headers: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    recipe: Recipe,
    origin: str,
    weights: Sequence[float] | None = None,
    instrument: Any = None,
    checksums: Sequence[str | None] | None = None,
) -> fits.Header:
    """Return the header of a combined frame: that of the first, and how it was made.

    Parameters
    ----------
    headers : sequence of mapping
        The inputs' headers.
    names : sequence of str
        The inputs' names; their last parts are kept.
    recipe : `Recipe`
        How they were combined.
    origin : str
        Where the standard error comes from: "inputs", "noise" or "scatter".
    weights : sequence of float, optional
        Their weights.
    instrument : Instrument, str or path-like, optional
        Knows the exposure times.
    checksums : sequence of str or None, optional
        Those of the inputs' files.

    Returns
    -------
    `~astropy.io.fits.Header`
        A new header.
    """
    first = headers[0]
    header = first.copy() if isinstance(first, fits.Header) else as_header(first)
    clean_product_header(header)
    for keyword in [name for name in header if _OF_OTHER_INPUTS.fullmatch(name)]:
        header.remove(keyword, ignore_missing=True)
    n = len(names)
    set_card(header, "NCOMBINE", n, "number of frames combined")
    sums = [None] * n if checksums is None else checksums
    for number, (name, checksum) in enumerate(zip(names, sums, strict=True), start=1):
        _record_input(header, ("IMCMB", "IMSUM"), number, name, checksum)
    add_history(header, f"combined {n} frames: {recipe.words()}")
    _record_exposure(header, headers, recipe, instrument)
    if origin != "scatter" or n > 1:
        k = standard_error_factor(recipe, n, weights)[n]
        set_card(header, "UNCSRC", origin, "source of the noise in the uncertainty")
        add_history(
            header,
            f"uncertainty {k:.3f} sigma / sqrt(kept), sigma from {_ORIGINS[origin]}",
        )
    return header


def _record_input(
    header: fits.Header, stems: tuple[str, str], number: int, name: str, checksum: str | None
) -> None:
    """Write the name and the checksum of an input; from 1000 on the number takes a letter."""
    last = 5 if number <= _INPUTS_WITH_THREE_DIGITS else 4
    name_key, sum_key = (f"{stem[:last]}{number:0{8 - last}d}" for stem in stems)
    said = os.path.basename(name).encode("ascii", "replace").decode()
    set_card(header, name_key, said, "input" if stems[0] == "IMCMB" else "input that is not used")
    if checksum is not None:
        set_card(header, sum_key, checksum, SUM_COMMENT)


def record_unused(header: fits.Header, inputs: Sequence[Input]) -> None:
    """Write which inputs of a master were not used, and why.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Of the master; changed in place.
    inputs : sequence of `Input`
        All of them; the files are still open.
    """
    unused = [one for one in inputs if not one.row.used]
    for number, one in enumerate(unused, start=1):
        name = os.path.basename(one.row.path)
        _record_input(header, ("IMREJ", "IMRSM"), number, name, _checksum_of(one))
        add_history(header, f"not used: {name}: {one.row.reason}")


def _checksum_of(one: Input) -> str | None:
    """Return the checksum of an input's file, None where it cannot be read."""
    try:
        return None if one.raw is None else one.raw.source.checksum()
    except OSError:
        return None


def _record_exposure(
    header: fits.Header, headers: Sequence[Mapping[str, Any]], recipe: Recipe, instrument: Any
) -> None:
    """Set EXPTIME: that of all frames, their mean where they differ, their sum for a sum."""
    found = [find_instrument(instrument, each).value("exptime", each) for each in headers]
    if any(exptime is None for exptime in found):
        return
    seconds = [exptime.to_value(u.s) for exptime in found]
    total = math.fsum(seconds)
    mean = total / len(seconds)
    if recipe.method == "sum":
        set_card(header, "EXPTIME", total, "[s] sum of the exposure times")
    elif max(seconds) - min(seconds) <= SAME_EXPOSURE * mean:
        set_card(header, "EXPTIME", seconds[0], "[s] exposure time")
    else:
        set_card(header, "EXPTIME", mean, "[s] mean of the exposure times")
        add_history(
            header,
            f"exposure times differ: {min(seconds):g} to {max(seconds):g} s; EXPTIME is their mean",
        )


def record_master(
    header: fits.Header,
    report: MasterReport,
    raws: Sequence[RawFrame],
    read_noise: ReadNoise,
    norms: Mapping[str, float],
) -> None:
    """Write what a master is, what was done to its inputs, and what was measured on them.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        From `record_combination`; changed in place.
    report : `MasterReport`
        What was measured.
    raws : sequence of `RawFrame`
        The inputs that were used.
    read_noise : `ReadNoise`
        The read noise.
    norms : mapping of str to float
        Divisors of a flat, by its colors; "" where it has none.
    """
    set_frame_type(header, f"Master {report.kind.capitalize()}")
    set_card(header, "BUNIT", "1" if report.kind == "flat" else "adu", "unit of the pixels")
    if report.kind == "dark":
        set_card(header, "BIASSUB", raws[0].bias is not None, "the bias was subtracted")
    if raws[0].gain is not None and not raws[0].parts:
        _record_gain(header, raws[0].gain, raws[0].camera)
    if read_noise.electron is not None:
        record_read_noise(header, read_noise.electron, read_noise.origin)
    if raws[0].parts:
        _record_amplifiers(header, raws[0], read_noise)
    if read_noise.adu is not None:
        set_card(header, "RDNADU", read_noise.adu, "[adu] read noise")
        set_card(header, "RDNSRC", read_noise.origin, "source of the read noise")
    if report.kind == "flat":
        norm = float(np.mean(list(norms.values())))
        set_card(header, "FLATNORM", norm, "divisor that normalized the flat")
        for number, (color, of_color) in enumerate(norms.items(), start=1):
            of_what = f" of color {color}" if color else ""
            add_history(
                header, f"divided by {of_color:.6g}, the median of the good pixels{of_what}"
            )
            if color:
                set_card(header, f"FLATNRM{number}", of_color, f"divisor of color {color}")
    _record_facts(header, report, raws)


def _record_amplifiers(header: fits.Header, raw: RawFrame, read_noise: ReadNoise) -> None:
    """Write the gain and the read noise that each amplifier was taken to have."""
    known = zip(readouts_in(header), raw.parts, read_noise.parts, strict=True)
    write_readouts(
        header,
        [one._replace(gain=part.gain, read_noise=noise.electron) for one, part, noise in known],
    )


def _record_gain(header: fits.Header, gain: float, camera: Instrument) -> None:
    """Write the gain unless the header says it already."""
    said = camera.value("gain", header)
    if said is None or not math.isclose(said.value, gain):
        setting = camera.value("gain_setting", header)
        if setting is not None:
            set_card(header, "GAINSET", setting, "gain setting of the camera")
        set_card(header, "GAIN", gain, "[electron/adu] gain of the raw frames")


def _record_facts(header: fits.Header, report: MasterReport, raws: Sequence[RawFrame]) -> None:
    """Write what the inputs have in common or on average, and how their levels differ."""
    unit = "electron" if report.kind == "flat" and raws[0].gain is not None else "adu"
    for name, value, comment in (
        ("LVLMEAN", report.level, f"[{unit}] mean level of the inputs"),
        ("LVLSCAT", report.level_scatter, f"[{unit}] scatter of their levels"),
        ("LVLDRIFT", report.level_drift, f"[{unit}/h] drift of their levels"),
        ("GAINMEAS", report.gain_measured, "[electron/adu] gain, from the noise of the inputs"),
        ("GAINMERR", report.gain_uncertainty, "[electron/adu] its standard error"),
        ("DARKCUR", report.dark_current, "[electron/s] dark current of a typical pixel"),
        ("DATE-AVG", mid_date([raw.fact("date_obs") for raw in raws]), "middle of the inputs"),
    ):
        if value is not None:
            set_card(header, name, value, comment)
    temperatures = [raw.fact("temperature") for raw in raws]
    if all(temperature is not None for temperature in temperatures):
        mean = float(np.mean([temperature.value for temperature in temperatures]))
        set_card(header, "CCD-TEMP", mean, "[deg_C] mean of the inputs")
    for name, count in report.bad_pixels.items():
        card = {"hot": "NHOT", "dead": "NDEAD", "unstable": "NUNSTABL"}[name]
        set_card(header, card, count, f"{name} pixels, masked")
    wheel = raws[0].fact("filter")
    if report.kind == "flat" and wheel is not None:
        set_card(header, "FILTER", wheel, "filter")
    of_inputs = [
        f"{os.path.basename(row.path)}: {alarm}" for row in report.rows for alarm in row.alarms
    ]
    for alarm in [*report.alarms, *of_inputs]:
        add_history(header, f"alarm: {alarm}")

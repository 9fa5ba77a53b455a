"""What the header of a frame says after each step; the headers given are changed."""

import re
from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData

from ..fits import (
    Instrument,
    add_calstat,
    add_history,
    calibrated_already,
    clean_product_header,
    follow_limits,
    format_section,
    mark_electron,
    set_card,
    set_frame_type,
    shift_wcs,
)
from ..fits.readouts import (
    Readout,
    ascending,
    assembled_shape,
    cut_readouts,
    readouts_in,
    remove_sections,
    write_readouts,
)
from ..fits.section import Section
from ..fits.wcs import turn_wcs
from .master import Master

_DONE = {"B": "bias", "D": "dark", "F": "flat"}
_SOURCES = {"given": "given", "header": "header", "range": "top of the range"}


def why_not_raw(ccd: CCDData) -> str:
    """Return what says that something has been done to the pixels; empty for a raw frame."""
    if ccd.unit != u.adu:
        return f"it is in {ccd.unit}"
    if "OSCANLEV" in ccd.header:
        return "its overscan is subtracted (OSCANLEV)"
    return calibrated_already(ccd.header)


def is_done(header: Any, letter: str) -> bool:
    """Tell whether the header says that bias (B), dark (D) or flat (F) has been applied."""
    return letter in str(header.get("CALSTAT", ""))


def record_saturation(header: fits.Header, level: Any, source: str) -> None:
    """Write the level from which raw pixels are saturated; later steps keep it true."""
    if "AMPSEC1" in header and np.ndim(level) == 0:
        write_readouts(header, [one._replace(saturation=level) for one in readouts_in(header)])
    lowest = float(np.min(level))
    set_card(header, "SATURATE", lowest, "level of saturation")
    add_history(header, f"saturated pixels masked, from {lowest:g} adu ({_SOURCES[source]})")


def record_plateau(header: fits.Header, level: float, error: float, believed: float) -> None:
    """Write where raw pixels stop, if that is below the level from which they are masked."""
    set_card(header, "SATMEAS", level, "[adu] raw pixels stop here")
    set_card(header, "SATMERR", error, "[adu] half the range of SATMEAS")
    set_card(header, "SATRAW", believed, "[adu] raw pixels are masked as saturated from")


def record_overscan(
    header: fits.Header, level: np.ndarray, variance: np.ndarray, words: str = ""
) -> None:
    """Write that the overscan is subtracted, and what it was, as a mean over the frame."""
    mean = float(np.mean(level))
    set_card(header, "OSCANLEV", mean, "[adu] overscan level, mean")
    set_card(header, "OSCANVAR", float(np.mean(variance)), "[adu2] variance of OSCANLEV")
    clean_product_header(header, applied=["BIASSEC"])
    follow_limits(header, subtract=mean)
    add_history(header, f"overscan subtracted: {mean:.3f} adu", *filter(None, [words]))


def record_amplifiers(
    header: fits.Header, readouts: Sequence[Readout], level: Any, words: str
) -> None:
    """Write that the overscan of each amplifier is subtracted: ``level`` has one for each."""
    means = [float(mean) for mean in np.ravel(level.level)]
    variances = [float(variance) for variance in np.ravel(level.variance)]
    kept = [
        one._replace(
            overscan=(),
            level=mean,
            level_variance=variance,
            saturation=None if one.saturation is None else one.saturation - mean,
        )
        for one, mean, variance in zip(readouts, means, variances, strict=True)
    ]
    record_overscan(header, level.level, level.variance, words)
    write_readouts(header, kept)
    _record_lowest_saturation(header, kept)


def record_crosstalk(header: fits.Header) -> None:
    """Write that what amplifiers leave in each other is subtracted."""
    set_card(header, "XTALKCOR", True, "crosstalk is corrected")
    add_history(header, "crosstalk of the amplifiers subtracted")


def record_assembly(
    header: fits.Header, readouts: Sequence[Readout], instrument: Instrument
) -> None:
    """Write that amplifiers were made one image, and where each one is in it."""
    clean_product_header(header)
    remove_sections(header)
    if instrument.wcs_frame == "raw":
        turn_wcs(header, readouts[0].raw, readouts[0].target)
    image = [one._replace(raw=None, overscan=(), target=ascending(one.target)) for one in readouts]
    write_readouts(header, image)
    for name, size in zip(("NAXIS2", "NAXIS1"), assembled_shape(image), strict=True):
        if name in header:
            set_card(header, name, size)
    add_history(header, f"assembled from {len(image)} amplifiers")


def _record_lowest_saturation(header: fits.Header, readouts: Sequence[Readout]) -> None:
    """Write the level at which the first of the amplifiers is saturated."""
    levels = [one.saturation for one in readouts if one.saturation is not None]
    if levels and "SATURATE" in header:
        set_card(header, "SATURATE", min(levels), "level of saturation")


def record_origin(header: fits.Header, instrument: Instrument) -> None:
    """Write which part of the detector a frame is, where only its instrument knows."""
    for name, fact in (("XORGSUBF", "x_origin"), ("YORGSUBF", "y_origin")):
        value = None if name in header else instrument.value(fact, header)
        if value is not None:
            set_card(header, name, value, "[pixel] corner on the detector, binned")


def record_trim(header: fits.Header, section: Section, instrument: Instrument) -> None:
    """Write what a frame cut to a section has become."""
    slice_y, slice_x = section
    clean_product_header(header, applied=["BIASSEC", "TRIMSEC", "DATASEC"])
    kept = {} if instrument.wcs_frame == "raw" else _reference_pixels(header)
    shift_wcs(header, slice_x.start, slice_y.start)
    for name, value in kept.items():
        set_card(header, name, value)
    for name, part in (("NAXIS1", slice_x), ("NAXIS2", slice_y)):
        if name in header:
            set_card(header, name, part.stop - part.start)
    if "AMPSEC1" in header:
        cut_readouts(header, section)
    add_history(header, f"trimmed to {format_section(section)}")


def record_bias(header: fits.Header, master: Master) -> None:
    """Write that a master bias is subtracted."""
    _mark_done(header, "B")
    _name_master(header, "BIAS", master)
    follow_limits(header, subtract=master.level)
    add_history(header, f"bias subtracted: {master.name}")


def record_dark(header: fits.Header, master: Master, scale: float, *, holds_bias: bool) -> None:
    """Write that a master dark is subtracted, and with it the bias that it may hold."""
    _mark_done(header, "BD" if holds_bias else "D")
    _name_master(header, "DARK", master)
    set_card(header, "DARKSCAL", scale, "factor of the master dark")
    follow_limits(header, subtract=scale * master.level)
    add_history(header, f"dark subtracted: {master.name}, times {scale:.6g}")


def record_read_noise(header: fits.Header, read_noise: Any, source: str) -> None:
    """Write the read noise in electron, of each amplifier too, and who said so."""
    readouts = readouts_in(header)
    if readouts:
        noises = [amplifier_value(one, read_noise, one.read_noise) for one in readouts]
        named = zip(readouts, noises, strict=True)
        write_readouts(header, [one._replace(read_noise=noise) for one, noise in named])
        read_noise = noises
    set_card(header, "RDNOISE", float(np.mean(read_noise)), "[electron] read noise")
    set_card(header, "RDNSRC", source, "source of the read noise")


def record_uncertainty(header: fits.Header, gain: Any, read_noise: Any, source: str) -> None:
    """Write that the uncertainty is made, and from what."""
    record_read_noise(header, read_noise, source)
    add_history(
        header,
        f"uncertainty: gain {np.mean(gain):.6g} electron/adu, read noise "
        f"{np.mean(read_noise):.4g} electron ({source})",
    )


def record_excess_noise(header: fits.Header, factor: float) -> None:
    """Write what the uncertainty says of the photons of a camera that multiplies electrons."""
    set_card(header, "EXCNOISE", factor, "factor of the variance of photons")


def record_gain(header: fits.Header, gain: Any, instrument: Any) -> None:
    """Write that the frame is in electron: its gain is 1, the raw one is kept."""
    readouts = readouts_in(header)
    gains = [amplifier_value(one, gain, one.gain) for one in readouts]
    mean = float(np.mean(gains)) if gains else float(np.mean(gain))
    mark_electron(header, mean, instrument=instrument)
    follow_limits(header, multiply=mean)
    image = []
    for one, own in zip(readouts_in(header), gains, strict=True):
        limit = None if one.saturation is None else one.saturation * own / mean
        image.append(one._replace(gain=None, raw_gain=own, saturation=limit))
    if image:
        write_readouts(header, image)
        _record_lowest_saturation(header, image)
    add_history(header, f"multiplied by the gain: {mean:.6g} electron/adu")


def amplifier_value(readout: Readout, values: Any, said: float | None) -> float:
    """Return what one amplifier has of a value for each pixel or for all; as it was said if so."""
    if np.ndim(values) == 0:
        return float(values)
    own = float(values[ascending(readout.section)][0, 0])
    return said if said is not None and np.float32(said) == np.float32(own) else own


def record_flat(header: fits.Header, master: Master, flat_min: float) -> None:
    """Write that the frame is divided by a master flat."""
    _mark_done(header, "F")
    _name_master(header, "FLAT", master)
    norm = master.ccd.header.get("FLATNORM")
    if norm is not None:
        set_card(header, "FLATNORM", norm, "divisor that normalized the flat")
    add_history(header, f"divided by flat: {master.name}, where it is {flat_min:g} or more")


def record_bad_pixels(header: fits.Header, name: str, checksum: str) -> None:
    """Write by which mask of bad pixels the frame is masked."""
    set_card(header, "MMASK", name, "mask of bad pixels")
    set_card(header, "MMASKSUM", checksum, "DATASUM of the mask of bad pixels")
    add_history(header, f"bad pixels masked: {name}")


def record_light(header: fits.Header, instrument: Instrument) -> None:
    """Give a light frame the common name of its type."""
    if instrument.frame_type_of(header) == "light":
        set_frame_type(header, "Light Frame")


def _reference_pixels(header: fits.Header) -> dict[str, Any]:
    """Return the cards that say where the reference pixel is."""
    return {name: header[name] for name in header if re.fullmatch(r"CRPIX[12][A-Z]?", name)}


def _mark_done(header: fits.Header, letters: str) -> None:
    """Add letters to CALSTAT; raise where one is there already."""
    for letter in letters:
        if is_done(header, letter):
            raise ValueError(
                f"the header says that the {_DONE[letter]} is applied already "
                f"(CALSTAT = {header['CALSTAT']!r}): it is not applied twice"
            )
    add_calstat(header, letters)


def _name_master(header: fits.Header, kind: str, master: Master) -> None:
    """Write which master it was."""
    set_card(header, f"M{kind}", master.name, f"master {kind.lower()}")
    set_card(header, f"M{kind}SUM", master.checksum, f"DATASUM of the master {kind.lower()}")

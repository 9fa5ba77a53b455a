"""The whole calibration of a frame, in one pass over its pixels."""

import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from ..fits import Instrument, MaskBit, Readout, find_instrument
from ..fits.section import Section
from .amplifiers import (
    Assembly,
    assemble,
    check_given,
    find_crosstalk,
    raw_readouts,
    record_levels,
)
from .bias import bias_terms
from .dark import dark_terms
from .facts import find_gain, find_overscan, find_read_noise, find_section, level_variance
from .flat import flat_terms
from .gain import gain_terms
from .image import remade, run
from .joint import flag_terms, variance_terms
from .level import OverscanLevel, frame_level, words_of
from .linearity import correct_linearity, note_other_linearity
from .mask import known_saturation
from .master import Master, mask_names, open_bad_pixels, open_master
from .plateau import find_plateau
from .provenance import (
    record_bad_pixels,
    record_light,
    record_origin,
    record_overscan,
    record_plateau,
    record_saturation,
    record_uncertainty,
    why_not_raw,
)
from .quantum import quantization_variance, shifted_step
from .trim import assembled, cut
from .uncertainty import noise_terms

logger = logging.getLogger(__name__)


def calibrate(
    ccd: CCDData,
    master_bias: str | os.PathLike | CCDData | None = None,
    master_dark: str | os.PathLike | CCDData | None = None,
    master_flat: str | os.PathLike | CCDData | None = None,
    bad_pixel_mask: str | os.PathLike | CCDData | np.ndarray | None = None,
    instrument: Any = None,
    overscan_section: str | Section | None = None,
    overscan_axis: int | None = None,
    overscan_method: str = "polynomial",
    overscan_order: int = 2,
    overscan_sigma: float = 3.0,
    overscan_iterations: int = 1,
    overscan_skip: int | tuple[int, int] = 0,
    trim_section: str | Section | None = None,
    crosstalk: Any = None,
    linearity: Any = None,
    dark_scale: bool | float | None = None,
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    flat_min: float = 0.1,
    saturation: u.Quantity | float | None = None,
    **kwargs: Any,
) -> CCDData:
    """Calibrate a raw frame: what the steps do one after the other, in one pass.

    The order is: saturated pixels are masked; crosstalk; overscan; trim; bias; linearity;
    uncertainty; dark; gain; flat. Only the masters that are given are applied; overscan and trim
    only where there are sections; without a gain the frame stays in adu; without gain and read
    noise it has no uncertainty, which is noted.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The raw frame, ``(ny, nx)``. It is not changed. An uncertainty that it has is propagated.
    master_bias, master_dark, master_flat : path-like or `~astropy.nddata.CCDData`, optional
        The masters, trimmed; bias and dark in adu, the flat without unit and normalized.
    bad_pixel_mask : path-like, `~astropy.nddata.CCDData` or `~numpy.ndarray`, optional
        Not 0 (true) where a pixel is bad, of the shape of the raw or of the trimmed frame, or as
        `mask_bad_pixels` has it.
    instrument : Instrument or str, optional
        Where the header keeps its facts; by default chosen by the header.
    overscan_section, overscan_axis, overscan_method, overscan_order, overscan_sigma, \
overscan_iterations, overscan_skip
        See `subtract_overscan`.
    trim_section
        See `trim`; several amplifiers make one image.
    crosstalk
        See `correct_crosstalk`; by default the instrument's.
    linearity
        See `correct_linearity`; not corrected if None.
    dark_scale
        See `subtract_dark`.
    gain
        See `correct_gain`.
    read_noise
        See `create_uncertainty`.
    flat_min
        See `divide_flat`.
    saturation
        See `mask_saturated`.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The calibrated frame, float32, in electron (or adu), with a
        `~astropy.nddata.StdDevUncertainty` and mask bits in ``flags``.

    Raises
    ------
    ValueError
        As the steps do: what does not fit, and what would be applied twice.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps.calibrate import calibrate
    >>> raw = CCDData(np.array([[1100, 65535]], dtype=np.uint16), unit="adu")
    >>> bias = CCDData(np.full((1, 2), 1000.0), unit="adu")
    >>> flat = CCDData(np.array([[0.5, 1.0]]), unit="")
    >>> ccd = calibrate(raw, master_bias=bias, master_flat=flat, gain=2.0, read_noise=5.0,
    ...                 saturation=60000)
    >>> ccd.data, ccd.mask
    (array([[   400., 129070.]], dtype=float32), array([[False,  True]]))
    >>> print(ccd.unit, ccd.header["CALSTAT"])
    electron BF
    """
    instrument = find_instrument(instrument, ccd.header)
    options = {
        "axis": overscan_axis,
        "method": overscan_method,
        "order": overscan_order,
        "sigma": overscan_sigma,
        "iterations": overscan_iterations,
        "skip": overscan_skip,
    }
    readouts = raw_readouts(ccd, instrument)
    begin = partial(_begun_of_many, readouts, crosstalk) if readouts else _begun
    frame, parts, window = begin(
        ccd, instrument, saturation, overscan_section, trim_section, options
    )
    parts.append(_flag_terms(frame, bad_pixel_mask, ccd.shape, window, readouts))
    bias = None if master_bias is None else open_master(master_bias, "bias", frame)
    if bias is not None:
        parts.append(bias_terms(frame, bias))
    has_bias = False  # whether the variance of the frame has that of the bias already
    if linearity is not None:
        frame, parts = _linear(frame, parts, linearity, bias)
        has_bias = frame.uncertainty is not None
    gain = find_gain(frame, gain, instrument)
    step = shifted_step(ccd.data) if ccd.data.dtype.kind in "ui" else 1.0
    noise = _noise_terms(frame, gain, read_noise, bias, instrument, step)
    if noise and "EXCNOISE" in frame.header:  # its gain is not the one to apply
        frame = run(frame, *parts, noise, variance_terms(bias), {"apply_gain": False})
        parts, noise, has_bias = [], {}, True
    parts.append(noise)
    dark = None if master_dark is None else open_master(master_dark, "dark", frame)
    if dark is not None:
        parts.append(dark_terms(frame, dark, dark_scale, bias, instrument))
    if noise or frame.uncertainty is not None:
        scale = parts[-1].get("dark_scale", 1.0)
        parts.append(variance_terms(bias, dark, scale, has_bias=has_bias))
    if gain is not None:
        parts.append(gain_terms(frame, gain, instrument))
    flat = None if master_flat is None else open_master(master_flat, "flat", frame)
    if flat is not None:
        parts.append(flat_terms(frame, flat, flat_min))
    parts.append(flag_terms(bias, dark, flat))
    note_other_linearity(frame.header, dark, flat)
    record_light(frame.header, instrument)
    unit = frame.unit if gain is None else u.electron
    return run(frame, *parts, unit=unit, always_flags=True)


def _begun(
    ccd: CCDData,
    instrument: Instrument,
    saturation: Any,
    overscan_section: Any,
    trim_section: Any,
    options: dict[str, Any],
) -> tuple[CCDData, list[dict[str, Any]], Section | None]:
    """Return the trimmed frame, the terms of saturation and overscan, and where it was cut."""
    frame = remade(ccd)
    record_origin(frame.header, instrument)
    saturated = _saturation_terms(frame, saturation, instrument)
    sections = find_overscan(ccd, overscan_section, instrument)
    window = find_section(ccd, "trim_section", trim_section, instrument)
    level = None
    if sections is not None:
        level = frame_level(ccd.data, sections, **options)
        record_overscan(frame.header, *level, words_of(sections, **options))
    if window is not None:
        frame = cut(frame, window, instrument)
    return frame, [saturated, _level_terms(frame, level, window)], window


def _begun_of_many(
    readouts: Sequence[Readout],
    crosstalk: Any,
    ccd: CCDData,
    instrument: Instrument,
    saturation: Any,
    overscan_section: Any,
    trim_section: Any,
    options: dict[str, Any],
) -> tuple[CCDData, list[dict[str, Any]], Section | None]:
    """Return the same of several amplifiers: their image, what is theirs, and where it was cut."""
    check_given(overscan_section, readouts)
    crosstalk = find_crosstalk(ccd.header, crosstalk, instrument)
    assembly = Assembly(readouts, ccd.data.__getitem__, crosstalk, **options)
    frame = assembled(remade(ccd), readouts, instrument)
    terms = _saturation_terms(frame, saturation, instrument)
    if np.ndim(terms.get("saturation")):  # flags take less room than a level for each pixel
        terms = {"flags": (frame.data >= terms["saturation"]) * np.uint8(MaskBit.SATURATED)}
    record_levels(frame.header, assembly, words_of((), **options))
    level = assembly.level(0, len(frame.data))
    if level is not None:
        terms["level"] = level
    window = None
    if trim_section is not None:
        window = find_section(frame, "trim_section", trim_section, instrument)
        frame = cut(frame, window, instrument)
        terms = {name: each[window] if np.ndim(each) else each for name, each in terms.items()}
    if assembly.overscan is not None or frame.uncertainty is None:
        terms["level_variance"] = level_variance(frame)
    return frame, [terms], window


def _saturation_terms(frame: CCDData, saturation: Any, instrument: Instrument) -> dict[str, Any]:
    """Return the level of saturation where the frame is raw and it is known."""
    reason = why_not_raw(frame)
    if reason:
        if saturation is not None:
            logger.warning("saturated pixels are not looked for: not a raw frame (%s)", reason)
        return {}
    level, source = known_saturation(frame, saturation, instrument)
    if level is None:
        return {}
    record_saturation(frame.header, level, source)
    if np.ndim(level) == 0:
        plateau = find_plateau(frame.data, level)
        if plateau is not None:
            record_plateau(frame.header, plateau.value, plateau.uncertainty, level)
    return {"saturation": level}


def _level_terms(
    frame: CCDData, level: OverscanLevel | None, window: Section | None
) -> dict[str, Any]:
    """Return the overscan level in the window, and the variance that it leaves in the frame."""
    if level is None:  # if subtracted earlier, an uncertainty that is there has it
        return {} if frame.uncertainty is not None else {"level_variance": level_variance(frame)}
    values = level.level
    if window is not None:  # of (ny, 1) or (1, nx), the axis that has a level for each
        values = values[
            tuple(
                slice(None) if n == 1 else part
                for n, part in zip(values.shape, window, strict=True)
            )
        ]
    return {"level": values, "level_variance": level_variance(frame)}


def _linear(
    frame: CCDData, parts: list[dict[str, Any]], linearity: Any, bias: Master | None
) -> tuple[CCDData, list[dict[str, Any]]]:
    """Return the corrected frame, for which the terms so far are applied, and what they leave."""
    if frame.uncertainty is not None:
        return correct_linearity(run(frame, *parts, variance_terms(bias)), linearity), []
    linear = correct_linearity(run(frame, *parts), linearity)
    return linear, [{"level_variance": level_variance(frame)}]


def _flag_terms(
    frame: CCDData,
    bad_pixel_mask: Any,
    raw_shape: tuple[int, int],
    window: Section | None,
    readouts: Sequence[Readout],
) -> dict[str, Any]:
    """Return the flags of the bad pixels."""
    if bad_pixel_mask is None:
        return {}
    bad = open_bad_pixels(bad_pixel_mask, frame, raw_shape)
    record_bad_pixels(frame.header, *mask_names(bad_pixel_mask))
    if bad.shape != frame.shape:
        bad = assemble(bad, readouts) if readouts else bad
        bad = bad if window is None else bad[window]
    return {"flags": bad * np.uint8(MaskBit.BAD_PIXEL)}


def _noise_terms(
    frame: CCDData,
    gain: Any,
    read_noise: Any,
    bias: Master | None,
    instrument: Instrument,
    step: float,
) -> dict[str, Any]:
    """Return the read noise where an uncertainty is to be made and can be; else note why not."""
    if frame.uncertainty is not None:
        return {}
    if gain is None:
        logger.warning("no uncertainty, and pixels stay in adu: no gain is given or in the header")
        return {}
    noise, source = find_read_noise(frame, read_noise, gain, instrument, bias)
    if noise is None:
        logger.warning(
            "no uncertainty: no read noise is given, in the header, or measured for the master bias"
        )
        return {}
    if source in ("given", "header") and step > 1:
        noise = np.sqrt(noise**2 + gain**2 * quantization_variance(step))
    record_uncertainty(frame.header, gain, noise, source)
    terms = noise_terms(frame.header, gain, noise, instrument)
    return terms if "EXCNOISE" in frame.header else {"read_noise": noise}

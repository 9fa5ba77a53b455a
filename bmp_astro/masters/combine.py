"""Combine frames, on disk or in memory, into one."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty

from ..core.threads import in_threads
from ..fits import find_instrument, open_frame, with_flags
from ..kernels import Combined, Noise
from .cards import record_combination
from .noise import scatter_between
from .recipe import Recipe, factors_of
from .source import Source, ccd_source, file_source, row_bands
from .stack import combine_sources, levels_of

Frame = str | os.PathLike | CCDData

GAIN_UNIT = u.electron / u.adu


def combine(
    frames: Sequence[Frame],
    *,
    instrument: Any = None,
    method: str = "mean",
    clip: str | None = None,
    n_low: int = 0,
    n_high: int = 0,
    sigma_low: float = 3.0,
    sigma_high: float = 3.0,
    percentile_low: float = 0.2,
    percentile_high: float = 0.1,
    center: str = "median",
    deviation: str = "mad",
    max_iterations: int = 1,
    min_keep: int = 1,
    scale: str | Sequence[float] | None = None,
    offset: str | Sequence[float] | None = None,
    weights: str | Sequence[float] | None = None,
    gain: float | u.Quantity | None = None,
    read_noise: float | u.Quantity | None = None,
    fractional_noise: float = 0.0,
    mem_limit: float | None = None,
    num_threads: int | None = None,
    return_count: bool = False,
) -> CCDData | tuple[CCDData, np.ndarray]:
    """Combine frames into one, with rejection, its uncertainty and its mask.

    Pixels that are masked or not finite do not count.  The others are multiplied by `scale`,
    `offset` is added, values are rejected by `clip`, and what is left is combined by `method`.
    Files are opened once each and read in bands of rows.

    Parameters
    ----------
    frames : sequence of path or `~astropy.nddata.CCDData`
        Frames of one shape and unit, on disk and in memory as you like.
    instrument : Instrument, str or path-like, optional
        Knows the headers; chosen by them if None.
    method : {"mean", "median", "sum"}
        "sum" adds up the values that are kept, however few they are.
    clip : {None, "minmax", "sigma", "noise", "percentile"}
        "minmax" drops `n_low` and `n_high` values in each pixel (proportionally fewer where some
        do not count).  "sigma" drops those beyond the limits in units of the scatter of each
        pixel; "noise" in units of the noise expected from `gain`, `read_noise` and
        `fractional_noise`; "percentile" in fractions of the center.  With fewer than three values
        none of these three drops any.
    n_low, n_high : int
        For "minmax".
    sigma_low, sigma_high : float
        A value is dropped when it lies strictly farther than that below or above the center.
    percentile_low, percentile_high : float
        For "percentile": the fraction of the center that a value may lie below and above it.
        Nothing is dropped where the center is not positive.
    center : {"median", "mean"}
        What deviations are measured from.
    deviation : {"mad", "winsorized", "std"}
        For "sigma": 1.4826 times the median absolute deviation, but not less than the noise of
        pixels at that level nor than half the step between values, and with fewer than ten values
        that noise alone; "winsorized", with the same guards, 1.134 times the standard deviation
        after values beyond 1.5 of them are drawn in to there, repeated until it settles; or the
        plain standard deviation.
    max_iterations : int
        Passes of rejection, fewer when nothing more is dropped.
    min_keep : int
        A pixel with fewer values left becomes the median of all that count, and is flagged
        `~bmp_astro.fits.MaskBit.NO_DATA`.
    scale, offset : {None, "median", "mean"} or sequence of float
        One number a frame to multiply by and to add; or the statistic of the frame that is
        brought to its mean over the frames.
    weights : None, "level" or sequence of float
        One number a frame, for the mean; "level" is in proportion to each frame's median before it
        is scaled, which makes the mean of scaled frames a ratio of sums.
    gain : float or `~astropy.units.Quantity`, optional
        electron/adu.  For ``clip="noise"`` the header of the first frame is asked if it is None.
        1 for frames in electron.
    read_noise : float or `~astropy.units.Quantity`, optional
        electron; as for `gain`.
    fractional_noise : float
        Noise in proportion to the level, for ``clip="noise"`` (IRAF's ``snoise``).
    mem_limit : float, optional
        Bytes to stay within, the result included; a quarter of the available memory by default.
        Compressed files are unpacked one after the other into temporary files (``TMPDIR``), which
        do not count.
    num_threads : int, optional
        Bands at a time; as many as there are cores by default.
    return_count : bool
        Also return how many values were kept in each pixel.

    Returns
    -------
    ccd : `~astropy.nddata.CCDData`
        float32, shape ``(ny, nx)``, with the standard error as uncertainty, mask and flags.  Its
        header is that of the first frame with NCOMBINE, the inputs (IMCMB001, ...), UNCSRC and
        HISTORY.  EXPTIME is the mean of the exposure times, for a sum their sum.
    count : `~numpy.ndarray`
        uint16, shape ``(ny, nx)``; with `return_count`.

    Raises
    ------
    OSError
        A file cannot be read.
    ValueError
        Shapes or units differ (the message names the files), or parameters do not fit.

    Notes
    -----
    The standard error is k sigma / sqrt(number kept).  sigma comes from the frames' uncertainties
    when all have one, else from `gain` and `read_noise`, else from the scatter between the frames,
    pooled over pixels of similar level; UNCSRC says which.  k, the price of a median or of
    rejection, was found by Monte Carlo.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.masters import combine
    >>> frames = [CCDData(np.full((2, 2), level), unit="adu") for level in (1.0, 2.0, 9.0)]
    >>> ccd = combine(frames, method="median")
    >>> print(ccd.data[0, 0], ccd.header["NCOMBINE"])
    2.0 3
    """
    recipe = Recipe(
        method=method,
        clip=clip,
        n_low=n_low,
        n_high=n_high,
        sigma_low=sigma_low,
        sigma_high=sigma_high,
        percentile_low=percentile_low,
        percentile_high=percentile_high,
        center=center,
        deviation=deviation,
        max_iterations=max_iterations,
        min_keep=min_keep,
        scale=scale,
        offset=offset,
        weights=weights,
        fractional_noise=fractional_noise,
    )
    with ExitStack() as opened:
        sources = _open_all(frames, instrument, opened)
        factors = factors_of(recipe, [s.name for s in sources], levels_of(sources, num_threads))
        sigma = _sigma_of(sources, recipe, instrument, gain, read_noise)
        if sigma.noise is None and (sigma.origin == "scatter" or clip == "sigma"):
            sigma = sigma._replace(noise=scatter_between(sources, factors))
        combined = combine_sources(
            sources,
            recipe,
            factors,
            noise=sigma.noise,
            propagate=sigma.origin == "inputs",
            mem_limit=mem_limit,
            num_threads=num_threads,
        )
        header = record_combination(
            [s.header for s in sources],
            [s.name for s in sources],
            recipe,
            sigma.origin,
            factors.weights,
            checksums=[s.checksum and s.checksum() for s in sources],
        )
    ccd = as_ccd(combined, header, sources[0].unit, num_threads)
    return (ccd, combined.count) if return_count else ccd


def as_ccd(
    combined: Combined, header: Any, unit: u.UnitBase, num_threads: int | None = None
) -> CCDData:
    """Return what the kernel made as an image; the variance's memory becomes the uncertainty."""
    uncertainty, plane = None, combined.variance
    if plane is not None:
        bands = row_bands(len(plane))
        in_threads(lambda rows: np.sqrt(plane[rows], out=plane[rows]), bands, num_threads)
        uncertainty = StdDevUncertainty(plane, copy=False)
    ccd = CCDData(combined.data, unit=unit, header=header, uncertainty=uncertainty)
    return with_flags(ccd, combined.flags)


class _Sigma(NamedTuple):
    """Where the noise of one value comes from."""

    noise: Noise | None
    origin: str


def _sigma_of(
    sources: Sequence[Source], recipe: Recipe, instrument: Any, gain: Any, read_noise: Any
) -> _Sigma:
    """Return the expected noise, and what the standard error is made from."""
    origin = "inputs" if all(source.has_variance for source in sources) else "scatter"
    electrons = sources[0].unit == u.electron
    if recipe.clip == "noise":
        camera = find_instrument(instrument, sources[0].header)
        if gain is None and not electrons:
            gain = camera.value("gain", sources[0].header)
        if read_noise is None:
            read_noise = camera.value("read_noise", sources[0].header)
    if electrons and gain is None:
        gain = 1.0
    if gain is None or read_noise is None:
        if recipe.clip == "noise":
            missing = " and ".join(
                name for name, v in (("gain", gain), ("read_noise", read_noise)) if v is None
            )
            raise ValueError(
                f"clip='noise' needs {missing}: neither given nor in the header of "
                f"{sources[0].name}; give it, or use clip='sigma'"
            )
        return _Sigma(None, origin)
    gain, read_noise = _bare(gain, GAIN_UNIT, "gain"), _bare(read_noise, u.electron, "read_noise")
    noise = Noise((read_noise / gain) ** 2, 1 / gain, recipe.fractional_noise)
    return _Sigma(noise, "inputs" if origin == "inputs" else "noise")


def _bare(value: Any, unit: u.UnitBase, name: str) -> float:
    """Return a positive number in the unit."""
    if isinstance(value, u.Quantity):
        value = value.to_value(unit)
    if not value > 0:
        raise ValueError(f"{name} is {value}: expected a positive number in {unit}")
    return float(value)


def _open_all(frames: Sequence[Frame], instrument: Any, opened: ExitStack) -> list[Source]:
    """Open all frames; ValueError when there are none, or they differ in shape or unit."""
    if isinstance(frames, str | os.PathLike | CCDData):
        raise TypeError("frames is a single frame: expected a list of paths or CCDData")
    sources = []
    for number, frame in enumerate(frames, start=1):
        if isinstance(frame, CCDData):
            name = frame.header.get("FILENAME", f"frame {number}")
            sources.append(ccd_source(frame, str(name)))
        else:
            file = opened.enter_context(
                open_frame(frame, instrument=instrument, summed=True, spills=True)
            )
            sources.append(file_source(file, frame))
    if not sources:
        raise ValueError("there are no frames to combine")
    for what, facts in (
        ("shape", [s.shape for s in sources]),
        ("unit", [str(s.unit) for s in sources]),
    ):
        usual = Counter(facts).most_common(1)[0][0]
        odd = [s.name for s, fact in zip(sources, facts, strict=True) if fact != usual]
        if odd:
            found = sorted({str(fact) for fact in facts if fact != usual})
            raise ValueError(
                f"the {what} of {', '.join(odd)} is {', '.join(found)} but that of the other "
                f"frames is {usual}: only frames of one {what} can be combined"
            )
    return sources

"""Build a master bias, dark or flat from raw files."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData

from ..core.threads import in_threads, threads_for
from ..fits import checked_classification
from ..kernels import Combined
from .cards import record_combination, record_master, record_unused
from .checks import check_camera
from .combine import as_ccd
from .defects import mark_defects
from .expected import (
    NO_READ_NOISE,
    ReadNoise,
    expected_noise,
    expected_noises,
    find_read_noise,
)
from .finish import finish
from .inputs import Input, check_inputs, open_inputs, usable
from .looks import check_looks
from .noise import scatter_between
from .planes import plane_source, plane_view, planes_of, put_together
from .previous import previous_alarm
from .quality import Limits
from .raw import Calibration
from .recipe import Recipe, factors_of
from .report import MasterReport, level_trend
from .source import row_bands
from .stack import combine_sources
from .stars import without_stars

KINDS = ("bias", "dark", "flat")
_NOTICEABLE = 0.2
_RECIPES = {
    "bias": Recipe(clip="noise", offset="median"),
    "dark": Recipe(clip="noise", offset="median", fractional_noise=0.05),
    "flat": Recipe(clip="noise", scale="median", weights="level"),
}


def build_master(
    kind: str,
    paths: Sequence[str | os.PathLike],
    *,
    instrument: Any = None,
    master_bias: str | os.PathLike | CCDData | None = None,
    master_dark: str | os.PathLike | CCDData | None = None,
    dark_scale: bool | float | None = None,
    gain: float | u.Quantity | None = None,
    read_noise: float | u.Quantity | None = None,
    saturation: float | u.Quantity | None = None,
    combine: Mapping[str, Any] | None = None,
    gates: Limits | Mapping[str, Any] | None = None,
    classification: str = "warn",
    overscan_section: Any = None,
    overscan_axis: int | None = None,
    overscan_method: str = "polynomial",
    overscan_order: int = 2,
    overscan_sigma: float = 3.0,
    overscan_iterations: int = 1,
    overscan_skip: int | tuple[int, int] = 0,
    trim_section: Any = None,
    crosstalk: Any = None,
    linearity: Any = None,
    find_defects: bool = True,
    previous_masters: str | os.PathLike | Iterable[str | os.PathLike] | None = None,
    mem_limit: float | None = None,
    num_threads: int | None = None,
) -> tuple[CCDData, MasterReport]:
    """Build a master frame from raw files.

    Each file is opened once and calibrated while its rows are read.  Frames that cannot be read,
    do not fit or do not pass the gates are left out, and the report says why.

    Parameters
    ----------
    kind : {"bias", "dark", "flat"}
        Bias frames lose their overscan level and are trimmed; darks lose the bias too, if there is
        one; flats lose bias and dark, are multiplied by the gain, and combined as a ratio of sums.
    paths : sequence of path
        Raw files.
    instrument : Instrument, str or path-like, optional
        Knows the headers; chosen by them if None.
    master_bias, master_dark : path or `~astropy.nddata.CCDData`, optional
        What is subtracted.
    dark_scale : bool or float, optional
        The factor of the dark: True is the ratio of the exposure times, False is 1; None scales
        where it must and may.
    gain : float or `~astropy.units.Quantity`, optional
        electron/adu; as the header says if None.
    read_noise : float or `~astropy.units.Quantity`, optional
        electron; as the header says if None, else measured on pairs of bias frames.
    saturation : float or `~astropy.units.Quantity`, optional
        Raw adu; as the header says if None, else the largest value of the data type.
    combine : mapping, optional
        Parameters of `bmp_astro.masters.combine` that replace those of the kind.  Bias and dark:
        the mean, after values beyond 3 sigma of the expected noise are dropped and the frames are
        brought to their mean level (which leaves their mean as it is); for darks the expected noise
        has 5 % of the level in it, since the current follows the temperature.  Flats: scaled by
        their medians, clipped in the same way, weighted by their levels.  Where gain or read noise
        is not known, the scatter of the frames serves for clipping.
    gates : `Limits` or mapping, optional
        What is accepted, where it differs from the defaults of `Limits`.
    classification : {"strict", "warn", "trust"}
        What to do with a frame that does not look like what it is said to be (a bias with light in
        it, a dark or flat with stars): refuse it, raise an alarm, or do not look. "trust" also
        takes frames whose header says that they were calibrated already.
    overscan_section, overscan_axis, overscan_method, overscan_order, overscan_sigma, \
overscan_iterations, overscan_skip
        As in `bmp_astro.steps.subtract_overscan`; frames without an overscan section keep their
        level.
    trim_section : str or tuple of slice, optional
        As the header says if None.
    crosstalk : sequence of sequence of float, optional
        As in `bmp_astro.steps.correct_crosstalk`; as the instrument says if None.
    linearity : sequence of float, table or path-like, optional
        Of darks and flats, as in `bmp_astro.steps.correct_linearity`; not corrected if None.
    find_defects : bool
        Mask the pixels that the frames show to be bad, by the limits in `gates`: hot ones of darks
        and dead ones of flats as `~bmp_astro.fits.MaskBit.BAD_PIXEL`, those that jump from frame to
        frame of bias and dark as ``UNSTABLE``.
    previous_masters : path or iterable of paths, optional
        Directories of masters, or masters, of other nights: an alarm where the new master differs
        in many pixels from the nearest one in time of the same kind.
    mem_limit : float, optional
        Bytes; a quarter of the available memory if None.
    num_threads : int, optional
        Threads; as many as there are cores if None.

    Returns
    -------
    master : `~astropy.nddata.CCDData`
        float32, shape ``(ny, nx)``, with uncertainty and mask; adu, or without unit for a flat,
        which is normalized to a median of 1 over its unmasked pixels (FLATNORM is the divisor).
    report : `MasterReport`
        Which inputs were used, and what was measured on them.

    Raises
    ------
    ValueError
        Too few frames are left (the message says why the others are not used), or parameters do
        not fit.

    Notes
    -----
    The uncertainty is the standard error of the mean; a dark's has the variance of the bias that
    was subtracted from all its frames added once, a flat's those of bias and dark.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro.masters import build_master
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(folder, shape=(64, 96), bad_files=False)
    ...     master, report = build_master("bias", night.paths("bias"))
    >>> print(master.header["IMAGETYP"], master.unit)
    Master Bias adu
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {KINDS}")
    num_threads = threads_for(num_threads)
    limits = gates if isinstance(gates, Limits) else Limits(**({} if gates is None else gates))
    recipe = _RECIPES[kind].changed(combine)
    how = Calibration(
        kind=kind,
        instrument=instrument,
        master_bias=None if kind == "bias" else master_bias,
        master_dark=master_dark if kind == "flat" else None,
        dark_scale=dark_scale,
        gain=gain,
        saturation=saturation,
        overscan={
            "section": overscan_section,
            "axis": overscan_axis,
            "method": overscan_method,
            "order": overscan_order,
            "sigma": overscan_sigma,
            "iterations": overscan_iterations,
            "skip": overscan_skip,
        },
        trim_section=trim_section,
        crosstalk=crosstalk,
        linearity=None if kind == "bias" else linearity,
        classification=checked_classification(classification),
    )
    with ExitStack() as opened:
        inputs = open_inputs(paths, how, opened, num_threads)
        candidates = [one.raw for one in usable(inputs)]
        noise = find_read_noise(kind, candidates, read_noise) if candidates else NO_READ_NOISE
        check_looks(kind, inputs, limits, noise, classification)
        used = check_inputs(kind, inputs, limits, noise.adu)
        combined, header = _combine(kind, used, recipe, noise, limits, mem_limit, num_threads)
        record_unused(header, inputs)
        report = _report(kind, inputs, noise, combined, limits, num_threads)
        check_camera(report, used, noise, limits)
    if find_defects:
        for plane in planes_of(kind, used[0].raw).values():
            found = mark_defects(
                kind,
                plane_view(combined, plane),
                len(used),
                report.rejected,
                recipe,
                limits,
                num_threads,
            )
            report.add_bad_pixels(found)
        report.alarms += _defects_alarm(report, combined.data.size, limits)
    norms = finish(kind, combined, [one.raw for one in used], num_threads)
    if previous_masters is not None:
        found = header, used[0].raw.camera, previous_masters, limits
        report.alarms += previous_alarm(kind, combined, *found)
    record_master(header, report, [one.raw for one in used], noise, norms)
    unit = u.dimensionless_unscaled if kind == "flat" else used[0].raw.source.unit
    return as_ccd(combined, header, unit, num_threads), report


def _combine(
    kind: str,
    used: Sequence[Input],
    recipe: Recipe,
    read_noise: ReadNoise,
    limits: Limits,
    mem_limit: float | None,
    num_threads: int | None,
) -> tuple[Combined, fits.Header]:
    """Combine the calibrated frames, and begin the header."""
    raws = [one.raw for one in used]
    sources = [raw.source for raw in raws]
    if kind == "flat":
        sources = without_stars(used, limits, num_threads)
    expected = expected_noise(kind, raws, read_noise, recipe.fractional_noise)
    noises = expected_noises(kind, raws, read_noise, recipe.fractional_noise)
    origin = "scatter" if expected is None else "noise"
    if expected is None and recipe.clip == "noise":
        recipe = replace(recipe, clip="sigma")
    planes = list(planes_of(kind, raws[0]).values())
    parts = []
    for number, plane in enumerate(planes):
        of_plane = [plane_source(source, plane) for source in sources]
        factors = factors_of(
            recipe,
            [source.name for source in sources],
            lambda statistic, i=number: np.array([getattr(o.planes[i], statistic) for o in used]),
        )
        parts.append(
            combine_sources(
                of_plane,
                recipe,
                factors,
                noise=scatter_between(of_plane, factors) if expected is None else expected,
                noises=noises if len(planes) == 1 else (),
                propagate=False,
                mem_limit=mem_limit,
                num_threads=num_threads,
            )
        )
    combined = put_together(parts, planes, sources[0].shape)
    header = record_combination(
        [source.header for source in sources],
        [source.name for source in sources],
        recipe,
        origin,
        factors.weights,
        raws[0].camera,
        [source.checksum() for source in sources],
    )
    return combined, header


def _report(
    kind: str,
    inputs: Sequence[Input],
    read_noise: ReadNoise,
    combined: Combined,
    limits: Limits,
    num_threads: int | None,
) -> MasterReport:
    """Return what became of the inputs, and the alarms."""
    used, count = usable(inputs), combined.count
    kept = sum(in_threads(lambda rows: int(count[rows].sum()), row_bands(len(count)), num_threads))
    levels = [one.stats.level for one in used]
    scatter, drift = level_trend(levels, [one.raw.fact("date_obs") for one in used])
    report = MasterReport(
        kind=kind,
        rows=[one.row for one in inputs],
        level=float(np.mean(levels)),
        level_unit=str(used[0].raw.source.unit),
        level_scatter=scatter,
        level_drift=drift,
        read_noise=read_noise.adu if read_noise.electron is None else read_noise.electron,
        read_noise_source=read_noise.origin,
        rejected=1 - kept / count.size / len(used),
    )
    report.alarms = _alarms(report, used, read_noise, limits)
    return report


def _alarms(
    report: MasterReport, used: Sequence[Input], read_noise: ReadNoise, limits: Limits
) -> list[str]:
    """Return what an observer should look at."""
    alarms = []
    if len(used) < limits.few_frames:
        alarms.append(f"made of {len(used)} frame{'s' if len(used) > 1 else ''} only")
    if report.rejected > limits.max_rejected:
        alarms.append(
            f"{100 * report.rejected:.1f} % of the values were rejected: are gain and read noise "
            "right, and the frames alike?"
        )
    if report.kind != "flat":
        alarms += _drift_alarm(report, read_noise.adu, limits)
    elif used[0].raw.keeps_pedestal:
        alarms.append("neither bias nor overscan was subtracted: the pedestal is still in the flat")
    return alarms


def _drift_alarm(report: MasterReport, read_noise: float | None, limits: Limits) -> list[str]:
    """Return an alarm when the level drifts fast, and by more than would be lost in the noise."""
    drift = report.level_drift
    if drift is None or read_noise is None:
        return []
    limit = read_noise if limits.max_drift is None else limits.max_drift
    if abs(drift) <= limit or report.level_scatter <= _NOTICEABLE * read_noise:
        return []
    return [f"the level drifts by {drift:+.1f} adu/hour (limit {limit:.1f})"]


def _defects_alarm(report: MasterReport, pixels: int, limits: Limits) -> list[str]:
    """Return an alarm for each kind of bad pixels of which there are very many."""
    return [
        f"{100 * count / pixels:.1f} % of the pixels are {name} "
        f"(limit {100 * limits.max_bad_pixels:g} %)"
        for name, count in report.bad_pixels.items()
        if count > limits.max_bad_pixels * pixels
    ]

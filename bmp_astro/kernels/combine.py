"""Combine a stack of frames into one, pixel by pixel."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bmp_astro.kernels import combine_numpy
from bmp_astro.kernels.calibrate import Prepared
from bmp_astro.kernels.clipping import (
    CLIPS,
    DEVIATIONS,
    FEWEST_FOR_CLIPPING,
    FEWEST_FOR_MAD,
    Clip,
    Frames,
)
from bmp_astro.kernels.combine_numpy import Output, Plan, Planes
from bmp_astro.kernels.combine_raw import combine_blocks
from bmp_astro.kernels.compiled import module, real_numbers
from bmp_astro.kernels.noise import Noise, pooled_noise
from bmp_astro.kernels.outputs import outputs

METHODS = ("mean", "median", "sum")
MOST_FRAMES = 65535


class Combined(NamedTuple):
    """One frame made of many.

    Parameters
    ----------
    data : `~numpy.ndarray`
        float32, shape ``(ny, nx)``.
    variance : `~numpy.ndarray` or None
        Square of the standard error, float32; None when nothing tells the noise.
    count : `~numpy.ndarray`
        uint16: how many values survived rejection in each pixel.
    flags : `~numpy.ndarray`
        uint8 mask bits, 0 where a pixel is good.
    """

    data: np.ndarray
    variance: np.ndarray | None
    count: np.ndarray
    flags: np.ndarray


def combine(
    stack: np.ndarray | Sequence[np.ndarray] | Sequence[Prepared],
    *,
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
    scale: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    noise: Noise | None = None,
    variance: np.ndarray | Sequence[np.ndarray] | None = None,
    flags: np.ndarray | Sequence[np.ndarray] | None = None,
    quantum: float = 0.0,
    k: np.ndarray | None = None,
    lost_bit: int = 32,
    out: Combined | None = None,
) -> Combined:
    """Combine frames along the first axis of a stack, with rejection.

    Values that are not finite or are flagged never count.  The others become
    ``scale * value + offset``, then pass the rule of rejection, then are averaged.  Sums are in
    float64 in the order of the frames, and temporaries are as small as a tile of a few rows.

    Parameters
    ----------
    stack : `~numpy.ndarray` or sequence of `~numpy.ndarray`
        Frames of shape ``(n, ny, nx)``, or n of shape ``(ny, nx)`` each, of any integer or
        floating dtype, byte order and strides.  A window of rows gives the same pixels as the
        whole, if `noise` is given.  Or n raw frames that are calibrated while they are combined,
        for which the noise has to be given: their flags are those of the calibration, and a
        variance is not propagated.
    method : {"mean", "median", "sum"}
        What is made of the values that are kept; "sum" adds them up, however few they are.
    clip : {None, "minmax", "sigma", "noise", "percentile"}
        "minmax" drops the `n_low` lowest and `n_high` highest values (proportionally fewer where
        some do not count, as in IRAF).  "sigma" drops those beyond the limits in units of the
        scatter found in each pixel, "noise" in units of the expected `noise`, "percentile" in
        fractions of the center.
    n_low, n_high : int
        For "minmax".
    sigma_low, sigma_high : float
        A value is dropped when it lies strictly farther than this many deviations below or above
        the center.
    percentile_low, percentile_high : float
        For "percentile": a value is dropped when it lies strictly farther below or above the
        center than this fraction of it.  Nothing is dropped where the center is not positive.
    center : {"median", "mean"}
        What deviations are measured from.
    deviation : {"mad", "winsorized", "std"}
        For "sigma": 1.4826 times the median absolute deviation, but never less than the expected
        noise at that level nor than half a `quantum`, and from at least ten values (with fewer
        the expected noise serves alone); "winsorized", with the same guards, 1.134 times the
        standard deviation of the values after those beyond 1.5 such deviations are drawn in to
        there, repeated until it settles; or the plain standard deviation (n - 1).  With fewer
        than three values nothing is dropped.
    max_iterations : int
        Passes of "sigma", "noise" and "percentile"; they end sooner when nothing more is dropped.
    min_keep : int
        A pixel with fewer values left becomes the median of all that count, and is flagged.
    scale, offset, weights : sequence of float, optional
        One number for each frame.  Weights are for "mean".
    noise : `Noise`, optional
        The expected noise of a value.  Without it the scatter between the frames of this stack
        is pooled over pixels of similar level.
    variance : `~numpy.ndarray` or sequence of them, optional
        Variance of each value, the shape of `stack`; the result's is then propagated from it.
    flags : `~numpy.ndarray` or sequence of them, optional
        uint8 or bool, not zero where a value does not count, the shape of `stack`.
    quantum : float
        The step between possible values, 1 for integers.
    k : `~numpy.ndarray`, optional
        Standard error in units of noise / sqrt(values kept), by the number of values that count:
        shape ``(n + 1,)``.  1 when it is not given.
    lost_bit : int
        The flag of a pixel that has no value left.
    out : `Combined`, optional
        Arrays to fill, of the shape and dtypes that are returned, in whose rows neighbors are
        contiguous: rows of larger arrays, for instance.  They share no memory with an input, nor
        with one another.  Its variance is None where none is wanted.

    Returns
    -------
    `Combined`
        Pixels, variance, count and flags.

    Raises
    ------
    ValueError
        Unknown names, shapes or numbers of frames that do not fit.
    TypeError
        Values that are not real numbers, flags that are not bytes.

    Notes
    -----
    "percentile" and "winsorized" are meant as in PixInsight and Siril; the factors 1.5 and 1.134
    are those of the Analytical Methods Committee (1989, Analyst 114, 1693).

    The module `bmp_astro.kernels.combine_numpy` states the order and the precision of all
    operations, to which the result is reproducible bit by bit, whether compiled or not.

    Examples
    --------
    >>> import numpy as np
    >>> stack = np.array([[[1.0]], [[2.0]], [[3.0]], [[900.0]]])
    >>> combined = combine(stack, clip="minmax", n_low=1, n_high=1)
    >>> float(combined.data[0, 0]), int(combined.count[0, 0])
    (2.5, 2)
    """
    frames = _frames(stack)
    n = len(frames)
    are_raw = isinstance(frames[0], Prepared)
    if are_raw and (noise is None or variance is not None or flags is not None):
        raise ValueError("raw frames have flags of their own, and need noise= and no variance=")
    variances = _alike("variance", variance, frames)
    masks = _masks(flags, frames)
    _check(method, weights)
    rule = Clip(
        clip,
        n_low,
        n_high,
        sigma_low,
        sigma_high,
        percentile_low,
        percentile_high,
        center,
        deviation,
        max_iterations,
        min_keep,
    )
    rule.check(n)
    if clip == "noise" and noise is None:
        raise ValueError("clip='noise' needs the expected noise: give gain and read noise")
    scale, offset = _per_frame("scale", scale, n, 1.0), _per_frame("offset", offset, n, 0.0)
    if scale.min() <= 0:
        raise ValueError(f"scale must be positive, but the least is {scale.min():g}")
    if noise is None and (rule.uses_noise or variance is None):
        noise = _noise_of(frames, scale, offset, masks)
    if rule.uses_noise and noise is None:
        rule = rule._replace(kind=None)  # no pixel has values enough to be compared
    plan = Plan(
        method,
        rule,
        Frames.of(scale, offset, noise, quantum),
        # Noise in proportion to the level widens the limits; it is no error of the mean.
        None if noise is None else Frames.of(scale, offset, noise._replace(fraction=0.0), quantum),
        None if weights is None else _per_frame("weights", weights, n, 1.0),
        (np.ones(n + 1) if k is None else np.asarray(k, dtype=float)) ** 2,
        lost_bit,
        not (are_raw or all(np.can_cast(frame.dtype, np.float32) for frame in frames)),
    )
    known = variances is not None or noise is not None
    wanted = {
        "data": np.float32,
        "variance": np.float32 if known and (out is None or out.variance is not None) else None,
        "count": np.uint16,
        "flags": np.uint8,
    }
    inputs = [plane for planes in (frames, variances, masks) if planes for plane in planes]
    if are_raw:
        inputs = [plane for one in frames for plane in (one.raw, *one.terms, *one.flags)]
    result = Combined(*outputs(out, wanted, frames[0].shape, inputs))
    if are_raw:
        _combine_raw(frames, plan, Output(*result))
    else:
        _combine(frames, variances, masks, plan, Output(*result))
    return result


def _frames(stack: np.ndarray | Sequence[np.ndarray] | Sequence[Prepared]) -> list[Any]:
    """Return the frames of a stack as arrays that the kernels load; nothing is copied."""
    if len({isinstance(frame, Prepared) for frame in stack}) > 1:
        raise TypeError("the stack has raw frames and others: expected all of them raw, or none")
    frames = [one if isinstance(one, Prepared) else real_numbers(one) for one in stack]
    shapes = sorted({frame.shape for frame in frames})
    if len(shapes) != 1 or len(shapes[0]) != 2 or len(frames) > MOST_FRAMES:
        raise ValueError(
            f"the stack has {len(frames)} frames of shapes {shapes}: expected (n, ny, nx) with "
            f"n from 1 to {MOST_FRAMES}"
        )
    return frames


def _alike(
    name: str, planes: np.ndarray | Sequence[np.ndarray] | None, frames: list[np.ndarray]
) -> Planes:
    """Return planes of the shape of the frames."""
    if planes is None:
        return None
    if len(planes) != len(frames) or any(np.shape(p) != frames[0].shape for p in planes):
        have = (len(planes), *np.shape(planes[0])) if len(planes) else (0,)
        raise ValueError(
            f"{name} has shape {have}, but the stack has {(len(frames), *frames[0].shape)}"
        )
    return [real_numbers(plane) for plane in planes]


def _masks(flags: np.ndarray | Sequence[np.ndarray] | None, frames: list[np.ndarray]) -> Planes:
    """Return the flags as planes of bytes."""
    planes = _alike("flags", flags, frames)
    wrong = [] if planes is None else [plane.dtype for plane in planes if plane.dtype != np.uint8]
    if wrong:
        raise TypeError(f"flags have dtype {wrong[0]}: expected uint8 or bool")
    return planes


def _check(method: str, weights: Sequence[float] | None) -> None:
    """Raise ValueError for a method that is not known, or weights that it does not have."""
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected one of {METHODS}")
    if weights is not None and (method != "mean" or min(weights) <= 0):
        raise ValueError("weights must be positive, and only method='mean' has any")


def _per_frame(name: str, numbers: Sequence[float] | None, n: int, default: float) -> np.ndarray:
    """Return one finite float64 number for each frame."""
    if numbers is None:
        return np.full(n, default)
    numbers = np.array(numbers, dtype=float)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be {n} finite numbers, one for each frame")
    return numbers


def _noise_of(
    frames: list[np.ndarray], scale: np.ndarray, offset: np.ndarray, masks: Planes
) -> Noise | None:
    """Return the scatter between the scaled frames of a whole stack."""
    numbers = zip(frames, scale, offset, strict=True)
    values = np.array([frame.ravel() * factor + shift for frame, factor, shift in numbers])
    keep = None if masks is None else np.array([mask.ravel() == 0 for mask in masks])
    return pooled_noise(values, keep)


def _combine_compiled(
    frames: list[np.ndarray], variances: Planes, masks: Planes, plan: Plan, out: Output
) -> None:
    """Hand frames to the compiled kernel."""
    module.combine(frames, variances, masks, *_plan_numbers(plan), tuple(out))


def _combine_raw_compiled(frames: list[Prepared], plan: Plan, out: Output) -> None:
    """Hand frames that are still to be calibrated to the compiled kernel."""
    module.combine_raw([frame[:4] for frame in frames], *_plan_numbers(plan), tuple(out))


def _plan_numbers(plan: Plan) -> tuple[tuple, tuple, tuple | None]:
    """Return the plan as numbers and arrays of numbers, for the compiled kernel."""
    rule, numbers = plan.clip, (plan.frames.scale, plan.frames.offset, plan.k2, plan.weights)
    settings = (
        METHODS.index(plan.method),
        CLIPS.index(rule.kind),
        rule.center == "mean",
        DEVIATIONS.index(rule.deviation),
        rule.n_low,
        rule.n_high,
        rule.max_iterations,
        rule.min_keep,
        *rule.limits,
        plan.frames.quantum,
        FEWEST_FOR_CLIPPING,
        FEWEST_FOR_MAD,
        plan.lost_bit,
        plan.wide,
    )
    return numbers, settings, None if plan.spread is None else _noise_numbers(plan)


def _noise_numbers(plan: Plan) -> tuple:
    """Return the expected noise as the compiled kernel takes it."""
    noise, alike = plan.frames.noise, (plan.frames.alike, plan.spread.alike)
    if noise.levels is None:
        floor = np.broadcast_to(np.asarray(noise.floor, float), (len(plan.frames.scale),)).copy()
        return (floor, noise.slope, noise.fraction, None, None, None, *alike)
    table = (noise.levels, noise.variances, noise.slopes())
    return (None, 0.0, 0.0, *(np.array(column, float) for column in table), *alike)


_combine = combine_numpy.combine if module is None else _combine_compiled
_combine_raw = combine_blocks if module is None else _combine_raw_compiled

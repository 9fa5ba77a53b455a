"""The arithmetic that turns a raw frame into a calibrated one: one pass, in bands of rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

TILE_PIXELS = 1 << 17  # half a MiB of float32: a band's temporaries stay in a core's own cache


class Bits(NamedTuple):
    """The mask bits that `calibrate` may set; 0 where a bit is not wanted."""

    saturated: int = 0
    low_flat: int = 0
    no_data: int = 0


class Calibrated(NamedTuple):
    """What `calibrate` returns: arrays of shape ``(ny, nx)``, or None where nothing was asked."""

    data: np.ndarray
    variance: np.ndarray | None
    flags: np.ndarray | None


class _Terms(NamedTuple):
    """The terms of the equation, each None, a number, or an array that broadcasts to the raw."""

    level: ArrayLike | None
    level_variance: ArrayLike | None
    bias: ArrayLike | None
    bias_variance: ArrayLike | None
    dark: ArrayLike | None
    dark_variance: ArrayLike | None
    gain: ArrayLike | None
    read_noise: ArrayLike | None
    flat: ArrayLike | None
    flat_variance: ArrayLike | None
    variance: ArrayLike | None
    saturation: ArrayLike | None


class _Rules(NamedTuple):
    """The choices that hold for every pixel alike."""

    dark_scale: float
    shared_bias: bool
    linearity: Sequence[float] | None
    flat_min: float
    apply_gain: bool
    bits: Bits


def calibrate(
    raw: np.ndarray,
    *,
    level: ArrayLike | None = None,
    level_variance: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    bias_variance: ArrayLike | None = None,
    dark: ArrayLike | None = None,
    dark_variance: ArrayLike | None = None,
    dark_scale: float = 1.0,
    shared_bias: bool = False,
    linearity: Sequence[float] | None = None,
    gain: ArrayLike | None = None,
    apply_gain: bool = True,
    read_noise: ArrayLike | None = None,
    flat: ArrayLike | None = None,
    flat_variance: ArrayLike | None = None,
    flat_min: float = 0.1,
    variance: ArrayLike | None = None,
    flags: np.ndarray | None = None,
    saturation: ArrayLike | None = None,
    bits: Bits | None = None,
) -> Calibrated:
    r"""Calibrate a frame, or any band of rows of one; every term may be absent.

    With :math:`S` the linearized signal after overscan level and bias, :math:`s` the scale of the
    dark :math:`D`, :math:`g` the gain, :math:`R` the read noise and :math:`F` the flat,

    .. math::

        x        &= g (S - s D) / F \\
        V        &= \max(S, 0) / g + R^2 / g^2 + V_{os} + V_B + s^2 U_D^2 \\
        \sigma^2 &= g^2 V / F^2 + x^2 V_F / F^2

    :math:`U_D^2` is the variance of the dark, that of the bias which was taken off it included.
    When that is the bias of this frame too (``shared_bias``), its error is partly taken off again
    with the dark: :math:`V_B` becomes :math:`(1 - 2 s) V_B`.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The pixels, adu, ``(ny, nx)``, of any dtype and byte order. Neither this nor any other
        input is changed.
    level, level_variance : array-like, optional
        Overscan level, adu, and its variance: a number, ``(ny, 1)``, ``(1, nx)`` or ``(ny, nx)``.
    bias, bias_variance : array-like, optional
        Master bias, adu, and its variance. Without ``bias`` (it is subtracted already) the
        variance is not added, and serves for ``shared_bias`` alone.
    dark, dark_variance : array-like, optional
        Master dark, adu, and its variance.
    dark_scale : float
        What the dark is multiplied by.
    shared_bias : bool
        The dark was freed of the same bias. Without ``dark_variance`` it has no effect.
    linearity : sequence of float, optional
        Coefficients :math:`c_0, c_1, \ldots` of the factor that linearizes,
        :math:`S (c_0 + c_1 S + c_2 S^2 + \ldots)`. The dark is linearized already; the variance
        is made from the linearized signal.
    gain : array-like, optional
        Electron per adu.
    apply_gain : bool
        False leaves the pixels in adu; the gain then serves the noise only.
    read_noise : array-like, optional
        Electron. With it, the variance is made from the signal.
    flat, flat_variance : array-like, optional
        Master flat, dimensionless, normalized, and its variance.
    flat_min : float
        Where the flat is lower (or not a number) the pixel is divided by 1 and flagged.
    variance : array-like, optional
        Variance of the raw pixels, adu2, where it is known already: it is propagated.
    flags : `~numpy.ndarray` of uint8, optional
        Mask bits that the pixels have already.
    saturation : array-like, optional
        Raw pixels at or above it, adu, are flagged.
    bits : `Bits`, optional
        The bits to set. Without it nothing is flagged, and values that are not finite stay.
        With it they become 0 (and so does their variance) and get the bit ``no_data``.

    Returns
    -------
    `Calibrated`
        ``data`` and ``variance`` are float32, in electron and electron2 where a gain was applied,
        else in adu and adu2. ``variance`` is None where neither ``variance`` nor ``read_noise``
        is given; ``flags`` is uint8, or None where neither ``flags`` nor ``bits`` is given.

    Raises
    ------
    ValueError
        When a term has a shape that does not fit, or terms contradict each other.

    Notes
    -----
    The variance of a CCD's pixel: Howell (2006), *Handbook of CCD Astronomy*, section 4.4; the
    polynomial: IRAF's ``irlincor``.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.kernels.calibrate import Bits, calibrate
    >>> raw = np.array([[1100, 65535]], dtype=np.uint16)
    >>> result = calibrate(raw, bias=100.0, gain=2.0, read_noise=10.0, saturation=65535,
    ...                    bits=Bits(saturated=2, low_flat=4, no_data=32))
    >>> result.data, result.flags
    (array([[  2000., 130870.]], dtype=float32), array([[0, 2]], dtype=uint8))
    >>> np.sqrt(result.variance[0, 0])  # of 2000 electron and a read noise of 10
    np.float32(45.825756)
    """
    raw = np.asarray(raw)
    if raw.ndim != 2:
        raise ValueError(f"a frame has two axes (ny, nx), but this one has shape {raw.shape}")
    if read_noise is not None and (variance is not None or gain is None):
        raise ValueError(
            "read_noise makes the variance from the signal: it needs a gain, and no variance"
        )
    terms = _Terms(
        level=level,
        level_variance=level_variance,
        bias=bias,
        bias_variance=bias_variance,
        dark=dark,
        dark_variance=dark_variance,
        gain=gain,
        read_noise=read_noise,
        flat=flat,
        flat_variance=flat_variance,
        variance=variance,
        saturation=saturation,
    )
    terms = _Terms(*(_fitting(n, t, raw.shape) for n, t in zip(_Terms._fields, terms, strict=True)))
    bits_to_set = Bits() if bits is None else bits
    rules = _Rules(dark_scale, shared_bias, linearity, flat_min, apply_gain, bits_to_set)
    with_variance = variance is not None or read_noise is not None
    data = np.empty(raw.shape, np.float32)
    out_variance = np.empty(raw.shape, np.float32) if with_variance else None
    out_flags = _first_flags(flags, raw.shape, wanted=bits is not None)
    # errstate belongs to the thread; what is not finite is looked for, not warned of
    with np.errstate(all="ignore"):
        for band in _bands(raw.shape):
            tile = Calibrated(
                *(None if a is None else a[band] for a in (data, out_variance, out_flags))
            )
            _calibrate_tile(raw[band], _rows(terms, band), rules, tile)
            if bits is not None:
                _flag_not_finite(tile, bits.no_data)
    return Calibrated(data, out_variance, out_flags)


def _fitting(name: str, term: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the term as an array of two dimensions that broadcasts to the frame."""
    if term is None:
        return None
    array = np.asarray(term)
    if array.ndim > 2 or any(
        have not in (1, want) for have, want in zip(array.shape[::-1], shape[::-1], strict=False)
    ):
        raise ValueError(f"{name} has shape {array.shape} but the frame has {shape} (ny, nx)")
    return np.atleast_2d(array)


def _first_flags(
    flags: np.ndarray | None, shape: tuple[int, ...], *, wanted: bool
) -> np.ndarray | None:
    """Return the flags that the result starts with: a copy, zeros, or None."""
    if flags is None:
        return np.zeros(shape, np.uint8) if wanted else None
    if np.shape(flags) != shape:
        raise ValueError(f"flags have shape {np.shape(flags)} but the frame has {shape} (ny, nx)")
    return np.array(flags, dtype=np.uint8)


def _bands(shape: tuple[int, ...]) -> list[slice]:
    """Return slices of rows, as many as a tile holds."""
    ny, nx = shape
    rows = max(1, TILE_PIXELS // max(nx, 1))
    return [slice(start, min(start + rows, ny)) for start in range(0, ny, rows)]


def _rows(terms: _Terms, band: slice) -> _Terms:
    """Return the part of each term that belongs to a band of rows."""
    return _Terms(*(t if t is None or len(t) == 1 else t[band] for t in terms))


def _calibrate_tile(raw: np.ndarray, terms: _Terms, rules: _Rules, out: Calibrated) -> None:
    """Calibrate one tile into the views `out`."""
    signal = out.data
    signal[...] = raw
    if terms.saturation is not None and rules.bits.saturated:
        # two bytes are exact in float32, which is the quicker to compare
        exact = raw if raw.dtype.itemsize > 2 else signal
        _set_bit(out.flags, exact >= terms.saturation, rules.bits.saturated)
    for pedestal in (terms.level, terms.bias):
        if pedestal is not None:
            signal -= _single(pedestal)
    if rules.linearity is not None:
        signal *= _polynomial(rules.linearity, signal)
    if out.variance is not None:
        _set_variance(signal, terms, rules, out.variance)
    if terms.dark is not None:
        signal -= _times(terms.dark, rules.dark_scale)
    _apply_gain_and_flat(terms, rules, out)


def _single(values: ArrayLike) -> np.ndarray:
    """Return native float32, copying only when it is something else."""
    return np.asarray(values, dtype=np.float32)


def _times(values: ArrayLike, factor: float) -> np.ndarray:
    """Return the product in float32, without a copy where the factor is 1."""
    return _single(values) if factor == 1 else _single(values) * np.float32(factor)


def _polynomial(coefficients: Sequence[float], signal: np.ndarray) -> np.ndarray:
    """Return c0 + c1 S + c2 S^2 ... by Horner's rule."""
    value = np.full_like(signal, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value *= signal
        value += np.float32(coefficient)
    return value


def _set_variance(signal: np.ndarray, terms: _Terms, rules: _Rules, out: np.ndarray) -> None:
    """Write into `out` the variance in adu2 after the dark; `signal` is the one before it."""
    if terms.variance is not None:
        out[...] = terms.variance
    else:
        np.maximum(signal, 0, out=out)
        out *= _single(1 / terms.gain)
        out += _single((terms.read_noise / terms.gain) ** 2)
    scale = rules.dark_scale
    shared = rules.shared_bias and terms.dark_variance is not None
    bias_share = (terms.bias is not None) - (2 * scale if shared else 0)
    parts = (
        (terms.level_variance, 1),
        (terms.bias_variance, bias_share),
        (terms.dark_variance, scale**2),
    )
    for part, factor in parts:
        if part is not None and factor != 0:
            out += _times(part, factor)
    if shared:  # the difference of two rounded terms
        np.maximum(out, 0, out=out)


def _apply_gain_and_flat(terms: _Terms, rules: _Rules, out: Calibrated) -> None:
    """Multiply by gain / flat (by the gain alone where the flat is too low, which is flagged)."""
    gain = terms.gain if terms.gain is not None and rules.apply_gain else None
    if gain is None and terms.flat is None:
        return
    gain = _single(1.0 if gain is None else gain)
    factor, low = gain, None
    if terms.flat is not None:
        flat = _single(terms.flat)
        low = ~(flat >= rules.flat_min)
        if low.any():
            flat = np.where(low, np.float32(1), flat)
        factor = gain / flat
        _set_bit(out.flags, low, rules.bits.low_flat)
    out.data[...] *= factor
    if out.variance is None:
        return
    if low is not None and terms.flat_variance is not None:
        flat_part = out.data * out.data
        flat_part *= _single(terms.flat_variance)
        flat_part *= 1 / gain**2  # the factor, squared, brings it back
        flat_part[low] = 0
        out.variance[...] += flat_part
    out.variance[...] *= factor
    out.variance[...] *= factor


def _set_bit(flags: np.ndarray | None, where: np.ndarray, bit: int) -> None:
    """Set a bit in the (few) pixels where it applies."""
    if bit and where.any():
        flags[where] |= np.uint8(bit)


def _flag_not_finite(tile: Calibrated, no_data: int) -> None:
    """Replace what is not finite by 0, and flag it."""
    planes = [tile.data] if tile.variance is None else [tile.data, tile.variance]
    finite = np.isfinite(planes[0])
    for plane in planes[1:]:
        finite &= np.isfinite(plane)
    if finite.all():
        return
    for plane in planes:
        plane[~finite] = 0
    tile.flags[~finite] |= np.uint8(no_data)

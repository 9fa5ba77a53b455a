"""The numpy twin of the compiled calibration: the same operations, in the same order.

For each pixel, in float32 except where it is said (every operation is rounded)::

    w = bscale raw + bzero              float64 if the raw values need it, then rounded
    saturated if w >= saturation        before that rounding
    x = w - level - bias
    x = x (c0 + x (c1 + x (c2 ...)))
    v = variance, or max(x, 0) (1 / gain) + (read_noise / gain)^2
    v = v + level_variance
    v = max(v + masters_variance, 0)    that may be negative
    x = x - dark dark_scale
    f = gain / flat, or gain where the flat is low
    x = x f
    v = ((v + x x flat_sigma^2 (1 / gain^2)) f) f     the second term 0 where the flat is low
    v = sqrt(v)                         when the deviation is wanted

Terms that are absent are left out.
"""

from typing import NamedTuple

import numpy as np

TILE_PIXELS = 1 << 17  # half a MiB of float32: a band's temporaries stay in a core's own cache
_ALL = slice(None)

Plane = np.ndarray | None


class Terms(NamedTuple):
    """The terms of the equation: float32, shape ``(ny | 1, nx | 1)``, None where absent.

    The saturation is float64 where the raw values are wide.
    """

    level: Plane
    level_variance: Plane
    bias: Plane
    dark: Plane
    masters_variance: Plane
    gain: Plane
    read_noise: Plane
    flat: Plane
    flat_sigma: Plane
    variance: Plane
    saturation: Plane


class Rules(NamedTuple):
    """The choices that hold for every pixel alike."""

    wide: bool
    bscale: float
    bzero: float
    dark_scale: float
    linearity: Plane
    flat_min: float
    apply_gain: bool
    saturated: int
    low_flat: int
    no_data: int
    clean: bool
    deviation: bool


class Planes(NamedTuple):
    """The arrays that are filled, shape ``(ny, nx)``: float32, float32 or None, uint8 or None."""

    data: np.ndarray
    variance: Plane
    flags: Plane


def calibrate(
    raw: np.ndarray, terms: Terms, flags: tuple[np.ndarray, ...], rules: Rules, out: Planes
) -> None:
    """Calibrate a frame into `out`, a band of rows at a time."""
    ny, nx = raw.shape
    rows = max(1, TILE_PIXELS // max(nx, 1))
    # errstate belongs to the thread; what is not finite is looked for, not warned of
    with np.errstate(all="ignore"):
        for start in range(0, ny, rows):
            band = slice(start, start + rows)
            tile = Planes(*(None if plane is None else plane[band] for plane in out))
            if tile.flags is not None:
                tile.flags[...] = 0
                for plane in flags:
                    tile.flags[...] |= part_of(plane, band)
            _calibrate_tile(raw[band], Terms(*(part_of(t, band) for t in terms)), rules, tile)


def part_of(plane: Plane, rows: slice, columns: slice = _ALL) -> Plane:
    """Return some rows and columns of a plane; of an axis where one value serves all, that."""
    if plane is None:
        return None
    plane = plane if plane.shape[0] == 1 else plane[rows]
    return plane if columns is _ALL or plane.shape[1] == 1 else plane[:, columns]


def _calibrate_tile(raw: np.ndarray, terms: Terms, rules: Rules, out: Planes) -> None:
    """Calibrate one tile into the views `out`, whose flags are those that it has already."""
    signal = out.data
    _load(raw, terms.saturation, rules, out)
    for pedestal in (terms.level, terms.bias):
        if pedestal is not None:
            signal -= pedestal
    if rules.linearity is not None:
        signal *= _polynomial(rules.linearity, signal)
    if out.variance is not None:
        _set_variance(signal, terms, rules, out.variance)
    if terms.dark is not None:
        signal -= _times(terms.dark, rules.dark_scale)
    _apply_gain_and_flat(terms, rules, out)
    if rules.clean:
        _flag_not_finite(out, rules.no_data)
    if rules.deviation and out.variance is not None:
        np.sqrt(out.variance, out=out.variance)


def _load(raw: np.ndarray, saturation: Plane, rules: Rules, out: Planes) -> None:
    """Write the raw values into `out`, and flag those that are saturated."""
    physical = raw
    if rules.wide:
        physical = raw.astype(float)
        if rules.bscale != 1 or rules.bzero != 0:
            physical *= rules.bscale
            physical += rules.bzero
    out.data[...] = physical
    if not rules.wide:
        physical = out.data
        if rules.bzero != 0:
            physical += np.float32(rules.bzero)
    if saturation is not None:
        _set_bit(out.flags, physical >= saturation, rules.saturated)


def _times(values: np.ndarray, factor: float) -> np.ndarray:
    """Return the product in float32, without a copy where the factor is 1."""
    return values if factor == 1 else values * np.float32(factor)


def _polynomial(coefficients: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return c0 + c1 S + c2 S^2 ... by Horner's rule."""
    value = np.full_like(signal, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= signal
        value += coefficient
    return value


def _set_variance(signal: np.ndarray, terms: Terms, rules: Rules, out: np.ndarray) -> None:
    """Write into `out` the variance in adu2 after the dark; `signal` is the one before it."""
    if terms.variance is not None:
        out[...] = terms.variance
    else:
        np.maximum(signal, 0, out=out)
        out *= 1 / terms.gain
        out += (terms.read_noise / terms.gain) ** 2
    if terms.level_variance is not None:
        out += terms.level_variance
    if terms.masters_variance is not None:
        out += terms.masters_variance
        np.maximum(out, 0, out=out)


def _apply_gain_and_flat(terms: Terms, rules: Rules, out: Planes) -> None:
    """Multiply by gain / flat (by the gain alone where the flat is too low, which is flagged)."""
    if not rules.apply_gain and terms.flat is None:
        return
    gain = terms.gain if rules.apply_gain else np.ones((1, 1), np.float32)
    factor, low = gain, None
    if terms.flat is not None:
        flat = terms.flat
        low = ~(flat >= np.float32(rules.flat_min))
        if low.any():
            flat = np.where(low, np.float32(1), flat)
        factor = gain / flat
        _set_bit(out.flags, low, rules.low_flat)
    out.data[...] *= factor
    if out.variance is None:
        return
    if low is not None and terms.flat_sigma is not None:
        flat_part = out.data * out.data
        flat_part *= np.square(terms.flat_sigma)
        flat_part *= 1 / (gain * gain)  # the factor, squared, brings it back
        flat_part[np.broadcast_to(low, flat_part.shape)] = 0
        out.variance[...] += flat_part
    out.variance[...] *= factor
    out.variance[...] *= factor


def _set_bit(flags: Plane, where: np.ndarray, bit: int) -> None:
    """Set a bit in the (few) pixels where it applies."""
    if bit and where.any():
        flags[np.broadcast_to(where, flags.shape)] |= np.uint8(bit)


def _flag_not_finite(tile: Planes, no_data: int) -> None:
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

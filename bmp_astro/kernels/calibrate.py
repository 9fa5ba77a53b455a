"""The arithmetic that turns a raw frame into a calibrated one, in one pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bmp_astro.kernels import calibrate_numpy
from bmp_astro.kernels.calibrate_numpy import Planes, Rules, Terms, part_of
from bmp_astro.kernels.compiled import module, real_numbers
from bmp_astro.kernels.outputs import outputs

_calibrate = calibrate_numpy.calibrate if module is None else module.calibrate
_EXACT_SINGLE = 2**23


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


class Prepared(NamedTuple):
    """A raw frame and what is to be done to it, all of it checked; made by `prepare`."""

    raw: np.ndarray
    terms: Terms
    flags: tuple[np.ndarray, ...]
    rules: Rules
    has_flags: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the frame, ``(ny, nx)``."""
        return self.raw.shape

    @property
    def has_variance(self) -> bool:
        """Whether the terms tell the variance of the result."""
        return self.terms.variance is not None or self.terms.read_noise is not None

    def part(self, rows: slice, columns: slice) -> "Prepared":
        """Return some rows and columns of the frame."""
        terms = Terms(*(part_of(term, rows, columns) for term in self.terms))
        flags = tuple(part_of(plane, rows, columns) for plane in self.flags)
        return Prepared(self.raw[rows, columns], terms, flags, self.rules, self.has_flags)


def calibrate(raw: np.ndarray, *, out: Calibrated | None = None, **terms: Any) -> Calibrated:
    """Calibrate a frame, or any band of rows of one.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The pixels, adu, ``(ny, nx)``.
    out : `Calibrated`, optional
        Arrays to fill, of the shape and dtypes that are returned, in whose rows neighbors are
        contiguous. They share no memory with an input.
    **terms
        What is done to it: see `prepare`.

    Returns
    -------
    `Calibrated`
        ``data`` and ``variance`` are float32, in electron and electron2 where a gain was applied,
        else in adu and adu2. ``variance`` is None where neither ``variance`` nor ``read_noise``
        is given; ``flags`` is uint8, or None where neither ``flags`` nor ``bits`` is given.

    Raises
    ------
    ValueError, TypeError
        As `prepare` has it, and when ``out`` does not fit the frame.

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
    frame = prepare(raw, **terms)
    wanted = {
        "data": np.float32,
        "variance": np.float32 if frame.has_variance else None,
        "flags": np.uint8 if frame.has_flags else None,
    }
    inputs = [frame.raw, *frame.terms, *frame.flags]
    result = Calibrated(*outputs(out, wanted, frame.shape, inputs))
    _calibrate(frame.raw, frame.terms, frame.flags, frame.rules, Planes(*result))
    return result


def prepare(
    raw: np.ndarray,
    *,
    level: ArrayLike | None = None,
    level_variance: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    dark: ArrayLike | None = None,
    dark_scale: float = 1.0,
    masters_variance: ArrayLike | None = None,
    linearity: Sequence[float] | None = None,
    gain: ArrayLike | None = None,
    apply_gain: bool = True,
    read_noise: ArrayLike | None = None,
    flat: ArrayLike | None = None,
    flat_sigma: ArrayLike | None = None,
    flat_min: float = 0.1,
    variance: ArrayLike | None = None,
    flags: np.ndarray | Sequence[np.ndarray] | None = None,
    saturation: ArrayLike | None = None,
    bits: Bits | None = None,
    deviation: bool = False,
    bscale: float = 1.0,
    bzero: float = 0.0,
) -> Prepared:
    r"""Check how a frame, or any band of rows of one, is to be calibrated; any term may be absent.

    With :math:`S` the linearized signal after overscan level and bias, :math:`s` the scale of the
    dark :math:`D`, :math:`g` the gain, :math:`R` the read noise and :math:`F` the flat,

    .. math::

        x        &= g (S - s D) / F \\
        V        &= \max(S, 0) / g + R^2 / g^2 + V_{os} + V_M \\
        \sigma^2 &= g^2 V / F^2 + x^2 V_F / F^2

    :math:`V_M` is what the bias and the dark add: see
    `~bmp_astro.kernels.masters_variance.masters_variance`.

    Parameters
    ----------
    raw : `~numpy.ndarray`
        The pixels, adu, ``(ny, nx)``, of any integer or floating dtype, byte order and strides.
        Neither this nor any other input is changed.
    level, level_variance : array-like, optional
        Overscan level, adu, and its variance: a number, ``(ny, 1)``, ``(1, nx)`` or ``(ny, nx)``.
    bias, dark : array-like, optional
        Master bias and master dark, adu.
    dark_scale : float
        What the dark is multiplied by.
    masters_variance : array-like, optional
        Variance, adu2, that the two of them add. It may be negative where that of the frame has
        something of theirs already; the sum of both is then 0 at least.
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
    flat, flat_sigma : array-like, optional
        Master flat, dimensionless, normalized, and its standard deviation.
    flat_min : float
        Where the flat is lower (or not a number) the pixel is divided by 1 and flagged.
    variance : array-like, optional
        Variance of the raw pixels, adu2, where it is known already: it is propagated.
    flags : `~numpy.ndarray` of uint8 or sequence of them, optional
        Mask bits that the pixels have already; up to eight planes are joined.
    saturation : array-like, optional
        Raw pixels at or above it, adu, are flagged.
    bits : `Bits`, optional
        The bits to set. Without it nothing is flagged, and values that are not finite stay.
        With it they become 0 (and so does their variance) and get the bit ``no_data``.
    deviation : bool
        The square root of the variance is wanted: ``variance`` in the result is then the standard
        deviation.
    bscale, bzero : float
        The value of a pixel is ``bscale * raw + bzero``: for what a FITS file stores.

    Returns
    -------
    `Prepared`
        For `calibrate` and for `~bmp_astro.kernels.combine.combine`.

    Raises
    ------
    ValueError
        When a term has a shape that does not fit, or terms contradict each other.
    TypeError
        When the raw values are not real numbers.

    Notes
    -----
    The variance of a CCD's pixel: Howell (2006), *Handbook of CCD Astronomy*, section 4.4; the
    polynomial: IRAF's ``irlincor``. Every operation is in float32; the module
    `bmp_astro.kernels.calibrate_numpy` states their order, to which the result is reproducible
    bit by bit, whether compiled or not.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.kernels.calibrate import prepare
    >>> prepare(np.zeros((2, 3)), bias=100.0).shape
    (2, 3)
    """
    raw = real_numbers(raw)
    if raw.ndim != 2:
        raise ValueError(f"a frame has two axes (ny, nx), but this one has shape {raw.shape}")
    if read_noise is not None and (variance is not None or gain is None):
        raise ValueError(
            "read_noise makes the variance from the signal: it needs a gain, and no variance"
        )
    wide = _is_wide(raw.dtype, bscale, bzero)
    bits_to_set = Bits() if bits is None else bits
    planes = {
        "level": level,
        "level_variance": level_variance,
        "bias": bias,
        "dark": dark,
        "masters_variance": masters_variance,
        "gain": gain,
        "read_noise": read_noise,
        "flat": flat,
        "flat_sigma": flat_sigma,
        "variance": variance,
    }
    with np.errstate(all="ignore"):
        terms = Terms(
            **{
                name: None if term is None else _fitting(name, term, raw.shape)
                for name, term in planes.items()
            },
            saturation=_saturation(saturation if bits_to_set.saturated else None, raw.shape, wide),
        )
        planes_of_flags = _flags(flags, raw.shape)
        coefficients = None if linearity is None else _coefficients(linearity)
    rules = Rules(
        wide,
        bscale,
        bzero,
        dark_scale,
        coefficients,
        flat_min,
        apply_gain and gain is not None,
        *bits_to_set,
        bits is not None,
        deviation,
    )
    return Prepared(raw, terms, planes_of_flags, rules, flags is not None or bits is not None)


def _is_wide(dtype: np.dtype, bscale: float, bzero: float) -> bool:
    """Return whether float32 cannot hold every value of a frame exactly."""
    if not np.can_cast(dtype, np.float32) or bscale != 1:
        return True
    return bzero != 0 and (
        dtype.kind == "f" or abs(bzero) >= _EXACT_SINGLE or not float(bzero).is_integer()
    )


def _fitting(name: str, term: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Return the term as a float32 array of two axes that broadcasts to the frame."""
    array = np.asarray(term, np.float32)
    if array.ndim < 2:
        array = array.reshape(1, -1)
    if array.ndim > 2 or array.shape[0] not in (1, shape[0]) or array.shape[1] not in (1, shape[1]):
        raise ValueError(f"{name} has shape {np.shape(term)} but the frame has {shape} (ny, nx)")
    return array if array.flags.aligned else array.copy()


def _saturation(level: ArrayLike | None, shape: tuple[int, ...], wide: bool) -> np.ndarray | None:
    """Return the least value that is saturated, in the precision in which pixels are compared."""
    if level is None:
        return None
    exact = np.asarray(level, dtype=float)
    single = _fitting("saturation", exact, shape)
    if wide:
        return np.require(np.atleast_2d(exact), requirements="A")
    return np.where(single < exact, np.nextafter(single, np.float32(np.inf)), single)


def _coefficients(linearity: Sequence[float]) -> np.ndarray:
    """Return the coefficients in float32."""
    coefficients = np.array(linearity, dtype=np.float32)
    if coefficients.ndim != 1 or coefficients.size == 0:
        raise ValueError(f"linearity={linearity!r}: expected coefficients c0, c1, ...")
    return coefficients


def _flags(
    flags: np.ndarray | Sequence[np.ndarray] | None, shape: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """Return the planes of flags that the result starts with, without those that say nothing."""
    if flags is None:
        return ()
    planes = (flags,) if isinstance(flags, np.ndarray) else tuple(flags)
    for plane in planes:
        if np.shape(plane) != shape:
            raise ValueError(
                f"flags have shape {np.shape(plane)} but the frame has {shape} (ny, nx)"
            )
    return tuple(np.asarray(plane, dtype=np.uint8) for plane in planes if not _is_empty(plane))


def _is_empty(plane: np.ndarray) -> bool:
    """Tell of a plane that repeats one byte, as that of most masters does, that it has no bit."""
    return plane.strides == (0, 0) and not plane[:1, :1].any()

"""Correct a response that is not linear."""

import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import Table

from ..fits import Keyword, MaskBit, add_history, flags_of, set_card
from ..kernels.calibrate import Bits, Calibrated
from ..kernels.calibrate import calibrate as run_kernel
from .image import joined_flags, remade, variance_of
from .provenance import is_done

logger = logging.getLogger(__name__)

_LIMIT = Keyword("MAXLIN", kind=float)
_LIMITS = ("SATURATE", "SATLEVEL", "MAXLIN")
_PIXELS = 2**20  # of a band of rows


class Response(NamedTuple):
    """The factor that linearizes a signal, by its powers or by a table; its limit, adu, if any."""

    coefficients: np.ndarray | None
    signal: np.ndarray | None
    factor: np.ndarray | None
    limit: float

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the linearized signal, float64."""
        if self.coefficients is not None:
            return signal * np.polynomial.polynomial.polyval(signal, self.coefficients)
        return signal * np.interp(signal, self.signal, self.factor)

    def slope(self, signal: np.ndarray) -> np.ndarray:
        """Return the derivative of the linearized signal."""
        if self.coefficients is not None:
            powers = np.arange(1, self.coefficients.size + 1)
            return np.polynomial.polynomial.polyval(signal, self.coefficients * powers)
        step = np.maximum(np.abs(signal) * 1e-3, 1.0)
        return (self(signal + step) - self(signal - step)) / (2 * step)


def correct_linearity(
    ccd: CCDData, linearity: Any = None, instrument: Any = None, **kwargs: Any
) -> CCDData:
    r"""Correct a response that is not linear: after the bias, before the dark.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The frame, adu, ``(ny, nx)``, without overscan level and bias. It is not changed.
    linearity : sequence of float, array, `~astropy.table.Table` or path-like
        Coefficients :math:`c_0, c_1, \ldots` of the corrected signal
        :math:`S (c_0 + c_1 S + c_2 S^2 + \ldots)`; or a table of signals as measured and as they
        should be, adu without bias: an array of two columns, a `~astropy.table.Table`, or a file
        that `~astropy.table.Table` reads, the columns in that order. Between its lines the ratio
        of the two is interpolated.
    instrument : Instrument or str, optional
        Not used.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The corrected frame, float32. Pixels above the last line of a table, or above ``MAXLIN`` in
        the header, get `MaskBit.NON_LINEAR`. An uncertainty that the frame has is propagated;
        ``SATURATE`` and ``MAXLIN`` are corrected as the pixels are, and ``LINCORR`` is true.

    Raises
    ------
    ValueError
        If there is no correction, it makes no sense, the frame is not in adu or is corrected
        already.

    Notes
    -----
    The polynomial is that of IRAF's ``irlincor`` with the signal in adu. Photon noise follows the
    corrected signal, since it is there before the response acts on it; so the uncertainty should
    be made after this step.

    Examples
    --------
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.steps import correct_linearity
    >>> ccd = CCDData([[1000.0, 50_000.0]], unit="adu", meta={"MAXLIN": 45_000, "CALSTAT": "B"})
    >>> linear = correct_linearity(ccd, linearity=[1.0, 1e-6])
    >>> linear.data, linear.flags
    (array([[ 1001., 52500.]], dtype=float32), array([[ 0, 16]], dtype=uint8))
    >>> linear.header["MAXLIN"]
    47025.0
    """
    if linearity is None:
        raise ValueError(
            "no linearity correction is given: give linearity=, coefficients or a table"
        )
    if ccd.unit != u.adu:
        raise ValueError(f"the frame is in {ccd.unit} but its linearity is a matter of adu")
    if ccd.header.get("LINCORR") in (True, "T"):
        raise ValueError("the header says that linearity is corrected already (LINCORR = T)")
    response = response_of(linearity)
    frame = remade(ccd)
    limit = limit_of(response, ccd.header)
    linear, beyond = linearized(ccd.data, response, limit)
    sigma = ccd.uncertainty
    if sigma is not None:
        slope = np.abs(response.slope(ccd.data.astype(float)))
        sigma = StdDevUncertainty((np.sqrt(variance_of(ccd)) * slope).astype(np.float32))
    flags = flags_of(ccd) if not beyond.any() else joined_flags(flags_of(ccd), beyond)
    record_linearity(frame.header, response)
    return remade(frame, data=linear, uncertainty=sigma, flags=flags)


def response_of(linearity: Any) -> Response:
    """Return what a control keyword says; ValueError where it makes no sense."""
    if isinstance(linearity, Response):
        return linearity
    if isinstance(linearity, str | os.PathLike):
        name = os.fspath(linearity)
        linearity = Table.read(name, format="ascii.ecsv" if name.endswith(".ecsv") else "ascii")
    if isinstance(linearity, Table):
        linearity = np.transpose([linearity[name] for name in linearity.colnames[:2]])
    numbers = np.asarray(linearity, dtype=float)
    if not (np.isfinite(numbers).all() and numbers.size):
        raise ValueError(f"linearity is {linearity!r} but must be finite numbers")
    if numbers.ndim == 1:
        return Response(numbers, None, None, np.inf)
    if numbers.ndim != 2 or numbers.shape[1] != 2:
        raise ValueError(
            f"linearity has shape {numbers.shape}: expected coefficients, or a table of two columns"
        )
    measured, true = numbers[numbers[:, 0] != 0].T  # no signal is no signal
    if not (measured.size and (measured > 0).all() and (true > 0).all()):
        raise ValueError("the signals of a linearity table must be greater than 0")
    if not (np.diff(measured) > 0).all() or not (np.diff(true) > 0).all():
        raise ValueError("the signals of a linearity table must rise from line to line")
    return Response(None, measured, true / measured, float(measured[-1]))


def limit_of(response: Response, header: Any) -> float:
    """Return the signal, adu, above which the response is not known."""
    said = _LIMIT.read(header)
    return response.limit if said is None else min(response.limit, said)


def linearized(
    signal: np.ndarray, response: Response, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a signal corrected, float32, and the bits of the pixels beyond the limit."""
    linear = np.empty(signal.shape, np.float32)
    rows = max(1, _PIXELS // max(signal.shape[1], 1))
    for start in range(0, signal.shape[0], rows):
        band = slice(start, start + rows)
        linear[band] = response(signal[band].astype(float))
    return linear, (signal > limit) * np.uint8(MaskBit.NON_LINEAR)


def record_linearity(header: fits.Header, response: Response) -> None:
    """Write that linearity is corrected, and correct the limits in the same way."""
    if not (is_done(header, "B") or "OSCANLEV" in header):
        logger.warning("linearity is corrected although no bias or overscan is subtracted")
    for name in _LIMITS:
        level = Keyword(name, kind=float).read(header)
        if level is not None:
            set_card(header, name, float(response(np.array(level))))
    set_card(header, "LINCORR", True, "linearity is corrected")
    if response.coefficients is not None:
        words = "coefficients " + ", ".join(f"{number:.6g}" for number in response.coefficients)
    else:
        words = f"a table of {response.signal.size} lines up to {response.limit:.6g} adu"
    add_history(header, f"linearity corrected by {words}")


def linear_kernel(linearity: Any, header: fits.Header) -> Callable[..., Calibrated]:
    """Return a `bmp_astro.kernels.calibrate` that corrects linearity, and write so in the header.

    It takes bits and flags, and no variances.
    """
    response = response_of(linearity)
    limit = limit_of(response, header)
    record_linearity(header, response)
    before = ("level", "bias", "saturation", "bscale", "bzero", "flags")

    def kernel(raw: np.ndarray, *, bits: Bits, **terms: Any) -> Calibrated:
        early = {name: terms.pop(name) for name in before if name in terms}
        signal = run_kernel(raw, bits=bits, **early)
        linear, beyond = linearized(signal.data, response, limit)
        return run_kernel(linear, bits=bits, flags=[signal.flags, beyond], **terms)

    return kernel


def note_other_linearity(header: Any, *masters: Any) -> None:
    """Note where a frame and its dark or flat are not corrected alike."""
    own = header.get("LINCORR") in (True, "T")
    for master in masters:
        if master is not None and (master.ccd.header.get("LINCORR") in (True, "T")) != own:
            logger.warning(
                "the linearity of the frame is %scorrected, but that of %s is %s",
                "" if own else "not ",
                master.name,
                "not" if own else "corrected",
            )

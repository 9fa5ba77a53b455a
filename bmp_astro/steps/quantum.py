"""The step between the values of a frame: cameras put 12 or 14 bits into the upper part of 16."""

import numpy as np

_STEPS = tuple(2.0**bits for bits in range(1, 9))
_ROWS = 4
_A_FEW = 256
_FEWEST_PIXELS, _FEWEST_VALUES = 64, 5  # fewer may have a common divisor by chance


def quantum_of(pixels: np.ndarray) -> float:
    """Return the step between values: their greatest common divisor, 0 where they are not integers.

    Cameras that put 12 or 14 bits into the upper part of 16 have steps of 16 or 4.
    """
    if pixels.dtype.kind not in "ui" or pixels.size == 0:
        return 0.0
    values = pixels.reshape(-1)
    step = 0
    for some in (values[:_A_FEW], values):  # a few are enough where the step is 1
        wide = some.astype(np.int64)
        step = int(np.gcd.reduce(wide - wide[0]))
        if step == 1:
            break
    return float(max(step, 1))


def shifted_step(pixels: np.ndarray) -> float:
    """Return the step of a camera that leaves the lowest bits empty, 1 for others.

    It is looked for in some rows in the middle.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.steps.quantum import shifted_step
    >>> twelve_bits = np.random.default_rng(1).poisson(100, (20, 30)).astype(np.uint16)
    >>> shifted_step(twelve_bits), shifted_step(twelve_bits << 4)
    (1.0, 16.0)
    """
    middle = max((len(pixels) - _ROWS) // 2, 0)
    some = np.asarray(pixels[middle : middle + _ROWS])
    step = quantum_of(some.astype(some.dtype.newbyteorder("=")))
    if step not in _STEPS or some.size < _FEWEST_PIXELS:
        return 1.0
    return step if np.unique(some).size >= _FEWEST_VALUES else 1.0


def highest_value(pixels: np.ndarray) -> float:
    """Return the largest value that pixels of an integer type can have, in their steps."""
    highest = np.iinfo(pixels.dtype).max
    step = int(shifted_step(pixels))
    return float(highest - (highest - int(pixels[:1].max(initial=0))) % step)


def quantization_variance(step: float) -> float:
    """Return the variance, adu2, of values that are rounded to a step of more than 1 adu.

    That of 1 adu is in the read noise as it is told of a camera.
    """
    return step**2 / 12 if step in _STEPS else 0.0

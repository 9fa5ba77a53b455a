"""The compiled kernels, where there are any, and the arrays that they take."""

import logging
import os
from importlib import import_module
from types import ModuleType

import numpy as np

logger = logging.getLogger(__name__)
_CHOICE = "BMP_ASTRO_KERNELS"


def load() -> ModuleType | None:
    """Return the compiled module; None where numpy is asked for, or there is no such module.

    ``BMP_ASTRO_KERNELS=numpy`` in the environment asks for it.  That there is none is said by the
    first process of a run; those that it starts inherit the choice, and are silent.
    """
    if os.environ.get(_CHOICE) == "numpy":
        return None
    try:
        return import_module("bmp_astro.kernels._kernels")
    except ImportError as error:
        logger.warning(
            "the compiled kernels are not there (%s): their numpy twins are used, which give the "
            "same results but take several times as long; install again with a C compiler",
            error,
        )
        os.environ[_CHOICE] = "numpy"
        return None


module = load()
implementation = "numpy" if module is None else "C"


def real_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array as the kernels load it, copied only if it is of an unusual kind.

    They load aligned integers of 1 to 8 bytes and floats of 4 and 8, of either byte order and
    any strides.  TypeError for what is not real.
    """
    array = np.asarray(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "buif":
        raise TypeError(f"expected real numbers, but the dtype is {array.dtype}")
    if kind == "b":
        array = array.view(np.uint8)
    elif kind == "f" and size not in (4, 8):
        array = array.astype(np.float32 if size < 4 else np.float64)
    return np.require(array, requirements="A")

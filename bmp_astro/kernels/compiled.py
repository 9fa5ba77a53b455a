"""The compiled kernels, where there are any: the choice between C and numpy."""

import logging
import os
from types import ModuleType

logger = logging.getLogger(__name__)


def load() -> ModuleType | None:
    """Return the compiled module; None where numpy is asked for, or there is no such module.

    ``BMP_ASTRO_KERNELS=numpy`` in the environment asks for it.
    """
    if os.environ.get("BMP_ASTRO_KERNELS") == "numpy":
        return None
    try:
        from bmp_astro.kernels import _kernels
    except ImportError as error:
        logger.warning(
            "the compiled kernels are not there (%s): their numpy twins are used, which give the "
            "same results but take several times as long; install again with a C compiler",
            error,
        )
        return None
    return _kernels


module = load()
implementation = "numpy" if module is None else "C"

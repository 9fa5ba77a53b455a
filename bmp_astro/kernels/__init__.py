"""The hot loops: arrays in, arrays out; compiled where there was a compiler, else in numpy.

`implementation` says which: ``"C"`` or ``"numpy"``.
"""

from bmp_astro.kernels.calibrate import Bits, Calibrated, Prepared, calibrate, prepare
from bmp_astro.kernels.combine import Combined, combine
from bmp_astro.kernels.compiled import implementation
from bmp_astro.kernels.masters_variance import masters_variance
from bmp_astro.kernels.noise import Noise, pooled_noise

__all__ = [
    "Bits",
    "Calibrated",
    "Combined",
    "Noise",
    "Prepared",
    "calibrate",
    "combine",
    "implementation",
    "masters_variance",
    "pooled_noise",
    "prepare",
]

"""The hot loops: arrays in, arrays out."""

from bmp_astro.kernels.calibrate import Bits, Calibrated, calibrate
from bmp_astro.kernels.combine import Combined, combine
from bmp_astro.kernels.noise import Noise, pooled_noise

__all__ = [
    "Bits",
    "Calibrated",
    "Combined",
    "Noise",
    "calibrate",
    "combine",
    "pooled_noise",
]

"""The hot loops: arrays in, arrays out."""

from bmp_astro.kernels.calibrate import Bits, Calibrated, calibrate

__all__ = ["Bits", "Calibrated", "calibrate"]

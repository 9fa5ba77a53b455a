"""A small realistic night, written as raw FITS files, together with the truth behind it.

The detector has a bias pedestal that drifts slowly down the rows, column structure, dark current
with hot pixels and a glowing corner, vignetting, dust rings and pixel response. The frames have
stars, sky, cosmic rays, photon and read noise, and headers such as MaxIm DL writes. A few bad
files are among them, as in any night. Equal seeds give equal files, byte for byte.

Arrays have shape ``(ny, nx)``; coordinates are 0-based pixels, as in ``array[y, x]``.
"""

from .amplifiers import SimulatedAmplifier
from .detector import Detector, make_detector, simulate_frame
from .frame import SimulatedFrame
from .night import SimulatedNight, simulate_night
from .sky import cosmic_ray_tracks, make_stars, star_image

__all__ = [
    "Detector",
    "SimulatedAmplifier",
    "SimulatedFrame",
    "SimulatedNight",
    "cosmic_ray_tracks",
    "make_detector",
    "make_stars",
    "simulate_frame",
    "simulate_night",
    "star_image",
]

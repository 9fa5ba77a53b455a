"""The steps of a calibration: plain functions from CCDData to CCDData."""

from .alarms import raise_alarms
from .background import subtract_background, subtract_fringe
from .bias import subtract_bias
from .calibrate import calibrate
from .cosmicray import remove_cosmic_rays
from .crosstalk import correct_crosstalk
from .dark import subtract_dark
from .flat import divide_flat
from .gain import correct_gain
from .header import header_to_meta
from .linearity import correct_linearity
from .mask import mask_bad_pixels, mask_saturated
from .overscan import subtract_overscan
from .single import as_single
from .sky import observation_facts
from .skyframe import subtract_sky
from .sources import find_sources
from .statistics import image_statistics
from .trails import mask_trails
from .trim import trim
from .uncertainty import create_uncertainty

__all__ = [
    "as_single",
    "calibrate",
    "correct_crosstalk",
    "correct_gain",
    "correct_linearity",
    "create_uncertainty",
    "divide_flat",
    "find_sources",
    "header_to_meta",
    "image_statistics",
    "mask_bad_pixels",
    "mask_saturated",
    "mask_trails",
    "observation_facts",
    "raise_alarms",
    "remove_cosmic_rays",
    "subtract_background",
    "subtract_bias",
    "subtract_dark",
    "subtract_fringe",
    "subtract_overscan",
    "subtract_sky",
    "trim",
]

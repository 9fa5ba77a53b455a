"""Master bias, dark and flat frames."""

from .build import build_master
from .camera import CameraMeasures, Measured
from .combine import combine
from .defects import find_bad_pixels
from .find import MasterFile, find_masters
from .guess import guess_types
from .inputs import SAME_EXPOSURE
from .measure import measure_camera
from .pipe import MasterPipe
from .quality import InputRow, Limits
from .report import MasterReport
from .sky import FEWEST_FOR_SKY, make_sky, subtract_dithered_sky

__all__ = [
    "FEWEST_FOR_SKY",
    "SAME_EXPOSURE",
    "CameraMeasures",
    "InputRow",
    "Limits",
    "MasterFile",
    "MasterPipe",
    "MasterReport",
    "Measured",
    "build_master",
    "combine",
    "find_bad_pixels",
    "find_masters",
    "guess_types",
    "make_sky",
    "measure_camera",
    "subtract_dithered_sky",
]

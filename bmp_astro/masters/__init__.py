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

__all__ = [
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
    "measure_camera",
]

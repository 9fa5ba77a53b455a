"""Master bias, dark and flat frames."""

from .build import build_master
from .combine import combine
from .find import MasterFile, find_masters
from .inputs import SAME_EXPOSURE
from .pipe import MasterPipe
from .quality import InputRow, Limits
from .report import MasterReport

__all__ = [
    "SAME_EXPOSURE",
    "InputRow",
    "Limits",
    "MasterFile",
    "MasterPipe",
    "MasterReport",
    "build_master",
    "combine",
    "find_masters",
]

"""Built-in instruments: the programs that run cameras from a desk.

Only what differs from the common keywords is said. Programs whose cameras are CMOS for the most
part do not have their darks scaled: amplifier glow does not grow with the exposure time alone.
"""

from .common import GAIN_UNIT
from .instrument import Instrument
from .keywords import Keyword

# GAIN is what the camera was set to, GAINSET where a reduction has put that.
_SETTING = (Keyword("GAINSET", kind=float), Keyword("GAIN", kind=float, unless=("RAWGAIN",)))
_GAIN = Keyword("EGAIN", unit=GAIN_UNIT, valid=(1e-6, 1e9))
_OFFSET = Keyword("OFFSET", "BLKLEVEL", "BRIGHTNE", kind=float)

MAXIM = Instrument(
    "MaxIm DL",
    recognized_by={"SWCREATE": "MaxIm DL"},
    exptime=Keyword("EXPTIME", "EXPOSURE", unit="s", valid=(0.0, 1e7)),
    filter=Keyword("FILTER", kind=str),
    gain=_GAIN,
    gain_setting=_SETTING,
    xbinning=Keyword("XBINNING", kind=int, valid=(1, 1000)),
    ybinning=Keyword("YBINNING", kind=int, valid=(1, 1000)),
    frame_types={
        "Bias Frame": "bias",
        "Dark Frame": "dark",
        "Flat Field": "flat",
        "Light Frame": "light",
    },
)

# It calls flats light frames: the object or the name of the file must tell.
CCDSOFT = Instrument(
    "CCDSoft",
    recognized_by={"SWCREATE": ("CCDSoft", "TheSky")},
    gain=Keyword("EGAIN", "E-GAIN", unit=GAIN_UNIT, valid=(1e-6, 1e9)),
    frame_type=Keyword("IMAGETYP", "OBJECT", kind=str),
    frame_types={"Light Frame": ""},
    file_types={"*flat*": "flat", "*flat*/*": "flat", "*": "light"},
)

NINA = Instrument(
    "NINA",
    recognized_by={"SWCREATE": "N.I.N.A."},
    gain=_GAIN,
    gain_setting=_SETTING,
    offset=_OFFSET,
    dark_scaling=False,
)

SHARPCAP = Instrument(
    "SharpCap",
    recognized_by={"SWCREATE": "SharpCap"},
    gain=_GAIN,
    gain_setting=_SETTING,
    offset=_OFFSET,
    dark_scaling=False,
)

ASIAIR = Instrument(
    "ASIAIR",
    recognized_by={"CREATOR": "ZWO ASI"},
    gain=_GAIN,
    gain_setting=_SETTING,
    offset=_OFFSET,
    dark_scaling=False,
)

INDI = Instrument(
    "INDI",
    recognized_by={"FRAME": ("Light", "Bias", "Dark", "Flat"), "PIXSIZE1": ""},
    gain=_GAIN,
    gain_setting=_SETTING,
    offset=_OFFSET,
    frame_type=Keyword("FRAME", "IMAGETYP", kind=str),
    dark_scaling=False,
)

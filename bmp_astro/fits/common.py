"""The names under which most cameras keep their facts."""

import astropy.units as u

from .keywords import Keyword

GAIN_UNIT = u.electron / u.adu

# What a fact is: the unit or the type of its value.
FACTS: dict[str, u.UnitBase | type] = {
    "camera": str,
    "serial": str,
    "exptime": u.s,
    "filter": str,
    "xbinning": int,
    "ybinning": int,
    "temperature": u.deg_C,
    "set_temperature": u.deg_C,
    "gain": GAIN_UNIT,
    "em_gain": float,
    "excess_noise": float,
    "gain_setting": float,
    "offset": float,
    "readout_mode": str,
    "read_noise": u.electron,
    "saturation": u.adu,
    "x_origin": int,
    "y_origin": int,
    "object": str,
    "date_obs": str,
    "overscan_section": str,
    "trim_section": str,
    "frame_type": str,
    "color_pattern": str,
    "bunit": str,
}

# A "gain" above this is a camera's setting, not a number of electrons.
_LARGEST_GAIN = 50.0
_POSITIVE = (1e-6, 1e9)
_OPEN_WHEEL = ("air", "block", "blocked", "empty", "open", "notpresent")

KEYWORDS: dict[str, Keyword | tuple[Keyword, ...]] = {
    "camera": Keyword("INSTRUME", "CAMERA", "CAMNAME", "DETECTOR", kind=str),
    "serial": Keyword("CAMSN", "SERIALNO", "SERIALNB", "CAMERAID", "DETECTID", kind=str),
    "exptime": Keyword(
        "EXPTIME",
        "EXPOSURE",
        "EXPOSED",
        "EXP_TIME",
        "EXPTIM",
        "ITIME",
        "DARKTIME",
        unit=u.s,
        valid=(0.0, 1e7),
    ),
    "filter": (
        Keyword("FILTER", kind=str, empty=_OPEN_WHEEL),
        Keyword("FILTER1", "FILTER2", "FILTER3", kind=str, empty=_OPEN_WHEEL, join=True),
        Keyword(
            "FILTER01",
            "FILTNAM",
            "INSFILTE",
            "FILTER_A",
            "FILTERS",
            kind=str,
            empty=_OPEN_WHEEL,
        ),
    ),
    "xbinning": (
        Keyword(
            "XBINNING",
            "CCDXBIN",
            "DETXBIN",
            "BIN-FCT1",
            "CCDBIN1",
            "XBIN",
            kind=int,
            valid=(1, 1000),
        ),
        Keyword("CCDSUM", "BINNING", part=0, kind=int, valid=(1, 1000)),
    ),
    "ybinning": (
        Keyword(
            "YBINNING",
            "CCDYBIN",
            "DETYBIN",
            "BIN-FCT2",
            "CCDBIN2",
            "YBIN",
            kind=int,
            valid=(1, 1000),
        ),
        Keyword("CCDSUM", "BINNING", part=1, kind=int, valid=(1, 1000)),
    ),
    "temperature": Keyword(
        "CCD-TEMP",
        "CCDTEMP",
        "CCD_TEMP",
        "DET-TEMP",
        "DET-TMP",
        "DETTEMP",
        "DETTEM",
        "CCDATEMP",
        "CAMTEMP",
        "TEMPERAT",
        unit=u.deg_C,
        valid=(-274.0, 1000.0),
    ),
    "set_temperature": Keyword(
        "SET-TEMP",
        "SET_TEMP",
        "SETTEMP",
        "CCDSTEMP",
        "CCD-SETP",
        unit=u.deg_C,
        valid=(-274.0, 1000.0),
    ),
    "gain": (
        Keyword("EGAIN", "E-GAIN", unit=GAIN_UNIT, valid=_POSITIVE),
        Keyword(
            "GAIN",
            "CCDGAIN",
            unit=GAIN_UNIT,
            valid=(_POSITIVE[0], _LARGEST_GAIN),
            unless=("EGAIN", "E-GAIN"),
        ),
    ),
    "gain_setting": (
        Keyword("GAINSET", kind=float),
        # where GAIN was set to 1 with the pixels in electron, it is no setting
        Keyword("GAIN", kind=float, beside="EGAIN", unless=("RAWGAIN",)),
        Keyword("GAIN", kind=float, valid=(_LARGEST_GAIN, 1e9)),
    ),
    "offset": Keyword("OFFSET", "BLKLEVEL", kind=float),
    "readout_mode": Keyword("READOUTM", "READMODE", "READ-MOD", "CONFMODE", kind=str),
    "read_noise": Keyword(
        "RDNOISE",
        "READNOIS",
        "READNOISE",
        "ENOISE",
        "RON",
        unit=u.electron,
        valid=_POSITIVE,
    ),
    "saturation": Keyword("SATURATE", "SATLEVEL", unit=u.adu, valid=_POSITIVE),
    "x_origin": Keyword("XORGSUBF", kind=int),
    "y_origin": Keyword("YORGSUBF", kind=int),
    "object": Keyword("OBJECT", "OBJNAME", "TARGET", kind=str),
    "date_obs": Keyword("DATE-OBS", "DATE_OBS", "DATEOBS", "UTDATE", kind=str),
    "overscan_section": Keyword("BIASSEC", kind=str, empty=("[0:0,0:0]",)),
    "trim_section": Keyword("TRIMSEC", "DATASEC", kind=str, empty=("[0:0,0:0]",)),
    "frame_type": Keyword(
        "IMAGETYP",
        "OBSTYPE",
        "FRAMETYP",
        "IMGTYPE",
        "ESO DPR TYPE",
        "DATA-TYP",
        "FRAME",
        "PICTTYPE",
        "OBSMODE",
        "EXPTYPE",
        kind=str,
    ),
    "color_pattern": Keyword("BAYERPAT", "COLORTYP", "CFAPAT", kind=str),
    "bunit": Keyword("BUNIT", kind=str),
}

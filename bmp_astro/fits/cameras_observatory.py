"""Built-in instruments: observatories and their cameras.

Only what differs from the common keywords is said. Where each amplifier has a gain of its own, the
frame has none. Files with an extension for each amplifier (LCO's Sinistro, GMOS) say themselves
where those are.
"""

from .amplifiers import Amplifier, Corners
from .common import GAIN_UNIT
from .instrument import Instrument
from .keywords import Keyword

_BINNING = (1, 1000)
_POSITIVE = (1e-6, 1e9)
_KELVIN = (1.0, 1000.0)


def _two_amplifiers(
    data: str, overscan: str, detector: str, saturation: str = ""
) -> tuple[Amplifier, ...]:
    """Return the amplifiers A and B of a detector, by the beginnings of their keywords."""
    return tuple(
        Amplifier(
            Keyword(data + name, kind=str),
            Keyword(overscan + name, kind=str),
            Keyword(detector + name, kind=str),
            gain=Keyword(f"GAIN{name}", unit=GAIN_UNIT, valid=_POSITIVE),
            read_noise=Keyword(f"RDNOISE{name}", unit="electron", valid=_POSITIVE),
            saturation=(
                Keyword(saturation + name, unit="adu", valid=_POSITIVE) if saturation else None
            ),
        )
        for name in "AB"
    )


LCO = Instrument(
    "LCO",
    recognized_by={"ORIGIN": "LCOGT"},
    camera=Keyword("INSTRUME", kind=str),
    serial=Keyword("DETECTID", kind=str),
    filter=Keyword("FILTER", kind=str, empty=("air",)),
    temperature=Keyword("CCDATEMP", unit="deg_C", valid=(-274.0, 1000.0)),
    set_temperature=Keyword("CCDSTEMP", unit="deg_C", valid=(-274.0, 1000.0)),
    readout_mode=Keyword("CONFMODE", kind=str),
    frame_type=Keyword("OBSTYPE", kind=str),
    wcs_frame="assembled",
)

GMOS = Instrument(
    "GMOS",
    recognized_by={"INSTRUME": "GMOS-"},
    filter=Keyword("FILTER1", "FILTER2", kind=str, empty=("open*",), join=True),
    xbinning=Keyword("CCDSUM", part=0, kind=int, valid=_BINNING),
    ybinning=Keyword("CCDSUM", part=1, kind=int, valid=_BINNING),
    # twilight flats are observations of the object Twilight
    frame_type=Keyword("OBJECT", "OBSTYPE", kind=str),
    frame_types={"Twilight": "flat"},
)

ESO = Instrument(
    "ESO",
    recognized_by={"ESO DPR TYPE": ""},
    serial=Keyword("ESO DET CHIP1 ID", kind=str),
    filter=Keyword(
        "ESO INS FILT1 NAME",
        "ESO INS FILT2 NAME",
        kind=str,
        empty=("free", "open*"),
        join=True,
    ),
    xbinning=Keyword("ESO DET WIN1 BINX", kind=int, valid=_BINNING),
    ybinning=Keyword("ESO DET WIN1 BINY", kind=int, valid=_BINNING),
    # its GAIN is in adu/electron
    gain=Keyword("ESO DET OUT1 CONAD", unit=GAIN_UNIT, valid=_POSITIVE),
    gain_setting=None,
    read_noise=Keyword("RDNOISE", "ESO DET OUT1 RON", unit="electron", valid=_POSITIVE),
    readout_mode=Keyword("ESO DET READ CLOCK", kind=str),
    object=Keyword("ESO OBS TARG NAME", "OBJECT", kind=str),
    frame_type=Keyword("ESO DPR TYPE", kind=str),
)

LIVERPOOL = Instrument(
    "LT",
    recognized_by={"TELESCOP": "Liverpool Telescope"},
    serial=Keyword("DETECTOR", kind=str),
    filter=Keyword("FILTER1", "FILTER2", "FILTER3", kind=str, empty=("clear", "air"), join=True),
    temperature=Keyword("CCDATEMP", unit="K", valid=_KELVIN),
    set_temperature=Keyword("CCDSTEMP", unit="K", valid=_KELVIN),
    # the configuration is named after the filter
    readout_mode=None,
    frame_type=Keyword("OBSTYPE", kind=str),
)

NOT = Instrument(
    "NOT",
    recognized_by={"INSTRUME": ("ALFOSC", "StanCam", "MOSCA", "NOTCam")},
    filter=Keyword("ALFLTNM", "FAFLTNM", "FBFLTNM", kind=str, empty=("open*",), join=True),
    xbinning=Keyword("DETXBIN", kind=int, valid=_BINNING),
    ybinning=Keyword("DETYBIN", kind=int, valid=_BINNING),
    object=Keyword("OBJECT", "TCSTGT", kind=str),
    frame_type=Keyword("IMAGETYP", kind=str),
)

SDSS = Instrument(
    "SDSS",
    recognized_by={"ORIGIN": "SDSS"},
    serial=Keyword("CCDLOC", kind=str),
    xbinning=Keyword("COLBIN", kind=int, valid=_BINNING),
    ybinning=Keyword("ROWBIN", kind=int, valid=_BINNING),
    readout_mode=Keyword("CCDMODE", kind=str),
    frame_type=Keyword("FLAVOR", kind=str),
    bunit=Keyword("BUNIT", "BUNITS", kind=str),
)

DECAM = Instrument(
    "DECam",
    recognized_by={"INSTRUME": "DECam"},
    serial=Keyword("DETECTOR", kind=str),
    xbinning=Keyword("CCDBIN1", kind=int, valid=_BINNING),
    ybinning=Keyword("CCDBIN2", kind=int, valid=_BINNING),
    gain_setting=None,
    frame_type=Keyword("OBSTYPE", kind=str),
    amplifiers=_two_amplifiers("DATASEC", "BIASSEC", "CCDSEC", saturation="SATURAT"),
)

MEGAPRIME = Instrument(
    "MegaPrime",
    recognized_by={"INSTRUME": "MegaPrime"},
    serial=Keyword("CCDNAME", "CCDNICK", kind=str),
    temperature=Keyword("DETTEM", unit="deg_C", valid=(-274.0, 1000.0)),
    gain_setting=None,
    frame_type=Keyword("OBSTYPE", "EXPTYPE", kind=str),
    amplifiers=_two_amplifiers("DSEC", "BSEC", "CSEC"),
)

HSC = Instrument(
    "HSC",
    recognized_by={"TELESCOP": "Subaru", "T_CCDSN": ""},
    camera=(Keyword("INSTRUME", kind=str), "Hyper Suprime-Cam"),
    serial=Keyword("T_CCDSN", kind=str),
    filter=Keyword("FILTER01", kind=str),
    temperature=Keyword("T_CCDTV", "DET-TMP", unit="deg_C", valid=(-274.0, 1000.0)),
    gain_setting=None,
    frame_type=Keyword("DATA-TYP", kind=str),
    amplifiers=tuple(
        Amplifier(
            Corners(f"T_EFMN{n}1", f"T_EFMX{n}1", f"T_EFMN{n}2", f"T_EFMX{n}2"),
            Corners(f"T_OSMN{n}1", f"T_OSMX{n}1", f"T_EFMN{n}2", f"T_EFMX{n}2"),
            f"[{512 * n - 511}:{512 * n},1:4176]",
            gain=Keyword(f"T_GAIN{n}", unit=GAIN_UNIT, valid=_POSITIVE),
        )
        for n in (1, 2, 3, 4)
    ),
)

IRAF = Instrument(
    "IRAF",
    recognized_by={"ORIGIN": "*IRAF"},
    gain=Keyword("GAIN", unit=GAIN_UNIT, valid=_POSITIVE),
    gain_setting=None,
    frame_type=Keyword("IMAGETYP", "OBSTYPE", kind=str),
)

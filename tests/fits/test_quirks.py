"""What raw headers of real telescopes look like, as the generic camera sees it."""

import numpy as np
import pytest
from astropy.io import fits

from bmp_astro.fits import (
    GENERIC,
    calibrated_already,
    find_instrument,
    parse_section,
    parse_unit,
    read_frame,
)
from bmp_astro.fits.source import is_fits_name

TYPES = {
    "bias": [
        {"IMAGETYP": "Bias Frame"},
        {"IMAGETYP": "Bias Frame          "},
        {"IMAGETYP": "BIAS"},
        {"IMAGETYP": "zero"},
        {"OBSTYPE": "BIAS"},
        {"DATA-TYP": "BIAS"},
        {"FRAME": "Bias"},
    ],
    "dark": [
        {"IMAGETYP": "Dark Frame"},
        {"IMAGETYP": "DARK"},
        {"IMAGETYP": "dark"},
        {"IMAGETYP": "FLATDARK"},
        {"IMAGETYP": "Dark Flat"},
        {"OBSTYPE": "DARK"},
        {"PICTTYPE": "DARK"},
    ],
    "flat": [
        {"IMAGETYP": "Flat Field"},
        {"IMAGETYP": "FLAT"},
        {"IMAGETYP": "flat"},
        {"IMAGETYP": "dome flat"},
        {"IMAGETYP": "sky flat"},
        {"OBSTYPE": "SKYFLAT"},
        {"OBSTYPE": "LAMPFLAT"},
        {"FRAME": "Flat"},
        {"ESO DPR TYPE": "FLAT,SKY"},
    ],
    "light": [
        {"IMAGETYP": "Light Frame"},
        {"IMAGETYP": "Light Frame         "},
        {"IMAGETYP": "LIGHT"},
        {"IMAGETYP": "SNAPSHOT"},
        {"IMAGETYP": "object"},
        {"OBSTYPE": "EXPOSE"},
        {"OBSTYPE": "STANDARD"},
        {"OBSTYPE": "OBJECT"},
        {"DATA-TYP": "OBJECT"},
        {"ESO DPR CATG": "SCIENCE", "ESO DPR TYPE": "OBJECT"},
    ],
    "": [
        {},
        {"IMAGETYP": ""},
        {"IMAGETYP": "comp"},
        {"OBSTYPE": "ARC"},
        {"OBSTYPE": "SPECTRUM"},
    ],
}

FACTS = [
    ("exptime", {"EXPTIME": 40.0}, 40),
    ("exptime", {"EXPOSURE": 40.0}, 40),
    ("exptime", {"EXPOSED": 40.0}, 40),
    ("exptime", {"EXP_TIME": 40.0}, 40),
    ("exptime", {"ITIME": 40.0}, 40),
    ("exptime", {"DARKTIME": 40.0}, 40),
    ("exptime", {"EXPTIME": "40      "}, 40),
    ("exptime", {"EXPTIME": "060.00"}, 60),
    ("exptime", {"EXPTIME": 0.12}, 0.12),
    ("filter", {"FILTER": "V"}, "V"),
    ("filter", {"FILTER1": "J", "FILTER2": "None"}, "J"),
    ("filter", {"FILTER1": "air", "FILTER2": "R"}, "R"),
    ("filter", {"FILTER1": "NOTPRESENT", "FILTER2": "R"}, "R"),
    ("filter", {"FILTER1": "BLOCK"}, None),
    ("filter", {"FILTER01": "W-S-I+"}, "W-S-I+"),
    ("filter", {"FILTERS": 3}, "3"),
    ("filter", {"FILTNAM": "I"}, "I"),
    ("filter", {"INSFILTE": "B"}, "B"),
    ("filter", {"FILTER_A": "B"}, "B"),
    ("filter", {"FILTER": "Sloan g'"}, "Sloan g'"),
    ("filter", {"FILTER": "Y DECam c0005 10095.0 1130.0"}, "Y DECam c0005 10095.0 1130.0"),
    ("filter", {"FILTER": ""}, None),
    ("filter", {"FILTER": "RGGB"}, "RGGB"),
    ("temperature", {"CCD-TEMP": -10.0}, -10),
    ("temperature", {"CCDTEMP": -10.0}, -10),
    ("set_temperature", {"SET-TEMP": -10.0}, -10),
    ("temperature", {"DET-TEMP": -10.0}, -10),
    ("temperature", {"DET-TMP": 213.671}, -59.479),
    ("temperature", {"DET-TMP": -100.2}, -100.2),
    ("temperature", {"CCDATEMP": -10.0}, -10),
    ("temperature", {"CAMTEMP": -10.0}, -10),
    ("temperature", {"TEMPERAT": "11 C"}, 11),
    ("temperature", {"CCD-TEMP": 0.0, "SET-TEMP": -20.0}, None),
    ("gain", {"GAIN": 2.3}, 2.3),
    ("gain", {"GAIN": 120, "EGAIN": 0.8}, 0.8),
    ("gain_setting", {"GAIN": 120, "EGAIN": 0.8}, 120),
    ("gain_setting", {"GAIN": 300}, 300),
    ("gain", {"GAIN": 300}, None),
    ("gain", {"E-GAIN": 2.3}, 2.3),
    ("gain", {"CCDGAIN": 2.3}, 2.3),
    ("gain", {"EGAIN": 0.0}, None),
    ("gain", {"GAIN": 0.0}, None),
    ("read_noise", {"RDNOISE": 9.5}, 9.5),
    ("read_noise", {"READNOIS": 9.5}, 9.5),
    ("read_noise", {"READNOISE": 9.5}, 9.5),
    ("read_noise", {"ENOISE": 9.5}, 9.5),
    ("read_noise", {"RON": 9.5}, 9.5),
    ("read_noise", {"RDNOISE": 0.0}, None),
    ("overscan_section", {"BIASSEC": "UNKNOWN "}, None),
    ("overscan_section", {"BIASSEC": "[0:0,0:0]"}, None),
    ("xbinning", {"XBINNING": 2}, 2),
    ("xbinning", {"CCDXBIN": 2}, 2),
    ("xbinning", {"CCDSUM": "2 1"}, 2),
    ("ybinning", {"CCDSUM": "2 1"}, 1),
    ("ybinning", {"BINNING": "1x2"}, 2),
    ("ybinning", {"BINNING": "1x1"}, 1),
    ("xbinning", {"DETXBIN": 2}, 2),
    ("ybinning", {"BIN-FCT1": 1, "BIN-FCT2": 2}, 2),
    ("date_obs", {"DATE-OBS": "08/05/10"}, "2010-05-08"),
    ("date_obs", {"DATE-OBS": "2010-05-08", "UT": "03:04:05"}, "2010-05-08T03:04:05"),
    ("date_obs", {"DATE-OBS": "2010-05-08", "UTSTART": "03:04:05"}, "2010-05-08T03:04:05"),
    ("date_obs", {"DATE-OBS": "2010-05-08", "UTC-OBS": "03:04:05"}, "2010-05-08T03:04:05"),
    ("date_obs", {"DATE-OBS": "2010-05-08", "TIME-OBS": "03:04:05"}, "2010-05-08T03:04:05"),
    ("date_obs", {"DATE-OBS": "2010-05-07T20:04:05-0700"}, "2010-05-08T03:04:05"),
    ("date_obs", {"DATE-OBS": "2010-05-08", "TIME": "10:38:18 a.m."}, "2010-05-08T10:38:18"),
    ("date_obs", {"MJD-OBS": 55324.5}, "2010-05-08T12:00:00"),
    ("date_obs", {"JD": 2455325.0}, "2010-05-08T12:00:00"),
    ("object", {"OBJECT": "None"}, None),
]

DONE = [
    {"TRIM": "May 8 10:11 Trim data section is [17:528,1:520]"},
    {"OVERSCAN": "May 8 10:11 Overscan section is [529:560,1:520]"},
    {"ZEROCOR": "May 8 10:11 Zero level correction image is Zero"},
    {"DARKCOR": "May 8 10:11 Dark count correction image is Dark"},
    {"FLATCOR": "May 8 10:11 Flat field image is FlatV"},
    {"TRIM": True},
    {"CALSTAT": "BDF"},
    {"CALSTAT": "D"},
    {"BUNIT": "electron"},
    {"BUNIT": "electrons"},
    {"BUNIT": "e-"},
    {"BUNIT": "electron/s"},
    {"BUNIT": "ELECTRONS/S"},
    {"BMPVERS": "0.1"},
]

NOT_DONE = [
    {},
    {"CALSTAT": ""},
    {"CALSTAT": "M"},
    {"TRIM": False},
    {"FLATCOR": ""},
    {"BUNIT": "adu"},
    {"BUNIT": "count"},
    {"BUNIT": ""},
    {"BUNIT": "DU/PIXEL"},
]


@pytest.mark.parametrize(
    ("kind", "cards"), [(kind, cards) for kind, all_of in TYPES.items() for cards in all_of]
)
def test_a_frame_type_as_programs_write_it(kind, cards):
    assert find_instrument(None, cards).frame_type_of(cards) == kind


@pytest.mark.parametrize(("fact", "cards", "value"), FACTS)
def test_a_fact_as_programs_write_it(fact, cards, value):
    found = GENERIC.value(fact, cards)
    if value is None or isinstance(value, str):
        assert found is None if value is None else found.startswith(value)
    else:
        assert getattr(found, "value", found) == pytest.approx(value)


@pytest.mark.parametrize("cards", DONE)
def test_records_of_what_was_done_are_seen(cards):
    assert next(iter(cards)) in calibrated_already(cards)


@pytest.mark.parametrize("cards", NOT_DONE)
def test_a_raw_frame_is_not_taken_for_a_calibrated_one(cards):
    assert calibrated_already(cards) == ""


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("[  17: 528,   1: 520]", (520, 512)),
        ("[1025:3072, 1025:3072]", (2048, 2048)),
        ("[528:17,1:520]", (520, 512)),
        ("[520:540,1:512]", (512, 21)),
    ],
)
def test_a_section_with_blanks_and_reversed(text, shape):
    assert np.zeros((4096, 4096))[parse_section(text)].shape == shape


@pytest.mark.parametrize("bunit", ["count", "DU/PIXEL", "ADU"])
def test_units_of_raw_pixels(bunit):
    assert str(parse_unit(bunit)) == "adu"


@pytest.mark.parametrize(
    "name",
    [
        *("a.fits", "a.fit", "a.fts", "a.FIT", "a.FITS", "a.fits.gz", "a.fit.gz", "a.fits.fz"),
        *("M 31 'east'.fits", 'a "b".fit'),
    ],
)
def test_names_of_files(name, tmp_path):
    assert is_fits_name(name)
    if not name.endswith(".fz"):
        fits.PrimaryHDU(np.arange(6.0, dtype=np.float32).reshape(2, 3)).writeto(tmp_path / name)
        assert read_frame(tmp_path / name).shape == (2, 3)


@pytest.mark.parametrize(
    ("bzero", "bitpix", "stored"),
    [
        ("32768", 16, ">i2"),
        ("32768.000000000000", 16, ">i2"),
        ("+3.276800000000E+004", 16, ">i2"),
        ("2147483648", 32, ">i4"),
    ],
)
def test_unsigned_pixels_however_their_zero_is_written(tmp_path, bzero, bitpix, stored):
    cards = ["SIMPLE  =                    T", f"BITPIX  = {bitpix:20d}", "NAXIS   = 2"]
    cards += ["NAXIS1  = 3", "NAXIS2  = 1", "BSCALE  = 1", f"BZERO   = {bzero}", "END"]
    header = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    values = np.array([-(2 ** (bitpix - 1)), 0, 5]).astype(stored)
    path = tmp_path / "raw.fits"
    path.write_bytes(header + values.tobytes().ljust(2880, b"\0"))
    found = read_frame(path).data
    assert found.dtype == np.dtype(f"u{bitpix // 8}")
    assert found.tolist() == [[0, 2 ** (bitpix - 1), 2 ** (bitpix - 1) + 5]]


@pytest.mark.parametrize("name", ["CCDSoft", "TheSky"])
def test_a_flat_that_its_program_calls_a_light_is_told_by_its_name(name):
    camera = find_instrument(None, {"SWCREATE": f"{name} Version 5"})
    own = type(camera)(name="mine", file_types={"flat*": "flat"}, frame_types={"Light Frame": ""})
    assert own.frame_type_of({"IMAGETYP": "Light Frame"}, "flats/flat-001.fit") == "flat"

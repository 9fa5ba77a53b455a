import astropy.units as u
import pytest
from astropy.io.fits import Header

from bmp_astro.fits import GENERIC, Instrument, Keyword, implausible

GOOD = {"IMAGETYP": "light", "EXPTIME": 30.0, "FILTER": "V", "GAIN": 1.5}


@pytest.mark.parametrize(
    ("cards", "note"),
    [
        ({"GAIN": 0.0}, "GAIN = 0.0 as gain: it is not within 1e-06 and 50"),
        ({"EGAIN": 0.0}, "EGAIN = 0.0 as gain: it is not within 1e-06 and 1e+09"),
        (
            {"GAIN": 300},
            "GAIN = 300 is taken for a setting of the camera, not for electron/adu",
        ),
        (
            {"GAIN": 139, "EGAIN": 0.8},
            "GAIN = 139 is taken for a setting of the camera, not for electron/adu",
        ),
        ({"GAIN": None, "GAINA": 4.2}, "GAINA is the gain of one amplifier: the frame as a whole"),
        ({"CCD-TEMP": 213.671}, "CCD-TEMP = 213.671: it is taken to be in K: -59.479 deg_C"),
        ({"CCD-TEMP": "40 m"}, "CCD-TEMP = '40 m' as temperature: 'm' is not a unit such as deg_C"),
        ({"CCD-TEMP": 0.0, "SET-TEMP": -20.0}, "CCD-TEMP = 0 is taken for unknown"),
        ({"CCD-TEMP": 5.0, "SET-TEMP": -20.0}, "the temperature is 5 deg_C, far from its set"),
        ({"EXPTIME": "soon"}, "EXPTIME = 'soon' as exptime: it is not a number"),
        ({"EXPTIME": -1}, "the exposure time is unknown"),
        ({"EXPTIME": 0}, "a light frame with an exposure time of 0 s"),
        ({"EXPTIME": "250 ms"}, "EXPTIME = '250 ms': it is taken to be in ms: 0.25 s"),
        ({"FILTER": "None"}, "a light frame without a filter"),
        ({"IMAGETYP": "comp"}, "the frame type is unknown"),
        ({"RDNOISE": 700.0}, "a read noise of 700 electron is more than a camera has"),
        ({"RDNOISE": 0.0}, "RDNOISE = 0.0 as read_noise: it is not within"),
        ({"BITPIX": 16, "SATURATE": 68779}, "the saturation of 68779 adu is beyond 65535 adu"),
        ({"DATE-OBS": "08/05/10"}, "the date is taken to be day/month/year: 2010-05-08"),
        (
            {"BIASSEC": "[2047:2078,1:2048]", "DATASEC": "[1:2078,1:2048]"},
            "the trim section contains the overscan",
        ),
        ({"TELRA": "hh:mm:ss.ss", "OBJECT": "None"}, "placeholders, which count as missing: TELRA"),
    ],
)
def test_each_is_told(cards, note):
    header = {name: value for name, value in {**GOOD, **cards}.items() if value is not None}
    notes = implausible(GENERIC, header)
    assert any(each.startswith(note) for each in notes), notes


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CCD-TEMP": 0.0, "SET-TEMP": 0.0},
        {"CCD-TEMP": -9.788, "SET-TEMP": -10.0},
        {"OBJECT": ""},
        {"IMAGETYP": "zero", "EXPTIME": 0, "FILTER": ""},
        {"BIASSEC": "[520:540,1:512]", "TRIMSEC": "[1:512,1:512]"},
        {"BIASSEC": "[1:512,520:540]", "TRIMSEC": "[512:1,1:512]"},
        {"BIASSEC": "[oops]", "TRIMSEC": "[1:512,1:512]"},
        {"BITPIX": -32, "SATURATE": 1e5},
        {"DATE-OBS": "08/05/10", "MJD-OBS": 55324.5},
        {"FILTER1": "air", "FILTER2": "V", "FILTER": ""},
        # a product: the pixels are in electron
        {
            "GAIN": 1.0,
            "EGAIN": 1.0,
            "RAWGAIN": 0.8,
            "GAINSET": 139.0,
            "BITPIX": 16,
            "SATURATE": 9e4,
        },
    ],
)
def test_what_is_as_it_should_be_is_not_mentioned(cards):
    assert implausible(GENERIC, {**GOOD, **cards}) == []


def test_a_name_or_an_own_key_counts():
    camera = Instrument(
        "mine",
        file_types={"flat*": "flat"},
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
    )
    header = {"EXPTIME": 1.0, "FILTER": "V", "ROTANG": "north"}
    assert implausible(camera, header, "flat-1.fits") == [
        "ROTANG = 'north' as rotator: it is not a number"
    ]
    camera = Instrument("mine", gain=Keyword("CONAD", kind=float))
    assert implausible(camera, {**GOOD, "CONAD": 0}) == ["CONAD = 0 as gain: it is not above 0"]


def test_a_comment_tells_the_unit():
    header = Header()
    header["IMAGETYP"] = "dark"
    header["EXPTIME"] = (160000, "exposure time in ms")
    assert GENERIC.value("exptime", header) == 160 * u.s
    assert implausible(GENERIC, header) == ["EXPTIME = 160000: it is taken to be in ms: 160 s"]

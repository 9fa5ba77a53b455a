"""Where a fact comes from, and what no single card tells."""

import astropy.units as u
import pytest

from bmp_astro.fits import GENERIC, Fact, Instrument, Keyword, find_instrument

GAIN = u.electron / u.adu


@pytest.mark.parametrize(
    ("fact", "header", "expected"),
    [
        ("exptime", {"EXPOSED": "060.00"}, Fact(60 * u.s, "EXPOSED card")),
        ("filter", {"FILTER1": "V", "FILTER2": "ND"}, Fact("V+ND", "FILTER1+FILTER2 cards")),
        ("filter", {"FILTER1": "air", "FILTER2": "V"}, Fact("V", "FILTER2 card")),
        ("xbinning", {"CCDSUM": "2 1"}, Fact(2, "CCDSUM card")),
        (
            "date_obs",
            {"DATE-OBS": "2018-10-14", "TIME-OBS": "04:49:22"},
            Fact("2018-10-14T04:49:22", "DATE-OBS+TIME-OBS cards"),
        ),
        ("date_obs", {"JD": 2458405.5}, Fact("2018-10-14T00:00:00.000", "JD card")),
        ("date_obs", {"DATE-OBS": "08/05/98"}, Fact("1998-05-08", "DATE-OBS card")),
        ("object", {"OBJECT": "None"}, Fact(None, "")),
        ("read_noise", {"RDNOISE": 4.0}, Fact(4 * u.electron, "RDNOISE card")),
        ("read_noise", {"RDNOISE": 4.0, "RDNSRC": "measured"}, Fact(4 * u.electron, "measured")),
        ("read_noise", {"RDNOISE": 4.0, "RDNSRC": "header"}, Fact(4 * u.electron, "RDNOISE card")),
        ("temperature", {"CCD-TEMP": 0.0, "SET-TEMP": -20}, Fact(None, "")),
        ("temperature", {"CCD-TEMP": 0.0, "SET-TEMP": 2}, Fact(0 * u.deg_C, "CCD-TEMP card")),
    ],
)
def test_the_source_of_a_fact(fact, header, expected):
    found = GENERIC.fact(fact, header)
    assert found == expected
    assert GENERIC.value(fact, header) == expected.value


def test_constants_and_defaults():
    camera = Instrument(
        "mine",
        gain=(Keyword("CCDGAIN", unit=GAIN), 1.4 * GAIN),
        read_noise=5 * u.electron,
        filter=None,
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
    )
    assert camera.fact("gain", {"CCDGAIN": 1.5}) == (1.5 * GAIN, "CCDGAIN card")
    assert camera.fact("gain", {"CCDGAIN": 0.0, "GAIN": 9}) == (1.4 * GAIN, "default")
    assert camera.fact("gain", {}) == (1.4 * GAIN, "default")
    assert camera.fact("read_noise", {"RDNOISE": 9.0}) == (5 * u.electron, "constant")
    assert camera.fact("filter", {"FILTER": "V"}) == (None, "")
    assert camera.fact("rotator", {"ROTANG": 3}) == (3 * u.deg, "ROTANG card")
    with pytest.raises(ValueError, match="did you mean 'gain'"):
        camera.fact("gian", {})


@pytest.mark.parametrize("name", ["generic", "ESO", "NINA", "MaxIm DL", "IRAF"])
def test_pixels_in_electron_have_a_gain_of_1_whatever_the_camera_wrote(name):
    header = {"RAWGAIN": 2.1, "GAIN": 1.0, "EGAIN": 1.0, "GAINSET": 100.0}
    header |= {"ESO DET OUT1 CONAD": 2.1}
    camera = find_instrument(name, {})
    assert camera.value("gain", header) == 1 * GAIN
    assert camera.value("gain_setting", header) in (None, 100.0)


@pytest.mark.parametrize("name", ["temperature", "set_temperature"])
@pytest.mark.parametrize(
    ("header", "celsius"),
    [
        ({"CCDATEMP": 213.671, "CCDSTEMP": 213.15}, (-59.479, -60.0)),
        ({"CCDATEMP": -100.2, "CCDSTEMP": -100.0}, (-100.2, -100.0)),
        ({"DET-TEMP": -9.788, "SET-TEMP": "-10 C"}, (-9.788, -10.0)),
        ({"CAMTEMP": "11 C", "SETTEMP": "284.15 K"}, (11.0, 11.0)),
    ],
)
def test_the_same_card_in_kelvin_and_in_celsius(name, header, celsius):
    value = GENERIC.value(name, header)
    assert value.unit == u.deg_C
    assert value.value == pytest.approx(celsius[name == "set_temperature"])


def test_a_bias_by_its_exposure():
    # all frames of this camera are called light frames
    camera = Instrument(
        "mine",
        frame_types={"Light Frame": ""},
        bias_exptime=0.01 * u.s,
        file_types={"*dark*": "dark", "*": "light"},
    )
    header = {"IMAGETYP": "Light Frame", "EXPTIME": 0.01}
    assert camera.frame_type_fact(header, "dark-1.fit") == ("bias", "exposure time")
    header["EXPTIME"] = 60.0
    assert camera.frame_type_fact(header, "Dark-1.FIT") == ("dark", "file name '*dark*'")
    assert camera.frame_type_of(header, "M42.fit") == "light"
    assert camera.frame_type_of({"IMAGETYP": "Light Frame"}, "M42.fit") == "light"
    assert camera.frame_type_of({"IMAGETYP": "flat", "EXPTIME": 0.005}) == "flat"
    with pytest.raises(ValueError, match="must be a quantity in s"):
        Instrument("x", bias_exptime=0.0)


def test_a_lamp_that_is_called_an_object():
    camera = Instrument(
        "ACAM",
        frame_type=Keyword("OBJECT", "IMAGETYP", kind=str),
        frame_types={"W lamp": "flat"},
    )
    assert camera.frame_type_of({"IMAGETYP": "object", "OBJECT": "W lamp"}) == "flat"
    assert camera.frame_type_of({"IMAGETYP": "object", "OBJECT": "NGC 520"}) == "light"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("night/Bias_1.FIT", "bias"),
        ("night/flats/V.fits", "flat"),
        ("flats/night/V.fits", "light"),
        ("flats.fits", "light"),
        ("night/it's a bias 1.fits", "light"),
    ],
)
def test_names_of_files_and_directories(path, kind):
    rules = {"bias*": "bias", "flats/*": "flat", "*": "light"}
    assert Instrument("mine", file_types=rules).frame_type_of({}, path) == kind


def test_the_name_in_the_header_serves_where_no_path_is_given():
    camera = Instrument("mine", file_types={"bias*": "bias"})
    assert camera.frame_type_of({"FILENAME": "bias-1.fits"}) == "bias"
    assert camera.frame_type_of({"FILENAME": "bias-1.fits"}, "other.fits") == ""
    assert camera.frame_type_of({}) == ""


def test_a_card_that_has_only_to_be_there_or_begins_in_several_ways():
    camera = Instrument("x", recognized_by={"A": "", "B": ("one", "*two")})
    assert camera.recognizes({"A": 0, "B": "One thing"})
    assert camera.recognizes({"A": "", "B": "not two"})
    assert not camera.recognizes({"B": "one"})
    assert not camera.recognizes({"A": 1, "B": "three"})
    assert not Instrument("x").recognizes({"A": 1})

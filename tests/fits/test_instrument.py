import pickle
import re

import astropy.units as u
import pytest
from astropy.io.fits import Header

from bmp_astro.fits import GENERIC, MAXIM, Instrument, Keyword, find_instrument, read_header


class RowFlipper(Instrument):
    def fix_header(self, header, path):
        header["FIXED"] = str(path)
        return header


def name_object(header, path):
    header["OBJECT"] = "fixed"
    return header


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ({"IMAGETYP": "Bias Frame"}, "bias"),
        ({"IMAGETYP": "Dark Frame   "}, "dark"),
        ({"IMAGETYP": "Flat Field"}, "flat"),
        ({"IMAGETYP": "Light Frame"}, "light"),
        ({"IMAGETYP": "BIAS"}, "bias"),
        ({"IMAGETYP": "FLATDARK"}, "dark"),
        ({"IMAGETYP": "Dark Flat"}, "dark"),
        ({"IMAGETYP": "SNAPSHOT"}, "light"),
        ({"IMAGETYP": "zero"}, "bias"),
        ({"IMAGETYP": "dome flat"}, "flat"),
        ({"IMAGETYP": "sky flat"}, "flat"),
        ({"IMAGETYP": "object    "}, "light"),
        ({"IMAGETYP": "comp"}, ""),
        ({"OBSTYPE": "EXPOSE"}, "light"),
        ({"OBSTYPE": "SKYFLAT"}, "flat"),
        ({"OBSTYPE": "LAMPFLAT"}, "flat"),
        ({"OBSTYPE": "STANDARD"}, "light"),
        ({"OBSTYPE": "ARC"}, ""),
        ({"OBSTYPE": "SPECTRUM"}, ""),
        ({"ESO DPR TYPE": "FLAT,SKY"}, "flat"),
        ({"DATA-TYP": "OBJECT"}, "light"),
        ({"FRAME": "Bias"}, "bias"),
        ({"FRAME": 407, "PICTTYPE": "dark"}, "dark"),
        ({"IMAGETYP": "None", "OBSTYPE": "DARK"}, "dark"),
        ({"IMAGETYP": ""}, ""),
        ({}, ""),
    ],
)
def test_frame_types_as_cameras_spell_them(header, kind):
    assert GENERIC.frame_type_of(header) == kind


def test_own_words_come_before_the_common_ones():
    camera = Instrument("x", frame_types={"Light Frame": "flat", "science": ""})
    assert camera.frame_type_of({"IMAGETYP": "LIGHT FRAME"}) == "flat"
    assert camera.frame_type_of({"IMAGETYP": "science"}) == ""
    assert camera.frame_type_of({"IMAGETYP": "dark"}) == "dark"


def test_file_names_tell_where_no_header_does():
    camera = Instrument("tircam", file_types={"bias_*": "bias", "flats*": "flat"})
    assert camera.frame_type_of({}, "night/bias_1.fits") == "bias"
    assert camera.frame_type_of({}, "flats/IC310.fits") == ""
    assert camera.frame_type_of({"IMAGETYP": "dark"}, "bias_1.fits") == "dark"


@pytest.mark.parametrize(
    ("header", "gain", "setting"),
    [
        ({"GAIN": 1.9}, 1.9, None),
        ({"GAIN": 139, "EGAIN": 0.8}, 0.8, 139),
        ({"GAIN": 30, "EGAIN": 0.0}, None, 30),
        ({"GAIN": 300}, None, 300),
        ({"GAIN": 0.0}, None, None),
        ({"EGAIN": 2.6}, 2.6, None),
        ({"E-GAIN": "1.5"}, 1.5, None),
        ({"CCDGAIN": 3.0}, 3.0, None),
        ({}, None, None),
    ],
)
def test_a_gain_and_a_setting_called_gain(header, gain, setting):
    found = GENERIC.value("gain", header)
    assert found == (None if gain is None else gain * u.electron / u.adu)
    assert GENERIC.value("gain_setting", header) == setting


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"FILTER": "Sloan g'"}, "Sloan g'"),
        ({"FILTER": ""}, None),
        ({"FILTER1": "J", "FILTER2": "None"}, "J"),
        ({"FILTER1": "BLOCK", "FILTER2": "None"}, None),
        ({"FILTER": "w", "FILTER1": "air", "FILTER2": "w"}, "w"),
        ({"FILTER1": "NOTPRESENT", "FILTER2": "I"}, "I"),
        ({"FILTER1": "V", "FILTER2": "ND"}, "V+ND"),
        ({"FILTERS": 48}, "48"),
        ({"FILTER01": "W-S-R+"}, "W-S-R+"),
        ({"FILTNAM": "R"}, "R"),
        ({"FILTER": "Y DECam c0005 10095.0 1130.0"}, "Y DECam c0005 10095.0 1130.0"),
    ],
)
def test_filters(header, name):
    assert GENERIC.value("filter", header) == name


@pytest.mark.parametrize(
    "header",
    [
        {"XBINNING": 1, "YBINNING": 2},
        {"CCDSUM": "1 2"},
        {"BINNING": "1x2"},
        {"CCDXBIN": 1, "CCDYBIN": 2},
        {"DETXBIN": 1, "DETYBIN": "2"},
        {"BIN-FCT1": 1, "BIN-FCT2": 2},
    ],
)
def test_binning(header):
    assert (GENERIC.value("xbinning", header), GENERIC.value("ybinning", header)) == (1, 2)


@pytest.mark.parametrize("text", ["UNKNOWN ", "[0:0,0:0]", "[ 0: 0, 0: 0 ]", ""])
def test_sections_that_are_none(text):
    assert GENERIC.value("overscan_section", {"BIASSEC": text}) is None


def test_other_facts_have_their_units():
    header = {"RON": 3.5, "SATURATE": 65535, "CCDATEMP": -90, "CCDSTEMP": -90.0, "INSTRUME": "fa05"}
    assert GENERIC.value("read_noise", header) == 3.5 * u.electron
    assert GENERIC.value("saturation", header) == 65535 * u.adu
    assert GENERIC.value("temperature", header).to_value(u.deg_C) == -90
    assert GENERIC.value("set_temperature", header).unit == u.deg_C
    assert GENERIC.value("camera", header) == "fa05"
    assert GENERIC.value("offset", header) is None


def test_constants_own_keys_and_absent_facts():
    camera = Instrument(
        "SX694",
        gain=0.3 * u.electron / u.adu,
        temperature=263.15 * u.K,
        exptime=Keyword("ITIME", unit=u.ms),
        overscan_section="[1:40,1:2200]",
        filter=None,
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
    )
    header = {"ITIME": 500, "FILTER": "V", "ROTANG": "12.5"}
    assert camera.value("gain", {}) == 0.3 * u.electron / u.adu
    assert camera.value("temperature", {}).value == pytest.approx(-10)
    assert camera.value("exptime", header) == 0.5 * u.s
    assert camera.value("overscan_section", {}) == "[1:40,1:2200]"
    assert camera.value("filter", header) is None
    assert camera.value("rotator", header) == 12.5 * u.deg


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="did you mean 'exptime'"):
        GENERIC.value("exptim", {})
    with pytest.raises(ValueError, match="gain is 3"):
        Instrument("x", gain=3 * u.s)
    with pytest.raises(ValueError, match="wcs_frame"):
        Instrument("x", wcs_frame="sky")
    with pytest.raises(ValueError, match="frame_types"):
        Instrument("x", frame_types={"object": "science"})
    with pytest.raises(ValueError, match=r"match says .'lihgt'"):
        Instrument("x", match={"lihgt": {"filter": None}})
    with pytest.raises(ValueError, match="match of flat: no fact 'fliter': did you mean 'filter'"):
        Instrument("x", match={"flat": {"fliter": None}})
    assert Instrument("x", match={"flat": {"nx": None, "serial": None}}).match
    with pytest.raises(ValueError, match="keys"):
        Instrument("x", keys={"gain": Keyword("GAIN")})


@pytest.mark.parametrize(
    ("fact", "said", "hint"),
    [
        ("exptime", "EXPTIME", 'header card give Keyword("EXPTIME", unit="s")'),
        ("gain", (Keyword("EGAIN"), "GAIN"), 'give Keyword("GAIN", unit="electron / adu")'),
        ("xbinning", "XBIN", 'must be int; for a header card give Keyword("XBIN", kind=int)'),
        ("overscan_section", "[1:2", "must be text like '[1:2048,1:4096]'"),
        ("trim_section", "TRIMSEC", 'give Keyword("TRIMSEC", kind=str)'),
    ],
)
def test_a_constant_that_a_fact_cannot_be_is_refused_at_once(fact, said, hint):
    with pytest.raises(ValueError, match=f"{fact} is .*{re.escape(hint)}$"):
        Instrument("x", **{fact: said})


def test_instruments_are_values():
    one, two = (Instrument("x", gain=0.3 * u.electron / u.adu) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    assert one != Instrument("x", gain=0.4 * u.electron / u.adu)
    assert one != Instrument("x")
    assert pickle.loads(pickle.dumps(RowFlipper("f"))) == RowFlipper("f")
    assert Instrument("x", fix_header=name_object) != Instrument("x")


def test_fix_header_given_or_overridden(fits_file):
    path = fits_file()
    assert read_header(path, instrument=RowFlipper("f")).header["FIXED"] == str(path)
    given = Instrument("g", fix_header=name_object)
    assert read_header(path, instrument=given).header["OBJECT"] == "fixed"
    assert "OBJECT" not in read_header(path, instrument=GENERIC).header
    forgetful = Instrument("n", fix_header=lambda header, path: None)
    with pytest.raises(TypeError, match="must return the header"):
        read_header(path, instrument=forgetful)
    wrong = Instrument("w", fix_header=lambda header, path: header["NONE"])
    with pytest.raises(ValueError, match=f"^{path}: fix_header of w failed: KeyError: "):
        read_header(path, instrument=wrong)


def test_finding_an_instrument(tmp_path):
    assert find_instrument(None, {"SWCREATE": "MaxIm DL Version 5.12"}) is MAXIM
    assert find_instrument(None, Header()) is GENERIC
    assert find_instrument("maxim dl", {}) is MAXIM
    assert find_instrument(RowFlipper("f"), {}) == RowFlipper("f")
    file = tmp_path / "camera.toml"
    file.write_text("name = 'mine'")
    assert find_instrument(file, {}) == find_instrument(str(file), {}) == Instrument("mine")
    with pytest.raises(ValueError, match="did you mean 'generic'"):
        find_instrument("generc", {})
    with pytest.raises(TypeError, match="instrument is 3"):
        find_instrument(3, {})

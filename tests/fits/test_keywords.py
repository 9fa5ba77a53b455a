import pickle

import astropy.units as u
import pytest
from astropy.io.fits import Header

from bmp_astro.fits import Keyword


@pytest.mark.parametrize(
    ("card", "seconds"),
    [
        ("40      ", 40.0),
        ("060.00", 60.0),
        (0, 0.0),
        ("0.12", 0.12),
        ("250 ms", 0.25),
        ("1.5D1", 15),
    ],
)
def test_an_exposure_time_however_it_is_written(card, seconds):
    value = Keyword("EXPTIME", unit=u.s).read({"EXPTIME": card})
    assert value.unit == u.s
    assert value.value == pytest.approx(seconds)


@pytest.mark.parametrize(
    "card",
    ["", "   ", "None", "UNKNOWN ", "N/A", "hh:mm:ss.ss", "12:30", True, "abc", "12 parsecs"],
)
def test_what_is_no_number_is_none(card):
    assert Keyword("EXPTIME", unit=u.s).read({"EXPTIME": card}) is None


def test_the_first_meaningful_card_wins():
    keyword = Keyword("EXPTIME", "EXPOSURE", "ITIME", unit="s")
    header = {"EXPTIME": "None", "EXPOSURE": 30, "ITIME": 1}
    assert keyword.find(header) == (30 * u.s, "EXPOSURE")
    assert keyword.find({}) == (None, None)


@pytest.mark.parametrize(
    ("card", "comment", "celsius"),
    [
        ("11 C", "", 11.0),
        (213.671, "", -59.479),
        (-100.2, "", -100.2),
        (77.0, "[K] detector", -196.15),
        (166.26, "[Kelvin] Detector temperature", -106.89),
        ("250 K", "", -23.15),
        (0.0, "", 0.0),
    ],
)
def test_a_temperature_in_kelvin_or_celsius(card, comment, celsius):
    header = Header()
    header["CCD-TEMP"] = (card, comment)
    value = Keyword("CCD-TEMP", unit=u.deg_C).read(header)
    assert value.unit == u.deg_C
    assert value.value == pytest.approx(celsius)


def test_an_airmass_that_stands_for_nothing():
    keyword = Keyword("AIRMASS", kind=float)
    assert keyword.read({"AIRMASS": "99.99"}) is None
    assert keyword.read({"AIRMASS": 1.2}) == 1.2


@pytest.mark.parametrize("card", ["2 1", "2x1", "2X1", "(2, 1)", "2,1"])
def test_parts_of_a_text(card):
    assert Keyword("CCDSUM", part=0, kind=int).read({"CCDSUM": card}) == 2
    assert Keyword("CCDSUM", part=1, kind=int).read({"CCDSUM": card}) == 1


def test_a_lone_part_serves_for_both():
    assert Keyword("BINNING", part=1, kind=int).read({"BINNING": 2}) == 2
    assert Keyword("BINNING", part=1, kind=int).read({"BINNING": "3"}) == 3


def test_joining_words_of_wheels():
    wheels = Keyword("FILTER1", "FILTER2", kind=str, empty=("air",), join=True)
    assert wheels.read({"FILTER1": "Air", "FILTER2": "V"}) == "V"
    assert wheels.read({"FILTER1": "V", "FILTER2": "ND2"}) == "V+ND2"
    assert wheels.read({"FILTER1": "air", "FILTER2": "None"}) is None
    assert wheels.find({"FILTER1": "V", "FILTER2": "ND2"}) == ("V+ND2", "FILTER1+FILTER2")
    assert wheels.find({}) == (None, None)


def test_words_that_are_empty_may_have_wildcards():
    wheel = Keyword("FILTER1", kind=str, empty=("open*",))
    assert wheel.read({"FILTER1": "open1-6"}) is None
    assert wheel.read({"FILTER1": "r_G0303"}) == "r_G0303"


def test_cards_that_count_only_beside_others():
    assert Keyword("GAIN", beside="EGAIN").read({"GAIN": 100}) is None
    assert Keyword("GAIN", beside="EGAIN").read({"GAIN": 100, "EGAIN": 0.4}) == 100
    assert Keyword("GAIN", unless=("EGAIN",)).read({"GAIN": 2.0, "EGAIN": 0.4}) is None


def test_values_out_of_range_are_missing():
    assert Keyword("GAIN", kind=float, valid=(0.01, 50)).read({"GAIN": 0.0}) is None
    assert Keyword("GAIN", kind=float, valid=(0.01, 50)).read({"GAIN": 1.6}) == 1.6


@pytest.mark.parametrize(
    ("kind", "card", "value"),
    [
        (str, 48, "48"),
        (bool, "T", True),
        (bool, False, False),
        (int, "7", 7),
        (None, "x  y", "x y"),
    ],
)
def test_the_kind_that_is_asked_for(kind, card, value):
    found = Keyword("KEY", kind=kind).read({"KEY": card})
    assert found == value
    assert type(found) is type(value)


def test_a_card_that_astropy_cannot_parse_is_missing():
    header = Header.fromstring("RA      = 15:58:11.37".ljust(80))
    assert Keyword("RA").read(header) is None


def test_keywords_are_values():
    keyword = Keyword("EXPTIME", unit="s")
    assert keyword == Keyword("EXPTIME", unit=u.s)
    assert hash(keyword) == hash(Keyword("EXPTIME", unit=u.s))
    assert pickle.loads(pickle.dumps(keyword)) == keyword
    assert keyword != Keyword("EXPTIME", unit=u.ms)


def test_a_keyword_needs_a_name_and_a_kind_it_knows():
    with pytest.raises(ValueError, match="name of at least one"):
        Keyword(unit="s")
    with pytest.raises(TypeError, match="kind"):
        Keyword("A", kind=list)


@pytest.mark.parametrize(
    ("comment", "seconds"),
    [("exposure time in ms", 1.5), ("[msec]", 1.5), ("milliseconds", 1.5), ("[s] systems", 1500)],
)
def test_a_comment_tells_of_milliseconds(comment, seconds):
    header = Header()
    header["EXPTIME"] = (1500, comment)
    assert Keyword("EXPTIME", unit=u.s).read(header) == seconds * u.s


def test_nobody_measures_the_absolute_zero():
    header = Header()
    header["DET-TMP"] = (0.0, "[Kelvin] Detector temperature")
    assert Keyword("DET-TMP", unit=u.deg_C).read(header) is None


def test_readings_tell_of_every_card():
    keyword = Keyword("EGAIN", "GAIN", kind=float, valid=(0.01, 50))
    header = {"EGAIN": 0.0, "GAIN": "1.5", "OTHER": 3}
    first, second = keyword.readings(header)
    assert first[:3] == ("EGAIN", 0.0, None)
    assert "not within" in first.note
    assert second == ("GAIN", "1.5", 1.5, "")
    refused = Keyword("GAIN", unless=("EGAIN",)).readings(header)
    assert [reading.value for reading in refused] == [None]
    assert list(Keyword("GAIN", beside="RAWGAIN").readings(header)) == []

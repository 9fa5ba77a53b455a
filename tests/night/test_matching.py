import astropy.units as u
import pytest

from bmp_astro.fits import Instrument, Keyword
from bmp_astro.night.matching import (
    RULES,
    differences,
    distance,
    group,
    rules_for,
    same_exposure,
    when,
)


@pytest.fixture
def facts(frame):
    return frame().facts


def test_frames_of_the_same_camera_do_not_differ(facts):
    assert differences(facts, facts, RULES["flat"]) == []


@pytest.mark.parametrize(
    ("kind", "other", "words"),
    [
        ("bias", {"xbinning": 2}, "xbinning is 2, not 1"),
        ("bias", {"camera": "ST-8"}, "camera is 'ST-8', not 'QHY600'"),
        ("dark", {"temperature": -8.5 * u.deg_C}, "temperature is -8.5 deg_C"),
        ("bias", {"nx": 60}, "nx is 60, not 120"),
        ("flat", {"filter": "R"}, "filter is 'R', not 'V'"),
        ("dark", {"gain_setting": 100.0}, None),
    ],
)
def test_what_breaks_a_rule_is_said(facts, kind, other, words):
    found = differences(facts, {**facts, **other}, RULES[kind])
    if words is None:
        assert found == []  # the light says nothing about it
    else:
        assert len(found) == 1
        assert found[0].startswith(words)


def test_tolerances_differ_by_kind(facts):
    warm = {**facts, "temperature": -7 * u.deg_C}
    assert not differences(facts, warm, RULES["bias"])
    assert differences(facts, warm, RULES["dark"])
    assert not differences(facts, warm, RULES["flat"])


def test_kelvin_and_celsius_are_compared_as_temperatures():
    assert distance(-10 * u.deg_C, 263.65 * u.K, u.K) == pytest.approx(0.5)


def test_angles_go_round_the_circle():
    assert distance(359 * u.deg, 3 * u.deg, u.deg) == pytest.approx(4)


def test_an_instrument_adds_rules_and_changes_them(frame):
    camera = Instrument(
        name="mine",
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
        match={"flat": {"rotator": 5 * u.deg, "filter": None}},
    )
    light = frame(instrument=camera, rotator=10 * u.deg)
    rules = rules_for("flat", light)
    assert differences(light.facts, {**light.facts, "rotator": 17 * u.deg}, rules)
    assert not differences(light.facts, {**light.facts, "rotator": 6 * u.deg}, rules)


def test_groups_split_where_a_rule_says_so(frame):
    frames = [
        frame("1", "dark", exptime=60 * u.s),
        frame("2", "dark", exptime=300 * u.s),
        frame("3", "dark", exptime=60.1 * u.s),
        frame("4", "dark", exptime=60 * u.s, temperature=-12 * u.deg_C),
        frame("5", "dark", exptime=60 * u.s, xbinning=2),
        frame("6", "dark", exptime=60 * u.s, temperature=-9.6 * u.deg_C),
    ]
    names = {tuple(f.path for f in members) for members in group(frames, "dark")}
    assert names == {("1", "3", "6"), ("2",), ("4",), ("5",)}


def test_a_temperature_that_creeps_does_not_chain_into_one_group(frame):
    frames = [frame(str(i), "dark", temperature=(-20 + 0.6 * i) * u.deg_C) for i in range(6)]
    for members in group(frames, "dark"):
        values = [f.facts["temperature"].value for f in members]
        assert max(values) - min(values) <= 1


def test_flats_are_grouped_by_filter_and_not_by_exposure(frame):
    frames = [
        frame("1", "flat", exptime=1 * u.s),
        frame("2", "flat", exptime=9 * u.s),
        frame("3", "flat", filter="R"),
    ]
    names = {tuple(f.path for f in members) for members in group(frames, "flat")}
    assert names == {("1", "2"), ("3",)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(60, 60.2, True), (60, 61, False), (0, 0, True), (0, 0.01, False), (None, 3, True)],
)
def test_exposures_are_the_same_within_half_a_percent(one, other, same):
    assert same_exposure(one, other) is same


def test_a_date_that_makes_no_sense_has_no_time():
    assert when({"date_obs": "2026-03-14T00:00:00"}) == 1773446400.0
    assert when({"date_obs": "yesterday"}) is None
    assert when({}) is None

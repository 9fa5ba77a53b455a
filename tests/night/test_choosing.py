import astropy.units as u
import pytest

from bmp_astro.fits import Instrument
from bmp_astro.night.choosing import choose, choose_dark, choose_for_light
from bmp_astro.night.matching import Candidate


@pytest.fixture
def candidate(frame):
    """A function that makes a master that fits the 60 s light, but for what it is told."""

    def make(name, kind="bias", *, own=True, seconds=60.0, bias_removed=True, **facts):
        known = {**frame().facts, **facts}
        return Candidate(name, kind, known, (seconds, seconds), own, bias_removed)

    return make


def test_the_nearest_in_time_comes_first_and_own_masters_before_borrowed(frame, candidate):
    choice = choose(
        "bias",
        frame(),
        [
            candidate("far", date_obs="2026-03-14T20:00:00"),
            candidate("borrowed", date_obs="2026-03-14T22:01:00", own=False),
            candidate("near", date_obs="2026-03-14T22:30:00"),
            candidate("other", xbinning=2),
            candidate("dark", "dark"),
        ],
    )
    assert choice.name == "near"
    assert choice.sentence == (
        "bias: near, 30 min away; rather than far (2.0 h away); "
        "rather than borrowed (1 min away); refused other: xbinning is 2, not 1"
    )
    assert choice.missing == ""


def test_what_is_missing_is_said(frame, candidate):
    assert choose("flat", frame(), []).missing == "there is no master flat"
    red = candidate("red", "flat", filter="R")
    missing = choose("flat", frame(), [red]).missing
    assert missing == "no master flat fits (red: filter is 'R', not 'V')"


def test_a_dark_of_equal_exposure_is_taken_as_it_is(frame, candidate):
    darks = [candidate("long", "dark", seconds=300.0), candidate("equal", "dark")]
    choice = choose_dark(frame(), darks, (60.0, 60.0), has_bias=True)
    assert choice.sentence == (
        "dark: equal, 60 s, 0 min away; rather than long (300 s, scaled to 60 s, 0 min away)"
    )


def test_of_longer_darks_the_shortest_is_scaled_and_shorter_ones_are_refused(frame, candidate):
    darks = [candidate(f"{t}s", "dark", seconds=float(t)) for t in (900, 300, 3)]
    choice = choose_dark(frame(), darks, (60.0, 60.0), has_bias=True)
    assert choice.name == "300s"
    assert "refused 3s: its 3 s are shorter than 60 s" in choice.sentence


@pytest.mark.parametrize(
    ("dark", "has_bias", "scaling", "reason"),
    [
        ({"seconds": 300.0}, True, False, "this camera's darks do not scale"),
        ({"seconds": 300.0}, False, True, "without a bias it cannot be scaled"),
        ({"seconds": 300.0, "bias_removed": False}, True, True, "without a bias it cannot"),
        ({"seconds": 60.0}, False, True, "its bias is removed, and there is no bias here"),
        ({"seconds": 30.0}, True, True, "its 30 s are shorter than 60 s"),
        ({"temperature": -5 * u.deg_C}, True, True, "temperature is -5 deg_C"),
    ],
)
def test_a_dark_that_must_not_be_used_is_refused(frame, candidate, dark, has_bias, scaling, reason):
    light = frame(instrument=Instrument("test", dark_scaling=scaling))
    choice = choose_dark(light, [candidate("d", "dark", **dark)], (60.0, 60.0), has_bias=has_bias)
    assert choice.master is None
    assert reason in choice.missing


def test_a_dark_that_holds_its_bias_needs_none(frame, candidate):
    masters = [candidate("dark", "dark", bias_removed=False), candidate("flat", "flat")]
    choices = choose_for_light(frame(), masters)
    assert set(choices) == {"dark", "flat"}


def test_flats_of_several_exposures_need_a_dark_as_long_as_the_longest(frame, candidate):
    darks = [candidate("10s", "dark", seconds=10.0), candidate("30s", "dark", seconds=30.0)]
    assert choose_dark(frame(), darks, (2.0, 20.0), has_bias=True).name == "30s"

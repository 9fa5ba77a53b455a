import astropy.units as u
import pytest

from bmp_astro.night.choosing import choose, choose_for_light
from bmp_astro.night.dates import age_limits
from bmp_astro.night.matching import Candidate

KINDS = ("bias", "dark", "flat")


@pytest.mark.parametrize(
    ("max_age", "limits"),
    [
        (None, {}),
        ("2 d", dict.fromkeys(KINDS, 172800.0)),
        (90 * u.min, dict.fromkeys(KINDS, 5400.0)),
        ({"flat": "30d", "bias": 12 * u.h}, {"flat": 2592000.0, "bias": 43200.0}),
    ],
)
def test_limits_however_they_are_given(max_age, limits):
    assert dict(age_limits(max_age, KINDS)) == limits


@pytest.mark.parametrize("wrong", ["2", "2 m", "-1 d", 5, "soon", "nan d"])
def test_what_is_no_time_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a time such as '12 h' or '30 d'"):
        age_limits(wrong, KINDS)


def test_a_limit_for_what_is_no_master_is_refused():
    with pytest.raises(ValueError, match="max_age has lights: expected some of bias, dark, flat"):
        age_limits({"lights": "2 d"}, KINDS)


def test_masters_that_are_too_old_are_refused(frame):
    facts = {**frame().facts, "date_obs": "2026-03-12T22:00:00"}
    old = [Candidate(kind, kind, facts, (60.0, 60.0)) for kind in KINDS]
    limits = age_limits({"flat": "1 d", "bias": "2.5 d"}, KINDS)
    choices = choose_for_light(frame(), old, limits)
    assert (choices["bias"].name, choices["dark"].name, choices["flat"].name) == (
        "bias",
        "dark",
        "",
    )
    missing = choices["flat"].missing
    assert missing == "no master flat fits (flat: it is 2.0 d away, and max_age is 24.0 h)"


def test_a_master_without_a_date_is_not_too_old(frame):
    facts = {**frame().facts, "date_obs": None}
    assert choose("flat", frame(), [Candidate("m", "flat", facts)], {"flat": 1.0}).name == "m"


def test_of_many_that_would_do_a_few_are_named(frame):
    facts = frame().facts
    many = [Candidate(f"m{i}", "flat", facts) for i in range(30)]
    sentence = choose("flat", frame(), many).sentence
    assert sentence.count("rather than") == 5
    assert sentence.endswith("and 24 more")

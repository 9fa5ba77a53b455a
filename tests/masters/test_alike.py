"""Frames that are unlike the others of their master."""

from itertools import pairwise

import numpy as np
import pytest

from bmp_astro.masters import build_master


@pytest.fixture
def lamp():
    """Light from one side, 1 at the far edge."""
    return np.tile(np.arange(140) / 139, (96, 1))


def refused(report):
    return {row.path.split("/")[-1]: row.reason for row in report.rows if not row.used}


def test_a_dark_with_light_in_it_is_refused(expose, lamp):
    bias, _ = build_master("bias", expose("bias", 5))
    paths = expose("dark", 4, exptime=100.0)
    paths += expose("dark", 1, exptime=100.0, seed=1, extra=60 * lamp)
    _, report = build_master("dark", paths, master_bias=bias)
    [(name, reason)] = refused(report).items()
    assert name == "dark-1-0.fits"
    assert "light leak: compared with the other frames its level varies by" in reason
    gates = {"max_pattern": 100.0, "max_level_offset": 100.0}
    _, report = build_master("dark", paths, master_bias=bias, gates=gates)
    assert refused(report) == {}


def test_a_dark_of_another_level_is_refused(expose):
    paths = expose("dark", 4, exptime=10.0) + expose("dark", 1, exptime=10.0, seed=1, extra=900.0)
    bias, _ = build_master("bias", expose("bias", 5))
    _, report = build_master("dark", paths, master_bias=bias)
    assert "away from that of the other frames" in refused(report)["dark-1-0.fits"]


def test_a_flat_under_another_lamp_is_refused_one_of_another_level_is_not(expose, lamp):
    bias, _ = build_master("bias", expose("bias", 5))
    paths = expose("flat", 4, 1.0, [8000, 12000, 30000, 40000])
    paths += expose("flat", 1, 1.0, 20_000, seed=1, extra=3000 * lamp)
    _, report = build_master("flat", paths, master_bias=bias)
    [(name, reason)] = refused(report).items()
    assert name == "flat-1-0.fits"
    assert "its level varies by" in reason
    assert "% over the frame (limit 5.0%)" in reason
    _, report = build_master("flat", paths, master_bias=bias, gates={"max_flat_pattern": 0.5})
    assert refused(report) == {}


def test_where_all_frames_jump_each_has_an_alarm_and_its_twin(expose):
    """A step over a part of the chip, in another place in each frame, and dates that repeat."""
    paths = []
    for number, (y0, y1) in enumerate(pairwise((0, 32, 64, 96))):
        step = np.zeros((96, 140))
        step[y0:y1] = 27.0
        paths += expose("bias", 1, seed=number, extra=step, DATE_OBS="2022-10-23T01:29:18")
    _, report = build_master("bias", paths)
    for row in report.rows:
        assert row.used
        assert "its level varies by" in row.alarms[0]
        assert "it is used, since most of the frames differ" in row.alarms[0]
        assert "it has the date of bias-" in row.alarms[1]


def test_the_step_between_real_bias_frames_names_them(real_data):
    paths = sorted((real_data / "ic310_j").glob("bias_*.fits"))
    _, report = build_master("bias", paths)
    alarms = ["; ".join(row.alarms) for row in report.rows]
    assert all("its level varies by" in text for text in alarms)
    assert "it has the date of bias_3.fits" in alarms[0]
    assert "it has the date of bias_1.fits" in alarms[2]

"""New masters against those of other nights."""

import numpy as np
import pytest

from bmp_astro import reduce_night
from bmp_astro.fits import write_frame
from bmp_astro.masters import build_master
from bmp_astro.simulate import simulate_night


@pytest.fixture
def older(expose, tmp_path):
    """A directory with a bias and darks of two exposure times of another night."""
    folder = tmp_path / "older"
    folder.mkdir()
    bias, _ = build_master("bias", expose("bias", 5, seed=1))
    write_frame(bias, folder / "bias.fits", checksum=True)
    for exptime in (10.0, 100.0):
        dark, _ = build_master("dark", expose("dark", 5, exptime=exptime), master_bias=bias)
        write_frame(dark, folder / f"dark-{exptime:.0f}.fits", checksum=True)
    return folder


def alarms(kind, paths, older, **options):
    _, report = build_master(kind, paths, previous_masters=older, **options)
    return [text for text in report.alarms if "previous master" in text]


def test_masters_of_an_unchanged_camera_are_alike(expose, older):
    assert alarms("bias", expose("bias", 5, seed=2), older) == []
    # a level that drifted as a whole is no change of the pattern
    assert alarms("bias", expose("bias", 5, seed=3, extra=40.0), older) == []
    bias = older / "bias.fits"
    darks = expose("dark", 5, exptime=100.0, seed=4)
    assert alarms("dark", darks, older, master_bias=bias) == []


def test_a_changed_pattern_is_an_alarm_with_its_numbers(expose, older):
    stripes = 30.0 * (np.arange(140) % 10 == 0)
    paths = expose("bias", 5, seed=5, extra=stripes)
    [text] = alarms("bias", paths, older)
    assert text.startswith("10.")
    assert f"previous master {older / 'bias.fits'} (limit 5.0%)" in text
    assert alarms("bias", paths, older, gates={"max_changed": 0.2}) == []


def test_only_what_is_like_it_is_compared(expose, older):
    stripes = 30.0 * (np.arange(140) % 10 == 0)
    for other in ({"INSTRUME": "another"}, {"XBINNING": 2}):
        bias, _ = build_master("bias", expose("bias", 2, seed=6, **other))
        write_frame(bias, older / "bias.fits", overwrite=True)
        mine = {name: 1 if name == "XBINNING" else "mine" for name in other}
        assert alarms("bias", expose("bias", 2, seed=7, extra=stripes, **mine), older) == []
    paths = expose("dark", 3, exptime=50.0, seed=8, extra=stripes)
    assert alarms("dark", paths, older) == []


def test_a_night_says_it_in_the_row_of_the_first_file(tmp_path, caplog):
    how = {"shape": (48, 64), "bad_files": False, "filters": ("V",), "n_light": 1}
    simulate_night(tmp_path / "raw1", seed=1, **how)
    simulate_night(tmp_path / "raw2", seed=2, **how)  # another camera, in truth
    reduce_night(tmp_path / "raw1", tmp_path / "one", executor="serial")
    masters = tmp_path / "one" / "masters"
    again = reduce_night(
        tmp_path / "raw1", tmp_path / "again", executor="serial", previous_masters=masters
    )
    assert not [text for text in again["alarms"] if "previous master" in text]
    table = reduce_night(
        tmp_path / "raw2", tmp_path / "two", executor="serial", previous_masters=masters
    )
    told = [row["frame_type"] for row in table if "previous master" in row["alarms"]]
    assert told == ["flat"]  # of the others the noise hides it
    assert "has no effect" not in caplog.text

"""The log of a night: which file each line is about."""

import logging
import subprocess
import sys

import pytest

from bmp_astro import reduce_night
from bmp_astro.simulate import simulate_night


def noting(ccd, **kwargs):
    """A step that has something to say, and no name to say it of."""
    logging.getLogger("bmp_astro").warning("clouds")
    return ccd


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_every_note_names_its_file(tmp_path, executor):
    raw, out = tmp_path / "raw", tmp_path / "out"
    simulate_night(
        raw, shape=(16, 24), n_bias=3, n_dark=1, n_flat=0, n_light=2, filters=("V",),
        bad_files=False,
    )  # fmt: skip
    given = {"require": (), "executor": executor, "num_processes": 2}
    table = reduce_night(raw, out, pre_process_list=[noting], **given)
    lines = (out / "bmp_astro.log").read_text().splitlines()
    lights = table[table["frame_type"] == "light"]
    assert len(lights) == 2
    for row in lights:
        assert any(f"done: {row['in_name']} -> {row['outname']}" in line for line in lines)
        assert row["alarms"]
        assert any(f"WARNING {row['in_name']}: {row['alarms']}" in line for line in lines)
        assert "clouds" in row["warnings"]
        assert sum(f"WARNING {row['in_name']}: clouds" in line for line in lines) == 1


def test_a_misspelled_keyword_is_told_on_the_terminal_and_what_files_say_is_not(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    simulate_night(raw, shape=(16, 24), n_bias=3, n_dark=1, n_flat=3, n_light=1, filters=("V",))
    code = (
        f"from bmp_astro import reduce_night; reduce_night({str(raw)!r}, {str(out)!r}, flat_mn=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = "no step names the keyword 'flat_mn': was 'flat_min' meant?"
    assert done.stderr.splitlines() == [told]
    assert told in (out / "bmp_astro.log").read_text()

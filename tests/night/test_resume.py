"""A night that is run again: what is kept, what is made anew, what a stop leaves behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from bmp_astro import reduce_night
from bmp_astro.core import PipelineInterrupted
from bmp_astro.core.locks import DirectoryInUse, locked
from bmp_astro.simulate import simulate_night

SMALL = {"shape": (64, 96), "n_bias": 4, "n_dark": 3, "n_flat": 3, "n_light": 4}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return simulate_night(tmp_path_factory.mktemp("night") / "raw", **SMALL, bad_files=False)


@pytest.fixture
def raw(night, tmp_path):
    return shutil.copytree(night.folder, tmp_path / "raw")


@pytest.fixture
def out(raw, tmp_path):
    """An output directory into which the night was reduced once."""
    table = reduce_night(raw, tmp_path / "out")
    assert set(table["status"]) == {"done"}
    return tmp_path / "out"


def status_of(table, kind=None):
    rows = table if kind is None else table[table["frame_type"] == kind]
    return {os.path.basename(row["in_name"]): str(row["status"]) for row in rows}


def texts(column):
    return [str(value).strip() for value in column]


def times(out):
    return {path.name: path.stat().st_mtime_ns for path in out.rglob("*.fits")}


def test_nothing_is_made_twice_and_the_table_is_the_same(raw, out):
    first, before = QTable.read(out / "night.ecsv"), times(out)
    again = reduce_night(raw, out)
    assert set(again["status"]) == {"skipped"}
    assert times(out) == before
    assert set(again.colnames) == set(first.colnames)
    for name in set(first.colnames) - {"status", "message", "seconds", "peak_memory"}:
        assert texts(again[name]) == texts(first[name]), name


def test_without_resuming_what_exists_is_kept_and_overwriting_makes_it_anew(raw, out):
    before = times(out)
    kept = reduce_night(raw, out, resume=False)
    assert set(kept["status"]) == {"skipped"}
    assert times(out) == before
    made = reduce_night(raw, out, overwrite=True)
    assert set(made["status"]) == {"done"}
    assert all(times(out)[name] > before[name] for name in before)


def test_a_light_that_came_later_is_the_only_one_made(raw, out):
    shutil.copy(raw / "cluster-V-001.fit", raw / "cluster-V-009.fit")
    table = reduce_night(raw, out)
    made = [name for name, status in status_of(table).items() if status == "done"]
    assert made == ["cluster-V-009.fit"]


def test_a_changed_keyword_makes_the_lights_anew(raw, out):
    table = reduce_night(raw, out, flat_min=0.2)
    assert set(status_of(table, "light").values()) == {"done"}
    assert set(status_of(table, "bias").values()) == {"skipped"}


def test_a_changed_flat_makes_its_master_and_lights_anew_and_no_other(raw, out):
    path = raw / "flat-R-001.fit"
    data, header = fits.getdata(path, header=True)
    data[20:40, 20:40] += np.uint16(500)
    fits.writeto(path, data, header, overwrite=True)
    table = reduce_night(raw, out)
    for name, status in status_of(table).items():
        changed = name.startswith(("flat-R", "cluster-R"))
        assert status == ("done" if changed else "skipped"), name


def test_a_product_that_was_damaged_or_removed_is_made_anew(raw, out):
    (out / "lights/cluster-V-001_reduced.fits").unlink()
    os.truncate(out / "lights/cluster-R-002_reduced.fits", 5000)
    table = reduce_night(raw, out)
    made = [name for name, status in status_of(table).items() if status == "done"]
    assert made == ["cluster-R-002.fit", "cluster-V-001.fit"]
    assert fits.getdata(out / "lights/cluster-R-002_reduced.fits").shape == (64, 96)


def test_a_second_run_into_the_same_directory_is_refused(raw, out):
    with locked(out), pytest.raises(DirectoryInUse, match="out"):
        reduce_night(raw, out)


PROGRAM = """
import sys, time
from bmp_astro import reduce_night

def slowly(ccd, **kwargs):
    time.sleep(0.2)
    return ccd

if __name__ == "__main__":
    reduce_night(sys.argv[1], sys.argv[2], pre_process_list=[slowly], num_processes=2)
"""


def start(raw, out, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # A shell in the background would have SIGINT ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, program, raw, out], stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, handler)


def finish(process):
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


def wait_for(found, process, seconds=60):
    """Wait until ``found()``, or the process has ended."""
    end = time.monotonic() + seconds
    while not found() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def without_dates(path):
    with fits.open(path) as hdus:
        for hdu in hdus:
            for name in ("DATE", "CHECKSUM"):
                hdu.header.remove(name, ignore_missing=True)
            if "DATASUM" in hdu.header:
                hdu.header.comments["DATASUM"] = ""  # it tells when
        return [(hdu.header.tostring(), hdu.data.tobytes()) for hdu in hdus]


def test_a_killed_run_goes_on_to_the_same_products(raw, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(raw, whole, tmp_path))
    process = start(raw, killed, tmp_path)
    # Not the file alone: a light that is not in the journal yet would be made again.
    journal = killed / ".bmp_astro.jsonl"
    wait_for(lambda: journal.exists() and "_reduced.fits" in journal.read_text(), process)
    time.sleep(random.uniform(0, 0.1))
    process.kill()
    process.communicate()
    finish(start(raw, killed, tmp_path))
    statuses = status_of(QTable.read(killed / "night.ecsv"), "light").values()
    assert "skipped" in statuses
    names = sorted(path.relative_to(whole) for path in whole.rglob("*.fits"))
    assert sorted(path.relative_to(killed) for path in killed.rglob("*.fits")) == names
    assert len(names) == 8
    for name in names:
        assert without_dates(whole / name) == without_dates(killed / name), name
    assert not list(killed.rglob("*.bmptmp*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_writes_its_table_and_leaves_no_half_file(raw, tmp_path, number):
    out = tmp_path / "out"
    process = start(raw, out, tmp_path)
    wait_for(lambda: len(list(out.glob("lights/*.fits"))) >= 1, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "PipelineInterrupted" in said
    statuses = status_of(QTable.read(out / "night.ecsv"), "light")
    assert set(statuses.values()) <= {"done", "not_run", "failed"}
    assert "done" in statuses.values()
    products = {path.name for path in out.glob("lights/*")}
    finished = {name for name, status in statuses.items() if status == "done"}
    assert products == {name.replace(".fit", "_reduced.fits") for name in finished}


def test_a_stop_while_masters_are_built_leaves_a_table(raw, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)

    kind = "flat"
    from bmp_astro.night import masters

    class Stopping(masters.MasterPipe):
        def data_process(self, data, **kwargs):
            if kwargs.get("kind") == kind:
                stop()
            return super().data_process(data, **kwargs)

    monkeypatch.setattr(masters, "MasterPipe", Stopping)
    with pytest.raises(PipelineInterrupted) as stopped:
        reduce_night(raw, tmp_path / "out")
    table = stopped.value.pout
    assert len(table) == 17
    assert set(status_of(table, "light").values()) == {"not_run"}
    assert set(status_of(table, "bias").values()) == {"done"}
    assert set(status_of(table, "flat").values()) == {"done", "not_run"}
    assert list(QTable.read(tmp_path / "out/night.ecsv")["status"]) == list(table["status"])

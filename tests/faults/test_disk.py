"""Disks that are full, too small or read-only: a row for each file, and never half of one."""

import contextlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.nddata import CCDData
from astropy.table import QTable

from bmp_astro import reduce_night, write_frame
from bmp_astro.core import BigMultiPipe
from bmp_astro.core.journal import read_journal
from bmp_astro.fits import words
from bmp_astro.fits.encode import Stored
from bmp_astro.fits.stream import PlainFile
from bmp_astro.simulate import simulate_night

BLOCK = b"x" * 2**20
F4 = np.dtype(">f4")


class Copies(BigMultiPipe):
    """Writes so many bytes as an input's text says."""

    def file_read(self, in_name, **kwargs):
        return int(Path(in_name).read_text())

    def file_write(self, data, outname, **kwargs):
        with open(outname, "wb") as file:
            for start in range(0, data, len(BLOCK)):
                file.write(BLOCK[: data - start])
        return outname


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk, data, **kwargs):
    """A step that takes all the room there is."""
    with open(disk / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(BLOCK[:4096]):
            pass
    return data


def inputs(tmp_path, sizes):
    (tmp_path / "in").mkdir()
    names = [tmp_path / "in" / f"{number}.txt" for number in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        name.write_text(str(size))
    return [str(name) for name in names]


def check_whole(pout, outdir, sizes):
    """Assert that a file under a final name is complete, and that there are no others."""
    done = {Path(outcome.outname).name for outcome in pout if outcome.status == "done"}
    assert {name for name in os.listdir(outdir) if name.endswith(".txt")} == done
    for outcome, size in zip(pout, sizes, strict=True):
        if outcome.status == "done":
            assert os.path.getsize(outcome.outname) == size


@pytest.mark.parametrize("name", ["process", "thread", "serial", "ProcessPoolExecutor"])
def test_a_disk_that_fills_up(small_disk, tmp_path, executor_of, nothing_left, name):
    sizes = [1_000_000, 20_000_000, 1_000_000, 1_000_000, 20_000_000, 1_000_000]
    pipe = Copies(outdir=small_disk, on_error="record", executor=executor_of(name))
    # One at a time: while a file that will not fit is written, another one may not fit either.
    pout = pipe.pipeline(inputs(tmp_path, sizes), num_processes=1)
    assert [outcome.status for outcome in pout] == [
        "failed" if size > 8e6 else "done" for size in sizes
    ]
    assert "No space left on device" in pout[1].message
    assert pout[1].step == "file_write"
    check_whole(pout, small_disk, sizes)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_a_frame_that_does_not_fit_leaves_nothing(small_disk, suffix):
    room = os.statvfs(small_disk).f_bavail
    frame = CCDData(np.zeros((1000, 3000), np.float32), unit="adu")
    with pytest.raises(OSError, match="No space left on device"):
        write_frame(frame, small_disk / f"frame{suffix}")
    assert os.listdir(small_disk) == []
    assert os.statvfs(small_disk).f_bavail == room


@pytest.mark.skipif(words._compiled is None, reason="numpy cannot reserve room")
def test_that_a_frame_does_not_fit_is_known_before_its_pixels_are_encoded(small_disk):
    asked = []

    def rows(y0, y1):
        asked.append((y0, y1))
        return np.zeros((y1 - y0, 1000), ">f4"), None

    def write(stream, ny):
        PlainFile(stream, checksum=False).add("", Header(), Stored((ny, 1000), F4, {}, rows))

    with open(small_disk / "frame.fits", "wb") as stream:
        with pytest.raises(OSError, match="No space left on device"):
            write(stream, 3000)
        assert asked == []
        write(stream, 1000)
        assert asked != []


@pytest.mark.parametrize("resume", [False, True])
def test_a_disk_that_is_full_to_the_last_byte(small_disk, tmp_path, nothing_left, resume):
    sizes = [3_000_000] * 6
    pipe = Copies(outdir=small_disk, on_error="record", num_processes=2, resume=resume)
    pout = pipe.pipeline(inputs(tmp_path, sizes))
    statuses = [outcome.status for outcome in pout]
    assert set(statuses) == {"done", "failed"}
    assert 1 <= statuses.count("done") <= 2
    check_whole(pout, small_disk, sizes)
    for outcome in pout:
        if outcome.status == "failed":
            assert "No space left on device" in outcome.message
    # With room again, what is missing is made and what is there is kept.
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    again = pipe.pipeline([outcome.in_name for outcome in pout])
    kept = [outcome.status for outcome in again].count("skipped")
    # A journal on a full disk may lack what was made: then that is made again.
    assert kept <= statuses.count("done") if resume else kept == statuses.count("done")
    assert sorted(os.path.getsize(outcome.outname) for outcome in again) == sizes


@pytest.mark.parametrize("name", ["process", "thread", "serial", "ProcessPoolExecutor"])
def test_a_disk_that_stays_full_ends_the_run(small_disk, tmp_path, executor_of, nothing_left, name):
    """The rows say why nothing more was begun, and with room again the same run makes the rest."""
    sizes = [3_000_000] * 30
    keywords = {"executor": executor_of(name), "num_processes": 1 if name == "serial" else 2}
    pipe = Copies(outdir=small_disk, on_error="record", resume=True, **keywords)
    pout = pipe.pipeline(inputs(tmp_path, sizes))
    statuses = [outcome.status for outcome in pout]
    assert set(statuses) == {"done", "failed", "not_run"}
    assert statuses.count("not_run") > 10
    check_whole(pout, small_disk, sizes)
    for outcome in pout:
        if outcome.status == "not_run":
            assert "files in a row could not be written (No space left on device)" in (
                outcome.message
            )
            assert "make room, and run again" in outcome.message
    subprocess.run(["mount", "-o", "remount,size=120m", small_disk], check=True)
    again = pipe.pipeline([outcome.in_name for outcome in pout])
    assert set(map(tuple, zip(statuses, [o.status for o in again], strict=True))) == {
        ("done", "skipped"),
        ("failed", "done"),
        ("not_run", "done"),
    }


def test_a_journal_on_a_full_disk_gets_its_rows_when_there_is_room(small_disk, tmp_path, caplog):
    """Each row waits for the next chance, and what is lost in the end is said by name."""
    names = inputs(tmp_path, [10] * 4)
    journal = small_disk / "journal.jsonl"

    def full_then_room(data, in_name=None):
        if in_name == names[0]:
            return fill(small_disk, data)
        if in_name == names[2]:
            (small_disk / "filler").unlink()
        return data

    pipe = Copies(outdir=tmp_path / "out", create_outdir=True, executor="serial", journal=journal)
    pipe.pipeline(names, pre_process_list=full_then_room)
    assert [record["in_name"] for record in read_journal(journal)] == names
    assert "rows wait for room in the journal" in caplog.text
    assert "lacks" not in caplog.text
    pipe.pipeline(names, pre_process_list=partial(fill, small_disk), overwrite=True)
    kept = len(read_journal(journal)) - 4
    assert f"lacks {4 - kept} rows" in caplog.text
    assert names[3] in caplog.text


def test_a_night_on_a_disk_that_is_too_small(small_disk, tmp_path, nothing_left, caplog, capfd):
    """It is refused; made all the same, it has a row for each file, and ends with more room."""
    raw, out = tmp_path / "raw", small_disk / "out"
    small = {"n_bias": 3, "n_dark": 3, "n_flat": 3, "n_light": 20, "bad_files": False}
    simulate_night(raw, shape=(256, 256), filters=("V",), **small)
    with pytest.raises(OSError, match="outputs of about 14 MiB together do not fit into the"):
        reduce_night(raw, out)
    statuses = set(QTable.read(out / "night.ecsv")["status"])
    assert statuses == {"done", "not_run"}
    (out / "night.ecsv").unlink()
    full = reduce_night(raw, out, output_size=None, pre_process_list=[partial(fill, small_disk)])
    assert set(full[full["frame_type"] == "light"]["status"]) == {"failed", "not_run"}
    assert f"{out}/night.ecsv cannot be written: " in caplog.text
    assert capfd.readouterr().err == ""
    assert not (out / "night.ecsv").exists()
    (small_disk / "filler").unlink()
    table = reduce_night(raw, out, output_size=None, num_processes=1)
    lights = table[table["frame_type"] == "light"]
    assert set(lights["status"]) == {"done", "failed", "not_run"}
    made = {path.name for path in (out / "lights").iterdir()}
    assert made == {Path(name).name for name in lights["outname"][lights["status"] == "done"]}
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    again = reduce_night(raw, out)
    assert set(again["status"]) == {"done", "skipped"}


@pytest.mark.parametrize("name", ["process", "thread", "serial"])
def test_a_read_only_disk(small_disk, tmp_path, executor_of, nothing_left, name):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    pipe = Copies(outdir=small_disk, on_error="record", executor=executor_of(name))
    pout = pipe.pipeline(inputs(tmp_path, [10] * 3), num_processes=2)
    assert [outcome.status for outcome in pout] == ["failed"] * 3
    assert all("Read-only file system" in outcome.message for outcome in pout)
    pipe = Copies(outdir=small_disk, on_error="record", resume=True)
    with pytest.raises(OSError, match="Read-only file system"):  # there can be no journal
        pipe.pipeline([outcome.in_name for outcome in pout])


def test_control_data_that_do_not_fit_on_the_disk_are_sent(small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))

    def length(data, table=b""):
        return len(table)

    pipe = Copies(outdir=tmp_path, pre_process_list=length, num_processes=2)
    pout = pipe.pipeline(inputs(tmp_path, [1] * 4), table=bytearray(20_000_000), executor="process")
    assert [os.path.getsize(outcome.outname) for outcome in pout] == [20_000_000] * 4
    assert os.listdir(small_disk) == []


def test_room_is_looked_for_before_anything_runs(small_disk, tmp_path):
    read = []

    def note(data):
        read.append(data)
        return data

    names = inputs(tmp_path, [3_000_000] * 4)
    pipe = Copies(outdir=small_disk / "new", create_outdir=True, pre_process_list=note)
    with pytest.raises(OSError, match="4 outputs of about 11 MiB together do not fit into the"):
        pipe.pipeline(names, executor="serial", output_size=3_000_000)
    with pytest.raises(OSError, match="do not fit"):
        pipe.pipeline(
            names, executor="serial", output_size=lambda name: int(Path(name).read_text())
        )
    with pytest.raises(OSError, match=r"] 1 output of about 11 MiB does not fit into the \S+ MiB "):
        pipe.pipeline(names[:1], executor="serial", output_size=12_000_000)
    with pytest.raises(OSError, match=r"1 output of about 2\.0 GiB does not fit"):
        pipe.pipeline(names[:1], executor="serial", output_size=2**31)
    assert read == []
    assert os.listdir(small_disk) == []
    two = pipe.pipeline(names[:2], executor="serial", output_size=3_000_000)
    # What is there takes no more room.
    again = pipe.pipeline(names[:2], executor="serial", output_size=3_000_000)
    assert [(a.status, b.status) for a, b in zip(two, again, strict=True)] == [
        ("done", "skipped")
    ] * 2


SCRIPT = """
import json, os, sys
sys.path.insert(0, os.path.dirname(__file__))
from copies import Copies

executor, folder, n = sys.argv[1:]
names = [os.path.join(folder, "in", f"{i}.txt") for i in range(int(n))]
pipe = Copies(outdir=os.path.join(folder, "out"), create_outdir=True, executor=executor,
              on_error="record", num_processes=2, table=bytearray(1_000_000))
print(json.dumps([(o.status, o.message, o.outname) for o in pipe.pipeline(names)]))
"""


@pytest.mark.parametrize("executor", ["process", "thread", "serial"])
def test_a_limit_on_the_size_of_files(tmp_path, executor):
    """Set for the whole program, so that neither workers nor the engine may write more."""
    import inspect
    import json
    import resource

    (tmp_path / "copies.py").write_text(
        "from pathlib import Path\nfrom bmp_astro.core import BigMultiPipe\n"
        'BLOCK = b"x" * 2**20\n' + inspect.getsource(Copies)
    )
    (tmp_path / "script.py").write_text(SCRIPT)
    sizes = [1000, 500_000, 1000, 1000, 500_000]
    inputs(tmp_path, sizes)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", executor, tmp_path, str(len(sizes))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    for (status, message, outname), size in zip(rows, sizes, strict=True):
        if size > 100_000:
            assert (status, outname) == ("failed", None)
            assert "File too large" in message
        else:
            assert status == "done"
            assert os.path.getsize(outname) == size
    assert len(os.listdir(tmp_path / "out")) == 3

"""Disks that are full, too small or read-only: a row for each file, and never half of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmp_astro.core import BigMultiPipe

BLOCK = b"x" * 2**20


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

"""One task of ten does the worst; the other nine arrive, and its row says what happened."""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from bmp_astro.core import BigMultiPipe

PROCESSES = ("process", "ProcessPoolExecutor", "loky", "dask")
EVERYWHERE = (*PROCESSES, "thread", "serial")


class Numbers(BigMultiPipe):
    """Ten inputs; the fourth meets the fault."""

    def file_read(self, in_name, **kwargs):
        return Path(in_name).read_text()

    def data_process(self, data, fault=None, **kwargs):
        return fault(data) if data == "3" else data

    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(data)
        return outname


class Awkward(Exception):
    """Cannot be unpickled: its __init__ wants more than its args hold."""

    def __init__(self, code, *, reason):
        super().__init__(f"{code}: {reason}")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def raises(data):
    raise ValueError("the third is bad")


def exits(data):
    sys.exit(3)


def interrupts(data):
    raise KeyboardInterrupt("by itself")


def awkward(data):
    raise Awkward(7, reason="odd")


def unprintable(data):
    raise Unprintable


def no_memory(data):
    return bytearray(2**62)


def killed(data):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def exits_hard(data):
    os._exit(5)


def segfaults(data):
    ctypes.string_at(0)


def closes_its_streams(data):
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    for number in range(3):
        os.close(number)
    return data


def forks(data):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return data


def changes_directory(data):
    os.chdir("/")
    return data


@pytest.fixture
def run(executor_of, tmp_path, monkeypatch):
    """Run ten inputs with one fault on a named executor."""
    monkeypatch.chdir(tmp_path)  # relative names must mean the same in every worker
    Path("in").mkdir()
    Path("out").mkdir()
    for i in range(10):
        Path(f"in/{i}.txt").write_text(str(i))

    def go(name, fault, breaks=False, **kwargs):
        executor = executor_of(name, lasting=not breaks)
        pipe = Numbers(outdir=str(tmp_path / "out"), on_error="record", executor=executor)
        names = [str(tmp_path / f"in/{i}.txt") for i in range(10)]
        workers = 1 if name == "serial" else 2
        return pipe.pipeline(names, fault=fault, num_processes=workers, **kwargs)

    return go


def innocent(pout):
    """Assert that the other nine are whole; return the row of the culprit."""
    for i, outcome in enumerate(pout):
        if i != 3:
            assert outcome.status == "done", (i, outcome.status, outcome.message)
            assert Path(outcome.outname).read_text() == str(i)
    return pout[3]


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (raises, "ValueError: the third is bad"),
        (exits, "SystemExit: 3"),
        (interrupts, "KeyboardInterrupt: by itself"),
        (awkward, "Awkward: 7: odd"),
        (unprintable, "Unprintable"),
        (no_memory, "MemoryError"),
    ],
)
def test_an_error(run, nothing_left, name, fault, message):
    row = innocent(run(name, fault))
    assert row == (None, {})
    assert row.status == "failed"
    assert row.step == "data_process"
    assert row.message.startswith(message)
    assert fault.__name__ in row.traceback


@pytest.mark.parametrize("name", EVERYWHERE)
def test_metadata_that_cannot_be_sent(run, nothing_left, name):
    def lock_in_meta(data, bmp_meta=None):
        if data == "3":
            bmp_meta["odd"] = threading.Lock()
        return data

    row = innocent(run(name, lambda data: data, post_process_list=lock_in_meta))
    if name in PROCESSES:
        assert row.status == "failed"
        assert "['odd'] cannot be pickled" in row.message
    else:
        assert row.status == "done"


DEATHS = [(killed, "SIGKILL"), (exits_hard, "exit code 5"), (segfaults, "SIGSEGV")]


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        # These take their time to start a worker anew, whatever ended it.
        pytest.param(name, *death, marks=pytest.mark.slow if slow else ())
        for name in PROCESSES
        for death in DEATHS
        for slow in [name in ("loky", "dask") and death[0] is not killed]
    ],
)
def test_a_worker_dies(run, nothing_left, name, fault, words):
    row = innocent(run(name, fault, breaks=True))
    assert row.status == "failed"
    if name == "process":
        assert words in row.message
    assert row.message


def test_what_was_killed_once_is_tried_again(run, nothing_left, tmp_path):
    marker = str(tmp_path / "tried")

    def killed_once(data):
        if not os.path.exists(marker):
            Path(marker).touch()
            killed(data)
        return data

    assert innocent(run("process", killed_once)).status == "done"


def test_errors_are_tried_again_when_asked_for(run, tmp_path):
    count = tmp_path / "count"

    def third_time(data):
        with open(count, "a") as file:
            file.write("x")
        if count.stat().st_size < 3:
            raise ValueError("not yet")
        return data

    for name in ("process", "thread", "serial"):
        count.write_text("")
        assert innocent(run(name, third_time, retries=2, overwrite=True)).status == "done"
        count.write_text("")
        row = innocent(run(name, third_time, retries=1, overwrite=True))
        assert row.message == "ValueError: not yet"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("process", closes_its_streams),
        *((name, forks) for name in EVERYWHERE),
        *((name, changes_directory) for name in (*PROCESSES, "serial")),
    ],
)
def test_a_worker_is_mistreated(run, nothing_left, name, fault):
    here = os.getcwd()
    assert innocent(run(name, fault)).status == "done"
    assert os.getcwd() == here


def test_a_task_that_never_returns(run, nothing_left):
    def sleeps(data):
        time.sleep(600)

    row = innocent(run("process", sleeps, timeout=3.0))
    assert row.status == "failed"
    assert "time limit of 3 s" in row.message


@pytest.mark.parametrize("limit", ["timeout", "max_memory"])
@pytest.mark.parametrize("name", [name for name in EVERYWHERE if name != "process"])
def test_limits_that_cannot_be_kept_are_refused(run, name, limit):
    with pytest.raises(ValueError, match=f"cannot keep {limit}=: use executor='process'"):
        run(name, None, **{limit: 1e9})


def test_a_task_that_leaks(run, nothing_left):
    def leaks(data):
        kept = []
        while True:
            kept.append(b"x" * 10_000_000)
            time.sleep(0.01)

    row = innocent(run("process", leaks, max_memory=200e6))
    assert row.status == "failed"
    assert "more than its limit of 191 MiB" in row.message


def test_a_foreign_executor_that_breaks_and_cannot_be_made_again(run, executor_of):
    with executor_of("ProcessPoolExecutor")() as executor:
        pipe = Numbers(on_error="record", executor=executor)
        names = [f"in/{i}.txt" for i in range(10)]
        pout = pipe.pipeline(names, fault=killed, outdir="out", num_processes=2)
    assert [o.status for o in pout].count("failed") == 1
    assert {o.status for o in pout} <= {"done", "failed", "not_run"}
    (failed,) = [o for o in pout if o.status == "failed"]
    assert "BrokenProcessPool" in failed.message


def test_a_pipe_that_no_worker_can_load_fails_once(run, tmp_path, monkeypatch):
    class Unloadable:
        def __reduce__(self):
            return (_only_here, (os.getpid(),))

    pipe = Numbers(outdir="out", on_error="record", odd=Unloadable())
    pout = pipe.pipeline([f"in/{i}.txt" for i in range(10)], num_processes=2)
    assert {o.status for o in pout} == {"failed", "not_run"}
    assert "cannot load the pipe" in next(o for o in pout if o.status == "failed").message


def _only_here(pid):
    if os.getpid() != pid:
        raise ImportError("only in the parent")


class Torn(Numbers):
    """Its worker dies while it writes the fourth output."""

    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(data)
        return killed(data) if data == "3" else outname


def test_no_temporary_is_left_beside_inputs_either(run, nothing_left, tmp_path):
    """Without an outdir no directory is locked: a run removes its own, and nobody else's."""
    names = [str(tmp_path / f"in/{i}.txt") for i in range(10)]
    alive = tmp_path / "in" / ".5.0123456789ab.bmptmp.txt"
    alive.write_text("another run writes this")
    own = {name: {"outname": name.replace(".txt", ".out")} for name in names}
    pipe = Torn(on_error="record", num_processes=2, file_keywords=own, fault=str)
    pout = pipe.pipeline(names)
    assert "SIGKILL" in innocent(pout).message
    there = sorted(set(os.listdir(tmp_path / "in")) - {os.path.basename(name) for name in names})
    assert there == [alive.name, *(f"{i}.out" for i in range(10) if i != 3)]
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(alive, (long_ago, long_ago))
    pipe.pipeline(names[:1])
    assert not alive.exists()


def test_a_full_file_size_limit_leaves_no_half_file(run, nothing_left, tmp_path):
    def limit(data):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return "3" * 5000

    row = innocent(run("process", limit))
    assert row.status == "failed"
    assert "File too large" in row.message
    assert sorted(os.listdir(tmp_path / "out")) == [f"{i}_bmp.txt" for i in range(10) if i != 3]


@pytest.mark.parametrize("name", ["process", "thread", "serial", "ProcessPoolExecutor"])
def test_a_nested_pool_in_a_task(run, nothing_left, name):
    """Not in loky, which has its own way to start processes, nor in the daemons of dask."""

    def nested(data):
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as inner:
            assert inner.submit(abs, -3).result() == 3
        return data

    assert innocent(run(name, nested)).status == "done"

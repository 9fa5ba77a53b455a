"""The parent is interrupted, ended or killed: no orphan, no half file, a row for every input."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import json, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from bmp_astro.core import BigMultiPipe, PipelineInterrupted

class Slow(BigMultiPipe):
    def file_read(self, in_name, **kwargs):
        return Path(in_name).read_text()
    def file_write(self, data, outname, pause=0.1, **kwargs):
        with open(outname, "w") as file:
            for _ in range(10):
                file.write(data)
                file.flush()
                time.sleep(pause / 10)
        return outname

def two_processes():
    return ProcessPoolExecutor(2)

def main(executor, folder, n, pause, grace):
    names = [os.path.join(folder, "in", f"{i}.txt") for i in range(int(n))]
    executor = two_processes if executor == "ProcessPoolExecutor" else executor
    pipe = Slow(outdir=os.path.join(folder, "out"), create_outdir=True, executor=executor,
                num_processes=2, pause=float(pause), grace=float(grace), resume=True)
    print("ready", flush=True)
    try:
        pout = pipe.pipeline(names)
        print(json.dumps([o.status for o in pout]))
    except PipelineInterrupted as stop:
        print(json.dumps([o.status for o in stop.pout]))
        sys.exit(3)

"""
CALL = "main(*sys.argv[1:])\n"
GUARDED = f'if __name__ == "__main__":\n    {CALL}'

EXECUTORS = ("process", "thread", "serial")


class Started:
    """A script of ours in a process group of its own."""

    def __init__(self, folder, executor, n=40, pause=0.1, grace=10):
        self.folder = folder
        self.children = []
        (folder / "in").mkdir(exist_ok=True)
        (folder / "scratch").mkdir(exist_ok=True)
        for i in range(n):
            path = folder / "in" / f"{i}.txt"
            if not path.exists():
                path.write_text(f"{i} " * 50)
        (folder / "script.py").write_text(PROGRAM + GUARDED)
        arguments = [executor, folder, n, pause, grace]
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "script.py"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(folder / "scratch")},
            # SIGINT may be ignored where the tests run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert self.process.stdout.readline() == "ready\n"

    def wait_for_output(self, n=1):
        self._wait_for("[0-9]*_bmp.txt", n)

    def wait_for_writing(self):
        """Wait until a task is in the middle of its output: the handlers are there then."""
        self._wait_for(".*.bmptmp.txt", 1)

    def _wait_for(self, pattern, n):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(list((self.folder / "out").glob(pattern))) >= n:
                return
            time.sleep(0.01)
        raise AssertionError("nothing was written")

    def send(self, number, whom="parent"):
        """Send a signal to the program or to its group."""
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        (os.kill if whom == "parent" else os.killpg)(self.process.pid, number)

    def end(self, timeout=30):
        """Wait for the end; return the exit status and what the rows say."""
        text, errors = self.process.communicate(timeout=timeout)
        _, orphans = psutil.wait_procs(self.children, timeout=10)
        assert orphans == [], errors
        return self.process.returncode, json.loads(text) if text else None

    def whole(self):
        """Assert that every file under a final name is complete; return how many there are."""
        outputs = list((self.folder / "out").glob("[0-9]*_bmp.txt"))
        for path in outputs:
            original = (self.folder / "in" / path.name.replace("_bmp", "")).read_text()
            assert path.read_text() == original * 10
        return len(outputs)

    def left(self):
        names = [p.name for p in (self.folder / "out").iterdir()]
        return [n for n in names if ".bmptmp" in n or n.endswith(".lock")] + list(
            (self.folder / "scratch").iterdir()
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whom", ["parent", "group"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_stop_in_order(tmp_path, executor, number, whom):
    run = Started(tmp_path, executor)
    run.wait_for_output(2)
    run.send(number, whom)
    status, rows = run.end()
    assert status == 3
    assert len(rows) == 40
    assert set(rows) == {"done", "not_run"}
    assert run.whole() == rows.count("done") < 40
    assert run.left() == []


def test_after_the_grace_time_what_runs_is_ended(tmp_path):
    run = Started(tmp_path, "process", n=4, pause=60, grace=0.5)
    run.wait_for_writing()
    run.send(signal.SIGINT)
    status, rows = run.end(timeout=10)
    assert (status, rows) == (3, ["not_run"] * 4)
    assert run.whole() == 0
    assert run.left() == []


@pytest.mark.parametrize("executor", [*EXECUTORS, "ProcessPoolExecutor"])
def test_a_second_interrupt_ends_at_once(tmp_path, executor):
    run = Started(tmp_path, executor, n=4, pause=60, grace=60)
    run.wait_for_writing()
    run.send(signal.SIGINT)
    time.sleep(1)  # two that come together would count as one
    run.send(signal.SIGINT)
    status, rows = run.end(timeout=20)
    assert (status, rows) == (3, ["not_run"] * 4)
    assert run.whole() == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_killed_run_started_again_ends_like_one_that_was_not(tmp_path, executor):
    run = Started(tmp_path, executor, pause=0.05)
    run.wait_for_output(random.Random(executor).randint(1, 12))
    run.send(signal.SIGKILL)
    run.end()
    assert 0 < run.whole() < 40
    again = Started(tmp_path, executor, pause=0.05)
    status, rows = again.end()
    assert status == 0
    assert set(rows) == {"skipped", "done"}
    assert again.whole() == 40
    assert again.left() == []


MOMENTS = [
    pytest.param(executor, number, whom, marks=pytest.mark.slow if later else ())
    for executor, later in (
        ("process", False),
        ("thread", False),
        ("serial", True),
        ("ProcessPoolExecutor", True),
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    for whom in ("parent", "group")
    # Threads end with their process, whoever else is told. The standard pool's own workers know
    # nothing of a parent that is killed.
    if (executor, whom) not in (("thread", "group"), ("serial", "group"))
    if (executor, number, whom) != ("ProcessPoolExecutor", signal.SIGKILL, "parent")
]


@pytest.mark.parametrize(("executor", "number", "whom"), MOMENTS)
def test_a_signal_at_any_moment(tmp_path, request, executor, number, whom):
    """From before the first worker is there to after the last file; the next run ends it."""
    run = Started(tmp_path, executor, n=20, pause=0.03, grace=5)
    time.sleep(random.Random(request.node.name).uniform(0, 0.8))
    run.send(number, whom)
    _, rows = run.end()
    made = run.whole()
    if rows is not None:
        assert len(rows) == 20
        assert set(rows) <= {"done", "not_run"}
        assert rows.count("done") == made
    again = Started(tmp_path, executor, n=20, pause=0)
    status, rows = again.end(timeout=60)
    assert status == 0
    assert set(rows) <= {"done", "skipped"}
    assert again.whole() == 20
    assert again.left() == []


def test_a_second_run_into_the_same_directory_is_refused(tmp_path):
    run = Started(tmp_path, "process", n=4, pause=60, grace=0.1)
    run.wait_for_writing()
    second = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), "serial", str(tmp_path), "2", "0", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"another run (process {run.process.pid} on" in second.stderr
    run.send(signal.SIGTERM)
    assert run.end()[0] == 3


def test_from_standard_input_without_a_guard(tmp_path):
    Path(tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.txt").write_text("0")
    done = subprocess.run(
        [sys.executable, "-", "process", str(tmp_path), "1", "0", "1"],
        input=PROGRAM + CALL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '["done"]' in done.stdout

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

SCRIPT = """
import json, os, sys, time
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

executor, folder, n, pause, grace = sys.argv[1:]
names = [os.path.join(folder, "in", f"{i}.txt") for i in range(int(n))]
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

EXECUTORS = ("process", "thread", "serial")


class Started:
    """A script of ours in a process group of its own."""

    def __init__(self, folder, executor, n=40, pause=0.1, grace=10):
        self.folder = folder
        (folder / "in").mkdir(exist_ok=True)
        (folder / "scratch").mkdir(exist_ok=True)
        for i in range(n):
            path = folder / "in" / f"{i}.txt"
            if not path.exists():
                path.write_text(f"{i} " * 50)
        (folder / "script.py").write_text(SCRIPT)
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
        out = self.folder / "out"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if out.is_dir() and len(list(out.glob("[0-9]*_bmp.txt"))) >= n:
                return
            time.sleep(0.01)
        raise AssertionError("nothing was written")

    def end(self, timeout=30):
        """Wait for the end; return the exit status and what the rows say."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        text, errors = self.process.communicate(timeout=timeout)
        psutil.wait_procs(children, timeout=10)
        assert [c for c in children if c.is_running()] == [], errors
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
    (os.kill if whom == "parent" else os.killpg)(run.process.pid, number)
    status, rows = run.end()
    assert status == 3
    assert len(rows) == 40
    assert set(rows) == {"done", "not_run"}
    assert run.whole() == rows.count("done") < 40
    assert run.left() == []


def test_after_the_grace_time_what_runs_is_ended(tmp_path):
    run = Started(tmp_path, "process", n=4, pause=60, grace=0.5)
    time.sleep(1.5)
    os.kill(run.process.pid, signal.SIGINT)
    status, rows = run.end(timeout=10)
    assert (status, rows) == (3, ["not_run"] * 4)
    assert run.whole() == 0
    assert run.left() == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_second_interrupt_ends_at_once(tmp_path, executor):
    run = Started(tmp_path, executor, n=4, pause=60, grace=60)
    time.sleep(1.5)
    os.kill(run.process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.kill(run.process.pid, signal.SIGINT)
    status, rows = run.end(timeout=10)
    assert (status, rows) == (3, ["not_run"] * 4)
    assert run.whole() == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_killed_run_started_again_ends_like_one_that_was_not(tmp_path, executor):
    run = Started(tmp_path, executor, pause=0.05)
    run.wait_for_output(random.Random(executor).randint(1, 12))
    children = psutil.Process(run.process.pid).children(recursive=True)
    run.process.kill()
    run.process.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert 0 < run.whole() < 40
    again = Started(tmp_path, executor, pause=0.05)
    status, rows = again.end()
    assert status == 0
    assert set(rows) == {"skipped", "done"}
    assert again.whole() == 40
    assert again.left() == []


def test_a_second_run_into_the_same_directory_is_refused(tmp_path):
    run = Started(tmp_path, "process")
    run.wait_for_output()
    second = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), "serial", str(tmp_path), "2", "0", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"another run (process {run.process.pid} on" in second.stderr
    os.kill(run.process.pid, signal.SIGTERM)
    assert run.end()[0] == 3


def test_from_standard_input_without_a_guard(tmp_path):
    Path(tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.txt").write_text("0")
    done = subprocess.run(
        [sys.executable, "-", "process", str(tmp_path), "1", "0", "1"],
        input=SCRIPT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '["done"]' in done.stdout

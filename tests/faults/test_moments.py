"""A signal at any moment: no orphan, no half file, and the next run ends what was begun."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

SCRIPT = """
import json, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from bmp_astro.core import BigMultiPipe, PipelineInterrupted

class Slow(BigMultiPipe):
    def file_read(self, in_name, **kwargs):
        return Path(in_name).read_text()
    def file_write(self, data, outname, pause=0, **kwargs):
        with open(outname, "w") as file:
            for _ in range(10):
                file.write(data)
                file.flush()
                time.sleep(pause)
        return outname

def main(executor, folder, pause):
    names = sorted(map(str, (Path(folder) / "in").iterdir()))
    executor = two_processes if executor == "ProcessPoolExecutor" else executor
    pipe = Slow(outdir=Path(folder, "out"), create_outdir=True, executor=executor,
                num_processes=2, pause=float(pause), grace=5, resume=True, on_error="record")
    print("ready", flush=True)
    try:
        print(json.dumps([o.status for o in pipe.pipeline(names)]))
    except PipelineInterrupted as stop:
        print(json.dumps([o.status for o in stop.pout]))

def two_processes():
    return ProcessPoolExecutor(2)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
N = 20


def started(folder, executor, pause):
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), executor, str(folder), str(pause)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder / "scratch")},
        # SIGINT may be ignored where the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "ready\n"
    return process


def whole(folder):
    """Assert that every file under a final name is complete; return how many there are."""
    outputs = [path for path in (folder / "out").glob("*") if not path.name.startswith(".")]
    for path in outputs:
        original = folder / "in" / path.name.replace("_bmp", "")
        assert path.read_text() == original.read_text() * 10
    return len(outputs)


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
    (tmp_path / "in").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    for i in range(N):
        (tmp_path / "in" / f"{i}.txt").write_text(f"{i} " * 50)
    process = started(tmp_path, executor, 0.003)
    # From before the first worker is there to after the last file.
    time.sleep(random.Random(request.node.name).uniform(0, 0.8))
    children = psutil.Process(process.pid).children(recursive=True)
    (os.kill if whom == "parent" else os.killpg)(process.pid, number)
    text, errors = process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == [], errors
    made = whole(tmp_path)
    if number != signal.SIGKILL and text:
        rows = json.loads(text)
        assert len(rows) == N
        assert set(rows) <= {"done", "not_run"}
        assert rows.count("done") == made
    again = started(tmp_path, executor, 0)
    text, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert set(json.loads(text)) <= {"done", "skipped"}
    assert whole(tmp_path) == N
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert sorted(left)[0] == ".bmp_astro.jsonl"
    assert len(left) == N + 1
    assert list((tmp_path / "scratch").glob("bmp_astro-*")) == []

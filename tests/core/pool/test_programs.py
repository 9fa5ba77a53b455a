"""Programs of all kinds that use a pool, and the ways in which they end."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.timeout(60)

WITHIN = 15


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, within=WITHIN):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=50, **kwargs
    )


NO_GUARD = """
from bmp_astro.core.pool import SupervisedPool
FACTOR = 3
class Value:
    def __init__(self, number):
        self.number = number
class Problem(Exception):
    def __init__(self, a, b):
        super().__init__(a + b)
def times(number):
    if number == 2:
        raise Problem("a", "b")
    return Value(number * FACTOR)
with SupervisedPool(2) as pool:
    futures = [pool.submit(times, number) for number in range(4)]
    print([type(f.exception()).__name__ if f.exception() else f.result().number for f in futures])
    print(type(futures[0].result()) is Value)
"""
ANSWER = "[0, 3, 'RemoteError', 9]\nTrue\n"


class TestWhereFunctionsComeFrom:
    def test_a_script_without_a_guard(self, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(NO_GUARD)
        done = run(script, cwd=tmp_path)
        assert done.stdout == ANSWER, done.stderr

    def test_standard_input(self):
        done = run("-", input=NO_GUARD)
        assert done.stdout == ANSWER, done.stderr

    def test_a_command(self):
        done = run("-c", NO_GUARD)
        assert done.stdout == ANSWER, done.stderr

    def test_cells_of_a_notebook(self):
        # What a kernel does: each cell is compiled by itself and run in __main__.
        cells = NO_GUARD.split("\nwith ")
        code = (
            "import __main__\n"
            f"for number, cell in enumerate({[cells[0], 'with ' + cells[1]]!r}):\n"
            "    exec(compile(cell, f'<ipython-input-{number}>', 'exec'), vars(__main__))\n"
        )
        done = run("-c", code)
        assert done.stdout == ANSWER, done.stderr

    def test_a_module_beside_the_script(self, tmp_path):
        (tmp_path / "json.py").write_text("raise ImportError('not the one you want')\n")
        (tmp_path / "beside.py").write_text("def twice(x):\n    return 2 * x\n")
        (tmp_path / "script.py").write_text(
            "import sys\n"
            "sys.path.append(sys.path.pop(0))\n"  # json.py must not hide the library's
            "from bmp_astro.core.pool import SupervisedPool\n"
            "import beside\n"
            "with SupervisedPool(1) as pool:\n"
            "    print(pool.submit(beside.twice, 21).result())\n"
        )
        done = run(tmp_path / "script.py", cwd="/")
        assert done.stdout == "42\n", done.stderr

    def test_a_program_without_standard_streams(self, tmp_path):
        code = (
            "import os, sys\n"
            "from bmp_astro.core.pool import SupervisedPool\n"
            "def noisy(x):\n"
            "    print('noise'); print('noise', file=sys.stderr)\n"
            "    return -x\n"
            "with SupervisedPool(2) as pool:\n"
            "    results = [f.result(30) for f in [pool.submit(noisy, n) for n in range(4)]]\n"
            "    died = pool.submit(os._exit, 3).exception(30).exit_code\n"
            f"open({os.fspath(tmp_path / 'out')!r}, 'w').write(f'{{results}} {{died}}')\n"
        )
        (tmp_path / "script.py").write_text(code)
        command = f"exec '{sys.executable}' '{tmp_path / 'script.py'}' <&- >&- 2>&-"
        subprocess.run(["sh", "-c", command], timeout=50, check=True)
        assert (tmp_path / "out").read_text() == "[0, -1, -2, -3] 3"


# Each worker, and a process that its task started, writes its number to a file.
BUSY = """
import multiprocessing, os, subprocess, sys, time
from pathlib import Path
from bmp_astro.core.pool import SupervisedPool
folder = Path(sys.argv[1])

def note(pid):
    (folder / "part").write_text("")
    (folder / str(pid)).touch()

def task(kind):
    note(os.getpid())
    if kind == "program":
        note(subprocess.Popen(["sleep", "1000"]).pid)
    elif kind == "pool":
        inner = SupervisedPool(1)
        inner.submit(lambda: (note(os.getpid()), time.sleep(1000)))
    elif kind == "fork":
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        process.start()
        note(process.pid)
    elif kind == "busy":
        while True:
            pass
    time.sleep(1000)

"""


class TestTheParentGoes:
    def busy(self, tmp_path, kinds, rest="time.sleep(1000)\n", count=None):
        """Start a program whose workers are busy; return it and the workers' processes."""
        folder = tmp_path / "pids"
        folder.mkdir()
        (tmp_path / "script.py").write_text(
            BUSY
            + f"pool = SupervisedPool({len(kinds)})\n"
            + f"futures = [pool.submit(task, kind) for kind in {kinds}]\n"
            + rest
        )
        program = subprocess.Popen(
            [sys.executable, tmp_path / "script.py", folder],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        expected = sum(1 if kind in ("busy", "alone") else 2 for kind in kinds)
        pids = []

        def all_there():
            pids[:] = [int(name) for name in os.listdir(folder) if name.isdigit()]
            return len(pids) >= (expected if count is None else count)

        wait_for(all_there, 30)
        return program, pids

    @pytest.mark.parametrize("kind", ["alone", "busy", "program", "pool", "fork"])
    def test_by_sigkill(self, tmp_path, kind):
        program, pids = self.busy(tmp_path, [kind, kind])
        assert all(map(lives, pids))
        program.kill()
        program.wait()
        wait_for(lambda: not any(map(lives, pids)))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_by_another_signal(self, tmp_path, number):
        program, pids = self.busy(tmp_path, ["program", "alone"])
        program.send_signal(number)
        assert program.wait(WITHIN) == -number
        wait_for(lambda: not any(map(lives, pids)))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_by_a_signal_to_its_group(self, tmp_path, number):
        program, pids = self.busy(tmp_path, ["program", "alone"])
        os.killpg(program.pid, number)
        assert program.wait(WITHIN) == -number
        wait_for(lambda: not any(map(lives, pids)))

    def test_while_a_forked_process_keeps_its_end_of_the_pipes_open(self, tmp_path):
        rest = (
            "while len(os.listdir(folder)) < 2: time.sleep(0.01)\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    (folder / 'forked').write_text(str(os.getpid()))\n"
            "time.sleep(1000)\n"
        )
        program, pids = self.busy(tmp_path, ["alone"], rest)
        forked = tmp_path / "pids" / "forked"
        wait_for(lambda: forked.exists() and forked.read_text())
        program.kill()
        program.wait()
        try:
            wait_for(lambda: not any(map(lives, pids)))
            assert lives(int(forked.read_text()))
        finally:
            os.kill(int(forked.read_text()), signal.SIGKILL)

    @pytest.mark.parametrize(
        ("rest", "code"),
        [
            ("sys.exit(5)\n", 5),
            ("raise RuntimeError\n", 1),
            ("raise KeyboardInterrupt\n", -signal.SIGINT),
            ("os._exit(6)\n", 6),
            ("pool.kill(); print(futures[0].exception())\n", 0),
        ],
    )
    def test_by_itself_with_the_pool_open(self, tmp_path, rest, code):
        rest = "while len(os.listdir(folder)) < 4: time.sleep(0.01)\n" + rest
        program, pids = self.busy(tmp_path, ["program", "alone"], rest, count=3)
        assert program.wait(WITHIN) == code
        wait_for(lambda: not any(map(lives, pids)))

    def test_idle_workers_leave_too(self, tmp_path):
        (tmp_path / "script.py").write_text(
            "import os, signal\n"
            "from bmp_astro.core.pool import SupervisedPool\n"
            "pool = SupervisedPool(2)\n"
            "pool.start()\n"
            "pool.submit(abs, 1).result()\n"
            "print(*pool.pids, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = run(tmp_path / "script.py")
        pids = [int(text) for text in done.stdout.split()]
        assert len(pids) == 2
        wait_for(lambda: not any(map(lives, pids)))


NO_DAEMON = """
import multiprocessing, os, sys
from bmp_astro.core import NoDaemonPool

def inner(x):
    return -x

def outer(x):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(inner, [x, x + 1]), multiprocessing.current_process().daemon

if __name__ == "__main__":
    with NoDaemonPool(2) as pool:
        print(pool.map(outer, [1, 2]))
        print(multiprocessing.current_process().daemon)
"""


def test_the_workers_of_a_no_daemon_pool_may_have_pools(tmp_path):
    (tmp_path / "script.py").write_text(NO_DAEMON)
    done = run(tmp_path / "script.py")
    assert done.stdout == "[([-1, -2], False), ([-2, -3], False)]\nFalse\n", done.stderr

import concurrent.futures
import contextlib
import ctypes
import gc
import io
import mmap
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import cloudpickle
import psutil
import pytest

from bmp_astro.core.machine.threads import THREAD_VARIABLES
from bmp_astro.core.pool import (
    RemoteError,
    RemoteTraceback,
    SupervisedPool,
    TaskMemoryExceeded,
    TaskTimeout,
    WorkerDied,
    WorkerStartError,
)

pytestmark = pytest.mark.timeout(60)

PATIENCE = 30
MIB = 2**20


@pytest.fixture(autouse=True, scope="module")
def sent_by_value():
    """Let workers, which cannot import this file, have its functions."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def pool():
    with SupervisedPool(2) as pool:
        yield pool
        pool.kill()


@pytest.fixture(scope="module")
def enduring(sent_by_value):
    """One pool that has to live through all faults, one after the other."""
    with SupervisedPool(2) as pool:
        yield pool


def gone(pids, within=10.0):
    """Whether all these processes end in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, within=10.0):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# What tasks do wrong.


class OwnInit(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class WithLock(Exception):
    def __init__(self):
        super().__init__("has a lock")
        self.lock = threading.Lock()


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


def _own_init():
    raise OwnInit("one", "two")


def _with_lock():
    raise WithLock


def _no_text():
    raise NoText


def _interrupt():
    raise KeyboardInterrupt


def _memory_error():
    raise MemoryError("none left")


def _segfault():
    ctypes.string_at(0)


def _die_of(number):
    os.kill(os.getpid(), number)
    time.sleep(PATIENCE)


def _close_all_but_streams():
    os.closerange(3, 200)


def _unpicklable_here():
    return Unpicklable()


class Unpicklable:
    def __reduce__(self):
        return (_raise_anything, ())


def _raise_anything():
    raise SystemExit("unpickled")


FAULTS = {
    "sigkill": (lambda: _die_of(signal.SIGKILL), WorkerDied, "SIGKILL"),
    "segfault": (_segfault, WorkerDied, "SIGSEGV"),
    "abort": (os.abort, WorkerDied, "SIGABRT"),
    "exit": (lambda: os._exit(3), WorkerDied, "exit code 3"),
    "exit 0": (lambda: os._exit(0), WorkerDied, "exit code 0"),
    "sys.exit": (lambda: sys.exit(4), RemoteError, "SystemExit: 4"),
    "interrupt": (_interrupt, RemoteError, "KeyboardInterrupt"),
    "raises": (lambda: 1 / 0, ZeroDivisionError, "division by zero"),
    "unpicklable result": (threading.Lock, TypeError, "lock, cannot be sent back"),
    "result that bites": (_unpicklable_here, RemoteError, "SystemExit: unpickled"),
    "own init": (_own_init, RemoteError, "OwnInit: one and two"),
    "exception with a lock": (_with_lock, RemoteError, "WithLock: has a lock"),
    "exception without text": (_no_text, NoText, None),
    "memory error": (_memory_error, MemoryError, "none left"),
    "real memory error": (lambda: bytearray(2**62), MemoryError, None),
    "recursion": (lambda: (f := lambda: f())(), RecursionError, "recursion"),
    "closed pipe": (_close_all_but_streams, WorkerDied, "closed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_task(enduring, fault):
    function, kind, text = FAULTS[fault]
    futures = [
        enduring.submit(function if number == 2 else (lambda x=number: x * x))
        for number in range(10)
    ]
    error = futures[2].exception(PATIENCE)
    assert type(error) is kind
    if text is not None:
        assert text in str(error)
    others = [future.result(PATIENCE) for number, future in enumerate(futures) if number != 2]
    assert others == [number**2 for number in range(10) if number != 2]


class TestHarmless:
    """Things that a task does and that must not hurt the next one, in the same worker."""

    @pytest.fixture
    def pool(self):
        with SupervisedPool(1) as pool:
            yield pool
            pool.kill()

    def test_closing_the_streams(self, pool):
        def close():
            sys.stdin.close()
            sys.stdout.close()
            sys.stderr.close()
            for number in range(3):
                with contextlib.suppress(OSError):
                    os.close(number)
            return os.getpid()

        def probe(path):
            print("out")
            print("err", file=sys.stderr)
            sys.stderr.flush()
            with open(path, "w") as file:
                return os.getpid(), file.fileno(), sys.stdin.read()

        first = pool.submit(close).result(PATIENCE)
        pid, number, text = pool.submit(probe, os.devnull).result(PATIENCE)
        assert (pid, text) == (first, "")
        assert number > 2

    def test_replacing_the_streams(self, pool):
        def replace():
            sys.stdout = sys.stderr = io.StringIO()

        pool.submit(replace).result(PATIENCE)
        assert pool.submit(lambda: (sys.stdout.fileno(), sys.stderr.fileno())).result(PATIENCE) == (
            1,
            2,
        )

    def test_changing_the_directory(self, pool, tmp_path):
        pool.submit(os.chdir, tmp_path).result(PATIENCE)
        assert pool.submit(os.getcwd).result(PATIENCE) == os.getcwd()

    def test_removing_its_own_directory(self, pool, tmp_path):
        def remove():
            folder = tmp_path / "mine"
            folder.mkdir()
            os.chdir(folder)
            folder.rmdir()

        pool.submit(remove).result(PATIENCE)
        assert pool.submit(os.getcwd).result(PATIENCE) == os.getcwd()

    def test_forking_a_process_that_ends(self, pool):
        def fork():
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            return os.waitpid(pid, 0)[1]

        assert pool.submit(fork).result(PATIENCE) == 0
        assert pool.submit(abs, -1).result(PATIENCE) == 1

    @pytest.mark.parametrize("how", ["returns", "raises"])
    def test_forking_a_process_that_comes_back(self, pool, how):
        def fork():
            if os.fork() == 0 and how == "raises":
                raise RuntimeError("in the child")
            return os.getpid()

        results = [pool.submit(fork).result(PATIENCE) for _ in range(3)]
        assert len(set(results)) == 1
        assert results[0] in pool.pids

    def test_leaving_a_forked_process_behind_does_not_hide_a_death(self, pool):
        def fork_and_die():
            if os.fork() == 0:
                time.sleep(PATIENCE)
                os._exit(0)
            os._exit(5)

        error = pool.submit(fork_and_die).exception(10)
        assert isinstance(error, WorkerDied)
        assert error.exit_code == 5

    def test_handlers_and_timers(self, pool):
        def change():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return os.getpid()

        pid = pool.submit(change).result(PATIENCE)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
        assert pool.submit(os.getpid).result(PATIENCE) == pid

    def test_a_thread_that_goes_on(self, pool):
        def start():
            threading.Thread(target=time.sleep, args=(PATIENCE,)).start()

        pool.submit(start).result(PATIENCE)
        assert pool.submit(abs, -1).result(PATIENCE) == 1


class TestResults:
    def test_lambdas_arguments_and_keywords(self, enduring):
        factor = 3
        future = enduring.submit(lambda x, plus=0: x * factor + plus, 2, plus=1)
        assert future.result(PATIENCE) == 7
        assert list(enduring.map(abs, [-1, -2, -3])) == [1, 2, 3]

    def test_classes_of_the_caller_come_back_as_they_are(self, enduring):
        error = enduring.submit(lambda: NoText("x")).result(PATIENCE)
        assert type(error) is NoText

    def test_an_exception_brings_its_traceback(self, enduring):
        error = enduring.submit(lambda: 1 / 0).exception(PATIENCE)
        assert isinstance(error.__cause__, RemoteTraceback)
        assert "test_supervised.py" in str(error.__cause__)
        assert "_call" not in str(error.__cause__)

    def test_large_values_both_ways(self, enduring):
        data = os.urandom(20 * MIB)
        futures = [enduring.submit(lambda block: block[::-1], data) for _ in range(3)]
        assert all(future.result(PATIENCE) == data[::-1] for future in futures)

    def test_a_worker_that_dies_while_it_is_sent_much(self):
        data = bytes(50 * MIB)
        with SupervisedPool(1) as pool:
            first = pool.submit(abs, -1)
            assert first.result(PATIENCE) == 1
            (pid,) = pool.pids
            os.kill(pid, signal.SIGSTOP)
            future = pool.submit(len, data)
            time.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
            assert future.exception(PATIENCE).signal == "SIGKILL"
            assert pool.submit(len, data).result(PATIENCE) == len(data)

    def test_tasks_run_at_the_same_time(self, enduring, tmp_path):
        def meet(own, other):
            (tmp_path / own).touch()
            while not (tmp_path / other).exists():
                time.sleep(0.01)
            return own

        futures = [enduring.submit(meet, "a", "b"), enduring.submit(meet, "b", "a")]
        assert [future.result(PATIENCE) for future in futures] == ["a", "b"]

    def test_relative_names_mean_what_they_mean_here(self, enduring, tmp_path, monkeypatch):
        assert enduring.submit(os.getcwd).result(PATIENCE) == os.getcwd()
        monkeypatch.chdir(tmp_path)
        assert enduring.submit(os.getcwd).result(PATIENCE) == os.fspath(tmp_path)

    def test_modules_are_found_where_they_are_found_here(self, enduring, tmp_path, monkeypatch):
        assert enduring.submit(abs, -1).result(PATIENCE) == 1
        (tmp_path / "found_only_here.py").write_text("def answer():\n    return 42\n")
        monkeypatch.syspath_prepend(tmp_path)
        import found_only_here

        assert enduring.submit(found_only_here.answer).result(PATIENCE) == 42

    def test_the_standard_error_is_passed_on(self, enduring, capsys):
        enduring.submit(lambda: print("seen", file=sys.stderr)).result(PATIENCE)
        wait_for(lambda: "seen" in capsys.readouterr().err)

    def test_a_death_tells_the_last_words_of_its_own_task_only(self):
        def say(text, code=None):
            print(text, file=sys.stderr, flush=True)
            if code is not None:
                os._exit(code)

        with SupervisedPool(1) as pool:
            pool.submit(say, "earlier").result(PATIENCE)
            error = pool.submit(say, "this one", 7).exception(PATIENCE)
        assert (error.signal, error.exit_code) == (None, 7)
        assert error.stderr == "this one\n"
        assert "this one" in str(error)

    def test_errors_survive_pickling(self):
        for error in (
            WorkerDied("SIGSEGV", None, "tail"),
            TaskTimeout(2.5, "tail"),
            TaskMemoryExceeded(1.0, 2.0),
            WorkerStartError("why", "tail"),
            RemoteError("A", "b", "c"),
        ):
            back = pickle.loads(pickle.dumps(error))
            assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


class TestNotSendable:
    def test_a_global_lock_is_named(self, pool):
        with pytest.raises(TypeError, match=r"use_lock .*variable 'lock'.*lock"):
            pool.submit(_maker_of_use_lock())

    def test_an_argument_is_named(self, pool):
        with pytest.raises(TypeError, match=r"item 'x' of argument 2, a lock"):
            pool.submit(print, 1, {"x": threading.Lock()})
        with pytest.raises(TypeError, match=r"argument 'end', a lock"):
            pool.submit(print, end=threading.Lock())

    def test_the_attribute_of_an_object_is_named(self, pool):
        class Holder:
            def __init__(self):
                self.handle = threading.Lock()

            def work(self):
                return 1

        with pytest.raises(TypeError, match=r"attribute 'handle' of the object of the function"):
            pool.submit(Holder().work)

    def test_nothing_was_started_for_it(self, pool):
        with pytest.raises(TypeError):
            pool.submit(print, threading.Lock())
        assert pool.pids == []


def _maker_of_use_lock():
    lock = threading.Lock()

    def use_lock():
        with lock:
            return 1

    return use_lock


class TestLimits:
    def test_a_task_that_never_returns(self):
        def stuck_here():
            time.sleep(1000)

        with SupervisedPool(2, timeout=0.5) as pool:
            futures = [pool.submit(stuck_here), *(pool.submit(abs, -n) for n in range(5))]
            error = futures[0].exception(PATIENCE)
            assert [future.result(PATIENCE) for future in futures[1:]] == list(range(5))
        assert isinstance(error, TaskTimeout)
        assert error.limit == 0.5
        assert "stuck_here" in error.stderr

    def test_time_spent_waiting_for_a_worker_does_not_count(self):
        with SupervisedPool(1, timeout=1.0) as pool:
            futures = [pool.submit(time.sleep, 0.3) for _ in range(5)]
            assert [future.result(PATIENCE) for future in futures] == [None] * 5

    def test_a_task_that_takes_no_notice_of_anything(self):
        def deaf():
            for number in range(1, 65):
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_IGN)
            while True:
                pass

        with SupervisedPool(1, timeout=0.3) as pool:
            assert isinstance(pool.submit(deaf).exception(PATIENCE), TaskTimeout)

    def test_a_limit_of_its_own(self):
        with SupervisedPool(1, timeout=0.2) as pool:
            own = pool.submit_limited(time.sleep, 0.6, timeout=None, max_memory=None)
            assert own.result(PATIENCE) is None
            short = pool.submit_limited(time.sleep, 60, timeout=0.1, max_memory=None)
            assert short.exception(PATIENCE).limit == 0.1

    def test_its_processes_end_with_it(self, tmp_path):
        def start_and_hang():
            child = subprocess.Popen(["sleep", "1000"])
            (tmp_path / "pid").write_text(str(child.pid))
            time.sleep(1000)

        with SupervisedPool(1, timeout=1.0) as pool:
            assert isinstance(pool.submit(start_and_hang).exception(PATIENCE), TaskTimeout)
        assert gone([int((tmp_path / "pid").read_text())])

    def test_a_leak_past_the_limit(self):
        def leak():
            blocks = []
            while True:
                blocks.append(bytearray(5 * MIB))
                time.sleep(0.01)

        with SupervisedPool(2, max_memory=100 * MIB) as pool:
            futures = [pool.submit(leak), *(pool.submit(abs, -n) for n in range(5))]
            error = futures[0].exception(PATIENCE)
            assert [future.result(PATIENCE) for future in futures[1:]] == list(range(5))
        assert isinstance(error, TaskMemoryExceeded)
        assert error.limit == 100 * MIB < error.used < 400 * MIB

    def test_mapped_files_do_not_count(self, tmp_path):
        def read_mapped(path):
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                total = sum(view[:: mmap.PAGESIZE])
                time.sleep(0.3)
                return total

        if sys.platform != "linux":
            pytest.skip("only Linux tells these pages from others")
        (tmp_path / "large").touch()
        os.truncate(tmp_path / "large", 200 * MIB)
        with SupervisedPool(1, max_memory=100 * MIB) as pool:
            assert pool.submit(read_mapped, tmp_path / "large").result(PATIENCE) == 0

    def test_what_earlier_tasks_kept_is_not_held_against_a_task(self):
        def keep():
            sys.kept = [*getattr(sys, "kept", []), bytearray(60 * MIB)]
            time.sleep(0.1)
            return os.getpid()

        with SupervisedPool(1, max_memory=100 * MIB) as pool:
            pids = [pool.submit(keep).result(PATIENCE) for _ in range(5)]
        assert len(set(pids)) == 3  # a worker that has kept too much is replaced in between

    @pytest.mark.parametrize(
        "name", ["max_workers", "timeout", "max_memory", "threads_per_worker", "start_timeout"]
    )
    def test_a_limit_that_is_no_use_is_an_error(self, name):
        with pytest.raises(ValueError, match=rf"{name} is 0"):
            SupervisedPool(**{name: 0})


class TestStart:
    def test_nothing_before_it_is_needed(self, pool):
        assert pool.pids == []
        pool.submit(abs, -1).result(PATIENCE)
        assert len(pool.pids) == 1

    def test_early(self, pool):
        pool.start()
        wait_for(lambda: len(pool.pids) == 2)
        pids = set(pool.pids)
        assert pool.submit(os.getpid).result(PATIENCE) in pids

    def test_after_an_early_start_a_dead_worker_is_replaced(self, pool):
        pool.start()
        wait_for(lambda: len(pool.pids) == 2)
        victim = pool.pids[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in pool.pids and len(pool.pids) == 2)

    def test_the_initializer_runs_once_in_each_worker(self):
        def set_up(value):
            sys.set_up = [*getattr(sys, "set_up", []), value]

        with SupervisedPool(1, initializer=set_up, initargs=(5,)) as pool:
            pool.submit(abs, -1).result(PATIENCE)
            assert pool.submit(lambda: sys.set_up).result(PATIENCE) == [5]

    def test_a_worker_that_cannot_start_fails_everything_once(self):
        def fail():
            raise ImportError("no module named that")

        with SupervisedPool(2, initializer=fail) as pool:
            futures = [pool.submit(abs, -1) for _ in range(5)]
            errors = [future.exception(PATIENCE) for future in futures]
            with pytest.raises(WorkerStartError):
                pool.submit(abs, -1)
        for error in errors:
            assert isinstance(error, WorkerStartError)
            assert "no module named that" in str(error)

    @pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/false", "", None])
    def test_no_interpreter(self, monkeypatch, program):
        monkeypatch.setattr(sys, "executable", program)
        with SupervisedPool(2) as pool:
            error = pool.submit(abs, -1).exception(PATIENCE)
        assert isinstance(error, WorkerStartError)

    def test_a_start_that_takes_for_ever(self):
        with SupervisedPool(1, initializer=time.sleep, initargs=(1000,), start_timeout=0.4) as pool:
            error = pool.submit(abs, -1).exception(PATIENCE)
        assert isinstance(error, WorkerStartError)
        assert "not ready in time" in str(error)

    def test_a_worker_killed_while_it_starts_is_tried_again(self, tmp_path):
        def die_once():
            with contextlib.suppress(FileExistsError):
                (tmp_path / "died").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

        with SupervisedPool(1, initializer=die_once) as pool:
            assert pool.submit(abs, -1).result(PATIENCE) == 1


class TestEnd:
    def test_shutdown_finishes_what_was_submitted(self):
        pool = SupervisedPool(2)
        futures = [pool.submit(time.sleep, 0.01) for _ in range(20)]
        pool.shutdown()
        assert all(future.done() and not future.cancelled() for future in futures)
        assert pool.pids == []
        with pytest.raises(RuntimeError, match="shut down"):
            pool.submit(abs, 1)

    def test_shutdown_without_use(self):
        SupervisedPool(2).shutdown()

    def test_shutdown_that_cancels(self):
        pool = SupervisedPool(1)
        running = pool.submit(time.sleep, 0.5)
        wait_for(running.running)
        waiting = [pool.submit(abs, 1) for _ in range(5)]
        pool.shutdown(cancel_futures=True)
        assert running.result(PATIENCE) is None
        assert all(future.cancelled() for future in waiting)

    def test_cancel_pending_leaves_the_pool_open(self):
        with SupervisedPool(1) as pool:
            running = pool.submit(time.sleep, 0.5)
            wait_for(running.running)
            waiting = [pool.submit(abs, 1) for _ in range(5)]
            pool.cancel_pending()
            concurrent.futures.wait(waiting, PATIENCE)
            assert all(future.cancelled() for future in waiting)
            assert running.result(PATIENCE) is None
            assert pool.submit(abs, -1).result(PATIENCE) == 1

    def test_a_future_may_be_cancelled(self):
        with SupervisedPool(1) as pool:
            running = pool.submit(time.sleep, 0.3)
            wait_for(running.running)
            waiting = [pool.submit(abs, -number) for number in range(3)]
            assert waiting[1].cancel()
            assert not running.cancel()
            assert [waiting[0].result(PATIENCE), waiting[2].result(PATIENCE)] == [0, 2]

    def test_kill_ends_everything_at_once(self):
        pool = SupervisedPool(2)
        running = [pool.submit(time.sleep, 1000) for _ in range(2)]
        waiting = pool.submit(abs, 1)
        for future in running:
            wait_for(future.running)
        pids = pool.pids
        pool.kill()
        assert gone(pids, within=1)
        assert all(future.exception(1).signal == "SIGKILL" for future in running)
        assert waiting.cancelled()
        with pytest.raises(RuntimeError, match="shut down"):
            pool.submit(abs, 1)

    def test_kill_from_a_signal_handler(self):
        pool = SupervisedPool(1)
        future = pool.submit(time.sleep, 1000)
        wait_for(future.running)
        before = signal.signal(signal.SIGUSR2, lambda number, frame: pool.kill(wait=False))
        try:
            signal.raise_signal(signal.SIGUSR2)
            assert isinstance(future.exception(PATIENCE), WorkerDied)
        finally:
            signal.signal(signal.SIGUSR2, before)

    def test_an_interrupted_block_does_not_run_the_queue(self):
        futures = []

        def body():
            with SupervisedPool(1) as pool:
                futures.extend(pool.submit(time.sleep, 0.2) for _ in range(100))
                wait_for(futures[0].running)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            body()
        assert sum(future.cancelled() for future in futures) > 90

    def test_a_pool_that_nobody_has_any_more_finishes_and_closes(self):
        before = threading.active_count()
        future = SupervisedPool(1).submit(lambda: (time.sleep(0.2), os.getpid())[1])
        gc.collect()
        assert gone([future.result(PATIENCE)])
        wait_for(lambda: threading.active_count() <= before)

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_pool_is_of_no_use_in_a_forked_process(self, pool):
        pool.submit(abs, -1).result(PATIENCE)
        pid = os.fork()
        if pid == 0:
            try:
                pool.shutdown()
                pool.submit(abs, 1)
            except RuntimeError:
                os._exit(17)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
        assert pool.submit(abs, -1).result(PATIENCE) == 1


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_workers_take_no_notice(self, pool, number):
        future = pool.submit(lambda: (time.sleep(0.5), os.getpid())[1])
        wait_for(future.running)
        pool.submit(abs, -1).result(PATIENCE)
        for pid in pool.pids:
            os.kill(pid, number)
        assert future.result(PATIENCE) in pool.pids

    def test_programs_that_a_task_starts_do(self, enduring):
        def run():
            code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
            return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode

        assert enduring.submit(run).result(PATIENCE) == -signal.SIGINT


class TestNesting:
    def test_a_pool_of_ours_in_a_task(self, enduring):
        def nested():
            with SupervisedPool(2) as inner:
                return [future.result() for future in [inner.submit(abs, -n) for n in range(4)]]

        futures = [enduring.submit(nested) for _ in range(3)]
        assert [future.result(PATIENCE) for future in futures] == [[0, 1, 2, 3]] * 3

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_multiprocessing_in_a_task(self, enduring, method):
        def nested():
            with multiprocessing.get_context(method).Pool(2) as inner:
                return inner.map(abs, [-1, -2, -3])

        assert enduring.submit(nested).result(PATIENCE) == [1, 2, 3]
        assert enduring.submit(abs, -1).result(PATIENCE) == 1

    def test_a_process_pool_executor_in_a_task(self, enduring):
        def nested():
            with concurrent.futures.ProcessPoolExecutor(2) as inner:
                return list(inner.map(abs, [-1, -2, -3]))

        assert enduring.submit(nested).result(PATIENCE) == [1, 2, 3]


class TestNothingIsLost:
    def test_a_worker_goes_before_the_parent_when_memory_runs_out(self, enduring):
        def score():
            with open("/proc/self/oom_score_adj") as file:
                return int(file.read())

        if sys.platform != "linux":
            pytest.skip("only Linux has this")
        assert enduring.submit(score).result(PATIENCE) > score()

    def test_no_leak_over_many_tasks_and_deaths(self):
        def open_files():
            return psutil.Process().num_fds(), threading.active_count()

        with SupervisedPool(2) as pool:
            pool.submit(abs, 1).result(PATIENCE)
            during = open_files()[0]
            futures = [
                pool.submit(os._exit, 1) if number % 5 == 0 else pool.submit(abs, -number)
                for number in range(250)
            ]
            concurrent.futures.wait(futures, PATIENCE)
            died = [future for future in futures if future.exception() is not None]
            assert len(died) == 50
            assert sum(future.result() for future in futures if future not in died) == sum(
                number for number in range(250) if number % 5
            )
            assert open_files()[0] <= during + 2  # the second worker
        first = open_files()
        with SupervisedPool(2) as pool:
            pool.submit(abs, 1).result(PATIENCE)
        assert open_files() == first
        assert not [child for child in psutil.Process().children() if child.pid in pool.pids]

    def test_a_worker_has_no_file_of_ours_but_its_pipe(self, pool, tmp_path):
        def links():
            folder = "/proc/self/fd"
            names = [os.path.join(folder, name) for name in os.listdir(folder)]
            return [os.readlink(name) for name in names if os.path.lexists(name)]

        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("needs /proc")
        pool.start()
        with open(tmp_path / "mine", "w") as file:
            os.set_inheritable(file.fileno(), True)
            found = [pool.submit(links).result(PATIENCE) for _ in range(4)]
        for names in found:
            assert sum(name.startswith("socket:") for name in names) == 1
            assert not any("mine" in name for name in names)

    def test_more_workers_than_files_allowed(self):
        code = (
            "import resource, time\n"
            "from bmp_astro.core.pool import SupervisedPool\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
            "with SupervisedPool(20) as pool:\n"
            "    futures = [pool.submit(lambda: time.sleep(0.1)) for _ in range(30)]\n"
            "    print({future.result(30) for future in futures})\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=50
        )
        assert done.stdout == "{None}\n", done.stderr

    def test_threads_of_libraries_are_limited(self):
        def threads():
            import numpy as np
            import threadpoolctl

            np.ones((2, 2)) @ np.ones((2, 2))
            return [info["num_threads"] for info in threadpoolctl.threadpool_info()]

        with SupervisedPool(1, threads_per_worker=1) as pool:
            assert set(pool.submit(threads).result(PATIENCE)) == {1}
        with SupervisedPool(1, threads_per_worker=2) as pool:
            environment = pool.submit(lambda: dict(os.environ)).result(PATIENCE)
        assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == "2"

    def test_threads_follow_from_the_workers_and_the_environment(self, monkeypatch):
        def threads(workers):
            with SupervisedPool(workers) as pool:
                return pool.submit(lambda: os.environ["OMP_NUM_THREADS"]).result(PATIENCE)

        for name in THREAD_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("bmp_astro.core.machine.threads.available_cores", lambda: 8)
        assert threads(2) == "4"
        assert threads(16) == "1"
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
        assert threads(2) == "3"

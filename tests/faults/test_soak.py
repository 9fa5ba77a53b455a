"""Many tasks with random faults: every row right, and the parent no larger than before."""

import gc
import os
import random
import signal
import threading

import psutil
import pytest

from bmp_astro.core import BigMultiPipe

FAULTS = ("error", "exit", "kill", "segfault", "quit")


class Soak(BigMultiPipe):
    """Inputs that are only names: the number of the task decides what happens."""

    def file_process(self, in_name, faults=None, sizes=None, **kwargs):
        fault = faults.get(in_name)
        held = bytearray(sizes.get(in_name, 0))
        if fault == "error":
            raise ValueError("by chance")
        if fault == "exit":
            os._exit(7)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault == "quit":
            raise SystemExit
        return (None, {"held": len(held)})


def what_is_held():
    gc.collect()
    parent = psutil.Process()
    return {
        "files": parent.num_fds(),
        "threads": threading.active_count(),
        "children": len(parent.children(recursive=True)),
    }


def soak(n, largest, seed, budget=None):
    chance = random.Random(seed)
    names = [f"task-{i}" for i in range(n)]
    faults = {name: chance.choice(FAULTS) for name in chance.sample(names, max(n // 50, 5))}
    sizes = {name: chance.randint(largest // 50, largest) for name in names} if largest else {}
    pipe = Soak(
        executor="process",
        num_processes=2,
        on_error="record",
        faults=faults,
        sizes=sizes,
        process_size=sizes.get if sizes else None,
        mem_available=budget,
    )
    count = 0
    for outcome in pipe.iter_pipeline(iter(names)):
        count += 1
        expected = "failed" if outcome.in_name in faults else "done"
        assert outcome.status == expected, outcome.message
        if outcome.status == "done":
            assert outcome.meta == {"held": sizes.get(outcome.in_name, 0)}
    assert count == n


def check(runs, nothing_more):
    soak(50, 0, 0)  # what is loaded once is not a leak
    before, memory = what_is_held(), psutil.Process().memory_info().rss
    for n, largest, seed in runs:
        soak(n, largest, seed, budget=400e6 if largest else None)
    assert what_is_held() == before
    assert psutil.Process().memory_info().rss - memory < nothing_more


def test_a_short_soak(nothing_left):
    check([(300, 0, 1), (40, 5_000_000, 2)], nothing_more=20e6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_soak(nothing_left):
    check([(20_000, 0, 3), (2_000, 50_000_000, 4)], nothing_more=50e6)

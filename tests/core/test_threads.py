import logging
import threading
import time

import pytest

from bmp_astro.core.context import TaskRecord, capturing_logs, current_task, recording
from bmp_astro.core.threads import in_threads, threads_for

logger = logging.getLogger("bmp_astro.test")


def warn_late(number):
    time.sleep(0.02 * (3 - number))  # the first is the last to speak
    logger.warning("note %d", number)
    return number**2


def test_results_and_notes_are_in_the_order_of_the_items():
    task = TaskRecord(in_name="night.fits", warnings=["before"])
    with capturing_logs(), recording(task):
        assert in_threads(warn_late, range(4), 4) == [0, 1, 4, 9]
        assert current_task() is task
    assert task.warnings == ["before", "note 0", "note 1", "note 2", "note 3"]


def test_notes_reach_the_parent_of_a_worker_too():
    task = TaskRecord(in_name="night.fits", forward=[])
    with capturing_logs(), recording(task):
        in_threads(warn_late, range(3), 3)
    assert [record["msg"] for record in task.forward] == ["note 0", "note 1", "note 2"]
    assert {record["in_name"] for record in task.forward} == {"night.fits"}


def test_notes_are_kept_when_an_item_fails():
    def fail(number):
        warn_late(number)
        if number == 1:
            raise ValueError("number 1")

    task = TaskRecord()
    with capturing_logs(), recording(task), pytest.raises(ValueError, match="number 1"):
        in_threads(fail, range(2), 2)
    assert task.warnings == ["note 0", "note 1"]


def test_outside_a_task_there_is_none_in_the_threads():
    assert in_threads(lambda _: current_task(), range(2), 2) == [None, None]


def test_so_many_at_a_time():
    together = threading.Barrier(2, timeout=10)
    in_threads(lambda _: together.wait(), range(4), 2)
    (thread,) = set(in_threads(lambda _: threading.current_thread(), range(5), 1))
    assert thread is threading.current_thread()


def test_fewer_than_one_thread_is_an_error():
    with pytest.raises(ValueError, match="num_threads=0: expected at least 1"):
        threads_for(0)
    assert threads_for(3) == 3
    assert threads_for(None) >= 1

"""When a task may start: memory, fairness, the brake, lazy drawing. Time is in the test's hands."""

from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.core.admission import Task
from bmp_astro.core.executors import Engine
from bmp_astro.core.scheduler import Policy, Scheduler
from bmp_astro.core.task import Report


class Hand:
    """An engine whose tasks end when the test says so."""

    def __init__(self, sizes, window=4, budget=None, short=None, **engine):
        self.running = {}
        self.drawn = 0
        self.most = 0.0
        self.order = []
        engine = Engine(lambda: None, window, budget=budget, **{"owned": False, **engine})
        self.scheduler = Scheduler(
            self._tasks(sizes), engine, self._submit, Policy(memory_is_short=short)
        )

    def _tasks(self, sizes):
        for index, size in enumerate(sizes):
            self.drawn += 1
            yield Task(index, f"{index}", size)

    def _submit(self, task):
        self.running[task.index] = (task, Future())
        self.order.append(task.index)
        self.most = max(self.most, sum(t.size for t, _ in self.running.values()))
        return self.running[task.index][1]

    def end(self, index, **report):
        _, future = self.running.pop(index)
        future.set_result(Report(**{"status": "done", "value": (str(index), {}), **report}))

    def run(self, which=min):
        """Run to the end, always ending the task that ``which`` picks of those that run."""
        scheduler = self.scheduler
        outcomes = []
        wait = scheduler._wait

        def end_one_and_wait():
            self.end(which(self.running))
            return wait()

        scheduler._wait = end_one_and_wait
        for task, outcome in scheduler.outcomes():
            outcomes.append((task.index, outcome.status))
        return outcomes


@given(
    sizes=st.lists(st.integers(0, 30), max_size=40),
    window=st.integers(1, 6),
    budget=st.integers(1, 40),
    which=st.sampled_from([min, max]),
)
@settings(deadline=None)
def test_every_input_ends_once_and_memory_is_kept(sizes, window, budget, which):
    hand = Hand(sizes, window, budget)
    outcomes = hand.run(which)
    assert sorted(outcomes) == [(i, "done") for i in range(len(sizes))]
    assert hand.most <= max([budget, *sizes])


def test_a_task_larger_than_the_budget_runs_alone():
    hand = Hand([1, 50, 1, 1], budget=10)
    seen = []
    submit = hand.scheduler._submit

    def look(task):
        future = submit(task)
        seen.append(sorted(hand.running))
        return future

    hand.scheduler._submit = look
    hand.run()
    assert [1] in seen
    assert not any(1 in running and len(running) > 1 for running in seen)


def test_small_tasks_pass_a_large_one_but_do_not_starve_it():
    hand = Hand([6, 9] + [1] * 60, window=3, budget=10)
    hand.run(which=max)  # the first never ends while another runs
    position = hand.order.index(1)
    assert 2 < position <= 2 + 2 * 3


def test_inputs_are_drawn_only_as_they_are_needed():
    hand = Hand([0] * 1000, window=2)
    outcomes = hand.scheduler.outcomes()
    wait = hand.scheduler._wait
    hand.scheduler._wait = lambda: (hand.end(min(hand.running)), wait())[1]
    next(outcomes)
    assert hand.drawn <= 2 + 2 * 2
    outcomes.close()


def test_when_memory_is_short_one_task_runs_at_a_time():
    hand = Hand([0] * 6, window=4, short=lambda: True)
    at_a_time = []
    submit = hand.scheduler._submit

    def look(task):
        future = submit(task)
        at_a_time.append(len(hand.running))
        return future

    hand.scheduler._submit = look
    hand.run()
    assert at_a_time == [1] * 6


def test_a_stop_leaves_alone_what_a_cluster_may_have_begun():
    """dask does not tell what has begun: its tasks are waited for, unlike those of a pool."""
    for cancels, expected in ((False, ["done"] * 4), (True, ["not_run"] * 4)):
        hand = Hand([0] * 6, window=4, owned=True, cancels=cancels)
        outcomes = hand.scheduler.outcomes()
        wait = hand.scheduler._wait

        def stop_then_end(hand=hand, wait=wait, cancels=cancels):
            if not hand.scheduler.interrupted:
                hand.scheduler.request_stop(1)
            elif not cancels and hand.running:
                hand.end(min(hand.running))
            return wait()

        hand.scheduler._wait = stop_then_end
        statuses = [outcome.status for _, outcome in outcomes]
        assert statuses == [*expected, *["not_run"] * 4][: len(statuses)]
        assert len(statuses) == 6


def test_at_the_second_stop_nothing_is_waited_for():
    hand = Hand([0] * 6, window=4, owned=True, cancels=False)
    hand.scheduler._wait = lambda: hand.scheduler.request_stop(2)
    statuses = [outcome.status for _, outcome in hand.scheduler.outcomes()]
    assert statuses == ["not_run"] * 6
    assert all(future.cancelled() for _, future in hand.running.values())


@pytest.mark.parametrize("room_again_at", [3, None])
def test_a_disk_that_takes_nothing_more_ends_the_run(room_again_at):
    """Not one on which every third file finds room."""
    hand = Hand([0] * 20, window=4)
    wait = hand.scheduler._wait

    def end_one_and_wait():
        index = min(hand.running)
        if room_again_at is not None and index % room_again_at == 0:
            hand.end(index)
        else:
            hand.end(index, status="failed", value=(None, {}), unwritable="no room")
        return wait()

    hand.scheduler._wait = end_one_and_wait
    outcomes = [outcome for _, outcome in hand.scheduler.outcomes()]
    if room_again_at is not None:
        assert len(outcomes) == 20
        assert {outcome.status for outcome in outcomes} == {"done", "failed"}
    else:
        # Six in a row are more than can be under way together; three more run by then.
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        assert len(failed) == len(hand.order) == 9
        for outcome in outcomes[9:]:
            assert outcome.status == "not_run"
            assert "6 files in a row could not be written (no room)" in outcome.message
        assert len(outcomes) > 9

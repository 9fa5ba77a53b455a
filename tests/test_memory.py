"""Memory that is used again: never that of an array that somebody still has."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from bmp_astro.kernels import calibrate
from bmp_astro.memory import Memory, reused_memory

SHAPE = (1024, 1100)  # 4.3 MiB of float32


@pytest.fixture
def memory():
    """Memory of its own."""
    return Memory()


def place(array):
    """Where an array begins."""
    return array.ctypes.data


def test_memory_of_an_array_that_is_gone_is_used_again(memory):
    with memory.reused():
        places = {place(memory.empty(SHAPE, np.float32)) for _ in range(5)}
        places.add(place(memory.empty(SHAPE, np.int32)))
    assert len(places) == 1


@pytest.mark.parametrize(
    "part",
    [
        lambda array: array,
        lambda array: array[3:5, ::7],
        lambda array: array.view(np.int32).T[1:],
        lambda array: np.asarray(memoryview(array)),
        lambda array: array.ravel().reshape(-1, 4)[:, 1],
    ],
)
def test_memory_of_which_somebody_has_a_part_is_not_used_again(memory, part):
    with memory.reused():
        first = memory.empty(SHAPE, np.float32)
        first[...] = 7
        kept = part(first)
        known = kept.copy()
        del first
        for _ in range(3):
            other = memory.empty(SHAPE, np.float32)
            assert not np.shares_memory(other, kept)
            other[...] = 3
        np.testing.assert_array_equal(kept, known)
    np.testing.assert_array_equal(kept, known)


def test_arrays_are_like_new_ones(memory):
    with memory.reused():
        for _ in range(2):
            array = memory.empty(SHAPE, ">f4")
            assert (array.shape, array.dtype) == (SHAPE, np.dtype(">f4"))
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.aligned
            del array


def test_what_is_free_is_let_go_of_before_more_is_taken_and_when_the_last_run_ends(memory):
    def free():
        return sum(len(blocks) for blocks in memory._free.values())

    with memory.reused():
        with memory.reused():
            first, second = (memory.empty(SHAPE, np.float32) for _ in range(2))
            del first, second
            assert free() == 2
        assert free() == 2
        kept = memory.empty((2048, 1100), np.float32)
        assert free() == 0
        other = memory.empty(SHAPE, np.float32)
        del other
        assert free() == 1
    assert free() == 0
    del kept
    assert free() == 0


def test_small_arrays_are_not_kept(memory):
    with memory.reused():
        assert memory.empty((10, 10), np.float32).base is None


def test_outside_a_run_memory_goes_back_to_the_system_at_once(memory):
    process = psutil.Process()
    before = process.memory_info().rss
    arrays = [memory.empty((1024, 8192), np.uint8) for _ in range(16)]
    for array in arrays:
        array.fill(1)
    assert process.memory_info().rss - before > 100 * 2**20
    kept = arrays[-1][5]  # of what has a view the whole stays
    del array, arrays
    assert process.memory_info().rss - before < 20 * 2**20
    np.testing.assert_array_equal(kept, 1)


def test_runs_that_end_early_let_go(memory):
    run = memory.while_reused(iter(range(3)))
    assert next(run) == 0
    assert memory._runs
    run.close()
    assert not memory._runs


def test_threads_never_share(memory):
    def work(number):
        for _ in range(30):
            array = memory.empty(SHAPE, np.uint32)
            array[::64] = number
            some = array[::128]
            del array
            if not (some == number).all():
                return False
        return True

    with memory.reused(), ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_frames_that_are_kept_keep_their_pixels():
    raws = [np.full(SHAPE, level, np.uint16) for level in range(1000, 1005)]
    with reused_memory():
        kept = [calibrate(raw, gain=2.0, read_noise=3.0, bias=10.0) for raw in raws]
        for _ in range(2):
            calibrate(raws[0], gain=1.0, read_noise=9.0)
    for raw, result in zip(raws, kept, strict=True):
        signal = raw[0, 0] - 10.0
        assert np.unique(result.data) == [2 * signal]
        np.testing.assert_allclose(np.unique(result.variance), 2 * signal + 9, rtol=1e-6)

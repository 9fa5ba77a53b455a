"""What runs inside a step, and where steps can run: numba, MPipe, dask by its address, MPI."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bmp_astro.core import BigMultiPipe


class Numbers(BigMultiPipe):
    """Reads a number, doubles it and writes it."""

    def file_read(self, in_name, **kwargs):
        return int(Path(in_name).read_text())

    def data_process(self, data, work=None, **kwargs):
        return 2 * data if work is None else work(data)

    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(str(data))
        return outname


def results(pout):
    assert [outcome.status for outcome in pout] == ["done"] * len(pout), [o.message for o in pout]
    return [int(Path(outcome.outname).read_text()) for outcome in pout]


def test_a_step_may_use_numba(make_files, outdir):
    """It compiles in the worker, and takes the worker's share of the cores."""
    pytest.importorskip("numba", reason="numba is not installed")
    from bmp_astro.core import available_cores

    def sum_of_squares(data, bmp_meta=None):
        import numba

        @numba.njit
        def total(n):
            value = 0
            for i in range(n + 1):
                value += i * i
            return value

        bmp_meta["threads"] = numba.config.NUMBA_NUM_THREADS
        return total(data)

    pipe = Numbers(outdir=outdir, num_processes=2, post_process_list=sum_of_squares)
    pout = pipe.pipeline(make_files(3))
    assert results(pout) == [0, 5, 30]
    assert {outcome.meta["threads"] for outcome in pout} == {max(available_cores() // 2, 1)}


def test_threads_share_the_cores_with_the_libraries(make_files, outdir):
    np = pytest.importorskip("numpy")
    import astroscrappy  # noqa: F401  OpenMP counts threads for each thread, BLAS for the process
    import threadpoolctl

    from bmp_astro.core import available_cores

    def most_threads():
        np.ones((2, 2)) @ np.ones((2, 2))
        info = threadpoolctl.threadpool_info()
        assert {"blas", "openmp"} <= {library["user_api"] for library in info}
        return max(library["num_threads"] for library in info)

    before = most_threads()
    pipe = Numbers(outdir=outdir, executor="thread", num_processes=2, work=lambda n: most_threads())
    assert set(results(pipe.pipeline(make_files(3)))) == {max(available_cores() // 2, 1)}
    assert most_threads() == before


def test_mpipe_may_start_its_own_processes_in_a_step(make_files, outdir):
    pytest.importorskip("mpipe", reason="MPipe is not installed")

    def in_stages(data):
        import mpipe

        stages = mpipe.UnorderedStage(lambda n: n + 1, 2)
        stages.link(mpipe.OrderedStage(lambda n: n * 10))
        pipe = mpipe.Pipeline(stages)
        for task in (data, data + 1):
            pipe.put(task)
        pipe.put(None)
        return sum(pipe.results())

    pipe = Numbers(outdir=outdir, executor="process", num_processes=2, work=in_stages)
    assert results(pipe.pipeline(make_files(4))) == [30, 50, 70, 90]


def test_dask_by_its_address(make_files, outdir, dask_cluster):
    pipe = Numbers(outdir=outdir, executor=f"dask:{dask_cluster.scheduler_address}")
    names = make_files(6)
    pout = pipe.pipeline(names)
    assert results(pout) == [0, 2, 4, 6, 8, 10]
    assert all(outcome.worker.split(":")[1] != str(os.getpid()) for outcome in pout)
    # The cluster goes on: it is not ours.
    assert results(pipe.pipeline(names, overwrite=True)) == [0, 2, 4, 6, 8, 10]


def test_control_data_reach_dask_workers_also_inline(make_files, outdir, dask_cluster, monkeypatch):
    """The workers of a cluster may not see the directory where the parent keeps the data."""
    from bmp_astro.core import shipping

    def size(data, table=b""):
        return len(table)

    def elsewhere(*args):
        raise OSError("no such disk here")

    monkeypatch.setattr(shipping, "_write", elsewhere)
    pipe = Numbers(outdir=outdir, executor=f"dask:{dask_cluster.scheduler_address}")
    pout = pipe.pipeline(make_files(3), table=bytearray(100_000), pre_process_list=size)
    assert results(pout) == [200_000] * 3


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://here"])
def test_a_dask_scheduler_that_is_not_there(make_files, outdir, address):
    pytest.importorskip("distributed", reason="distributed is not installed")
    import dask

    pipe = Numbers(outdir=outdir, executor=f"dask:{address}")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
        pytest.raises(OSError, match=f"no dask scheduler answers at '{address}': .* dask:tcp://"),
    ):
        pipe.pipeline(make_files(1))


def test_dask_keeps_no_limits(make_files, outdir, dask_cluster):
    pipe = Numbers(outdir=outdir, executor=f"dask:{dask_cluster.scheduler_address}")
    with pytest.raises(ValueError, match="dask cannot keep timeout="):
        pipe.pipeline(make_files(1), timeout=5)


@pytest.mark.parametrize(("executor", "most"), [("process", 1), ("thread", 4)])
def test_what_stays_in_a_worker_takes_room_for_each_process(make_files, outdir, executor, most):
    """Of 1 GB with 300 MB in each worker one process leaves enough; threads share it."""
    together = outdir / "running"
    together.mkdir()

    def how_many(data):
        mark = together / str(data)
        mark.touch()
        time.sleep(0.3)
        number = len(list(together.iterdir()))
        mark.unlink()
        return number

    pipe = Numbers(outdir=outdir, executor=executor, num_processes=4, work=how_many)
    memory = {"mem_available": 1e9, "process_size": 150e6}
    told = []

    def worker_size(control):
        told.append(control)
        return 300e6

    assert max(results(pipe.pipeline(make_files(8), worker_size=worker_size, **memory))) == most
    assert told[0]["work"] is how_many
    assert told[0]["file_keywords"] is None


MPI_SCRIPT = """
import json, sys
from pathlib import Path
from mpi4py.futures import MPIPoolExecutor
from bmp_astro.core import BigMultiPipe

class Numbers(BigMultiPipe):
    def file_read(self, in_name, **kwargs):
        return int(Path(in_name).read_text())
    def data_process(self, data, **kwargs):
        if data == 2:
            raise ValueError("two is bad")
        return 2 * data
    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(str(data))
        return outname

if __name__ == "__main__":
    outdir, *names = sys.argv[1:]
    with MPIPoolExecutor() as executor:
        pipe = Numbers(outdir=outdir, executor=executor, on_error="record")
        pout = pipe.pipeline(names)
    print(json.dumps([[o.status, o.message, o.worker] for o in pout]))
"""


def test_mpi(make_files, outdir, tmp_path):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpiexec = shutil.which("mpiexec", path=beside)
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    script = tmp_path / "script.py"
    script.write_text(MPI_SCRIPT)
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script), str(outdir)]
    done = subprocess.run(
        [*command, *make_files(6)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [status for status, _, _ in rows] == ["done", "done", "failed", "done", "done", "done"]
    assert rows[2][1] == "ValueError: two is bad"
    assert sorted(int(p.read_text()) for p in outdir.iterdir()) == [0, 2, 6, 8, 10]


def test_a_million_names_are_drawn_one_by_one():
    drawn = []

    def names():
        for number in range(1_000_000):
            drawn.append(number)
            yield f"{number}"

    class Nothing(BigMultiPipe):
        def file_process(self, in_name, **kwargs):
            return (None, {"n": int(in_name)})

    stream = Nothing(executor="serial").iter_pipeline(names())
    for count, outcome in enumerate(stream):
        assert outcome.meta == {"n": count}
        assert len(drawn) - count < 10
        if count == 2000:
            break
    stream.close()
    assert len(drawn) < 2020


def test_executors_that_never_work_are_given_up(make_files, outdir):
    """A factory whose workers cannot start costs a few tries, not one for each input."""
    from concurrent.futures import Future
    from concurrent.futures.process import BrokenProcessPool

    made = []

    class Broken:
        def submit(self, function, *args):
            future = Future()
            future.set_exception(BrokenProcessPool("its workers cannot start"))
            return future

        def shutdown(self, wait=True):
            made.append(self)

    pipe = Numbers(outdir=outdir, executor=Broken, on_error="record", num_processes=2)
    pout = pipe.pipeline(make_files(40))
    statuses = [outcome.status for outcome in pout]
    assert set(statuses) == {"failed", "not_run"}
    assert statuses.count("failed") <= 3
    assert len(made) < 12


def test_a_worker_that_cannot_start_says_its_own_error(make_files, outdir, monkeypatch, tmp_path):
    (tmp_path / "cloudpickle.py").write_text("raise ImportError('a broken installation')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    pipe = Numbers(outdir=outdir, executor="process", on_error="record", num_processes=2)
    pout = pipe.pipeline(make_files(10))
    statuses = [outcome.status for outcome in pout]
    assert statuses.count("failed") == 1
    assert statuses.count("not_run") == 9
    message = pout[statuses.index("failed")].message
    assert message.startswith("a worker process cannot start")
    assert message.endswith("ImportError: a broken installation")


def test_large_metadata_are_told_by_key_and_size(make_files, outdir):
    def keep_much(data, bmp_meta=None):
        bmp_meta["stamp"] = bytes(2_000_000 * data)
        bmp_meta["n"] = data
        return data

    pipe = Numbers(outdir=outdir, executor="process", num_processes=2, post_process_list=keep_much)
    small, large = pipe.pipeline(make_files(2))
    assert small.warnings == ()
    (told,) = large.warnings
    assert "stamp (4.0 MB)" in told
    assert "n (" not in told

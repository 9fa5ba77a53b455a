"""What a pipe does with its inputs: the control stream, rejections, names, errors."""

import logging
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from bmp_astro.core import (
    BigMultiPipe,
    NoDaemonPool,
    Outcome,
    PipelineError,
    Rejected,
    bmp_cleanup,
    no_outfile,
    prune_pout,
)

EXECUTORS = ["process", "thread", "serial"]


class TextPipe(BigMultiPipe):
    """Reads, repeats and writes text."""

    def file_read(self, in_name, **kwargs):
        if isinstance(in_name, list):
            return [self.file_read(name) for name in in_name]
        return Path(in_name).read_text()

    def data_process(self, data, times=1, **kwargs):
        return data * times

    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(str(data))
        return outname


def note(data, bmp_meta=None, in_name=None, times=None):
    bmp_meta.update(times=times, base=os.path.basename(in_name))
    return data


def texts(pout):
    return [Path(outname).read_text() for outname, _ in pout]


def serial(outdir, **kwargs):
    return TextPipe(outdir=outdir, executor="serial", **kwargs)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_keywords_override_from_object_to_call_to_file(make_files, outdir, executor):
    def for_the_second(data):
        return {"bmp_data": data, "bmp_kwargs": {"times": 4}} if data == "1" else data

    pipe = TextPipe(
        outdir=outdir,
        executor=executor,
        times=2,
        pre_process_list=for_the_second,
        post_process_list=note,
    )
    assert texts(pipe.pipeline(make_files(2))) == ["00", "1111"]
    pout = pipe.pipeline(make_files(2), times=3, overwrite=True)
    assert texts(pout) == ["000", "1111"]
    assert pout[1].meta == {"times": 4, "base": "file_1.txt"}


@pytest.mark.parametrize("value", [0, "", False, None])
def test_a_value_that_was_given_wins(make_files, outdir, value):
    pipe = serial(outdir, times=2, post_process_list=[note, no_outfile])
    pipe.data_process = lambda data, **kwargs: data
    assert pipe.pipeline(make_files(1), times=value)[0].meta["times"] == value


def test_step_lists_of_the_call_follow_those_of_the_object(make_files, outdir):
    pipe = serial(outdir, pre_process_list=[lambda data: data + "a"])
    pout = pipe.pipeline(make_files(1), pre_process_list=lambda data: data + "b")
    assert texts(pout) == ["0ab"]
    assert len(pipe.pre_process_list) == 1
    pipe.pre_process_list = None
    assert texts(pipe.pipeline(make_files(1), overwrite=True)) == ["0"]


def reason(data):
    raise Rejected("the dome was closed")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda data: None, ""),
        (lambda data: {"bmp_data": None}, ""),
        (reason, "the dome was closed"),
    ],
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_pre_step_rejects(make_files, outdir, executor, step, message):
    def never(data):
        raise AssertionError("the chain went on")

    pipe = TextPipe(outdir=outdir, executor=executor, pre_process_list=[step, never])
    (outcome,) = pipe.pipeline(make_files(1), num_processes=2)
    assert outcome == (None, {})
    assert (outcome.status, outcome.message) == ("rejected", message)
    assert outcome.step == ("reason" if message else "<lambda>")
    assert os.listdir(outdir) == []


def test_a_post_step_rejects_with_the_metadata_so_far(make_files, outdir):
    pipe = serial(outdir, post_process_list=[note, lambda data: None])
    (outcome,) = pipe.pipeline(make_files(1), times=1)
    assert outcome == (None, {"times": 1, "base": "file_0.txt"})
    assert outcome.status == "rejected"


def test_data_process_and_file_read_reject_by_none(make_files, outdir):
    for method in ("file_read", "data_process"):
        pipe = serial(outdir)
        setattr(pipe, method, lambda data, **kwargs: None)
        (outcome,) = pipe.pipeline(make_files(1))
        assert outcome == (None, {})
        assert (outcome.status, outcome.step) == ("rejected", method)


def test_no_outfile_is_done_with_metadata(make_files, outdir):
    (outcome,) = serial(outdir, post_process_list=[note, no_outfile]).pipeline(make_files(1))
    assert outcome == (None, {"times": None, "base": "file_0.txt"})
    assert outcome.status == "done"
    assert os.listdir(outdir) == []


def test_metadata_choose_the_name(make_files, outdir):
    def name(data, bmp_meta=None):
        bmp_meta.update(outname=f"n{data}.txt", outdir=str(outdir / "sub"), create_outdir=True)
        return data

    pout = serial(outdir, post_process_list=name).pipeline(make_files(2))
    assert [o.outname for o in pout] == [str(outdir / "sub" / f"n{i}.txt") for i in range(2)]
    assert texts(pout) == ["0", "1"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_two_inputs_that_metadata_give_one_name(make_files, outdir, executor):
    def name(data, bmp_meta=None):
        bmp_meta["outname"] = "same.txt"
        return data

    pipe = TextPipe(outdir=outdir, executor=executor, post_process_list=name, on_error="record")
    pout = pipe.pipeline(make_files(2), num_processes=2, overwrite=True)
    assert sorted(o.status for o in pout) == ["done", "failed"]
    (failed,) = [o for o in pout if o.status == "failed"]
    assert "same.txt" in failed.message


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits.fz", ".tar.gz", ".fits", ".npy.bz2", ""])
def test_double_suffixes_stay_together(make_files, outdir, suffix):
    seen = []
    pipe = serial(outdir)
    write = pipe.file_write
    pipe.file_write = lambda data, outname, **kw: (seen.append(outname), write(data, outname))[1]
    (outcome,) = pipe.pipeline(make_files(1, suffix=suffix))
    assert outcome.outname == str(outdir / f"file_0_bmp{suffix}")
    assert os.path.dirname(seen[0]) == str(outdir)
    assert seen[0] != outcome.outname
    assert seen[0].endswith(suffix)


def test_paths_and_the_empty_list(make_files, outdir):
    assert serial(outdir).pipeline([]) == []
    (outcome,) = serial(outdir).pipeline([Path(make_files(1)[0])])
    assert outcome.outname == str(outdir / "file_0_bmp.txt")
    with pytest.raises(TypeError, match="a list of names"):
        serial(outdir).pipeline("file_0.txt")


def test_a_list_is_one_input(make_files, outdir):
    a, b, c = make_files(3)
    pipe = serial(outdir)
    pipe.data_process = lambda data, **kwargs: repr(data)
    pout = pipe.pipeline([[a, [b, c]]])
    assert texts(pout) == ["['0', ['1', '2']]"]
    assert pout[0].outname == str(outdir / "file_0_bmp.txt")


def test_one_name_twice_is_refused_before_anything_runs(make_files, outdir):
    names = make_files(1, "a") + make_files(1, "b")
    with pytest.raises(ValueError, match="both be written to"):
        serial(outdir).pipeline(names)
    assert os.listdir(outdir) == []


def test_an_input_is_never_overwritten(make_files, tmp_path):
    names = make_files(2)
    pipe = serial(tmp_path / "in", outname_append="")
    with pytest.raises(ValueError, match="would overwrite the input"):
        pipe.pipeline(names, overwrite=True)

    def name(data, bmp_meta=None):
        bmp_meta["outname"] = names[1]
        return data

    pipe = serial(tmp_path, post_process_list=name, on_error="record", overwrite=True)
    (outcome,) = pipe.pipeline(names)[:1]
    assert "would overwrite the input" in outcome.message
    assert [Path(n).read_text() for n in names] == ["0", "1"]


def test_a_generator_is_checked_as_it_is_drawn(make_files, outdir):
    names = make_files(2, "a") + make_files(1, "b")
    pout = serial(outdir, on_error="record").pipeline(iter(names))
    assert [o.status for o in pout] == ["done", "done", "failed"]


def test_existing_outputs_are_kept(make_files, outdir):
    names = make_files(2)
    (outdir / "file_0_bmp.txt").write_text("kept")
    pout = serial(outdir).pipeline(names)
    assert [o.status for o in pout] == ["skipped", "done"]
    assert "overwrite=True" in pout[0].message
    assert texts(pout) == ["kept", "1"]
    assert texts(serial(outdir, overwrite=True).pipeline(names)) == ["0", "1"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_leaves_no_half_file(make_files, outdir, executor):
    class Half(TextPipe):
        def file_write(self, data, outname, **kwargs):
            Path(outname).write_text("half")
            raise OSError("the disk broke")

    pipe = Half(outdir=outdir, executor=executor, on_error="record")
    (outcome,) = pipe.pipeline(make_files(1), num_processes=2)
    assert outcome == (None, {})
    assert (outcome.status, outcome.step) == ("failed", "file_write")
    assert outcome.message == "OSError: the disk broke"
    assert "Half" in outcome.traceback or "file_write" in outcome.traceback
    assert os.listdir(outdir) == []


def test_not_atomic_gets_the_final_name(make_files, outdir):
    pipe = serial(outdir, atomic=False)
    pipe.file_write = lambda data, outname, **kw: outname
    assert pipe.pipeline(make_files(1))[0].outname == str(outdir / "file_0_bmp.txt")


def test_another_name_that_comes_back_is_believed(make_files, outdir):
    pipe = serial(outdir)
    pipe.file_write = lambda data, outname, **kwargs: "elsewhere"
    assert pipe.pipeline(make_files(1))[0].outname == "elsewhere"


def test_a_file_whose_name_does_not_come_back(make_files, outdir):
    pipe = serial(outdir, on_error="record")
    pipe.file_write = lambda data, outname, **kwargs: Path(outname).write_text(data) and None
    (outcome,) = pipe.pipeline(make_files(1))
    assert "must return the name" in outcome.message


def fail_on_1(data):
    if data == "1":
        raise ValueError("one")
    return data


@pytest.mark.parametrize("executor", EXECUTORS)
def test_on_error_raise_has_a_row_for_every_input(make_files, outdir, executor):
    names = make_files(30)

    def slow(data):
        time.sleep(0 if data in ("0", "1") else 0.1)  # the first failure is known before the end
        return data

    pipe = TextPipe(outdir=outdir, executor=executor, pre_process_list=[slow, fail_on_1])
    with pytest.raises(PipelineError, match=r"file_1.txt.*fail_on_1.*ValueError: one") as caught:
        pipe.pipeline(names, num_processes=2)
    pout = caught.value.pout
    assert [o.in_name for o in pout] == names
    assert pout[1].status == "failed"
    assert {o.status for o in pout} == {"done", "failed", "not_run"}
    assert isinstance(caught.value.__cause__, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).pout == pout


@pytest.mark.parametrize("executor", EXECUTORS)
def test_on_error_record_goes_on(make_files, outdir, executor):
    pipe = TextPipe(outdir=outdir, executor=executor, pre_process_list=fail_on_1)
    pout = pipe.pipeline(make_files(10), on_error="record", num_processes=2)
    assert [o.status for o in pout] == ["done", "failed"] + 8 * ["done"]
    assert prune_pout(pout, [o.in_name for o in pout])[1] == [
        o.in_name for o in pout if o.status == "done"
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_iter_pipeline_yields_as_they_come_from_a_generator(make_files, outdir, executor):
    names = make_files(20)
    drawn = []

    def generate():
        for name in names:
            drawn.append(name)
            yield name

    pipe = TextPipe(outdir=outdir, executor=executor)
    outcomes = pipe.iter_pipeline(generate(), num_processes=2)
    first = next(outcomes)
    assert first.status == "done"
    assert len(drawn) < 20
    assert {o.in_name for o in [first, *outcomes]} == set(names)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_task_logs_is_in_its_row_and_reaches_the_loggers_here(
    make_files, outdir, executor, caplog
):
    def speak(data):
        logging.getLogger("some.step").warning("note %s", data)
        logging.getLogger("some.step").info("detail %s", data)
        return data

    before = list(logging.getLogger().handlers)
    pipe = TextPipe(outdir=outdir, executor=executor, pre_process_list=speak)
    pout = pipe.pipeline(make_files(6), num_processes=2)
    assert [o.warnings for o in pout] == [(f"note {i}",) for i in range(6)]
    heard = [r.getMessage() for r in caplog.records if r.name == "some.step"]
    assert sorted(heard) == [f"note {i}" for i in range(6)]
    assert logging.getLogger().handlers == before


def test_python_warnings_are_in_the_row_in_worker_processes(make_files, outdir):
    def warn(data):
        import warnings

        warnings.warn(f"careful {data}", UserWarning, stacklevel=1)
        return data

    pipe = TextPipe(outdir=outdir, executor="process", pre_process_list=warn)
    pout = pipe.pipeline(make_files(3), num_processes=2)
    assert [o.warnings for o in pout] == [(f"UserWarning: careful {i}",) for i in range(3)]


def test_memory_and_worker_are_told(make_files, outdir):
    def take(data):
        return data if len(bytearray(50_000_000)) else None

    pipe = TextPipe(outdir=outdir, executor="process", pre_process_list=take)
    (outcome,) = pipe.pipeline(make_files(1), num_processes=2)
    host, _, pid = outcome.worker.rpartition(":")
    assert host
    assert int(pid) != os.getpid()
    assert outcome.peak_memory is None or 45e6 < outcome.peak_memory < 80e6
    assert outcome.seconds > 0


def test_cleanup_removes_what_was_marked_unless_told_not_to(make_files, outdir):
    def big(data, bmp_meta=None):
        bmp_meta["big"] = "large"
        bmp_cleanup(data, bmp_meta=bmp_meta, add="big")
        return bmp_cleanup(data, bmp_meta=bmp_meta, add="big")

    pipe = serial(outdir, post_process_list=[big, no_outfile])
    assert pipe.pipeline(make_files(1))[0].meta == {}
    kept = pipe.pipeline(make_files(1), no_bmp_cleanup=True)[0].meta
    assert kept["big"] == "large"


def test_keywords_are_matched_by_name(make_files, outdir):
    got = {}

    def named(data, times=None):
        got["named"] = times
        return data

    def everything(data, **kwargs):
        got["everything"] = kwargs
        return data

    bound = partial(lambda data, times=None: got.update(bound=times) or data, times="bound")
    pipe = serial(outdir, pre_process_list=[named, everything, bound, str.strip])
    pipe.pipeline(make_files(1), times=2, data="not this")
    assert (got["named"], got["bound"]) == (2, "bound")
    assert got["everything"]["times"] == 2
    assert "data" not in got["everything"]
    assert got["everything"]["in_name"].endswith("file_0.txt")


def test_misspelt_keywords_are_reported_once(make_files, outdir, caplog):
    pipe = serial(outdir)
    pipe.pipeline(make_files(3), tims=2, unrelated_thing=1)
    told = [r.getMessage() for r in caplog.records]
    assert told == ["no step names the keyword 'tims': was 'times' meant?"]


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ThreadPoolExecutor(2),
        lambda: ProcessPoolExecutor(2),
    ],
)
def test_any_executor_or_a_function_that_makes_one(make_files, outdir, executor):
    pipe = TextPipe(outdir=outdir, executor=executor)
    assert texts(pipe.pipeline(make_files(4))) == ["0", "1", "2", "3"]
    with executor() as mine:
        assert texts(pipe.pipeline(make_files(4), executor=mine, overwrite=True)) == list("0123")
        assert mine.submit(abs, -1).result() == 1


@pytest.mark.parametrize("pool", [NoDaemonPool, ThreadPool])
def test_a_pool_class(make_files, outdir, pool):
    pipe = TextPipe(outdir=outdir, PoolClass=pool, num_processes=2)
    assert texts(pipe.pipeline(make_files(4))) == ["0", "1", "2", "3"]


def test_wrong_executors_say_what_is_right(make_files, outdir):
    with pytest.raises(ValueError, match="process, thread, serial"):
        TextPipe(outdir=outdir, executor="proces")
    with pytest.raises(TypeError, match="function that makes one"):
        TextPipe(outdir=outdir, executor=3).pipeline(make_files(1))
    with pytest.raises(ValueError, match="timeout"):
        TextPipe(outdir=outdir, executor="thread", timeout=1).pipeline(make_files(1))
    with pytest.raises(ValueError, match="on_error"):
        TextPipe(on_error="ignore")


def test_auto_takes_threads_only_where_every_step_is_safe(make_files, outdir):
    def where(data, bmp_meta=None):
        bmp_meta["pid"] = os.getpid()
        return data

    where.thread_safe = True
    pipe = TextPipe(executor="auto", outdir=outdir, post_process_list=[where, no_outfile])
    assert pipe.pipeline(make_files(1), num_processes=2)[0].meta["pid"] != os.getpid()

    pipe = type("Safe", (TextPipe,), {"thread_safe": True})(
        executor="auto", post_process_list=[where, no_outfile]
    )
    assert pipe.pipeline(make_files(1), num_processes=2)[0].meta["pid"] != os.getpid()
    plain = BigMultiPipe(executor="auto", post_process_list=[where, no_outfile])
    assert plain.pipeline(make_files(1), num_processes=2)[0].meta["pid"] == os.getpid()


def test_steps_may_come_as_a_tuple(make_files, outdir):
    """Then too each of them counts when threads or processes are chosen."""

    def where(data, bmp_meta=None):
        bmp_meta["pid"] = os.getpid()
        return data

    where.thread_safe = True
    pipe = BigMultiPipe(outdir=outdir, executor="auto", num_processes=2)
    pout = pipe.pipeline(make_files(2), post_process_list=(where, no_outfile))
    assert {outcome.meta["pid"] for outcome in pout} == {os.getpid()}


@pytest.mark.parametrize("name", ["pre_process_list", "post_process_list"])
def test_what_is_no_step_is_refused_before_anything_runs(make_files, outdir, name):
    def never(data):
        raise AssertionError

    with pytest.raises(TypeError, match=f"{name} has 'peak', which is no step: expected func"):
        serial(outdir, **{name: [never, "peak"]})
    pipe = serial(outdir, on_error="record", pre_process_list=never)
    with pytest.raises(TypeError, match=f"{name} has 3"):
        pipe.pipeline(make_files(1), **{name: (3,)})
    with pytest.raises(TypeError, match=f"{name} has 'peak'"):
        setattr(pipe, name, "peak")


def test_num_processes_1_runs_here(make_files, outdir):
    def where(data, bmp_meta=None):
        bmp_meta["pid"] = os.getpid()
        return data

    pipe = TextPipe(num_processes=1, post_process_list=[where, no_outfile])
    assert pipe.pipeline(make_files(1))[0].meta["pid"] == os.getpid()


def test_a_file_process_of_ones_own(make_files, outdir):
    class Own(BigMultiPipe):
        def file_process(self, in_name, n=0, outdir=None):
            return (None, {}) if in_name.endswith("1.txt") else (in_name + outdir, {"n": n})

    names = make_files(2)
    pout = Own(executor="serial", outdir="!", n=1, other=2).pipeline(names)
    assert [o.status for o in pout] == ["done", "rejected"]
    assert pout[0] == (names[0] + "!", {"n": 1})


def test_file_process_alone_returns_the_plain_pair(make_files, outdir):
    pipe = TextPipe(outdir=outdir, times=2, pre_process_list=fail_on_1)
    names = make_files(2)
    outname, _ = pipe.file_process(names[0], times=3)
    assert Path(outname).read_text() == "000"
    with pytest.raises(ValueError, match="one"):
        pipe.file_process(names[1])


def test_an_outcome_is_the_pair_and_keeps_its_attributes():
    outcome = Outcome("a", {"n": 1}, in_name="b", status="skipped", warnings=["w"])
    again = pickle.loads(pickle.dumps(outcome))
    assert again == outcome == ("a", {"n": 1})
    assert vars(again) == vars(outcome)
    assert next(zip(*[outcome], strict=True)) == ("a",)


def test_a_lambda_with_a_lock_is_refused_before_anything_runs(make_files, outdir):
    import threading

    pipe = TextPipe(outdir=outdir, lock=threading.Lock())
    with pytest.raises(TypeError, match="lock"):
        pipe.pipeline(make_files(2), num_processes=2)
    assert os.listdir(outdir) == []

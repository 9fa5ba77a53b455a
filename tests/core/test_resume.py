"""Resuming: what is the same is skipped, with what was recorded; anything else is made again."""

import functools
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from bmp_astro.core import BigMultiPipe, Rejected
from bmp_astro.core.identity import Unidentifiable, identity


class Text(BigMultiPipe):
    suffix = "!"

    def file_read(self, in_name, **kwargs):
        return "".join(
            Path(n).read_text() for n in ([in_name] if isinstance(in_name, str) else in_name)
        )

    def data_process(self, data, master=None, level=0, **kwargs):
        return data + self.suffix

    def file_write(self, data, outname, **kwargs):
        Path(outname).write_text(data)
        return outname


class OtherText(Text):
    suffix = "?"


def measure(data, bmp_meta=None):
    bmp_meta.update(n=len(data), t=1.5 * u.s)
    return data


def run(names, outdir, pipe=Text, **kwargs):
    made = pipe(outdir=outdir, resume=True, executor="serial", post_process_list=measure)
    return made.pipeline(names, on_error="record", **kwargs)


def statuses(pout):
    return [o.status for o in pout]


def test_a_second_run_skips_with_name_and_metadata(make_files, outdir):
    names = make_files(3)
    first = run(names, outdir)
    second = run(names, outdir, num_processes=2, retries=3)  # the engine's settings do not count
    assert statuses(first) == ["done"] * 3
    assert statuses(second) == ["skipped"] * 3
    assert second == first
    assert statuses(run(names, outdir)) == ["skipped"] * 3
    assert statuses(run(names, outdir, overwrite=True)) == ["done"] * 3


def test_whatever_changed_is_made_again(make_files, outdir, tmp_path):
    names = make_files(3)
    master = tmp_path / "master"
    master.write_text("one")
    run(names, outdir, master=str(master))

    Path(names[0]).write_text("changed")
    assert statuses(run(names, outdir, master=str(master))) == ["done", "skipped", "skipped"]
    Path(outdir / "file_1_bmp.txt").unlink()
    assert statuses(run(names, outdir, master=str(master))) == ["skipped", "done", "skipped"]
    Path(outdir / "file_2_bmp.txt").write_text("cut")
    assert statuses(run(names, outdir, master=str(master))) == ["skipped", "skipped", "done"]
    assert (outdir / "file_2_bmp.txt").read_text() == "2!"
    os.utime(master, (1, 1))  # the same content at another time
    assert statuses(run(names, outdir, master=str(master))) == ["skipped"] * 3
    master.write_text("two")
    assert statuses(run(names, outdir, master=str(master))) == ["done"] * 3
    assert statuses(run(names, outdir, master=str(master), level=1)) == ["done"] * 3
    assert statuses(run(names, outdir, OtherText, master=str(master), level=1)) == ["done"] * 3


def test_verify_looks_at_contents(make_files, outdir):
    names = make_files(2)
    run(names, outdir, verify=True)
    os.utime(names[0], (1, 1))
    assert statuses(run(names, outdir, verify=True)) == ["skipped"] * 2
    found = os.stat(names[1])
    Path(names[1]).write_text("7")
    os.utime(names[1], ns=(found.st_atime_ns, found.st_mtime_ns))
    (outdir / "file_0_bmp.txt").write_text("X!")
    assert statuses(run(names, outdir)) == ["skipped"] * 2  # size and time tell nothing
    assert statuses(run(names, outdir, verify=True)) == ["done"] * 2
    assert [(outdir / f"file_{i}_bmp.txt").read_text() for i in range(2)] == ["0!", "7!"]


def test_steps_are_told_by_their_code_and_what_they_close_over(make_files, outdir):
    def scaled(by):
        return lambda data: data * by

    names = make_files(1)
    assert statuses(run(names, outdir, pre_process_list=scaled(2))) == ["done"]
    assert statuses(run(names, outdir, pre_process_list=scaled(2))) == ["skipped"]
    assert statuses(run(names, outdir, pre_process_list=scaled(3))) == ["done"]


def test_failed_and_rejected_inputs_are_tried_again(make_files, outdir):
    def choosy(data):
        if data == "0":
            raise Rejected("not this")
        if data == "1":
            raise ValueError("not that")
        return data

    names = make_files(3)
    for rest in ("done", "skipped"):
        pout = run(names, outdir, pre_process_list=choosy)
        assert statuses(pout) == ["rejected", "failed", rest]


def test_what_cannot_be_told_is_made_again_and_says_so(make_files, outdir, caplog):
    names = make_files(1)
    for _ in range(2):
        assert statuses(run(names, outdir, level=object())) == ["done"]
    assert any("made anew" in r.getMessage() for r in caplog.records)


def test_lists_of_files(make_files, outdir):
    a, b, c = make_files(3)
    assert statuses(run([[a, b], c], outdir)) == ["done", "done"]
    Path(b).write_text("changed")
    assert statuses(run([[a, b], c], outdir)) == ["done", "skipped"]


class Color(Enum):
    RED = 1


def step(data, level=1):
    return data + level


def different_things():
    """Things that all differ."""
    return [
        *(1, 1.0, True, "1", None, b"1", 1j, [1], (1,), {1}, {"a": 1}, {"a": 2}, Color.RED),
        *(np.arange(3), np.arange(3.0), np.arange(4), np.array([["a"]], dtype=object)),
        *(1 * u.s, 1 * u.m, [1, 2] * u.s, u.s, Path("x"), sys, Color),
        *(step, np.mean, np.median, np.sqrt),
        *(functools.partial(step, level=2), functools.partial(step, level=3)),
        *(lambda x: x + 1, lambda x: x + 2, lambda x, y=1: x, lambda x: x in {"a", "b", "c"}),
    ]


def test_identities_differ_and_stay_from_run_to_run(tmp_path):
    here = [identity(value) for value in different_things()]
    assert len(set(here)) == len(here)
    assert identity({"a": 1, "b": {"y", "x"}}) == identity({"b": {"x", "y"}, "a": 1})
    script = Path(__file__).read_text() + (
        "\nif __name__ == '__main__':\n"
        "    for value in different_things():\n        print(identity(value))\n"
    )
    (tmp_path / "again.py").write_text(script)
    outputs = [
        subprocess.run(
            [sys.executable, str(tmp_path / "again.py")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == len(here)


@pytest.mark.parametrize("value", [object(), [object()], iter([]), open])
def test_what_has_no_identity(value):
    if value is open:
        assert identity(value)
        return
    with pytest.raises(Unidentifiable):
        identity(value)


def test_what_is_nested_in_itself():
    endless = []
    endless.append(endless)
    with pytest.raises(Unidentifiable, match="too deeply"):
        identity(endless)

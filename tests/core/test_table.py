"""Outcomes as a table, its round trip through ECSV, and the file that cached_pout keeps."""

import os
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable

from bmp_astro.core import BigMultiPipe, Outcome, cached_pout, pout_to_table, prune_pout
from bmp_astro.core.table import FIXED_COLUMNS, write_table

POUT = [
    Outcome(
        "a_bmp.fits",
        {
            "exptime": 10 * u.s,
            "n": 3,
            "level": 1,
            "name": "",
            "ok": True,
            "status": "mine",
            "mixed": 1,
            "shape": [1, 2],
            "xy": np.array([1.5, 2.5]),
            "single": np.float32(0.5),
        },
        in_name="a.fits",
        seconds=1.5,
        peak_memory=1000,
        warnings=["odd", "odder"],
    ),
    Outcome(
        None,
        {},
        in_name=["b.fits", [Path("c.fits")]],
        status="failed",
        step="calibrate",
        message='ValueError: "x"\nsecond line',
    ),
    Outcome(
        "d_bmp.fits",
        {
            "exptime": 0.5 * u.min,
            "n": np.int16(4),
            "level": 2.5,
            "name": "M 31",
            "ok": np.False_,
            "mixed": "one",
            "shape": {"a": 1},
            "xy": np.array([3.5, 4.5]),
            "empty": None,
        },
        in_name=Path("d.fits"),
    ),
]


@pytest.fixture
def table():
    return pout_to_table(POUT)


def test_fixed_columns(table):
    assert tuple(table.colnames[: len(FIXED_COLUMNS)]) == FIXED_COLUMNS
    assert list(table["in_name"]) == ["a.fits", "b.fits, c.fits", "d.fits"]
    assert list(table["outname"].mask) == [False, True, False]
    assert list(table["status"]) == ["done", "failed", "done"]
    assert table["warnings"][0] == "odd; odder"
    assert list(table["seconds"].mask) == [False, True, True]
    assert table["peak_memory"].dtype.kind == "i"


def test_columns_of_metadata_have_units_types_and_masks(table):
    assert table["exptime"].unit == u.s
    assert list(table["exptime"].mask) == [False, True, False]
    assert table["exptime"][2] == 30 * u.s
    assert table["n"].dtype.kind == "i"
    assert table["level"].dtype == float
    assert list(table["level"].filled(-1)) == [1.0, -1.0, 2.5]
    assert table["ok"].dtype == bool
    assert list(table["name"].filled("?")) == ["", "?", "M 31"]
    assert table["meta_status"][0] == "mine"
    assert list(table["mixed"].filled("?")) == ["1", "?", "one"]
    assert table["shape"][2] == "{'a': 1}"
    assert table["xy"].shape == (3, 2)
    assert table["single"].dtype == float
    assert table["empty"].mask.all()


def same(one, two):
    assert one.colnames == two.colnames
    for name in one.colnames:
        a, b = one[name], two[name]
        assert getattr(a, "unit", None) == getattr(b, "unit", None)
        mask = np.array(getattr(a, "mask", np.zeros(a.shape, bool)))
        mask = np.broadcast_to(mask, a.shape)
        assert np.array_equal(mask, np.broadcast_to(getattr(b, "mask", False), b.shape)), name
        assert a.dtype.kind == b.dtype.kind
        values = zip(np.ravel(a), np.ravel(b), np.ravel(mask), strict=True)
        assert all(x == y for x, y, masked in values if not masked), name


def test_round_trip_through_ecsv(table, tmp_path):
    table.write(tmp_path / "own.ecsv")
    same(QTable.read(tmp_path / "own.ecsv"), table)
    again = QTable.read(tmp_path / "own.ecsv")
    assert write_table(again, tmp_path / "night.ecsv") == str(tmp_path / "night.ecsv")
    same(QTable.read(tmp_path / "night.ecsv"), table)
    assert sorted(os.listdir(tmp_path)) == ["night.ecsv", "own.ecsv"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1 * u.s, 2 * u.m], "U"),
        ([1 * u.s, 2], "U"),
        ([True, 3], "U"),
        ([2**70, 1], "U"),
        ([np.zeros(2), np.zeros(3)], "U"),
        ([1 + 2j, 3j], "U"),
        ([float("nan"), 1], "f"),
        ([None, None], "U"),
        ([Path("a"), None], "U"),
    ],
)
def test_values_that_fit_no_type_become_text(values, kind, tmp_path):
    table = pout_to_table([Outcome("a", {"v": value}) for value in values])
    assert table["v"].dtype.kind == kind
    assert isinstance(table["v"], MaskedColumn)
    write_table(table, tmp_path / "t.ecsv")
    if kind != "f":
        same(QTable.read(tmp_path / "t.ecsv"), table)


def test_no_rows(tmp_path):
    table = pout_to_table([])
    assert tuple(table.colnames) == FIXED_COLUMNS
    write_table(table, tmp_path / "t.ecsv")
    assert len(QTable.read(tmp_path / "t.ecsv")) == 0


def test_bare_pairs_and_names_given_beside_them():
    table = pout_to_table([("a_bmp", {"n": 1}), (None, {})], ["a", "b"])
    assert list(table["in_name"]) == ["a", "b"]


def test_prune_a_table(table):
    pruned = prune_pout(table)
    assert list(pruned["in_name"]) == ["a.fits", "d.fits"]
    pout = [Outcome(None, {"n": 1}, in_name="a"), Outcome(None, {}, in_name="b")]
    assert list(prune_pout(pout_to_table(pout))["in_name"]) == ["a"]
    assert prune_pout(pout) == ([pout[0]], ["a"])


def test_prune_wants_as_many_names_as_pairs():
    with pytest.raises(ValueError, match="3 entries but there are 2"):
        prune_pout(POUT, ["a", "b"])


class Counter:
    """Runs a pipe and counts how often."""

    def __init__(self, outdir, as_table=False):
        self.runs = 0
        self.outdir = outdir
        self.as_table = as_table

    def __call__(self, in_names, create_outdir=False, **kwargs):
        def measure(data, bmp_meta=None):
            bmp_meta.update(n=len(data), t=2.5 * u.s, text="", shape=[1, {"a": None}])
            return data

        self.runs += 1
        pipe = BigMultiPipe(executor="serial", outdir=self.outdir, post_process_list=measure)
        pout = pipe.pipeline(in_names, overwrite=True, **kwargs)
        return pout_to_table(pout) if self.as_table else pout


def test_cached_pout(make_files, outdir, tmp_path):
    names = make_files(2)
    code = Counter(outdir)
    told = {"poutname": tmp_path / "sub" / "pout.ecsv", "create_outdir": True, "in_names": names}
    first = cached_pout(code, read_pout=True, write_pout=True, **told)
    again = cached_pout(code, read_pout=True, write_pout=True, **told)
    assert code.runs == 1
    assert again == first
    assert [vars(o) for o in again] == [vars(o) for o in first]
    assert os.listdir(tmp_path / "sub") == ["pout.ecsv"]
    cached_pout(code, read_pout=True, **told, no_bmp_cleanup=True)
    assert code.runs == 2  # a keyword changed
    Path(names[0]).write_text("longer than it was")
    assert cached_pout(code, read_pout=True, write_pout=True, **told)[0].meta["n"] == 18
    assert code.runs == 3  # an input changed
    (tmp_path / "sub" / "pout.ecsv").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    cached_pout(code, read_pout=True, **told)
    assert code.runs == 4  # what is not ours is not believed


def test_cached_table(make_files, outdir, tmp_path):
    code = Counter(outdir, as_table=True)
    told = {"poutname": tmp_path / "pout.ecsv", "in_names": make_files(2)}
    first = cached_pout(code, read_pout=True, write_pout=True, **told)
    again = cached_pout(code, read_pout=True, write_pout=True, **told)
    assert code.runs == 1
    same(again, first)


def test_cached_pout_needs_a_name():
    with pytest.raises(ValueError, match="poutname"):
        cached_pout(list, read_pout=True)

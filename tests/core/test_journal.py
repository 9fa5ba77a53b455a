import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from bmp_astro.core.journal import Journal, latest, read_journal

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def kept(path, value):
    with Journal(path) as journal:
        journal.append({"value of": value})
    return read_journal(path)[-1]["value of"]


@pytest.mark.parametrize(
    "value",
    [
        1,
        -2.5,
        0.1,
        float("inf"),
        True,
        None,
        "",
        "Ångström",
        "a\nb",
        "\udcff.fits",
        [1, [2.0, "x"]],
    ],
)
def test_plain_values_come_back_equal_and_of_their_type(path, value):
    back = kept(path, value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Path("a") / "b.fits", "a/b.fits"),
        ((1, 2), [1, 2]),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.int16(-7), -7),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("V"), "V"),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        (np.datetime64("2026-03-14"), "2026-03-14"),
        (np.ma.masked, None),
        ({1: {"x": (1,)}}, {"1": {"x": [1]}}),
        (3 + 4j, "(3+4j)"),
    ],
)
def test_other_values_become_what_is_documented(path, value, expected):
    assert kept(path, value) == expected


@pytest.mark.parametrize(
    "value",
    [300 * u.s, np.float32(0.3) * u.electron / u.adu, -10.5 * u.deg_C, [1, 2] * u.m, 5 * u.one],
)
def test_a_quantity_comes_back_equal(path, value):
    back = kept(path, value)
    assert back.unit == value.unit
    assert np.array_equal(back.value, value.value)


def test_a_quantity_is_kept_as_value_and_unit(path):
    kept(path, 300 * u.s)
    assert json.loads(path.read_text()) == {"value of": {"value": 300.0, "unit": "s"}}


def test_a_users_own_value_and_unit_stay_a_dictionary(path):
    value = {"value": 3, "unit": "no such unit"}
    assert kept(path, value) == value


def test_records_are_one_line_each_in_order(path):
    with Journal(path) as journal:
        for number in range(5):
            journal.append({"in_name": str(number), "text": "two\nlines"})
            assert path.read_bytes().count(b"\n") == number + 1
    assert [record["in_name"] for record in read_journal(path)] == list("01234")


def test_a_second_journal_continues_the_file(path):
    for number in range(2):
        with Journal(path, fsync=True) as journal:
            journal.append({"number": number})
    assert read_journal(path) == [{"number": 0}, {"number": 1}]


def test_a_missing_journal_has_no_records(path):
    assert read_journal(path) == []


def test_a_closed_journal_says_so(path):
    journal = Journal(path)
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="is closed"):
        journal.append({})


@pytest.mark.parametrize("torn", [b'{"in_name": "b.fi', b"\x00\x00\x00", b"[1, 2]", b'{"a": "\xff'])
def test_a_torn_line_is_left_out_and_said(path, caplog, torn):
    path.write_bytes(b'{"in_name": "a"}\n' + torn)
    with caplog.at_level(logging.WARNING):
        assert read_journal(path) == [{"in_name": "a"}]
    assert "line 2" in caplog.text
    assert str(path) in caplog.text


def test_a_torn_line_does_not_spoil_the_next_record(path):
    path.write_bytes(b'{"in_name": "a"}\n{"in_na')
    with Journal(path) as journal:
        journal.append({"in_name": "b"})
    assert [record["in_name"] for record in read_journal(path)] == ["a", "b"]


def test_a_disk_that_fills_up_is_an_error_and_the_rest_stays_readable(path):
    # RLIMIT_FSIZE cuts a write short, as a full disk does; in a child, since it is for ever.
    code = (
        "import resource, signal, sys\n"
        "from bmp_astro.core.journal import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal = Journal(sys.argv[1])\n"
        "journal.append({'in_name': 'a'})\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (25, hard))\n"
        "try:\n"
        "    journal.append({'in_name': 'b' * 100})\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "journal.append({'in_name': 'c'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "OSError\n", done.stderr
    assert [record["in_name"] for record in read_journal(path)] == ["a", "c"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 25


def test_what_was_appended_survives_sigkill(path):
    code = (
        "import os, signal, sys\n"
        "from bmp_astro.core.journal import Journal\n"
        "journal = Journal(sys.argv[1])\n"
        "for number in range(100):\n"
        "    journal.append({'number': number})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert [record["number"] for record in read_journal(path)] == list(range(100))


def test_lines_of_several_writers_do_not_mix(path):
    def write(name):
        with Journal(path) as journal:
            for number in range(200):
                journal.append({"name": name, "number": number, "padding": name * 500})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = read_journal(path)
    assert len(records) == 600
    for name in "abc":
        mine = [record["number"] for record in records if record["name"] == name]
        assert mine == list(range(200))


def test_latest_keeps_the_last_record_of_each_input():
    records = [
        {"in_name": "a", "status": "failed"},
        {"in_name": ["b", ["c", "d"]], "status": "done"},
        {"note": "no input"},
        {"in_name": "a", "status": "done"},
    ]
    assert latest(records) == {"a": records[3], ("b", ("c", "d")): records[1]}
    assert list(latest(records)) == ["a", ("b", ("c", "d"))]


def test_needs_neither_numpy_nor_astropy(path):
    code = (
        "import sys\n"
        "from bmp_astro.core.journal import Journal, read_journal\n"
        "with Journal(sys.argv[1]) as journal:\n"
        "    journal.append({'a': 1, 'b': {'unit': 'x', 'c': [1.5]}})\n"
        "print(read_journal(sys.argv[1]))\n"
        "print({'numpy', 'astropy'} & sys.modules.keys())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.splitlines() == ["[{'a': 1, 'b': {'unit': 'x', 'c': [1.5]}}]", "set()"]
    assert os.path.getsize(path) > 0

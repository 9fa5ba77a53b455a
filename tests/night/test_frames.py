import json
import os

import pytest
from astropy.io import fits

from bmp_astro.fits import Instrument, Keyword
from bmp_astro.night import inventory
from bmp_astro.night.inventory import _frame, as_table, find_files
from bmp_astro.simulate import simulate_night


def text_of(table):
    return {name: [str(value) for value in table[name]] for name in table.colnames}


def hide(path):
    """Make a file unreadable, of which only a cache can tell what it was."""
    stat = os.stat(path)
    with open(path, "r+b") as file:
        file.write(bytes(min(stat.st_size, 2880)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def raw(tmp_path):
    simulate_night(tmp_path / "raw", shape=(32, 48))
    return tmp_path / "raw"


def test_the_fast_way_says_the_same_as_reading_each_header(raw):
    slowly = as_table([_frame(path, None) for path in find_files(raw)])
    assert text_of(inventory(raw)) == text_of(slowly)


@pytest.mark.parametrize("instrument", [None, "MaxIm DL"])
def test_a_cache_says_the_same_and_is_not_among_the_raw_files(raw, tmp_path, instrument):
    before = sorted(raw.rglob("*"))
    cache = tmp_path / "cache.json"
    first = inventory(raw, instrument=instrument, cache=cache)
    again = inventory(raw, instrument=instrument, cache=cache)
    assert text_of(first) == text_of(again) == text_of(inventory(raw, instrument=instrument))
    assert sorted(raw.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache.json", "raw"]


def test_a_file_that_changed_is_read_again_and_a_known_one_is_not(raw, tmp_path):
    cache = tmp_path / "cache.json"
    table = inventory(raw, cache=cache)
    one, other = (row["in_name"] for row in table[table["frame_type"] == "light"][:2])
    fits.setval(one, "OBJECT", value="changed")
    os.utime(one, ns=(1, 1))
    stat = os.stat(other)
    fits.setval(other, "OBJECT", value="hidden")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = {row["in_name"]: row["object"] for row in inventory(raw, cache=cache)}
    assert found[one] == "changed"
    assert found[other] == "Simulated cluster"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[1, 2]",
        lambda text: json.dumps({**json.loads(text), "entries": [1]}),
        lambda text: json.dumps({**json.loads(text), "shared": []}),
        lambda text: json.dumps({**json.loads(text), "shared": [[1]]}),
        lambda text: json.dumps({"key": json.loads(text)["key"]}),
        lambda text: json.dumps({**json.loads(text), "key": "of another version"}),
        lambda text: text.replace('"light"', "7"),
        lambda text: text.replace("null", "NaN"),
        lambda text: text.replace('"2026', 'Infinity,"2026', 1),
        lambda text: text.replace('"deg_C"', '"no such unit"'),
        lambda text: text.replace('"generic"', '"no such camera"'),
    ],
)
def test_a_damaged_cache_does_no_harm(raw, tmp_path, damage):
    cache = tmp_path / "cache.json"
    first = inventory(raw, cache=cache)
    whole = cache.read_text()
    cache.write_text(damage(whole))
    assert cache.read_text() != whole
    assert text_of(inventory(raw, cache=cache)) == text_of(first)


def test_a_cache_grows_with_each_folder_and_knows_files_by_any_name(raw, tmp_path, monkeypatch):
    cache = tmp_path / "cache.json"
    paths = find_files(raw)
    inventory(paths[::2], cache=cache)
    monkeypatch.chdir(raw)
    first = text_of(inventory(raw, cache=cache))
    for path in paths:  # what the cache knows is not read again
        hide(path)
    known = [index for index, message in enumerate(first["message"]) if not message]
    assert len(known) > 10
    for again in (inventory(raw, cache=cache), inventory(".", cache=cache)):
        found = text_of(again)
        assert all(
            found[name][index] == first[name][index]
            for name in first
            if name != "in_name"
            for index in known
        )


def test_facts_of_several_types_come_back_as_they_were(raw, tmp_path):
    mine = Instrument("mine", keys={"seen": Keyword("SEEN")})
    values = [True, 1, 1.0, "1", "T", "", 2**70]
    table = inventory(raw)
    paths = list(table["in_name"][table["message"] == ""][: len(values)])
    for path, value in zip(paths, values, strict=True):
        fits.setval(path, "SEEN", value=value)
        fits.setval(path, "XBINNING", value=2**70)
    tables = [inventory([path], instrument=mine, cache=tmp_path / "cache.json") for path in paths]
    for path in paths:
        hide(path)
    again = [inventory([path], instrument=mine, cache=tmp_path / "cache.json") for path in paths]
    for table, other in zip(tables, again, strict=True):
        assert table["seen"].dtype.kind == other["seen"].dtype.kind
        assert str(table["seen"][0]) == str(other["seen"][0])
        assert table["xbinning"].mask.all()  # no such number fits the column


def test_the_cache_of_another_camera_does_not_count(raw, tmp_path):
    cache = tmp_path / "cache.json"
    inventory(raw, cache=cache)
    mine = Instrument("mine", object=Keyword("TELESCOP"))
    assert "Simulated 0.5 m" in inventory(raw, instrument=mine, cache=cache)["object"]


def test_a_cache_that_cannot_be_written_is_no_error(raw, tmp_path):
    assert len(inventory(raw, cache=tmp_path / "no" / "such" / "folder.json"))


def test_a_camera_that_repairs_headers_is_asked_for_each_file(raw):
    def repaired(header, path):
        header["OBJECT"] = os.path.basename(path)
        return header

    table = inventory(raw, instrument=Instrument("mine", fix_header=repaired))
    readable = table[table["message"] == ""]
    assert list(readable["object"]) == [os.path.basename(name) for name in readable["in_name"]]

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st

from bmp_astro.fits import GENERIC, find_instrument, read_header
from bmp_astro.fits.cardindex import index_cards, remembered, simple_header


def block(*images):
    return b"".join(image.ljust(80)[:80].encode("latin-1") for image in images)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "EXPTIME", "A-B_C", "HIERARCH ESO DET GAIN"]),
            st.one_of(
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=18),
                st.booleans(),
                st.integers(-(10**15), 10**15),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            st.sampled_from(["", "a comment", "[K] a / b"]),
        ),
        max_size=4,
    )
)
@example([("A", "it''s / ''", "x")])
@example([("A", 1e-300, "")])
def test_values_and_comments_are_those_that_astropy_reads(cards):
    header = fits.Header([fits.Card(*card) for card in cards])
    found = index_cards(header.tostring(endcard=False, padding=False).encode())
    assert found is not None
    theirs = fits.Header.fromstring(header.tostring())
    assert set(found) == {name for name in theirs if name}
    for name in found:
        assert found[name] == theirs[name]
        assert type(found[name]) is type(theirs[name])
        assert found.comments[name] == theirs.comments[name]


@pytest.mark.parametrize("line", ["EXPTIME =5", "exptime = 5", "A       = 1\0", "CONTINUE  'a'"])
def test_cards_that_need_repair_are_left_to_others(line):
    assert index_cards(block("OBJECT  = 'M 1'", line)) is None


def test_the_first_of_equal_names_counts_and_case_does_not():
    found = index_cards(block("A       = 1", "A       = 2", "COMMENT = 3"))
    assert found["a"] == 1
    assert "a" in found
    assert "COMMENT" not in found


def test_what_was_seen_is_remembered_and_what_differs_is_not():
    calls = []

    def look(header):
        calls.append(1)
        return header.get("A"), "B" in header, header.comments["A"]

    quick = remembered(look)
    one = index_cards(block("A       = 1 / x", "D       = 1"))
    assert quick(one) == quick(index_cards(block("A       = 1 / x", "D       = 2")))
    assert len(calls) == 1
    assert quick(index_cards(block("A       = 1 / y")))[2] == "y"
    assert quick(index_cards(block("A       = 1 / x", "B       = 1")))[1]
    assert len(calls) == 3


def test_who_looks_at_all_cards_is_not_remembered():
    quick = remembered(lambda header: len([name for name in header if name > "B"]))
    assert quick(index_cards(block("A       = 1"))) == 0
    assert quick(index_cards(block("A       = 1", "C       = 1"))) == 1


def test_a_simple_file_says_the_same_as_when_it_is_read(fits_file):
    cards = ["IMAGETYP= 'Light Frame'", "EXPTIME = 12.5", "CCD-TEMP= -10 / [C]", "FILTER  = 'V'"]
    path = fits_file(cards, np.zeros((3, 5), ">i2"))
    found, shape = simple_header(path)
    full = read_header(path)
    assert shape == full.shape
    assert find_instrument(None, found) is find_instrument(None, full.header)
    for fact in ("exptime", "temperature", "filter", "gain", "date_obs"):
        assert GENERIC.value(fact, found) == GENERIC.value(fact, full.header)


def test_other_files_are_left_to_others(fits_file, tmp_path):
    path = fits_file([], np.zeros((30, 50), ">i2"))
    path.write_bytes(path.read_bytes()[:-2881])
    assert simple_header(path) is None
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]).writeto(tmp_path / "e.fits")
    assert simple_header(tmp_path / "e.fits") is None
    fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2))), fits.ImageHDU()]).writeto(tmp_path / "f.fits")
    assert simple_header(tmp_path / "f.fits") is None
    (tmp_path / "g.fits").write_bytes(b"")
    assert simple_header(tmp_path / "g.fits") is None

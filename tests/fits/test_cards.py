import logging

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.fits.cards import as_header, is_good, parse_cards, set_card


def parse(*lines):
    return parse_cards(b"".join(line.encode("latin-1").ljust(80)[:80] for line in lines), "f.fits")


@pytest.mark.parametrize(
    ("line", "keyword", "value"),
    [
        ("RA      = 15:58:11.37", "RA", "15:58:11.37"),
        ("RA      = 15:58:11.37        / of the target", "RA", "15:58:11.37"),
        ("RA = 15:58:11.37", "RA", "15:58:11.37"),
        ("OBJECT  = NGC 520 / unquoted", "OBJECT", "NGC 520"),
        ("DATE-OBS= 08/05/10", "DATE-OBS", "08/05/10"),
        ("OBJECT  = 'no end", "OBJECT", "no end"),
        ("OBJECT  = 'Barnard's star' / quote", "OBJECT", "Barnard's star"),
        ("FILTER  = 'Sloan g''' / escaped", "FILTER", "Sloan g'"),
        ("FILTERNAM= 'V'", "FILTERNAM", "V"),
        ("object  = 'lower'", "OBJECT", "lower"),
        ("EXPTIME =30", "EXPTIME", 30),
        ("EXPTIME = 1.5e3", "EXPTIME", 1500.0),
        ("EXPTIME = 30 seconds", "EXPTIME", "30 seconds"),
        ("AIRMASS = nan", "AIRMASS", "nan"),
        ("HUGE    = 1E999", "HUGE", "1E999"),
        ("OBJECT  = 'tab\there'", "OBJECT", "tab here"),
        ("OBSERVER= 'J\xf6rg'", "OBSERVER", "J?rg"),
        ("HIERARCH ESO DPR TYPE = OBJECT", "ESO DPR TYPE", "OBJECT"),
        ("BZERO   = +3.276800000000E+004", "BZERO", 32768.0),
        ("BZERO   =   32768.000000000000", "BZERO", 32768.0),
    ],
)
def test_malformed_cards_are_kept(line, keyword, value, caplog):
    header = parse("EXTRA   = 1", line)
    assert header[keyword] == value
    assert type(header[keyword]) is type(value)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert header["EXTRA"] == 1


@pytest.mark.parametrize("line", ["B@D KEY = 3", "A" * 60 + "= 'a long value, too long to keep'"])
def test_a_card_that_cannot_be_kept_is_named(line, caplog):
    header = parse("EXTRA   = 1", line)
    assert list(header) == ["EXTRA"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert line.split("=")[0].strip()[:40] in record.getMessage()


def test_words_without_an_equals_sign_become_a_comment():
    assert list(parse("just some words")["COMMENT"]) == ["just some words"]


def test_long_strings_continue_and_orphans_do_not_stick():
    lines = ["LONG    = 'one &'", "CONTINUE  'two'", "OBJECT  = 'M 1'", "CONTINUE  'orphan'"]
    header = parse(*lines)
    assert header["LONG"] == "one two"
    assert header["OBJECT"] == "M 1"
    assert "orphan" in str(header["COMMENT"])


def test_comments_and_repeated_keywords_stay():
    header = parse("ANNOTATE= 'a'", "ANNOTATE= 'b'", "COMMENT = 'None    '  / User", "HISTORY x")
    assert header.count("ANNOTATE") == 2
    assert header["COMMENT"][0].startswith("= 'None")
    assert header["HISTORY"][0] == "x"


def test_good_cards_keep_every_digit():
    line = "CD1_1   = -2.1612345678901234567E-05 / deg".ljust(80)
    assert parse(line).tostring(endcard=False, padding=False) == line


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
anything = st.binary(min_size=80, max_size=80)
shaped = st.builds(
    lambda key, middle, rest: f"{key:8.9}{middle}{rest}".encode().ljust(80)[:80],
    st.text("ABCab-_19 ", max_size=9),
    st.sampled_from(["= ", "=", " = ", "  "]),
    printable,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(shaped | anything, min_size=1, max_size=6))
def test_whatever_the_bytes_the_header_can_be_read_and_written(cards):
    header = parse_cards(b"".join(cards), "fuzz")
    for card in header.cards:
        assert isinstance(card.value, str | int | float | complex | bool | fits.card.Undefined)
        card.verify("exception")
    again = fits.Header.fromstring(header.tostring())
    assert [str(c.value) for c in again.cards] == [str(c.value) for c in header.cards]


@settings(max_examples=150, deadline=None)
@given(shaped)
def test_a_card_called_good_is_one_that_astropy_reads(card):
    image = card.decode()
    if is_good(image) and not image.startswith("CONTINUE"):
        fits.Card.fromstring(image).verify("exception")
        assert parse_cards(card, "fuzz").tostring(endcard=False, padding=False) == image


names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ abc\xe9", min_size=0, max_size=12)
scalars = st.one_of(
    printable,
    st.text(max_size=90),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.floats(width=32).map(np.float32),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(names, scalars, max_size=5))
def test_any_mapping_makes_a_header_that_can_be_written(mapping):
    header = as_header(mapping)
    assert len(header.tostring()) % 2880 == 0
    for card in header.cards:
        card.verify("exception")


def test_quantities_keep_their_unit_in_the_comment():
    import astropy.units as u

    header = as_header({"EXPTIME": 30 * u.s, "NOTE": ("x", "a comment")})
    assert header["EXPTIME"] == 30
    assert header.comments["EXPTIME"] == "[s]"
    assert header.comments["NOTE"] == "a comment"


def test_setting_a_card_cuts_a_comment_that_has_no_room():
    header = fits.Header.fromstring(
        f"SATURATE= 65535 / {'a comment that fills the card ' * 3}"[:80]
    )
    set_card(header, "SATURATE", 123456.789012345)
    set_card(header, "OBJECT", "x" * 100, "long")
    assert header["SATURATE"] == 123456.789012345
    assert fits.Header.fromstring(header.tostring())["OBJECT"] == "x" * 100
    with pytest.raises(ValueError, match="cannot be written"):
        set_card(header, "BAD@", 1)

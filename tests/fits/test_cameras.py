"""Every built-in instrument, with the header of a frame and what a person reads in it.

The folder `headers` has them: the cards as text, and the expected facts in the units that facts
have everywhere; a fact that is not listed there is unknown.
"""

import tomllib
from pathlib import Path

import pytest
from astropy.io.fits import Header

from bmp_astro.fits import Instrument, find_instrument, implausible, starting_toml
from bmp_astro.fits.cameras import BUILT_IN
from bmp_astro.fits.cards import parse_cards
from bmp_astro.fits.common import FACTS

FOLDER = Path(__file__).parent / "headers"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def load(name):
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    assert max(map(len, lines)) <= 80
    header = parse_cards("".join(line.ljust(80) for line in lines).encode(), name)
    return header, tomllib.loads((FOLDER / f"{name}.toml").read_text())


def facts_of(camera, header):
    """The known facts as bare numbers and text."""
    values = {fact: camera.value(fact, header) for fact in FACTS}
    return {
        fact: float(value.value) if hasattr(value, "unit") else value
        for fact, value in values.items()
        if value is not None
    }


def test_every_built_in_instrument_has_a_header():
    assert {load(name)[1]["instrument"] for name in NAMES} == {camera.name for camera in BUILT_IN}


@pytest.mark.parametrize("name", NAMES)
def test_a_header_chooses_its_instrument_and_is_understood(name):
    header, expected = load(name)
    camera = find_instrument(None, header)
    assert camera.name == expected["instrument"]
    assert find_instrument(camera.name.upper(), Header()) is camera
    found = facts_of(camera, header)
    assert found == pytest.approx(expected["facts"])
    assert {fact: type(value) for fact, value in found.items()} == {
        fact: type(value) for fact, value in expected["facts"].items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_has_its_type_by_word_and_by_name(name):
    header, expected = load(name)
    camera = find_instrument(None, header)
    found = camera.frame_type_fact(header, expected.get("path", ""))
    assert found == (expected["kind"], expected["source"])
    for path, kind in expected.get("paths", {}).items():
        assert camera.frame_type_of(header, path) == kind
    for card in camera.frame_type.names:
        header.remove(card, ignore_missing=True)
    card = camera.frame_type.names[-1]
    for word, kind in expected.get("words", {}).items():
        header[f"HIERARCH {card}" if " " in card else card] = word
        assert camera.frame_type_of(header) == kind, word


@pytest.mark.parametrize("name", NAMES)
def test_what_an_observer_is_told(name):
    header, expected = load(name)
    camera = find_instrument(None, header)
    assert implausible(camera, header, expected.get("path", "")) == expected["notes"]


@pytest.mark.parametrize("name", NAMES)
def test_the_toml_file_to_start_from_says_the_same(name, tmp_path):
    header, expected = load(name)
    camera = find_instrument(None, header)
    path = tmp_path / "camera.toml"
    path.write_text(starting_toml(camera, header))
    again = Instrument.from_toml(path)
    assert facts_of(again, header) == facts_of(camera, header)
    file = expected.get("path", "")
    assert again.frame_type_fact(header, file) == camera.frame_type_fact(header, file)
    for field in ("frame_types", "file_types", "recognized_by", "dark_scaling", "match", "keys"):
        assert getattr(again, field) == getattr(camera, field)

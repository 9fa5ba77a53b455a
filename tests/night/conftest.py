"""Frames as an inventory finds them, without files."""

import tempfile
from pathlib import Path

import astropy.units as u
import pytest

from bmp_astro.fits import Instrument
from bmp_astro.night.inventory import Frame

FACTS = {
    "camera": "QHY600",
    "xbinning": 1,
    "ybinning": 1,
    "ny": 100,
    "nx": 120,
    "temperature": -10 * u.deg_C,
    "exptime": 60 * u.s,
    "filter": "V",
    "date_obs": "2026-03-14T22:00:00",
}


@pytest.fixture
def frame():
    """A function that makes a frame: a 60 s light in V, but for what it is told."""

    def make(name="a.fits", kind="light", *, instrument=None, **facts):
        camera = Instrument(name="test") if instrument is None else instrument
        return Frame(name, kind, {**FACTS, **facts}, camera)

    return make


@pytest.fixture
def public_folder():
    """A directory that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

"""The picture of a light before and after."""

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from bmp_astro.report import before_after


@pytest.fixture
def frames(tmp_path):
    rng = np.random.default_rng(1)
    for name, shape in {"raw": (40, 70), "reduced": (40, 60), "master": (40, 60)}.items():
        fits.writeto(tmp_path / f"{name}.fits", rng.normal(100, 5, shape).astype("f4"))
    return tmp_path


def test_a_panel_for_each_file(frames):
    two = before_after(frames / "raw.fits", frames / "reduced.fits", frames / "two.png")
    three = before_after(
        frames / "raw.fits", frames / "reduced.fits", frames / "three.png", frames / "master.fits"
    )
    assert two == frames / "two.png"
    with Image.open(two) as wide, Image.open(three) as narrow:
        assert wide.format == narrow.format == "PNG"
        assert wide.width == narrow.width
        assert wide.height > narrow.height


def test_an_older_picture_is_replaced(frames):
    picture = frames / "picture.png"
    picture.write_text("old")
    before_after(frames / "raw.fits", frames / "reduced.fits", picture)
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_a_missing_file_is_an_error(frames):
    with pytest.raises(FileNotFoundError, match=r"gone\.fits"):
        before_after(frames / "gone.fits", frames / "reduced.fits", frames / "picture.png")
    assert not (frames / "picture.png").exists()

"""A page taken apart, and a small reduced night to make one of."""

from html.parser import HTMLParser

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """The text, the tags and the balance of a page."""

    def __init__(self, text):
        super().__init__()
        self.source, self.tags, self.open, self.texts = text, [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="session")
def parse():
    def parse(path):
        page = Page(path.read_text(encoding="utf-8"))
        assert page.open == []
        return page

    return parse


@pytest.fixture
def outdir(tmp_path):
    """A reduced night of two lights (one failed), a bias and a flat, some values masked."""
    rng = np.random.default_rng(1)
    for name, unit in {"master_bias": "adu", "master_flat_V": "1"}.items():
        path = tmp_path / "masters" / f"{name}.fits"
        path.parent.mkdir(exist_ok=True)
        header = fits.Header([("BUNIT", unit), ("NCOMBINE", 5)])
        fits.writeto(path, rng.normal(1, 0.1, (30, 40)).astype("f4"), header)
    product = tmp_path / "lights" / "light-1_reduced.fits"
    product.parent.mkdir()
    fits.writeto(product, rng.normal(100, 5, (30, 40)).astype("f4"))
    nothing = [False, True, True, True]
    table = QTable(
        {
            "in_name": [f"raw/{n}.fits" for n in ("light-1", "light-2", "bias-1", "flat-1")],
            "outname": MaskedColumn([str(product), "", "", ""], mask=nothing),
            "status": ["done", "failed", "done", "rejected"],
            "step": MaskedColumn(["", "file_read", "", ""], mask=[True, False, True, True]),
            "message": MaskedColumn(
                ["", "the file is truncated: 120 bytes are missing", "", "it is saturated"],
                mask=[True, False, True, False],
            ),
            "frame_type": ["light", "light", "bias", "flat"],
            "used_in": MaskedColumn(["", "", "master_bias.fits", ""], mask=[1, 1, 0, 1]),
            "alarms": MaskedColumn(["it was warm", "", "", ""], mask=nothing),
            "FILTER": MaskedColumn(["V", "V", "", "V"], mask=[0, 0, 1, 0]),
            "DATE-OBS": [f"2026-03-15T0{i}:00:00" for i in range(4)],
            "EXPTIME": [120, 120, 0, 4] * u.s,
            "CCD-TEMP": Masked([-10.0, -10.1, -9.9, 0] * u.deg_C, mask=[0, 0, 0, 1]),
            "background": Masked([361.2, 0, 0, 0] * u.electron, mask=nothing),
            "MBIAS": MaskedColumn(["master_bias.fits", "", "", ""], mask=nothing),
        }
    )
    table.write(tmp_path / "night.ecsv")
    return tmp_path

"""What must not be put together, each with the reason that the observer is told."""

import shutil

import numpy as np
import pytest
from astropy.io import fits

from bmp_astro import Instrument, plan_night, reduce_night
from bmp_astro.cli import main
from bmp_astro.simulate import simulate_night

# What is changed in the header of a light that fits otherwise, and what its row then says.
CHANGES = {
    "binning": ({"XBINNING": 2, "YBINNING": 2}, "xbinning is 1, not 2, ybinning is 1, not 2"),
    "camera": ({"INSTRUME": "another"}, "camera is 'Simulated CCD', not 'another'"),
    "window": ({"XORGSUBF": 16}, "x_origin is 0, not 16"),
    "readout": ({"READOUTM": "fast"}, "readout_mode is 'slow', not 'fast'"),
    "filter": ({"FILTER": "B"}, "filter is 'V', not 'B'"),
    "shorter": ({"EXPTIME": 300.0, "EXPOSURE": 300.0}, "its 120 s are shorter than 300 s"),
    "warmer": ({"CCD-TEMP": -5.0}, "temperature is -10 deg_C, not within 1.0 K of -5 deg_C"),
    "calstat": ({"CALSTAT": "BDF"}, "it was calibrated already: CALSTAT is 'BDF'"),
    "iraf": ({"FLATCOR": "Mar 15 flat is V"}, "calibrated already: FLATCOR is 'Mar 15 flat is V'"),
    "electron": ({"BUNIT": "electron"}, "it was calibrated already: BUNIT is 'electron'"),
}


def changed(source, target, cards):
    """Copy a frame with other cards, and without noise in its temperature."""
    data, header = fits.getdata(source, header=True)
    header["CCD-TEMP"] = -10.0
    header["READOUTM"] = "slow"
    header.update(cards)
    fits.writeto(target, data, header, output_verify="ignore", overwrite=True)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Frames of a night, a product of it, and lights that are each changed in one thing."""
    folder = tmp_path_factory.mktemp("mismatches")
    raw = folder / "raw"
    small = {"n_bias": 3, "n_dark": 3, "n_flat": 3, "n_light": 1}
    night = simulate_night(raw, shape=(48, 64), filters=("V",), bad_files=False, **small)
    for frame in night.frames:
        changed(frame.path, frame.path, {})
    [light] = night.paths("light")
    for name, (cards, _) in CHANGES.items():
        changed(light, raw / f"{name}.fit", cards)
    first = reduce_night([light, *night.paths("bias")], folder / "first", require=("bias",))
    product = next(str(name) for name in first["outname"] if "lights" in str(name))
    shutil.copy(product, raw / "product.fits")
    return raw, folder, light


@pytest.fixture(scope="module")
def rows(night):
    raw, folder, _ = night
    table = reduce_night(raw, folder / "out", require=("bias", "dark", "flat"), executor="thread")
    return {str(row["in_name"]).rpartition("/")[2]: row for row in table}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_is_refused_and_the_row_says_why(rows, name):
    row = rows[f"{name}.fit"]
    assert CHANGES[name][1] in row["message"]
    assert row["status"] == ("rejected" if "calibrated already" in row["message"] else "failed")
    assert row["outname"] is np.ma.masked


def test_a_product_is_no_raw_frame(rows):
    row = rows["product.fits"]
    assert row["status"] == "rejected"
    assert "it is a product of bmp_astro" in row["message"]


def test_the_light_that_was_not_changed_is_reduced(rows, night):
    assert rows[night[2].name]["status"] == "done"


def test_a_cmos_dark_is_not_scaled(night):
    raw, _, light = night
    changed(light, raw.parent / "short.fit", {"EXPTIME": 60.0, "EXPOSURE": 60.0})
    camera = Instrument("cmos", dark_scaling=False)
    plan = plan_night([raw, raw.parent / "short.fit"], instrument=camera)
    assert plan["master_dark"][-1] == ""
    assert "120 s, and this camera's darks do not scale" in plan["message"][-1]


def test_a_flat_is_no_bias(night, rows):
    raw, folder, _ = night
    flat = folder / "out/masters/master_flat_V.fits"
    with pytest.raises(ValueError, match="is given as master bias but is a master flat"):
        plan_night(raw, use={"bias": flat})


def test_trust_takes_what_was_calibrated_but_does_nothing_twice(night):
    raw, folder, _ = night
    names = [raw / f"{name}.fit" for name in ("calstat", "iraf")] + [raw / "bias-001.fit"]
    table = reduce_night(names, folder / "trust", require=("bias",), classification="trust")
    assert table["status"].tolist() == ["failed", "done", "done"]
    assert "the bias is applied already (CALSTAT = 'BDF')" in table["message"][0]


def test_the_command_can_trust(night, capsys):
    raw = night[0]
    for classification, is_taken in (("warn", False), ("trust", True)):
        assert main(["plan", str(raw), "--classification", classification]) == 0
        assert ("lights/calstat_reduced.fits" in capsys.readouterr().out) == is_taken

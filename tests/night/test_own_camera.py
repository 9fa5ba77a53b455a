"""A camera that the package does not know: told in a few lines, it is known from the start."""

import logging
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from bmp_astro import inventory, plan_night, reduce_night
from bmp_astro.fits import GENERIC, Instrument, Keyword, read_frame

TIRCAM2 = """
name = "TIRCAM2"
bias_exptime = "0 s"

[recognized_by]
INSTRUME = "TIRCAM2"

[file_types]
"flats*" = "flat"
"*" = "light"
"""


def write(path, **cards):
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(np.full((16, 24), 100, dtype=np.uint16))
    hdu.header.update({name.replace("_", "-"): value for name, value in cards.items()})
    hdu.writeto(path)


def test_an_infrared_night_without_frame_types_gain_and_darks(real_data, tmp_path, caplog):
    toml = tmp_path / "tircam2.toml"
    toml.write_text(TIRCAM2)
    assert len(TIRCAM2.split("\n")) - 2 <= 10
    raw, out = real_data / "ic310_j", tmp_path / "out"
    table = reduce_night(raw, out, instrument=toml, executor="serial")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert set(table["status"]) == {"done"}
    kinds, counts = np.unique(table["frame_type"], return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"bias": 3, "flat": 5, "light": 5}
    for row in table[table["frame_type"] == "light"]:
        assert (row["FILTER"], row["EXPTIME"]) == ("J", 40 * u.s)
        assert row["alarms"] == "there is no master dark"
        assert "no gain is given or in the header" in row["warnings"]
    alarms = table["alarms"][table["frame_type"] == "bias"]
    assert any("values were rejected" in text for text in alarms)


def test_its_light_is_raw_less_bias_over_flat_in_adu(real_data, tmp_path):
    toml = tmp_path / "tircam2.toml"
    toml.write_text(TIRCAM2)
    reduce_night(real_data / "ic310_j", tmp_path, instrument=toml, executor="serial")
    light = read_frame(tmp_path / "lights/IC310_3_reduced.fits")
    bias = fits.getdata(tmp_path / "masters/master_bias.fits")
    flat = fits.getdata(tmp_path / "masters/master_flat_J.fits")
    raw = fits.getdata(real_data / "ic310_j/IC310_3.fits").astype(float)
    assert light.unit == u.adu
    assert light.uncertainty is None
    good = light.flags == 0
    assert good.mean() > 0.99
    np.testing.assert_allclose(light.data[good], ((raw - bias) / flat)[good], rtol=1e-5, atol=0.01)
    # the step between the bias frames is in the raw data, and the master lies between them
    levels = [np.median(fits.getdata(real_data / f"ic310_j/bias_{i}.fits")) for i in (1, 2, 3)]
    assert max(levels) - min(levels) == pytest.approx(24, abs=1)
    assert min(levels) < np.median(bias) < max(levels)


def test_directories_tell_the_types(tmp_path):
    for name in ("flats/a.fits", "Darks/a.fits", "m31/a.fits"):
        write(tmp_path / name, EXPTIME=5.0)
    rules = {"flats/*": "flat", "darks/*": "dark", "*": "light"}
    table = inventory(tmp_path, instrument=Instrument("mine", file_types=rules))
    assert list(table["frame_type"]) == ["dark", "flat", "light"]


def corrected(header, path):
    """The dome's computer was a year behind, and flats were called tests."""
    header["DATE-OBS"] = header["DATE-OBS"].replace("2025", "2026")
    if header["IMAGETYP"] == "test":
        header["IMAGETYP"] = "flat"
    return header


def test_a_header_is_put_right_from_the_inventory_on(tmp_path):
    raw = tmp_path / "raw"
    for i in range(3):
        cards = {"EXPTIME": 5.0, "FILTER": "V", "DATE_OBS": f"2025-03-14T20:0{i}:00", "GAIN": 1.0}
        write(raw / f"f{i}.fits", IMAGETYP="test", **cards)
        write(raw / f"l{i}.fits", IMAGETYP="light", **cards)
    camera = replace(GENERIC, name="mine", fix_header=corrected)
    table = inventory(raw, instrument=camera)
    assert sorted(table["frame_type"]) == ["flat"] * 3 + ["light"] * 3
    assert all(date.startswith("2026-03-14") for date in table["date_obs"])
    done = reduce_night(raw, tmp_path, instrument=camera, require=(), executor="serial")
    assert all(date.startswith("2026") for date in done["DATE-OBS"])
    header = fits.getheader(next((tmp_path / "lights").iterdir()))
    assert header["DATE-OBS"].startswith("2026")


def test_own_keys_are_columns_and_match_rules_choose_masters(tmp_path):
    for i in range(6):
        angle = 359.0 if i < 3 else 90.0
        write(tmp_path / f"f{i}.fits", IMAGETYP="flat", EXPTIME=5.0, FILTER="V", ROTANG=angle)
    write(tmp_path / "near.fits", IMAGETYP="light", EXPTIME=60.0, FILTER="V", ROTANG=2.0)
    write(tmp_path / "far.fits", IMAGETYP="light", EXPTIME=60.0, FILTER="V", ROTANG="180")
    camera = Instrument(
        "mine",
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
        match={"flat": {"rotator": 5 * u.deg}},
    )
    table = inventory(tmp_path, instrument=camera)
    assert table["rotator"].unit == u.deg
    plan = plan_night(tmp_path, instrument=camera, require=())
    masters = {row["in_name"].split("/")[-1]: row["master_flat"] for row in plan}
    assert masters["near.fits"] != ""
    assert masters["far.fits"] == ""
    flats = {row["product"] for row in plan if row["frame_type"] == "flat"}
    assert len(flats) == 2


def test_a_header_that_cannot_be_put_right_costs_its_own_file(tmp_path):
    raw = tmp_path / "raw"
    for i in range(2):
        write(raw / f"l{i}.fits", IMAGETYP="light", EXPTIME=5.0, GAIN=1.0, FILTER="V")
    write(raw / "old.fits", IMAGETYP="light", EXPTIME=5.0)

    def camera_of(header, path):
        header["FILTER"] = header["FILTER"].lower()
        return header

    camera = replace(GENERIC, name="mine", fix_header=camera_of)
    table = reduce_night(raw, tmp_path, instrument=camera, require=(), executor="serial")
    assert table["status"].tolist() == ["done", "done", "failed"]
    assert table["message"][2].startswith("fix_header of mine failed: KeyError: ")


def test_a_step_that_is_none_is_refused_before_anything_is_done(tmp_path):
    write(tmp_path / "raw" / "light.fits", IMAGETYP="light", EXPTIME=5.0)
    with pytest.raises(TypeError, match="post_process_list has 'peak', which is no step"):
        reduce_night(tmp_path / "raw", tmp_path / "out", post_process_list=["peak"])
    assert not (tmp_path / "out").exists()

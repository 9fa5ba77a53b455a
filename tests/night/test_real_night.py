"""A whole real night against a few lines of numpy on the same frames."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import QTable

from bmp_astro import reduce_night
from bmp_astro.cli import main

PLAIN = {"clip": None, "offset": None}


@pytest.fixture(scope="module")
def ngc520(real_data):
    folder = real_data / "ngc520_g"
    return folder if folder.is_dir() else pytest.skip("the NGC 520 frames are not there")


def stack(folder, pattern):
    return np.array([fits.getdata(path) for path in sorted(folder.glob(pattern))], float)


@pytest.fixture(scope="module")
def reduced(ngc520, tmp_path_factory):
    out = tmp_path_factory.mktemp("ngc520")
    recipes = {"bias": PLAIN, "dark": PLAIN, "flat": {"clip": None}}
    keywords = {"gain": 2.6 * u.electron / u.adu, "find_defects": False}
    table = reduce_night(ngc520, out, combine=recipes, **keywords)
    return out, table


@pytest.fixture(scope="module")
def oracle(ngc520):
    """Masters and lights in float64, without rejection."""
    calibration = ngc520 / "calibration"
    bias = stack(calibration, "*-bi.fit").mean(axis=0)
    dark = stack(calibration, "*-d.fit").mean(axis=0) - bias
    flat = stack(calibration, "flat-*.fit").mean(axis=0) - bias - dark * 10 / 300
    flat /= np.median(flat)
    raw = stack(ngc520 / "raw", "*.fit")
    light = 2.6 * (raw - bias - dark) / np.where(flat < 0.1, 1, flat)
    return {"bias": bias, "dark": dark, "flat": flat, "raw": raw, "light": light}


def test_every_file_is_done_and_the_layout_is_as_promised(reduced):
    out, table = reduced
    assert set(table["status"]) == {"done"}
    assert len(table) == 28
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.fits")) == [
        *(f"lights/NGC520-00{i}-g_reduced.fits" for i in range(1, 8)),
        "masters/master_bias.fits",
        "masters/master_dark_300s.fits",
        "masters/master_flat_Sloan_g.fits",
    ]
    assert {path.name for path in out.glob("[!.]*")} == {
        "lights",
        "masters",
        "night.ecsv",
        "plan.ecsv",
        "bmp_astro.log",
    }


def test_every_product_can_be_read_by_ccddata(reduced):
    out, _ = reduced
    for path in out.rglob("*.fits"):
        ccd = CCDData.read(path)
        assert ccd.data.shape == (1020, 1530)
        assert ccd.uncertainty is not None
        assert ccd.mask is not None
    assert CCDData.read(out / "masters/master_flat_Sloan_g.fits").unit == ""
    assert CCDData.read(out / "masters/master_bias.fits").unit == u.adu


@pytest.mark.parametrize(
    ("name", "kind"),
    [("master_bias", "bias"), ("master_dark_300s", "dark"), ("master_flat_Sloan_g", "flat")],
)
def test_masters_are_those_of_numpy(reduced, oracle, name, kind):
    out, _ = reduced
    found = fits.getdata(out / f"masters/{name}.fits")
    largest = {"bias": 1000, "dark": 65535, "flat": 1.5}[kind]
    assert np.abs(found - oracle[kind]).max() <= 1e-6 * largest


def test_lights_are_those_of_numpy(reduced, oracle):
    out, _ = reduced
    largest = 2.6 * oracle["raw"] / np.maximum(oracle["flat"], 0.1)
    for i in range(7):
        found = fits.getdata(out / f"lights/NGC520-00{i + 1}-g_reduced.fits")
        assert (np.abs(found - oracle["light"][i]) <= 1e-6 * largest[i]).all()


def test_the_flats_dark_is_scaled_and_named(reduced):
    out, _ = reduced
    header = fits.getheader(out / "masters/master_flat_Sloan_g.fits")
    assert header["DARKSCAL"] == pytest.approx(10 / 300)
    assert (header["MBIAS"], header["MDARK"]) == ("master_bias.fits", "master_dark_300s.fits")
    assert header["NCOMBINE"] == 7
    light = fits.getheader(out / "lights/NGC520-001-g_reduced.fits")
    assert light["MFLAT"] == "master_flat_Sloan_g.fits"
    assert light["DARKSCAL"] == 1
    assert light["GAIN"] == 1
    assert light["RAWGAIN"] == pytest.approx(2.6)


def test_the_read_noise_is_measured(reduced):
    _, table = reduced
    lights = table[table["frame_type"] == "light"]
    # The frames' own differences give 6.7 adu, times 2.6 electron/adu.
    assert lights["read_noise"].unmasked[0].value == pytest.approx(6.7 * 2.6, rel=0.03)


def test_the_drift_of_the_bias_is_an_alarm(reduced):
    _, table = reduced
    alarms = "; ".join(table["alarms"][table["frame_type"] == "bias"])
    assert "drifts by" in alarms


def test_the_table_has_its_columns_and_survives_ecsv(reduced):
    out, table = reduced
    lights = table[table["frame_type"] == "light"]
    assert set(lights["FILTER"]) == {"Sloan g'"}
    assert (lights["EXPTIME"] == 300 * u.s).all()
    assert "OBJECT" in table.colnames
    assert (lights["background"] > 1000 * u.electron).all()
    again = QTable.read(out / "night.ecsv")
    everything = {"max_lines": -1, "max_width": -1, "show_unit": True}
    assert again.pformat(**everything) == table.pformat(**everything)


def test_clipping_by_default_changes_few_pixels(ngc520, oracle, tmp_path):
    reduce_night(ngc520, tmp_path, select=lambda row: row["in_name"].endswith("001-g.fit"))
    found = fits.getdata(tmp_path / "masters/master_bias.fits")
    # Rejecting 3 sigma of 7 values takes away 0.4 % of them, one pixel in forty.
    assert np.mean(np.abs(found - oracle["bias"]) < 1e-3) > 0.9
    assert np.abs(np.median(found - oracle["bias"])) < 0.01


def test_headers_without_types_end_with_advice_and_leave_nothing(real_data, tmp_path, capsys):
    folder = real_data / "ic310_j"
    if not folder.is_dir():
        pytest.skip("the IC 310 frames are not there")
    out = tmp_path / "reduced"
    assert main(["reduce", str(folder), "--outdir", str(out)]) == 2
    said = capsys.readouterr().err
    assert "names no frame type" in said
    assert "[file_types]" in said
    assert not out.exists()


def test_lights_say_where_their_pixels_stop(reduced):
    out, table = reduced
    lights = table[table["frame_type"] == "light"]
    for row, path in zip(lights, sorted((out / "lights").iterdir()), strict=True):
        assert "pixels stop at 5" in row["alarms"]
        assert "not at 65535: give saturation=" in row["alarms"]
        assert fits.getheader(path)["SATMEAS"] == pytest.approx(55_000, abs=600)

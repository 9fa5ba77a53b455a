"""What may be done with the lights of a night after the calibration, and the table's columns."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import reduce_night, write_frame
from bmp_astro.cli import main
from bmp_astro.simulate import simulate_night

# The columns that a night's table promises, in any order.
COMMON = {"in_name", "outname", "status", "step", "message", "seconds", "peak_memory", "warnings"}
OF_ALL = {"frame_type", "used_in", "alarms"}
OF_LIGHTS = {"OBJECT", "FILTER", "EXPTIME", "DATE-OBS", "CCD-TEMP", "MBIAS", "MDARK", "MFLAT"}
OF_LIGHTS |= {"jd_mid", "bjd_tdb", "airmass", "dark_scale", "dark_age", "overscan_level"}
OF_LIGHTS |= {"background", "background_sigma", "read_noise", "saturated_fraction"}
OF_LIGHTS |= {"masked_fraction"}
OF_SOURCES = {"n_sources", "fwhm", "ellipticity"}
OF_EXTRA = {"cosmicray_fraction", "n_trails", "trail_fraction", "fringe_scale", "sky_subtracted"}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extra")
    few = {"n_bias": 3, "n_dark": 3, "n_flat": 3, "n_light": 1, "filters": ["V"]}
    simulate_night(folder / "raw", shape=(160, 200), bad_files=False, **few)
    pattern = np.sin(np.arange(200) / 7) * np.ones((160, 1))
    fringe = CCDData(pattern.astype(np.float32), unit="")
    write_frame(fringe, folder / "fringe.fits", checksum=True)
    return folder


def test_a_light_has_every_column_that_the_table_promises_and_a_value_in_it(night, tmp_path):
    table = reduce_night(
        night / "raw", tmp_path / "out", num_processes=1, extra_steps=["sources", "cosmic_rays"]
    )
    assert {*table.colnames} >= COMMON | OF_ALL | OF_LIGHTS | OF_SOURCES
    light = table[table["frame_type"] == "light"][0]
    for name in OF_LIGHTS | OF_SOURCES | {"cosmicray_fraction"}:
        assert light[name] is not np.ma.masked, name
        assert not getattr(light[name], "mask", False), name
    assert table["fwhm"].unit == u.pix
    assert 0 <= light["ellipticity"] < 1
    assert not {"n_trails", "sky_subtracted"} & {*table.colnames}


def test_the_command_does_all_that_is_asked_for_in_its_order(night, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--sources", "--cosmic-rays", "--trails", "--background"]
    options += ["--fringe", str(night / "fringe.fits"), "--num-processes", "1"]
    assert main(["reduce", str(night / "raw"), "--outdir", str(out), *options]) == 0
    from astropy.table import QTable

    assert {*QTable.read(out / "night.ecsv").colnames} >= OF_LIGHTS | OF_SOURCES | OF_EXTRA
    light = next((out / "lights").iterdir())
    header = fits.getheader(light)
    text = "\n".join(header["HISTORY"])
    order = ["divided by flat", "cosmic rays:", "trails:", "fringes sub", "background sub"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert np.median(fits.getdata(light)) == pytest.approx(0, abs=0.1 * header["BACKGRND"])
    capsys.readouterr()
    assert main(["provenance", str(light), "--search", str(night)]) == 0
    assert "fringe frame: " in capsys.readouterr().out


def test_steps_that_there_are_not_and_fringes_without_a_pattern(night, tmp_path):
    for steps in (["cosmic rays"], "sources"):
        with pytest.raises(
            ValueError, match=r"extra_steps is .*: expected some of \['cosmic_rays'"
        ):
            reduce_night(night / "raw", tmp_path / "out", extra_steps=steps)
    with pytest.raises(ValueError, match="no fringe frame: master_fringe="):
        reduce_night(night / "raw", tmp_path / "out", extra_steps=["fringes"])
    assert not (tmp_path / "out").exists()

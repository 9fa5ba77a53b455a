"""The pixels that a night's frames show to be bad, in its masters and its lights."""

import numpy as np
import pytest
from astropy.io import fits

from bmp_astro import reduce_night
from bmp_astro.cli import main
from bmp_astro.fits import MaskBit
from bmp_astro.simulate import simulate_night

SHAPE = (64, 96)
COUNTS = {"n_bias": 9, "n_dark": 9, "n_flat": 3, "n_light": 2, "filters": ("V",)}
DEAD, JUMPING = (30, 40), (50, 20)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night with hot pixels, a dead one, and one that jumps in the darks."""
    folder = tmp_path_factory.mktemp("defects") / "raw"
    night = simulate_night(folder, shape=SHAPE, bad_files=False, **COUNTS)
    for path in night.paths("flat"):
        change(path, DEAD, 1100)
    for path in night.paths("dark")[::3]:
        with fits.open(path) as hdus:
            level = int(hdus[0].data[JUMPING])
        change(path, JUMPING, level + 300)
    return night


def change(path, pixel, value):
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[pixel] = value


def flags_of_lights(out):
    return [fits.getdata(path, "MASK") for path in sorted((out / "lights").iterdir())]


def test_lights_are_masked_where_masters_show_it(night, tmp_path):
    table = reduce_night(night.folder, tmp_path, executor="serial")
    lights = table[table["frame_type"] == "light"]
    electrons = night.detector.dark_rate * 120
    very_hot = electrons > np.median(electrons) + 300
    assert very_hot.sum() >= 2
    for flags, fraction in zip(flags_of_lights(tmp_path), lights["masked_fraction"], strict=True):
        bad = (flags & MaskBit.BAD_PIXEL) != 0
        assert bad[very_hot].all()
        assert bad[DEAD]
        assert (bad & ~night.detector.hot_pixels).sum() <= 3
        assert flags[JUMPING] & MaskBit.UNSTABLE
        assert fraction == np.mean(flags != 0)
    dark = fits.getheader(tmp_path / "masters/master_dark_120s.fits")
    assert very_hot.sum() <= dark["NHOT"] <= night.detector.hot_pixels.sum() + 3
    assert dark["NUNSTABL"] == 1
    assert fits.getheader(tmp_path / "masters/master_flat_V.fits")["NDEAD"] == 1


def test_it_can_be_switched_off_and_limits_can_be_set(night, tmp_path):
    reduce_night(night.folder, tmp_path / "off", executor="serial", find_defects=False)
    for flags in flags_of_lights(tmp_path / "off"):
        assert not (flags & (MaskBit.BAD_PIXEL | MaskBit.UNSTABLE)).any()
    gates = {"dark": {"hot_sigma": 1e6, "max_unstable": 0.5}, "flat": {"dead_fraction": -1.0}}
    reduce_night(night.folder, tmp_path / "set", executor="serial", gates=gates)
    for flags in flags_of_lights(tmp_path / "set"):
        assert not (flags & (MaskBit.BAD_PIXEL | MaskBit.UNSTABLE)).any()


def test_very_many_bad_pixels_are_an_alarm(night, tmp_path):
    gates = {"dark": {"hot_sigma": 0.5}}
    table = reduce_night(night.folder, tmp_path, executor="serial", gates=gates)
    alarms = "; ".join(table["alarms"][table["frame_type"] == "dark"])
    assert "% of the pixels are hot (limit 5 %)" in alarms


def test_a_mask_of_ones_own_joins(night, tmp_path, capsys):
    own = np.zeros(SHAPE, np.uint8)
    own[10, 11] = 1
    fits.writeto(tmp_path / "own.fits", own)
    out = tmp_path / "out"
    arguments = ["reduce", str(night.folder), "--outdir", str(out), "--no-defects"]
    assert main([*arguments, "--set", f"mask={tmp_path / 'own.fits'}"]) == 0
    for path in (out / "lights").iterdir():
        np.testing.assert_array_equal(fits.getdata(path, "MASK") & MaskBit.BAD_PIXEL, own)
        header = fits.getheader(path)
        assert header["MMASK"] == "own.fits"
        assert int(header["MMASKSUM"]) > 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*arguments, "--set", "pixels=own.fits"])
    assert "mask=FILE" in capsys.readouterr().err


def test_a_mask_that_does_not_fit_is_told(night, tmp_path):
    fits.writeto(tmp_path / "own.fits", np.zeros((5, 5), np.uint8))
    table = reduce_night(
        night.folder, tmp_path / "out", executor="serial", bad_pixel_mask=tmp_path / "own.fits"
    )
    lights = table[table["frame_type"] == "light"]
    assert set(lights["status"]) == {"failed"}
    assert "bad pixel mask is (5, 5) (ny, nx) but the frame is (64, 96)" in lights["message"][0]

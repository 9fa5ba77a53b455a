"""Lights that are a window of the detector, with masters of all of it."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import plan_night, read_frame, reduce_night
from bmp_astro.simulate import simulate_night
from bmp_astro.steps import calibrate, mask_bad_pixels, subtract_bias

ROWS, COLUMNS, OVERSCAN = slice(20, 60), slice(30, 90), 8


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night of which one light is read once more as a window, and once binned."""
    night = simulate_night(
        tmp_path_factory.mktemp("window") / "raw",
        shape=(64, 96),
        overscan=OVERSCAN,
        n_bias=3,
        n_dark=3,
        n_flat=3,
        n_light=1,
        filters=["V"],
        bad_files=False,
    )
    (light,) = night.paths("light")
    with fits.open(light) as hdus:
        pixels, header = hdus[0].data, hdus[0].header
        window = np.hstack([pixels[ROWS, COLUMNS], pixels[ROWS, 96:]])
        header["XORGSUBF"], header["YORGSUBF"] = COLUMNS.start, ROWS.start
        header["CRPIX1"] -= COLUMNS.start
        header["CRPIX2"] -= ROWS.start
        header["TRIMSEC"] = "[1:60,1:40]"
        header["BIASSEC"] = "[61:68,1:40]"
        fits.PrimaryHDU(window, header).writeto(night.folder / "window.fit")
        header["XBINNING"] = header["YBINNING"] = 2
        fits.PrimaryHDU(window, header).writeto(night.folder / "binned.fit")
    return night


@pytest.fixture(scope="module")
def reduced(night, tmp_path_factory):
    out = tmp_path_factory.mktemp("window") / "reduced"
    table = reduce_night(night.folder, out, overscan_method="mean", progress=False, num_processes=1)
    return out, {row["in_name"].rpartition("/")[2]: row for row in table}


def test_a_window_is_reduced_as_that_part_of_the_whole_frame(night, reduced):
    out, rows = reduced
    assert rows["window.fit"]["status"] == "done"
    (light,) = night.paths("light")
    whole = read_frame(out / "lights" / f"{light.stem}_reduced.fits")
    part = read_frame(out / "lights" / "window_reduced.fits")
    np.testing.assert_array_equal(part.data, whole.data[ROWS, COLUMNS])
    np.testing.assert_array_equal(part.flags, whole.flags[ROWS, COLUMNS])
    np.testing.assert_allclose(
        part.uncertainty.array, whole.uncertainty.array[ROWS, COLUMNS], rtol=1e-3
    )
    for name in ("MBIAS", "MBIASSUM", "MDARK", "MFLAT", "MFLATSUM", "FLATNORM"):
        assert part.header[name] == whole.header[name]
    np.testing.assert_allclose(
        part.wcs.wcs_pix2world([[5, 7]], 0), whole.wcs.wcs_pix2world([[35, 27]], 0)
    )


def test_the_plan_says_that_a_window_of_the_master_is_used(night):
    plan = plan_night(night.folder)
    row = next(row for row in plan if row["in_name"].endswith("window.fit"))
    assert row["master_bias"] == "masters/master_bias.fits"
    assert "a window of it" in row["why"]


def test_another_binning_has_no_masters(reduced):
    _, rows = reduced
    assert rows["binned.fit"]["status"] == "failed"
    assert "xbinning is 1, not 2" in rows["binned.fit"]["message"]


def frame(shape, **cards):
    return CCDData(np.ones(shape, np.float32), unit="adu", meta=cards)


def corner(x, y, binning=1):
    return {"XORGSUBF": x, "YORGSUBF": y, "XBINNING": binning, "YBINNING": binning}


def test_a_master_is_cut_where_headers_say_what_part_it_is():
    bias = frame((8, 9), **corner(100, 50))
    bias.data[...] = np.arange(72).reshape(8, 9)
    light = frame((3, 4), **corner(102, 54))
    reduced = subtract_bias(light, master_bias=bias)
    np.testing.assert_array_equal(reduced.data, 1 - bias.data[4:7, 2:6])


def test_a_mask_of_bad_pixels_is_cut_as_masters_are():
    mask = frame((8, 9), **corner(100, 50))
    mask.data[...] = np.random.default_rng(7).integers(0, 2, (8, 9))
    light = frame((3, 4), **corner(102, 54))
    expected = mask.data[4:7, 2:6] != 0
    np.testing.assert_array_equal(mask_bad_pixels(light, bad_pixel_mask=mask).mask, expected)
    raw = frame((3, 6), **corner(102, 54))
    reduced = calibrate(raw, bad_pixel_mask=mask, trim_section="[1:4,1:3]", gain=1, read_noise=1)
    np.testing.assert_array_equal(reduced.flags != 0, expected)
    with pytest.raises(ValueError, match=r"bad pixel mask is of rows 50 to 57 .* another window"):
        mask_bad_pixels(frame((3, 4), **corner(106, 54)), bad_pixel_mask=mask)
    with pytest.raises(ValueError, match=r"bad pixel mask is \(8, 9\) .* was one of them not trim"):
        mask_bad_pixels(light, bad_pixel_mask=mask.data)


@pytest.mark.parametrize(
    ("light", "message"),
    [
        (
            frame((8, 9), **corner(101, 50)),
            r"rows 50 to 57 and columns 100 to 108 of the detector, but the frame of rows 50 to 57 "
            r"and columns 101 to 109",
        ),
        (frame((3, 4), **corner(106, 54)), "or is it another window"),
        (frame((3, 4), **corner(102, 54, binning=2)), r"is \(8, 9\) \(ny, nx\) but the frame is"),
        (frame((3, 4)), "was one of them not trimmed"),
    ],
)
def test_another_part_of_the_detector_is_refused(light, message):
    with pytest.raises(ValueError, match=message):
        subtract_bias(light, master_bias=frame((8, 9), **corner(100, 50)))

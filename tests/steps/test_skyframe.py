"""A sky frame is scaled and subtracted: what is left, its uncertainty, and what the header says."""

import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro import read_frame, write_frame
from bmp_astro.fits import MaskBit, with_flags
from bmp_astro.simulate import make_stars, star_image
from bmp_astro.steps import subtract_sky

SHAPE = (160, 200)


@pytest.fixture
def shape_of_sky():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 1 + 0.15 * np.sin(x / 17) + 0.1 * np.cos(y / 11)


def frame(light, seed=1, noise=0.0):
    sigma = np.sqrt(light + noise**2)
    ccd = CCDData(np.random.default_rng(seed).normal(light, sigma), unit="electron")
    ccd.data = ccd.data.astype(np.float32)
    ccd.uncertainty = StdDevUncertainty(sigma.astype(np.float32))
    ccd.header["SATURATE"] = 60_000.0
    return ccd


def test_a_structured_sky_goes_whatever_its_level_and_stars_stay(shape_of_sky, unchanged):
    table = make_stars(np.random.default_rng(2), SHAPE, ["J"], n=60)
    stars = star_image(SHAPE, table["x"], table["y"], 60 * table["flux_J"], 3.0)
    sky = CCDData((700 * shape_of_sky).astype(np.float32), unit="electron")
    ccd, meta = frame(1000 * shape_of_sky + stars), {}
    with unchanged(ccd), unchanged(sky):
        done = subtract_sky(ccd, sky, bmp_meta=meta)
    assert done.header["SKYSCAL"] == pytest.approx(10 / 7, rel=2e-3)
    pull = (done.data - stars) / ccd.uncertainty.array
    assert np.median(pull) == pytest.approx(0, abs=0.05)
    assert np.std(pull) == pytest.approx(1, abs=0.02)
    assert meta["sky_level"].value == done.header["SKYLEV"]
    assert meta["sky_level"].unit == ccd.unit
    assert done.header["SATURATE"] == pytest.approx(60_000 - done.header["SKYLEV"], rel=1e-6)
    assert (done.data.dtype, done.header["NSKY"]) == (np.float32, 1)


def test_the_variance_of_the_sky_is_added(shape_of_sky):
    ccd = frame(1000 * shape_of_sky)
    sky = frame(500 * shape_of_sky, seed=2)
    done = subtract_sky(ccd, sky, sky_scale=2.0)
    np.testing.assert_allclose(done.data, ccd.data - 2 * sky.data, atol=1e-3)
    variance = ccd.uncertainty.array**2 + 4 * sky.uncertainty.array**2
    np.testing.assert_allclose(done.uncertainty.array, np.sqrt(variance), rtol=1e-5)
    left = done.data / done.uncertainty.array
    assert np.std(left) == pytest.approx(1, abs=0.02)


def test_where_the_sky_has_no_value_its_level_is_taken_and_the_mask_says_so(shape_of_sky):
    pixels = (1000 * shape_of_sky).astype(np.float32)
    pixels[5, 6] = np.nan
    pixels[7, 8] = -4e4
    flags = np.zeros(SHAPE, np.uint8)
    flags[7, 8] = MaskBit.NO_DATA
    ccd = frame(1000 * shape_of_sky)
    done = subtract_sky(ccd, with_flags(CCDData(pixels, unit="electron"), flags))
    assert np.isfinite(done.data).all()
    assert done.flags[7, 8] == MaskBit.NO_DATA
    assert abs(done.data[7, 8]) < 400
    assert abs(done.data[5, 6]) < 400


def test_a_file_is_named_and_frames_in_memory_name_what_they_are_of(tmp_path, shape_of_sky):
    sky = CCDData((1000 * shape_of_sky).astype(np.float32), unit="electron")
    sky.header["NCOMBINE"] = 2
    for number in (1, 2):
        sky.header[f"IMCMB00{number}"] = f"light-{number}.fits"
        sky.header[f"IMSUM00{number}"] = f"{number} {number}"
    path = write_frame(sky, tmp_path / "sky.fits", checksum=True)
    ccd = frame(1000 * shape_of_sky)
    header = subtract_sky(ccd, path).header
    assert (header["MSKY"], header["NSKY"]) == ("sky.fits", 2)
    assert "SKYIM001" not in header
    header = subtract_sky(ccd, sky).header
    assert (header["SKYIM002"], header["SKYSM002"]) == ("light-2.fits", "2 2")
    assert "MSKY" not in header
    assert "sky subtracted" in str(header["HISTORY"])
    assert read_frame(path).header["IMCMB001"] == "light-1.fits"


def test_skies_that_do_not_serve(shape_of_sky):
    ccd = frame(1000 * shape_of_sky)
    sky = CCDData(shape_of_sky, unit="electron")
    with pytest.raises(ValueError, match="sky frame is unknown"):
        subtract_sky(ccd)
    with pytest.raises(ValueError, match=r"sky frame is \(9, 9\)"):
        subtract_sky(ccd, CCDData(np.ones((9, 9)), unit="electron"))
    with pytest.raises(ValueError, match="master sky is in adu but the frame is in electron"):
        subtract_sky(ccd, CCDData(shape_of_sky, unit="adu"))
    with pytest.raises(ValueError, match=r"level of the sky is .* expected positive"):
        subtract_sky(ccd, CCDData(0 * shape_of_sky, unit="electron"))
    with pytest.raises(ValueError, match="0 pixels are good in the frame and in unnamed"):
        subtract_sky(with_flags(ccd, np.ones(SHAPE, np.uint8)), sky)

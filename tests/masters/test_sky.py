"""The sky of dithered frames, and what is left of a frame when it is subtracted."""

import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro import write_frame
from bmp_astro.masters import make_sky, subtract_dithered_sky
from bmp_astro.simulate import make_stars, star_image

SHAPE = (140, 180)
NOISE = 10.0


@pytest.fixture
def dithered():
    """Seven frames of one field under a structured sky of changing level, and their stars."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    shape = 1 + 0.2 * np.sin(x / 13) + 0.1 * np.cos(y / 7)
    rng = np.random.default_rng(5)
    table = make_stars(rng, SHAPE, ["J"], n=40)
    frames, stars = [], []
    for number in range(7):
        dx, dy = rng.uniform(-30, 30, 2)
        light = star_image(SHAPE, table["x"] + dx, table["y"] + dy, 40 * table["flux_J"], 3.0)
        expected = 2000 * (1 + 0.03 * number) * shape + light
        sigma = np.sqrt(expected + NOISE**2)
        ccd = CCDData(rng.normal(expected, sigma).astype(np.float32), unit="electron")
        ccd.uncertainty = StdDevUncertainty(sigma.astype(np.float32))
        frames.append(ccd)
        stars.append(light)
    return frames, stars, shape


def test_the_sky_is_that_of_the_frames_without_their_stars(dithered):
    frames, _, shape = dithered
    sky = make_sky(frames)
    level = np.median([np.median(ccd.data / shape) for ccd in frames])
    pull = (sky.data - level * shape) / sky.uncertainty.array
    assert np.median(pull) == pytest.approx(0, abs=0.4)
    assert 1.4826 * np.median(np.abs(pull - np.median(pull))) == pytest.approx(1, abs=0.12)
    assert np.isfinite(sky.data).all()


def test_what_is_left_is_stars_and_noise_as_the_uncertainty_says(dithered):
    frames, stars, _ = dithered
    fluxes = []
    for number in (0, 3):
        meta = {}
        others = frames[:number] + frames[number + 1 :]
        done = subtract_dithered_sky(frames[number], others, bmp_meta=meta)
        assert (meta["n_sky"], done.header["NSKY"]) == (6, 6)
        assert "alarms" not in meta
        pull = (done.data - stars[number]) / done.uncertainty.array
        assert np.median(pull) == pytest.approx(0, abs=0.05)
        assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1, abs=0.06)
        bright = stars[number] > 200
        error = np.sqrt(np.sum(done.uncertainty.array[bright] ** 2))
        fluxes.append(np.sum((done.data - stars[number])[bright]) / error)
    assert np.abs(fluxes).max() < 4


def test_files_serve_as_well_within_a_limit_of_memory(dithered, tmp_path):
    frames = dithered[0][:4]
    paths = [write_frame(ccd, tmp_path / f"{n}.fits") for n, ccd in enumerate(frames)]
    sky = make_sky(paths, mem_limit=2**20, num_threads=1)
    np.testing.assert_array_equal(sky.data, make_sky(frames).data)
    done = subtract_dithered_sky(frames[0], paths[1:])
    assert done.header["SKYIM001"] == "1.fits"


def test_a_recipe_may_be_given(dithered):
    frames = dithered[0]
    levels = [float(np.median(ccd.data)) for ccd in frames]
    scaled = [
        ccd.data * (np.mean(levels) / level) for ccd, level in zip(frames, levels, strict=True)
    ]
    sky = make_sky(frames, combine={"clip": None})
    np.testing.assert_allclose(sky.data, np.median(scaled, axis=0), rtol=1e-5)
    with pytest.raises(TypeError, match="combine has no parameter"):
        make_sky(frames, combine={"clipping": 3})


def test_frames_that_were_not_moved_have_an_alarm(dithered):
    frames, stars, shape = dithered
    meta = {}
    still = [frame.copy() for frame in frames]
    for ccd, own in zip(still, stars, strict=True):
        ccd.data = ((ccd.data - own) / shape + stars[0]).astype(np.float32)
    subtract_dithered_sky(still[0], still[1:], bmp_meta=meta)
    assert "was the telescope not moved" in meta["alarms"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_too_few_frames_make_no_sky(dithered, number):
    with pytest.raises(ValueError, match=rf"{number} frame\(s\) to make a sky of: expected 3"):
        make_sky(dithered[0][:number])
    with pytest.raises(ValueError, match=r"1 frame\(s\) to make a sky of"):
        make_sky(dithered[0][0])

"""Trails of satellites: found where they are, and only there."""

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro import read_frame
from bmp_astro.fits import MaskBit, with_flags
from bmp_astro.kernels.lines import LineSums
from bmp_astro.simulate import make_stars, star_image
from bmp_astro.steps import mask_trails

SHAPE, SKY, NOISE = (200, 250), 200.0, 15.0


def field(seed, n=60):
    """Return a generator, and a field of stars with sky."""
    rng = np.random.default_rng(seed)
    stars = make_stars(rng, SHAPE, ["V"], n=n)
    return rng, SKY + 60 * star_image(SHAPE, stars["x"], stars["y"], stars["flux_V"], 3.0)


def trail(rng, peak, angle=None):
    """Return a trail through the middle half of the frame."""
    y, x = np.indices(SHAPE, sparse=True)
    angle = rng.uniform(0, np.pi) if angle is None else angle
    x0, y0 = rng.uniform(0.3, 0.7) * SHAPE[1], rng.uniform(0.3, 0.7) * SHAPE[0]
    across = (x - x0) * np.sin(angle) - (y - y0) * np.cos(angle)
    return peak * np.exp(-0.5 * (across / rng.uniform(1.3, 2.5)) ** 2)


def noisy(rng, light):
    pixels = rng.poisson(light) + rng.normal(0, 5, SHAPE)
    return CCDData(pixels.astype(np.float32), unit="electron")


@pytest.mark.parametrize("peak", [25.0, 60.0, 1e3, 3e4], ids=lambda p: f"{p / NOISE:.3g} sigma")
def test_completeness_and_purity(peak):
    found_of_truth, true_of_found = [], []
    for seed in range(4):
        rng, light = field(seed)
        truth = trail(rng, peak)
        meta = {}
        ccd = mask_trails(noisy(rng, light + truth), bmp_meta=meta)
        found = (ccd.flags & MaskBit.TRAIL) != 0
        assert meta["n_trails"] == 1
        assert meta["trail_fraction"] == found.mean()
        found_of_truth.append((found & (truth > NOISE)).sum() / (truth > NOISE).sum())
        true_of_found.append((found & (truth > 0.05 * NOISE)).sum() / found.sum())
    assert np.mean(found_of_truth) > 0.95
    assert min(found_of_truth) > 0.8
    assert np.mean(true_of_found) > 0.85


def test_stars_make_no_trail_and_their_number_does_not_matter():
    for seed, n in enumerate((0, 60, 200)):
        rng, light = field(seed + 50, n)
        meta = {}
        ccd = mask_trails(noisy(rng, light), bmp_meta=meta)
        assert meta == {"n_trails": 0, "trail_fraction": 0.0}
        assert not ccd.flags.any()


def test_two_trails_along_rows_and_columns_and_what_is_masked_is_not_looked_at(unchanged):
    rng, light = field(3)
    both = trail(rng, 100.0, 0.0), trail(rng, 100.0, np.pi / 2)
    frame = noisy(rng, light + both[0] + both[1])
    with unchanged(frame):
        ccd = mask_trails(frame)
    for truth in both:
        assert ccd.mask[truth > 50].mean() > 0.95
    again = {}
    mask_trails(ccd, bmp_meta=again)
    assert again["n_trails"] == 0
    defects = with_flags(frame, (both[0] > 1).astype(np.uint8))
    mask_trails(defects, bmp_meta=again)
    assert again["n_trails"] == 1


def test_a_frame_without_a_usable_pixel_has_no_trail():
    meta = {}
    mask_trails(CCDData(np.full(SHAPE, np.nan, np.float32), unit="electron"), bmp_meta=meta)
    assert meta["n_trails"] == 0
    mask_trails(CCDData(np.ones(SHAPE, np.float32), unit="electron"), bmp_meta=meta)
    assert meta["n_trails"] == 0


def test_galaxies_and_stars_of_a_real_field_are_no_trails(real_data):
    frame = read_frame(real_data / "ic310_j" / "IC310_1.fits")
    meta = {}
    mask_trails(CCDData(frame.data[128:384, 128:384], unit=frame.unit), bmp_meta=meta)
    assert meta["n_trails"] == 0


@pytest.mark.parametrize("shape", [(5, 9), (16, 16), (12, 7)])
def test_sums_along_lines_are_those_of_the_pixels_on_them(shape):
    image = np.random.default_rng(1).normal(size=shape)
    sums = LineSums(image)
    values = sums.values
    size = 1 << (max(shape) - 1).bit_length()
    assert values.shape == (4, size, 2 * size - 1)
    for y in range(shape[0]):  # horizontal and vertical lines are exact
        np.testing.assert_allclose(values[2, 0, size - 1 + y], image[y].sum(), rtol=1e-4, atol=1e-5)
    for x in range(shape[1]):
        np.testing.assert_allclose(values[0, 0, size - 1 + x], image[:, x].sum(), atol=1e-4)
    np.testing.assert_allclose(values[0].sum(axis=1), image.sum(), atol=1e-3)
    line = sums.line((1, 3, size))
    assert line.start[0] - line.stop[0] == 3

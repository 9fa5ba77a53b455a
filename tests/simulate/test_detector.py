"""Mean and variance of simulated frames are what the physics says."""

import numpy as np
import pytest

from bmp_astro.simulate import make_detector, simulate_frame

SHAPE = (60, 80)
N = 400


@pytest.fixture(scope="module")
def detector():
    return make_detector(np.random.default_rng(1), SHAPE, overscan=10, gain=2.0, read_noise=6.0)


def mean_and_variance(detector, **kwargs):
    rng = np.random.default_rng(2)
    stack = np.stack([simulate_frame(rng, detector, **kwargs) for _ in range(N)]).astype(float)
    return stack.mean(axis=0), stack.var(axis=0, ddof=1)


def assert_moments(detector, expected, variance, **kwargs):
    """Compare pixel by pixel; 1/12 is the variance of rounding to integers."""
    mean, scatter = mean_and_variance(detector, **kwargs)
    variance = variance + 1 / 12
    pull = (mean - expected) / np.sqrt(variance / N)
    assert abs(pull.mean()) < 5 / np.sqrt(pull.size)
    assert pull.std() == pytest.approx(1, abs=0.05)
    ratio = scatter / variance
    assert ratio.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / N / ratio.size))


def test_bias_frame_is_level_plus_structure_with_read_noise(detector):
    level = np.linspace(990, 1010, SHAPE[0])[:, np.newaxis]
    expected = np.zeros((60, 90)) + level
    expected[:, :80] += detector.bias
    assert_moments(detector, expected, np.full((60, 90), 9.0), level=level)


def test_dark_frame_gathers_dark_current_with_its_poisson_noise(detector):
    electrons = np.zeros((60, 90))
    electrons[:, :80] = detector.dark_rate * 300
    expected = 1000 + electrons / 2
    expected[:, :80] += detector.bias
    assert_moments(detector, expected, electrons / 4 + 9.0, exptime=300.0)


def test_flat_frame_shows_the_response_of_its_filter(detector):
    electrons = np.zeros((60, 90))
    electrons[:, :80] = detector.flats["R"] * 20_000
    expected = 1000 + electrons / 2
    expected[:, :80] += detector.bias
    assert_moments(detector, expected, electrons / 4 + 9.0, light=20_000.0, filter="R")


def test_cosmic_rays_add_charge_after_the_response_without_noise(detector):
    charge = np.zeros(SHAPE)
    charge[3, 4] = 5000.0
    with_ray = simulate_frame(np.random.default_rng(3), detector, cosmic_rays=charge)
    without = simulate_frame(np.random.default_rng(3), detector)
    difference = with_ray.astype(int) - without
    assert difference[3, 4] == pytest.approx(2500, abs=1)
    difference[3, 4] = 0
    assert not difference.any()


@pytest.mark.parametrize(("light", "level", "value"), [(1e7, 1000.0, 65535), (0.0, -500.0, 0)])
def test_values_beyond_16_bits_are_clipped_not_wrapped(detector, light, level, value):
    raw = simulate_frame(np.random.default_rng(4), detector, light=light, level=level)
    assert raw.dtype == np.uint16
    assert (raw[:, :80] == value).all()


def test_flats_have_median_one_vignetting_and_filter_dust():
    detector = make_detector(np.random.default_rng(5), (200, 300))
    flat = detector.flats["V"]
    assert np.median(flat) == pytest.approx(1)
    corner = np.median(flat[:20, :20])
    assert corner < 0.9 * np.median(flat[90:110, 140:160])
    assert not np.allclose(flat, detector.flats["R"])


def test_hot_pixels_are_as_many_as_asked_for_and_hot():
    detector = make_detector(np.random.default_rng(6), (300, 300), hot_fraction=0.01)
    assert detector.hot_pixels.mean() == pytest.approx(0.01, abs=5 * np.sqrt(0.01 / 90_000))
    assert detector.dark_rate[detector.hot_pixels].min() >= 1.0
    assert np.median(detector.dark_rate) == pytest.approx(0.05, rel=0.1)

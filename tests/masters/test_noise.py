"""Noise measured on frames, and the factors of standard errors."""

import numpy as np
import pytest

from bmp_astro.masters.noise import read_noise_from_pairs, standard_error_factor
from bmp_astro.masters.recipe import Recipe


@pytest.mark.parametrize(
    ("recipe", "n", "k"),
    [
        (Recipe(), 10, 1.0),
        (Recipe(method="median"), 5, 1.199),
        (Recipe(method="median"), 10, 1.177),
        (Recipe(method="median"), 30, 1.224),
        (Recipe(clip="minmax", n_low=1, n_high=1), 5, 1.065),
        (Recipe(clip="minmax", n_low=1, n_high=1), 10, 1.024),
        (Recipe(clip="minmax", n_low=1, n_high=1), 30, 1.007),
        (Recipe(clip="percentile"), 10, 1.0),
        (Recipe(clip="noise"), 10, 1.020),
        (Recipe(clip="noise"), 30, 1.015),
    ],
)
def test_factors_of_standard_errors(recipe, n, k):
    factors = standard_error_factor(recipe, n)
    # Ours goes with the number of values kept, the published ones with the number of frames;
    # of noise clipping at n = 5 that differs by more than the tolerance, see the pulls.
    lost = {"minmax": 2 / n, "noise": 0.004}.get(recipe.clip, 0.0)
    assert factors[n] / np.sqrt(1 - lost) == pytest.approx(k, abs=0.004)
    assert factors.shape == (n + 1,)
    assert factors[1] == 1


def test_factor_of_a_median_approaches_its_limit():
    assert standard_error_factor(Recipe(method="median"), 255)[255] == pytest.approx(
        np.sqrt(np.pi / 2), abs=0.02
    )


@pytest.mark.parametrize("sigma", [0.7, 6.7])
def test_read_noise_of_integers_with_pattern_drift_and_cosmic_rays(sigma):
    rng = np.random.default_rng(5)
    pattern = rng.normal(900, 4, (400, 500))
    ramp = np.linspace(0, 1, 500)
    frames = []
    for number in range(5):
        frame = pattern + rng.normal(0, sigma, pattern.shape) + number * (2 + 3 * ramp)
        frame[number::80, ::90] += 5000
        frame[:, 250:] += 27 * (number == 3)
        frames.append(np.round(frame).astype(np.uint16))
    measured = read_noise_from_pairs(frames)
    assert measured == pytest.approx(np.hypot(sigma, np.sqrt(1 / 12)), rel=0.02)


def test_one_frame_tells_no_read_noise():
    assert read_noise_from_pairs([np.ones((20, 20))]) is None

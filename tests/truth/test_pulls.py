"""Is the uncertainty true?  (value - truth) / sigma over many nights, each with masters of its own.

Pixels of one night share their masters' errors, so that what counts is the scatter from night to
night: twice its standard error is allowed beside the 0.02 and 0.03 to which the arithmetic is held.
"""

import numpy as np
import pytest
from scipy.stats import norm

NIGHTS = 20
QUICK = 4


def pulls_of(make_night, light_with_truth, nights, read_noise, exptime, same_bias):
    """Return mean and variance of the pulls of each night."""
    means, variances = [], []
    for seed in range(nights):
        night = make_night(seed, read_noise, light_exptime=exptime)
        found = light_with_truth(night, same_bias=same_bias)
        pull = ((found.ccd.data - found.truth) / found.sigma)[found.good]
        assert found.good.mean() > 0.95
        means.append(pull.mean())
        variances.append(pull.var())
    return np.array(means), np.array(variances)


def check(means, variances):
    error = means.std(ddof=1) / np.sqrt(means.size)
    assert abs(means.mean()) < 0.02 + 2 * error
    width = np.sqrt(variances)
    error = width.std(ddof=1) / np.sqrt(width.size)
    assert abs(np.sqrt(variances.mean()) - 1) < 0.03 + 2 * error
    return means.mean(), np.sqrt(variances.mean())


@pytest.mark.parametrize("same_bias", [True, False], ids=["same bias", "another bias"])
@pytest.mark.parametrize("read_noise", [0.5, 2.0, 6.0])
def test_sigma_is_true_in_a_few_nights(make_night, light_with_truth, read_noise, same_bias):
    check(*pulls_of(make_night, light_with_truth, QUICK, read_noise, 300.0, same_bias))


@pytest.mark.slow
@pytest.mark.parametrize("exptime", [300.0, 100.0], ids=["dark as it is", "dark scaled"])
@pytest.mark.parametrize("same_bias", [True, False], ids=["same bias", "another bias"])
@pytest.mark.parametrize("read_noise", [0.5, 2.0, 6.0])
def test_sigma_is_true(make_night, light_with_truth, read_noise, same_bias, exptime):
    found = check(*pulls_of(make_night, light_with_truth, NIGHTS, read_noise, exptime, same_bias))
    print(f"mean {found[0]:+.4f}, width {found[1]:.4f}")


@pytest.mark.parametrize("same_bias", [True, False], ids=["same bias", "another bias"])
def test_the_other_formula_would_be_seen(make_night, light_with_truth, same_bias):
    night = make_night(3, 6.0)
    found = light_with_truth(night, same_bias=same_bias, believed=not same_bias)
    pull = ((found.ccd.data - found.truth) / found.sigma)[found.good]
    assert abs(pull.std() - 1) > 0.05


@pytest.mark.parametrize("sky", [0.5, 20.0, 2000.0])
def test_the_sigma_that_is_shipped_has_its_expectation(make_night, light_with_truth, sky):
    """On average over pixels the variance is that of the expected signal, cut at 0."""
    night = make_night(5, 4.0)
    found = light_with_truth(night, sky=sky)
    camera = night.detector
    electrons = found.truth * camera.flats["V"] + camera.dark_rate * night.light_exptime
    noise = np.sqrt(electrons + camera.read_noise**2)
    # of a normal distribution; the masters' errors are a small part of its width
    cut = electrons * norm.cdf(electrons / noise) + noise * norm.pdf(electrons / noise)
    expected = found.sigma**2 + (cut - electrons) / camera.flats["V"] ** 2
    shipped = found.ccd.uncertainty.array.astype(float) ** 2
    ratio = shipped[found.good].mean() / expected[found.good].mean()
    assert ratio == pytest.approx(1, abs=0.01)

"""Overscan: against ccdproc, against truth, and what is refused."""

import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.fits import Instrument
from bmp_astro.steps import subtract_overscan
from bmp_astro.steps.overscan import frame_level, overscan_level


@pytest.mark.parametrize(("method", "median"), [("mean", False), ("median", True)])
@pytest.mark.parametrize("axis", [1, 0])
def test_each_rows_own_level_is_that_of_ccdproc(method, median, axis):
    raw = np.random.default_rng(1).normal(1000, 5, (40, 30))
    section = "[25:30,1:40]" if axis else "[1:30,35:40]"
    ours = subtract_overscan(
        CCDData(raw, unit="adu"), overscan_section=section, overscan_method=method
    )
    theirs = ccdproc.subtract_overscan(
        CCDData(raw, unit="adu"), fits_section=section, overscan_axis=axis, median=median
    )
    np.testing.assert_allclose(ours.data, theirs.data, atol=2e-4)
    assert ours.data.dtype == np.float32


def test_polynomial_recovers_a_curve_to_its_noise():
    rng = np.random.default_rng(2)
    y = np.linspace(-1, 1, 400)
    truth = 1000 + 5 * y + 3 * y**2
    pixels = rng.normal(truth[:, None], 5, (400, 20))
    level, variance = overscan_level(pixels, 1)
    own, _ = overscan_level(pixels, 1, method="mean")
    assert level.shape == variance.shape == (400, 1)
    assert np.std(level[:, 0] - truth) < 0.2
    assert np.std(own[:, 0] - truth) > 1


@pytest.mark.parametrize("method", ["polynomial", "mean", "median"])
def test_variance_is_that_of_the_level(method):
    rng = np.random.default_rng(3)
    columns = rng.normal(0, 20, 41)  # of different level: no noise of a mean
    columns *= method != "median"
    pulls = []
    for _ in range(300):
        pixels = 1000 + columns + rng.normal(0, 5, (30, 41))
        level, variance = overscan_level(pixels, 1, method=method, iterations=0)
        pulls.append((level - 1000 - columns.mean())[:, 0] / np.sqrt(variance[:, 0]))
    assert np.std(pulls) == pytest.approx(1, abs=0.05)


def test_rows_hit_by_a_cosmic_ray_are_rejected():
    pixels = np.random.default_rng(4).normal(1000, 2, (200, 10))
    struck = pixels.copy()
    struck[70] += 5000
    clean, _ = overscan_level(pixels, 1)
    once, _ = overscan_level(struck, 1)
    never, _ = overscan_level(struck, 1, iterations=0)
    assert np.max(np.abs(once - clean)) < 0.1
    assert np.max(np.abs(never - clean)) > 10


def test_skipped_columns_are_not_used():
    pixels = np.full((9, 6), 100.0)
    pixels[:, 0], pixels[:, -2:] = 500, 300
    level, _ = overscan_level(pixels, 1, method="mean", skip=(1, 2))
    np.testing.assert_array_equal(level, 100)
    both, _ = overscan_level(pixels[:, :-1], 1, method="mean", skip=1)
    np.testing.assert_array_equal(both, 100)


@given(order=st.integers(0, 4), iterations=st.integers(0, 3), level=st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_a_constant_level_is_found_by_every_polynomial(order, iterations, level):
    found, variance = overscan_level(np.full((20, 5), level), 1, order=order, iterations=iterations)
    np.testing.assert_allclose(found, level, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(variance, 0, atol=1e-12)


@given(
    order=st.integers(0, 6),
    iterations=st.integers(0, 2),
    seed=st.integers(0, 99),
    n=st.integers(20, 400),
)
@settings(max_examples=30, deadline=None)
def test_the_polynomial_is_that_of_least_squares(order, iterations, seed, n):
    rng = np.random.default_rng(seed)
    means = 30_000 + np.cumsum(rng.normal(0, 3, n))
    means[rng.integers(0, n, 2)] += 500
    level, variance = overscan_level(means[:, None], 1, order=order, iterations=iterations)
    x, keep = np.linspace(-1, 1, n), np.ones(n, bool)
    for remaining in range(iterations, -1, -1):
        fit = np.polynomial.Chebyshev.fit(x[keep], means[keep], order, domain=[-1, 1])
        residual = means - fit(x)
        scatter = np.sum(residual[keep] ** 2) / (keep.sum() - order - 1)
        if remaining:
            keep &= np.abs(residual) <= 3 * np.sqrt(scatter)
    basis = np.polynomial.chebyshev.chebvander(x, order)
    covariance = np.linalg.inv(basis[keep].T @ basis[keep]) * scatter
    np.testing.assert_allclose(level[:, 0], fit(x), rtol=1e-12)
    expected = np.einsum("ij,jk,ik->i", basis, covariance, basis)
    np.testing.assert_allclose(variance[:, 0], expected, rtol=1e-7)


def test_rows_that_are_not_finite_do_not_count():
    means = np.random.default_rng(5).normal(1000, 2, 90)
    lacking = means.copy()
    lacking[[3, 40, 80]] = np.nan, np.inf, -np.inf
    level, _ = overscan_level(lacking[:, None], 1, iterations=0)
    x, keep = np.linspace(-1, 1, 90), np.isfinite(lacking)
    expected = np.polynomial.Chebyshev.fit(x[keep], means[keep], 2, domain=[-1, 1])(x)
    np.testing.assert_allclose(level[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_beside_the_section_have_the_nearest_level(axis):
    raw = np.arange(12.0)[:, None] * np.ones(30)
    section = (slice(2, 10), slice(25, 30))
    if axis == 0:
        raw, section = raw.T, section[::-1]
    level, _ = frame_level(raw, (section,), method="mean")
    np.testing.assert_allclose(level.ravel(), [2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9])
    assert level.shape == ((12, 1) if axis else (1, 12))


def test_header_and_input(sample, unchanged):
    with unchanged(sample.raw):
        ccd = subtract_overscan(sample.raw)
    assert ccd.shape == (60, 48)
    assert abs(np.mean(ccd.data[:, 40:])) < 0.5
    level, variance = overscan_level(sample.raw.data[:, 40:], 1)
    assert ccd.header["OSCANLEV"] == np.mean(level)
    assert ccd.header["OSCANVAR"] == np.mean(variance)
    assert "BIASSEC" not in ccd.header
    assert "TRIMSEC" in ccd.header
    assert ccd.header["SATURATE"] == 58000 - np.mean(level)
    with pytest.raises(ValueError, match="overscan section is unknown"):
        subtract_overscan(ccd)


def test_section_from_the_instrument(sample):
    del sample.raw.header["BIASSEC"]
    camera = Instrument("SX", overscan_section="[41:48,1:60]")
    by_camera = subtract_overscan(sample.raw, instrument=camera)
    by_slices = subtract_overscan(sample.raw, overscan_section=(slice(None), slice(40, 48)))
    np.testing.assert_array_equal(by_camera.data, by_slices.data)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"overscan_section": "[41:49,1:60]"}, r"_section \[41:49,1:60\] does not fit a frame of"),
        ({"overscan_section": np.s_[:, 40:49]}, r"\[41:49,1:60\] does not fit a .* \(60, 48\)"),
        ({"overscan_section": np.s_[:, ::2]}, r"_section \(slice\(.* does not fit a frame"),
        ({"overscan_section": "UNKNOWN"}, "is not a section"),
        ({"overscan_method": "mode"}, "overscan_method is 'mode'"),
        ({"overscan_axis": 2}, "overscan_axis is 2"),
        ({"overscan_skip": 4}, "overscan_skip is 4 but the overscan is 8 pixels wide"),
        ({"overscan_section": "[41:48,1:3]", "overscan_axis": 1}, "too few"),
    ],
)
def test_what_makes_no_sense_is_refused(sample, keywords, message):
    with pytest.raises(ValueError, match=message):
        subtract_overscan(sample.raw, **keywords)


def test_a_section_is_text_or_slices(sample):
    with pytest.raises(TypeError, match="pair of slices"):
        subtract_overscan(sample.raw, overscan_section=[41, 48])


def as_irafs_linebias(rows, order, low_reject, high_reject, niterate, dof):
    """What the help of IRAF's linebias says, for Legendre polynomials of so many terms.

    Rows whose residual is more than so many times the rms of the residuals are rejected. Whether
    that is divided by the number of rows or by what the fit leaves free, it does not say.
    """
    x = np.linspace(-1, 1, rows.size)
    kept = np.ones(rows.size, bool)
    for remaining in range(niterate, -1, -1):
        fit = np.polynomial.Legendre.fit(x[kept], rows[kept], order - 1, domain=[-1, 1])
        residual = rows - fit(x)
        rms = np.sqrt(np.sum(residual[kept] ** 2) / (kept.sum() - dof * order))
        if remaining:
            kept &= (residual > -low_reject * rms) & (residual < high_reject * rms)
    return fit(x), kept


@pytest.mark.parametrize("niterate", [0, 1, 3])
@pytest.mark.parametrize("order", [1, 3, 6])
def test_the_polynomial_is_that_of_irafs_linebias(order, niterate):
    rng = np.random.default_rng(order)
    y = np.linspace(-1, 1, 300)
    pixels = 1000 + 8 * y + 3 * np.cos(3 * y) + rng.normal(0, 0.5, 300)
    pixels = pixels[:, None] + rng.normal(0, 4, (300, 20))
    pixels[[30, 31, 200]] += [[90.0], [-70.0], [15.0]]
    expected, kept = as_irafs_linebias(pixels.mean(axis=1), order, 3.0, 3.0, niterate, 0)
    other, also_kept = as_irafs_linebias(pixels.mean(axis=1), order, 3.0, 3.0, niterate, 1)
    np.testing.assert_array_equal(kept, also_kept)
    assert (kept.sum() < 300) == (niterate > 0)
    level, _ = overscan_level(pixels, 1, order=order - 1, iterations=niterate)
    np.testing.assert_allclose(level[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(other, expected, rtol=1e-9)

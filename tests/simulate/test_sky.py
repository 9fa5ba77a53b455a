"""Stars and cosmic rays carry the charge that they should, where they should."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmp_astro.simulate import cosmic_ray_tracks, make_stars, star_image


@given(x=st.floats(25, 35), y=st.floats(20, 30), flux=st.floats(1, 1e6), fwhm=st.floats(1.5, 4.0))
def test_a_star_keeps_its_flux_and_its_center(x, y, flux, fwhm):
    image = star_image((50, 60), [x], [y], [flux], fwhm)
    rows, columns = np.indices(image.shape)
    assert image.sum() == pytest.approx(flux, rel=1e-6)
    assert (image * columns).sum() / flux == pytest.approx(x, abs=1e-3)
    assert (image * rows).sum() / flux == pytest.approx(y, abs=1e-3)


def test_a_star_has_the_width_asked_for():
    image = star_image((61, 61), [30.0], [30.0], [1.0], 5.0)
    offset = np.arange(61) - 30.0
    variance = (image.sum(axis=0) * offset**2).sum()
    sigma = 5.0 / math.sqrt(8 * math.log(2))
    assert variance == pytest.approx(sigma**2 + 1 / 12, rel=1e-3)


@pytest.mark.parametrize(("x", "y"), [(-100.0, 5.0), (5.0, 1e4), (200.0, -3.0)])
def test_a_star_far_outside_leaves_nothing(x, y):
    assert not star_image((20, 30), [x], [y], [1e6], 3.0).any()


def test_a_star_on_the_edge_loses_what_falls_outside():
    image = star_image((21, 21), [-0.5], [10.0], [100.0], 3.0)
    assert image.sum() == pytest.approx(50.0, rel=1e-6)


def test_tracks_are_connected_and_positive():
    charge = cosmic_ray_tracks(np.random.default_rng(1), (100, 100), 1)
    y, x = np.nonzero(charge)
    assert charge.min() == 0
    assert len(y) >= 1
    order = np.lexsort((x, y))
    steps = np.abs(np.diff(y[order]))
    assert np.all(steps <= 1)


def test_no_tracks_is_no_charge():
    assert not cosmic_ray_tracks(np.random.default_rng(1), (10, 10), 0).any()


def test_stars_have_a_flux_for_each_filter():
    stars = make_stars(np.random.default_rng(1), (100, 200), ["g", "i"], n=30)
    assert stars.colnames == ["x", "y", "flux_g", "flux_i"]
    assert len(stars) == 30
    assert (stars["flux_g"] > 0).all()

"""Twilight flats with stars in them."""

import numpy as np
import pytest

from bmp_astro.masters import build_master

LEVELS = [40_000, 30_000, 22_000, 16_000, 12_000]


@pytest.fixture
def twilight(expose, truth):
    """A function that takes flats between which the telescope moved, while the sky's light turned.

    The noise is the same with stars and without.
    """
    y, x = np.mgrid[:96, :140]

    def take(brightness):
        paths, stars = [], []
        for number, level in enumerate(LEVELS):
            star = np.zeros((96, 140))
            for sy, sx in [(20, 30), (60, 90), (75, 40)]:
                sy, sx = sy + 7 * number - 14, sx + 8 * number - 16
                star += brightness * np.exp(-((y - sy) ** 2 + (x - sx) ** 2) / (2 * 2.5**2))
            gradient = 0.002 * (number - 2) * (x - 70) / 70 * level * truth["flat"]
            paths += expose("flat", 1, 1.0, level, seed=number, extra=star / 2 + gradient)
            stars.append(star)
        return paths, np.array(stars)

    return take


def test_stars_are_masked_and_told(expose, twilight):
    bias, _ = build_master("bias", expose("bias", 5))
    how = {"master_bias": bias, "find_defects": False}
    starless, report = build_master("flat", twilight(0.0)[0], **how)
    assert not any("stars" in text for row in report.rows for text in row.alarms)
    paths, stars = twilight(1200.0)
    master, report = build_master("flat", paths, **how)
    for row in report.rows:
        assert row.used
        assert any("stars in it: " in text for text in row.alarms)
    left, _ = build_master("flat", paths, gates={"star_sigma": None}, **how)
    touched = (stars > 20).any(axis=0)

    def excess(ccd):
        """How far the flat is too high where there were stars, in its sigma."""
        return np.mean(((ccd.data - starless.data) / starless.uncertainty.array)[touched])

    assert excess(left) > 0.15
    assert abs(excess(master)) < 0.5 * excess(left)
    assert (master.flags == 0).all()  # each pixel is seen in most of the flats


def test_flats_without_stars_lose_nothing(expose):
    bias, _ = build_master("bias", expose("bias", 5))
    paths = expose("flat", 5, 1.0, LEVELS)
    _, report = build_master("flat", paths, master_bias=bias)
    assert not any("stars" in text for row in report.rows for text in row.alarms)
    two, report = build_master("flat", paths[:2], master_bias=bias)
    assert two.header["NCOMBINE"] == 2

"""What is measured on one frame."""

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.fits import MaskBit, with_flags
from bmp_astro.masters.quality import frame_stats
from bmp_astro.masters.source import ccd_source


def stats_of(pixels, flags=None):
    return frame_stats(ccd_source(with_flags(CCDData(pixels, unit="adu"), flags), "frame"))


@pytest.mark.parametrize("shape", [(1, 2), (3, 3), (50, 70)])
def test_a_small_frame_is_measured_wholly(shape):
    pixels = np.random.default_rng(1).normal(100, 20, shape).astype(np.float32)
    found = stats_of(pixels)
    assert found.median == np.median(pixels)
    assert found.mean == pytest.approx(pixels.mean(dtype=float), rel=1e-12)
    low, high = np.percentile(pixels, [25, 75], method="closest_observation")
    assert low <= found.level <= high
    if pixels.size > 1000:
        middle = pixels[(pixels >= low) & (pixels <= high)]
        assert found.level == pytest.approx(middle.mean(dtype=float), abs=0.02)
        assert found.noise == pytest.approx(20, rel=0.05)
        assert found.patches.shape == (4, 4)
        assert found.patches[0, 0] == np.median(pixels[:13, :18])


def test_of_a_large_frame_half_a_million_pixels_tell_the_level():
    rng, sigma = np.random.default_rng(2), 8.0
    pixels = np.round(rng.normal(1000, sigma, (2048, 1024))).astype(np.float32)
    pixels[:, 256:512] += 40
    found = stats_of(pixels)
    assert found.mean == pytest.approx(1010, abs=5 * sigma / np.sqrt(2**19))
    error = 5 * 1.25 * sigma / np.sqrt(2**16 / 16)
    np.testing.assert_allclose(found.patches[:, 1], 1040, atol=0.5 + error)
    np.testing.assert_allclose(found.patches[:, [0, 2, 3]], 1000, atol=0.5 + error)
    plain = np.round(rng.normal(1000, sigma, (2048, 1024))).astype(np.float32)
    assert stats_of(plain).level == pytest.approx(1000, abs=5 * 1.25 * sigma / np.sqrt(2**19))


def test_flagged_pixels_do_not_count():
    pixels = np.full((40, 60), 100.0, np.float32)
    flags = np.zeros(pixels.shape, np.uint8)
    pixels[:10], flags[:10] = 60_000.0, MaskBit.SATURATED
    pixels[30:], flags[30:] = np.nan, MaskBit.NO_DATA
    found = stats_of(pixels, flags)
    assert (found.level, found.median, found.mean) == (100.0, 100.0, 100.0)
    assert found.saturated == 0.25


def test_a_frame_without_values_is_an_error():
    with pytest.raises(ValueError, match="no pixel with a value"):
        stats_of(np.full((5, 5), np.nan, np.float32))

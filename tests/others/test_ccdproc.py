"""Where ccdproc's steps do something else, and why that is not what is done here."""

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro.fits import with_flags
from bmp_astro.steps import calibrate, divide_flat

GAIN, NOISE = 2.0 * u.electron / u.adu, 5.0 * u.electron


def test_the_deviation_is_made_after_the_bias():
    """ccd_process makes it first: the pedestal then has photon noise, too."""
    rng = np.random.default_rng(1)
    electrons = rng.poisson(100.0, (100, 100)) + rng.normal(0, 5, (100, 100))
    raw = CCDData((1000 + electrons / 2).astype(np.float32), unit="adu")
    bias = CCDData(np.full(raw.shape, 1000, np.float32), unit="adu")
    theirs = ccdproc.ccd_process(
        raw, master_bias=bias, gain=GAIN, readnoise=NOISE, error=True, gain_corrected=False
    )
    ours = calibrate(raw, master_bias=bias, gain=GAIN, read_noise=NOISE, saturation=60_000)
    scatter = ours.data.std()
    assert np.median(ours.uncertainty.array) == pytest.approx(scatter, rel=0.02)
    np.testing.assert_allclose(theirs.data, ours.data, rtol=1e-5, atol=1e-3)
    assert np.median(theirs.uncertainty.array) > 3 * scatter


def test_masked_pixels_do_not_normalize_a_flat():
    """flat_correct divides by the mean of all pixels of the flat, also the masked ones."""
    flat = np.ones((50, 50), np.float32)
    mask = np.zeros(flat.shape, bool)
    mask[3, 4] = True
    flat[mask] = 2.5e6
    light = CCDData(np.full(flat.shape, 100, np.float32), unit="electron")
    master = CCDData(flat, unit="", mask=mask)
    theirs = ccdproc.flat_correct(light, master)
    ours = divide_flat(light, with_flags(master, mask.astype(np.uint8)))
    np.testing.assert_allclose(ours.data[~mask], 100)
    assert theirs.data[~mask].min() > 90_000

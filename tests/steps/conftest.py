"""A small raw frame with everything in it, and masters that fit it."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro.fits import data_sum, with_flags

SHAPE = (60, 40)  # of the trimmed frame; 8 columns of overscan come after it


def image(data, unit, sigma=None, flags=None, **cards):
    """Return a CCDData with a FITS header."""
    uncertainty = None if sigma is None else StdDevUncertainty(sigma)
    ccd = CCDData(data, unit=unit, uncertainty=uncertainty, header=fits.Header(cards))
    return with_flags(ccd, flags)


@pytest.fixture
def make_image():
    return image


@pytest.fixture
def sample():
    """A light frame of 100 s and masters; the dark of 300 s was freed of the same bias."""
    rng = np.random.default_rng(7)
    ny, nx = SHAPE
    pixels = rng.integers(1500, 50000, (ny, nx + 8))
    pixels[:, nx:] = rng.normal(1000, 4, (ny, 8)).round() + np.linspace(0, 9, ny)[:, None].round()
    pixels[5, 6] = 60000
    raw = image(
        pixels.astype(np.uint16),
        "adu",
        IMAGETYP="LIGHT",
        EXPTIME=100.0,
        GAIN=1.7,
        RDNOISE=6.0,
        SATURATE=58000.0,
        BIASSEC=f"[{nx + 1}:{nx + 8},1:{ny}]",
        TRIMSEC=f"[1:{nx},1:{ny}]",
    )
    flags = np.zeros(SHAPE, np.uint8)
    flags[9, 9] = 1
    bias = image(
        rng.normal(40, 2, SHAPE).astype(np.float32),
        "adu",
        sigma=rng.uniform(1, 1.2, SHAPE).astype(np.float32),
        IMAGETYP="Master Bias",
        FILENAME="master_bias.fits",
    )
    dark = image(
        rng.normal(30, 9, SHAPE).astype(np.float32),
        "adu",
        sigma=rng.uniform(1.5, 2, SHAPE).astype(np.float32),
        flags=flags,
        IMAGETYP="Master Dark",
        FILENAME="master_dark.fits",
        EXPTIME=300.0,
        BIASSUB=True,
        MBIAS="master_bias.fits",
        MBIASSUM=data_sum(bias.data),
    )
    flat_pixels = rng.normal(1, 0.04, SHAPE).astype(np.float32)
    flat_pixels[20, 3] = 0.02
    flat = image(
        flat_pixels,
        "",
        sigma=rng.uniform(0.001, 0.003, SHAPE).astype(np.float32),
        IMAGETYP="Master Flat",
        FILENAME="master_flat.fits",
        FLATNORM=21000.0,
    )
    return SimpleNamespace(raw=raw, bias=bias, dark=dark, flat=flat)


@pytest.fixture
def unchanged():
    """A context in which images must stay as they are, to the last card and bit."""

    class Unchanged:
        def __init__(self, *images):
            self.images = images
            self.before = [state(ccd) for ccd in images]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            for ccd, before in zip(self.images, self.before, strict=True):
                for name, value in state(ccd).items():
                    np.testing.assert_array_equal(value, before[name], err_msg=name)

    return Unchanged


def state(ccd):
    """Return a copy of all that an image is."""
    header = ccd.header
    return {
        "data": ccd.data.copy(),
        "dtype": str(ccd.data.dtype),
        "sigma": None if ccd.uncertainty is None else ccd.uncertainty.array.copy(),
        "mask": None if ccd.mask is None else ccd.mask.copy(),
        "flags": None if ccd.flags is None else ccd.flags.copy(),
        "unit": str(ccd.unit),
        "header": header.tostring() if isinstance(header, fits.Header) else repr(dict(header)),
        "crpix": None if ccd.wcs is None else ccd.wcs.wcs.crpix.copy(),
    }

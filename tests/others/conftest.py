"""A night of stars whose places in the sky are known, behind overscan on two sides."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from bmp_astro import reduce_night
from bmp_astro.simulate import star_image

SHAPE, LEFT, BOTTOM = (160, 200), 24, 6
GAIN, NOISE, BIAS, SATURATION = 1.6, 6.0, 900.0, 40_000
FWHM, SKY = 3.2, 250.0


def solution():
    """World coordinates of the raw frame: turned, mirrored, and off the center."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [149.2, 69.1]
    wcs.wcs.crpix = [150.5, 20.25]
    turn = np.radians(31)
    scale = 1.1 / 3600
    wcs.wcs.cd = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return wcs


def raw(rng, light, header):
    """Return a raw frame with overscan at the left, and rows at the bottom that are cut off."""
    ny, nx = SHAPE
    whole = np.zeros((ny + BOTTOM, nx + LEFT))
    whole[BOTTOM:, LEFT:] = rng.poisson(light, SHAPE)
    adu = BIAS + whole / GAIN + rng.normal(0, NOISE / GAIN, whole.shape)
    sections = {
        "BIASSEC": f"[1:{LEFT},1:{ny + BOTTOM}]",
        "TRIMSEC": f"[{LEFT + 1}:{LEFT + nx},{BOTTOM + 1}:{BOTTOM + ny}]",
        "GAIN": GAIN,
        "RDNOISE": NOISE,
        "SATURATE": SATURATION,
    }
    cards = fits.Header({**sections, **header})
    cards.update(solution().to_header())
    for axis in "12":
        cards.remove(f"CDELT{axis}", ignore_missing=True)
    return fits.PrimaryHDU(np.rint(adu).clip(0, SATURATION).astype(np.uint16), cards)


@pytest.fixture(scope="session")
def starry(tmp_path_factory):
    """The night: raw files, products plain and compressed, and the true stars."""
    folder = tmp_path_factory.mktemp("starry")
    (folder / "raw").mkdir()
    rng = np.random.default_rng(4)
    y, x = (part.ravel() for part in np.mgrid[20:150:26, 20:190:28])
    x, y = x + rng.uniform(-4, 4, x.size), y + rng.uniform(-4, 4, y.size)
    flux = 10 ** rng.uniform(4, 4.9, x.size)
    flux[0] = 3e6
    stars = star_image(SHAPE, x, y, flux, FWHM)
    response = 1 - 0.15 * ((np.arange(SHAPE[1]) / SHAPE[1] - 0.4) ** 2)[None, :] * np.ones(SHAPE)
    for kind, count, exptime, light in (
        ("Bias", 4, 0.0, 0 * response),
        ("Dark", 3, 60.0, 0 * response),
        ("Flat", 4, 3.0, 25_000 * response),
        ("Light", 1, 60.0, (SKY + stars) * response),
    ):
        for number in range(1, count + 1):
            header = {"IMAGETYP": f"{kind} Frame", "EXPTIME": exptime}
            header |= {"FILTER": "V"} if kind in ("Flat", "Light") else {}
            raw(rng, light, header).writeto(folder / "raw" / f"{kind.lower()}-{number}.fits")
    plain = reduce_night(folder / "raw", folder / "out", num_processes=1)
    packed = reduce_night(folder / "raw", folder / "packed", num_processes=1, compress=True)
    name = {key: table["outname"][-1] for key, table in (("plain", plain), ("packed", packed))}
    products = sorted(path for out in ("out", "packed") for path in (folder / out).rglob("*.fits*"))
    return SimpleNamespace(
        raw=str(folder / "raw" / "light-1.fits"),
        light=name["plain"],
        packed=name["packed"],
        products=products,
        sky=solution().pixel_to_world(x + LEFT, y + BOTTOM),
        x=x,
        y=y,
        flux=flux,
        folder=folder,
    )

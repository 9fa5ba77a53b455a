"""Simulated nights, each with masters of its own and one light."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro.fits import write_frame
from bmp_astro.kernels import calibrate as kernel
from bmp_astro.kernels import masters_variance
from bmp_astro.masters import build_master
from bmp_astro.simulate import make_detector, simulate_frame
from bmp_astro.steps import calibrate

SHAPE = (128, 192)
GAIN = 1.5
COUNTS = {"bias": 7, "dark": 5, "flat": 5}
EXPTIMES = {"bias": 0.0, "dark": 300.0, "flat": 4.0, "light": 300.0}
FLAT_ELECTRONS = 30_000.0


class Night:
    """A camera, its raw frames on disk, and its masters."""

    def __init__(self, folder, seed, read_noise, light_exptime=300.0):
        self.folder, self.light_exptime = folder, light_exptime
        self.rng = np.random.default_rng([seed, 31])
        self.detector = make_detector(
            self.rng, SHAPE, filters=["V"], gain=GAIN, read_noise=read_noise * GAIN, overscan=0
        )
        self.detector = replace(self.detector, dark_rate=self.detector.dark_rate.clip(0, 20))

    def raw(self, kind, light=0.0, cosmic_rays=0.0):
        """Return one raw frame in memory."""
        exptime = self.light_exptime if kind == "light" else EXPTIMES[kind]
        pixels = simulate_frame(
            self.rng,
            self.detector,
            exptime=exptime,
            light=light,
            filter="V" if kind in ("flat", "light") else "",
            cosmic_rays=cosmic_rays,
        )
        cards = {"IMAGETYP": f"{kind.capitalize()} Frame", "EXPTIME": exptime, "EGAIN": GAIN}
        cards |= {"RDNOISE": float(np.hypot(self.detector.read_noise, GAIN / 12**0.5))}
        return CCDData(pixels, unit="adu", header=fits.Header({**cards, "SATURATE": 65535.0}))

    def master(self, kind, name, **masters):
        """Return the path of a new master, from raw frames of its own."""
        paths = []
        for number in range(COUNTS[kind]):
            ccd = self.raw(kind, FLAT_ELECTRONS if kind == "flat" else 0.0)
            paths.append(self.folder / f"{name}-{number}.fits")
            fits.writeto(paths[-1], ccd.data, ccd.header)
        ccd, _ = build_master(kind, paths, find_defects=False, **masters)
        return write_frame(ccd, self.folder / f"{name}.fits", checksum=True)

    def masters(self, *, same_bias=True):
        """Return the masters of a light; the dark is freed of its bias or of another one."""
        bias = self.master("bias", "bias")
        of_dark = bias if same_bias else self.master("bias", "other-bias")
        dark = self.master("dark", "dark", master_bias=of_dark)
        flat = self.master("flat", "flat", master_bias=bias, master_dark=dark)
        return {"master_bias": bias, "master_dark": dark, "master_flat": flat}


@pytest.fixture
def make_night(tmp_path):
    """A function that returns a new camera with a folder of its own."""

    def make(seed, read_noise, **options):
        folder = tmp_path / f"night-{seed}"
        folder.mkdir(parents=True)
        return Night(folder, seed, read_noise, **options)

    return make


@pytest.fixture
def light_with_truth():
    """A function that calibrates one light of a night, and knows what it should be."""

    def take(night, sky=20.0, same_bias=True, believed=None):
        masters = night.masters(same_bias=same_bias)
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        scene = sky * (1 + 5 * np.exp(-((y - 60) ** 2 + (x - 100) ** 2) / 800))
        ccd = calibrate(night.raw("light", scene), **masters)
        camera = night.detector
        normalized = fits.getdata(masters["master_flat"])
        norm = fits.getheader(masters["master_flat"])["FLATNORM"]
        # the flat's own normalization: its expectation over the divisor that was used
        flat = camera.flats["V"] * FLAT_ELECTRONS / norm
        truth = scene * camera.flats["V"] / flat
        shared = same_bias if believed is None else believed
        return SimpleNamespace(
            ccd=ccd,
            truth=truth,
            sigma=expected_sigma(night, ccd, scene, masters, shared),
            good=~ccd.mask & ~camera.hot_pixels & (normalized > 0.1),
        )

    return take


def expected_sigma(night, ccd, scene, masters, shared):
    """Return sigma by the kernel itself, of the light and the masters without their noise."""
    camera = night.detector
    read = {name: fits.open(path) for name, path in masters.items()}
    sigma = {name: hdus["UNCERT"].data.astype(float) for name, hdus in read.items()}
    norm = read["master_flat"][0].header["FLATNORM"]
    dark = camera.dark_rate * EXPTIMES["dark"] / GAIN
    scale = ccd.header["DARKSCAL"]
    signal = camera.dark_rate * night.light_exptime + scene * camera.flats["V"]
    for hdus in read.values():
        hdus.close()
    result = kernel(
        1000 + camera.bias + signal / GAIN,
        bias=1000 + camera.bias,
        dark=dark,
        dark_scale=scale,
        masters_variance=masters_variance(
            sigma["master_bias"], sigma["master_dark"], dark_scale=scale, shared_bias=shared
        ),
        gain=GAIN,
        read_noise=ccd.header["RDNOISE"],
        flat=camera.flats["V"] * FLAT_ELECTRONS / norm,
        flat_sigma=sigma["master_flat"],
    )
    return np.sqrt(result.variance)

"""Drive kernels that were compiled with sanitizers: ``sanitized.py MODULE``; any fault ends it."""

import ctypes
import importlib.util
import itertools
import sys

import numpy as np

NAME = "bmp_astro.kernels._kernels"


def load(path):
    """Put the module at `path` in the place of the installed one."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])


def views(array):
    """The same values in several orders in memory, each without a byte to spare."""
    yield array.copy()
    yield np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    yield np.ascontiguousarray(array.T).T
    yield np.repeat(array, 2, axis=1)[:, 1::2]


def calibrate_everything(rng):
    """Calibrate frames of every type and of shapes about the size of a segment."""
    from bmp_astro.kernels import Bits, calibrate

    kinds = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
    dtypes = [order + kind for order in "<>" for kind in kinds]
    for dtype, nx in itertools.product(dtypes, (1, 513)):
        shape = (3, nx)
        raw = rng.integers(0, 100, shape).astype(dtype)
        plane = rng.uniform(0, 2, shape).astype(np.float32)
        extremes = np.array([np.nan, np.inf, 3e38, 0])[rng.integers(0, 4, shape)]
        terms = {"level": plane[:, :1], "bias": plane[:1], "dark": plane, "flat": extremes}
        for view in views(raw):
            calibrate(view)
            calibrate(
                view,
                **terms,
                masters_variance=next(views(plane)),
                gain=1.5,
                read_noise=plane,
                flat_sigma=plane[:, ::-1],
                linearity=[1, 1e-4, 1e-9],
                saturation=60,
                flags=[np.ones(shape, np.uint8)[:, ::-1], raw.astype(np.uint8)],
                bits=Bits(2, 4, 32),
                deviation=nx == 1,
                bzero=32768.0,
                bscale=0.5 if nx > 1 else 1.0,
            )
    calibrate(np.zeros((0, 5)))
    calibrate(np.zeros((5, 0)))


def combine_everything(rng):
    """Combine stacks of every rule, with few, many and no values that count."""
    from bmp_astro.kernels import Noise, combine

    levels = np.linspace(0, 2000, 7)
    noises = (Noise(90.0, 0.1, 0.01), Noise(levels=levels, variances=levels + 1))
    rules = (
        {"clip": "minmax", "n_low": 1, "n_high": 1},
        {"clip": "minmax", "n_high": 2},
        {"clip": "sigma", "max_iterations": 3},
        {"clip": "sigma", "deviation": "std", "center": "mean"},
        {"clip": "sigma", "deviation": "winsorized", "max_iterations": 2},
        {"clip": "percentile", "percentile_low": 0.01},
        {"clip": "noise", "min_keep": 4},
        {},
    )
    for n, nx, rule in itertools.product((3, 12, 65), (1, 513), rules):
        stack = rng.normal(1000, 10, (n, 2, nx)).astype(np.float32)
        stack[rng.random(stack.shape) < 0.1] = np.nan
        stack[:, 0, 0] = (3e38, -3e38, np.inf)[n % 3]
        flags = rng.integers(0, 2, stack.shape).astype(np.uint8)
        flags[..., -1] = 1
        for method, noise in zip(("mean", "median", "sum"), (*noises, noises[0]), strict=True):
            frames = stack if method == "mean" else stack.astype(">f8")[:, ::-1]
            combine(frames, method=method, noise=noise, flags=flags, **rule)
        scale = rng.uniform(0.5, 2, n)
        combine(stack, scale=scale, weights=scale, variance=stack, noise=noises[0], **rule)
    combine(np.zeros((2, 0, 3)))


def combine_raw_everything(rng):
    """Combine raw frames of few and many blocks while they are calibrated."""
    from bmp_astro.kernels import Bits, Noise, combine, prepare

    for n, shape in itertools.product((1, 5, 300), ((0, 5), (3, 1), (4, 1100), (60, 700))):
        raw = rng.integers(0, 2000, (n, *shape)).astype(">u2")
        plane = rng.uniform(0, 2, shape).astype(np.float32)
        for view in itertools.islice(views(plane), 2):
            terms = {"level": view[:, :1], "bias": view, "flat": view, "flags": raw[0].astype("u1")}
            frames = [prepare(one, **terms, saturation=1900, bits=Bits(2, 4, 32)) for one in raw]
            combine(frames, clip="noise", noise=Noise(90.0, 0.1))
            combine([one.part(slice(1, 3), slice(0, 1)) for one in frames], noise=Noise(1.0))


if __name__ == "__main__":
    load(sys.argv[1])
    assert hasattr(ctypes.CDLL(None), "__asan_init"), "the sanitizer does not run"
    from bmp_astro.kernels import implementation

    assert implementation == "C"
    with np.errstate(all="ignore"):
        calibrate_everything(np.random.default_rng(1))
        combine_everything(np.random.default_rng(2))
        combine_raw_everything(np.random.default_rng(3))
    print("clean")

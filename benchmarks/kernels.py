"""How many times faster the kernels are than what is used else, measured side by side.

::

    python benchmarks/kernels.py [--size 2048] [--frames 10] [--repeat 5]

Every round runs each contestant once, in rotating order, so that what disturbs the machine
disturbs all of them; printed are the medians over the rounds, their spread, and the ratios to the
compiled kernels and to their numpy twins.  Times are CPU times, since all run in one thread and
wait for nothing: the data are in memory already.

- *calibrate*: a uint16 frame with bias, dark, flat, gain and uncertainty, against ccdproc's steps
  (``create_deviation``, ``subtract_bias``, ``subtract_dark``, ``gain_correct``, ``flat_correct``).
  Ours fills arrays that are there already, as in a night, or *new arrays*; *copy* reads each input
  and writes each output once, and computes nothing.
- *median*: of the frames, against `numpy.median` and ``ccdproc.Combiner.median_combine``.
- *clip and mean*: a median and MAD clip at three sigma, against ``ccdproc.Combiner``.
- *noise clip and mean*: as the frames of a master dark are combined, each with an offset and an
  expected noise of its own, and flags of which none is set.
- *copy* reads the frames of a stack into one buffer: the least that any combination must do.
"""

import argparse
import importlib
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager

import astropy.units as u
import ccdproc
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.stats import mad_std

from bmp_astro.kernels import (
    Bits,
    Calibrated,
    Combined,
    Noise,
    calibrate,
    calibrate_numpy,
    combine,
    combine_numpy,
    compiled,
    masters_variance,
)

GAIN, READ_NOISE = 1.5, 8.0


@contextmanager
def numpy_twins():
    """Let the kernels run in numpy."""
    modules = [importlib.import_module(f"bmp_astro.kernels.{n}") for n in ("calibrate", "combine")]
    before = modules[0]._calibrate, modules[1]._combine
    modules[0]._calibrate, modules[1]._combine = calibrate_numpy.calibrate, combine_numpy.combine
    try:
        yield
    finally:
        modules[0]._calibrate, modules[1]._combine = before


def in_numpy(function: Callable[[], object]) -> Callable[[], object]:
    """Return the function run with the numpy twins."""

    def run() -> object:
        with numpy_twins():
            return function()

    return run


def measure(contestants: dict[str, Callable[[], object]], repeat: int) -> dict[str, np.ndarray]:
    """Return the seconds of each contestant in each round; a round before them is not counted."""
    names = list(contestants)
    seconds = {name: [] for name in names}
    for turn in range(repeat + 1):
        for name in np.roll(names, turn):
            start = time.process_time()
            contestants[name]()
            if turn > 0:
                seconds[name].append(time.process_time() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def report(title: str, seconds: dict[str, np.ndarray]) -> None:
    """Print milliseconds and ratios."""
    ours = [name for name in ("C", "numpy twin") if name in seconds]
    print(f"\n{title:28}{'ms':>9}{'spread':>9}", *(f"{'/ ' + name:>14}" for name in ours))
    for name, values in seconds.items():
        middle = np.median(values)
        ratios = (f"{middle / np.median(seconds[one]):14.1f}" for one in ours)
        print(f"{name:28}{1e3 * middle:9.1f}{np.ptp(values) / middle:8.0%} ", *ratios)


def with_twins(ours: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """Return our contestants."""
    both = {} if compiled.module is None else {"C": ours}
    return both | {"numpy twin": in_numpy(ours)}


def calibration(size: int) -> dict[str, Callable[[], object]]:
    """Return the contestants that calibrate a frame."""
    rng = np.random.default_rng(1)
    shape = (size, size)
    raw = rng.integers(1000, 40000, shape).astype(np.uint16)
    bias, dark, flat = (
        rng.normal(center, width, shape).astype(np.float32)
        for center, width in ((1000, 2), (20, 2), (1, 0.02))
    )
    sigma = {"bias": 2.0, "dark": 2.5, "flat": 0.002}
    planes = {name: np.full(shape, value, np.float32) for name, value in sigma.items()}

    out = Calibrated(*(np.zeros(shape, dtype) for dtype in (np.float32, np.float32, np.uint8)))

    of_masters = masters_variance(planes["bias"], planes["dark"])  # made once for all frames

    def ours(out: Calibrated | None = out) -> object:
        return calibrate(
            raw,
            bias=bias,
            dark=dark,
            masters_variance=of_masters,
            gain=GAIN,
            read_noise=READ_NOISE,
            flat=flat,
            flat_sigma=planes["flat"],
            saturation=60000,
            bits=Bits(2, 4, 32),
            out=out,
        )

    def copied() -> None:
        for plane in (raw, bias, dark, of_masters, flat, planes["flat"]):
            plane.max()
        for plane in out:
            plane.fill(0)

    def master(data: np.ndarray, name: str, unit: str) -> CCDData:
        header = {"exposure": 10.0}
        return CCDData(data, unit=unit, uncertainty=StdDevUncertainty(planes[name]), meta=header)

    masters = [master(bias, "bias", "adu"), master(dark, "dark", "adu"), master(flat, "flat", "")]

    def peer() -> object:
        ccd = CCDData(raw, unit="adu", meta={"exposure": 10.0})
        ccd = ccdproc.create_deviation(
            ccd, gain=GAIN * u.electron / u.adu, readnoise=READ_NOISE * u.electron
        )
        ccd = ccdproc.subtract_bias(ccd, masters[0])
        ccd = ccdproc.subtract_dark(
            ccd, masters[1], exposure_time="exposure", exposure_unit=u.s, scale=True
        )
        ccd = ccdproc.gain_correct(ccd, GAIN * u.electron / u.adu)
        return ccdproc.flat_correct(ccd, masters[2])

    others = {"new arrays": lambda: ours(None), "ccdproc's steps": peer, "copy": copied}
    return with_twins(ours) | others


def combination(size: int, n: int, clip: bool) -> dict[str, Callable[[], object]]:
    """Return the contestants that combine frames."""
    rng = np.random.default_rng(2)
    stack = rng.standard_normal((n, size, size), dtype=np.float32) * 10 + 1000
    frames = [CCDData(plane, unit="adu") for plane in stack]
    rule = {"clip": "sigma"} if clip else {"method": "median"}
    copy = np.empty((size, size), np.float32)

    def ours() -> object:
        return combine(stack, noise=Noise(25.0, 0.05), **rule)

    def peer() -> object:
        combiner = ccdproc.Combiner(frames, dtype=np.float32)
        if not clip:
            return combiner.median_combine()
        combiner.sigma_clipping(3, 3, func=np.ma.median, dev_func=mad_std)
        return combiner.average_combine()

    def copied() -> None:
        for plane in stack:
            np.copyto(copy, plane)

    peers = {"ccdproc.Combiner": peer, "copy": copied}
    if not clip:
        peers["numpy.median"] = lambda: np.median(stack, axis=0)
    return with_twins(ours) | peers


def combination_of_darks(size: int, n: int) -> dict[str, Callable[[], object]]:
    """Return the contestants that combine frames as those of a master dark are."""
    rng = np.random.default_rng(3)
    stack = rng.standard_normal((n, size, size), dtype=np.float32) * 5 + 10
    flags = np.zeros(stack.shape, np.uint8)
    noise = Noise(25.0 + rng.uniform(0, 1e-3, n), 1e-3, 0.05)
    dtypes = (np.float32, np.float32, np.uint16, np.uint8)
    out = Combined(*(np.zeros((size, size), dtype) for dtype in dtypes))
    offset = rng.normal(0, 0.1, n)

    def ours() -> object:
        return combine(stack, clip="noise", noise=noise, flags=flags, offset=offset, out=out)

    def copied() -> None:
        for plane in stack:
            np.copyto(out.data, plane)

    return with_twins(ours) | {"copy": copied}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2048, help="pixels along each axis")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of the peers, on masked arrays
    print(f"{given.size} x {given.size} pixels, {given.frames} frames, {given.repeat} rounds")
    report("calibrate", measure(calibration(given.size), given.repeat))
    for title, clip in (("median", False), ("clip by MAD and mean", True)):
        report(title, measure(combination(given.size, given.frames, clip), given.repeat))
    darks = combination_of_darks(given.size, given.frames)
    report("noise clip and mean", measure(darks, given.repeat))


if __name__ == "__main__":
    main()

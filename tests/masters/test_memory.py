"""What combining frames takes, measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.nddata import CCDData

from bmp_astro import read_frame, write_frame

PROGRAM = """
import resource, sys
from bmp_astro import combine

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def bytes_read():
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])

limit, threads, *paths = sys.argv[1:]
options = {"clip": "sigma", "num_threads": int(threads)}
combine(paths[-3:], **options)  # small frames: everything is imported and warm
before = peak(), bytes_read()
combined = combine(paths[:-3], mem_limit=float(limit), **options)
print(peak() - before[0], bytes_read() - before[1], float(combined.data.sum(dtype=float)))
"""


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(8)
    shapes = [(1024, 1024)] * 16 + [(16, 16)] * 3
    for index, shape in enumerate(shapes):
        pixels = rng.normal(100, 5, shape).astype(np.float32)
        write_frame(CCDData(pixels, unit="adu"), folder / f"{index:02d}.fits")
    return sorted(folder.iterdir())


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_stays_within_the_limit_and_bytes_are_read_once(frames, threads):
    limit = 48e6
    command = [sys.executable, "-c", PROGRAM, str(limit), str(threads), *map(str, frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, read, total = map(float, done.stdout.split())
    size = sum(path.stat().st_size for path in frames[:16])
    assert size > limit
    assert growth <= limit
    assert read < 1.1 * size
    mean = np.mean([read_frame(path).data for path in frames[:16]], axis=0, dtype=float)
    assert abs(total / mean.sum() - 1) < 1e-3


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits.fz"])
def test_what_is_unpacked_stays_within_the_limit_too(tmp_path, suffix):
    limit = 48e6
    pixels = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) % 1000
    images = [pixels] * 16 + [pixels[:16, :16]] * 3
    paths = [tmp_path / f"{index:02d}{suffix}" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        write_frame(CCDData(image, unit="adu"), path)
    command = [sys.executable, "-c", PROGRAM, str(limit), "2", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, _, total = map(float, done.stdout.split())
    assert growth <= limit
    assert abs(total / pixels.sum(dtype=float) - 1) < 1e-6

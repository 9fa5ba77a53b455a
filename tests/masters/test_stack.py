"""Raw frames are combined in one pass where they can be, and that changes nothing."""

from contextlib import ExitStack

import numpy as np
import pytest

from bmp_astro.fits import open_frame
from bmp_astro.kernels import Noise
from bmp_astro.masters.raw import Calibration, raw_frame
from bmp_astro.masters.recipe import Factors, Recipe
from bmp_astro.masters.stack import combine_sources
from bmp_astro.simulate import simulate_night

LEFT, RIGHT = (slice(0, 64), slice(0, 40)), (slice(0, 64), slice(40, 96))


@pytest.mark.parametrize("noises", [(), ((LEFT, Noise(20.0)), (RIGHT, Noise(90.0)))])
@pytest.mark.parametrize("mem_limit", [None, 1.0])
def test_one_pass_gives_what_two_give(tmp_path, noises, mem_limit):
    paths = simulate_night(tmp_path, shape=(64, 96), bad_files=False).paths("dark")
    how = {
        "noise": Noise(50.0, 0.7),
        "noises": noises,
        "propagate": False,
        "mem_limit": mem_limit,
        "num_threads": 2,
    }
    factors = Factors(*(np.full(len(paths), value) for value in (1.1, 2.0, 1.0)))
    with ExitStack() as opened:
        sources = [
            raw_frame(opened.enter_context(open_frame(path)), path, Calibration("dark")).source
            for path in paths
        ]
        assert all(source.prepared is not None for source in sources)
        recipe = Recipe(clip="noise")
        one = combine_sources(sources, recipe, factors, **how)
        two = combine_sources([s.reading(s.read) for s in sources], recipe, factors, **how)
    for name, mine, expected in zip(one._fields, one, two, strict=True):
        np.testing.assert_array_equal(mine, expected, err_msg=name)
    assert one.count.min() < len(paths)

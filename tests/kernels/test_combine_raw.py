"""Raw frames combined while they are calibrated: the same as one step after the other."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.kernels import Bits, Noise, calibrate, combine, compiled, prepare
from bmp_astro.kernels.combine_raw import combine_blocks

public = importlib.import_module("bmp_astro.kernels.combine")
BITS = Bits(saturated=2, low_flat=4, no_data=32)


def raw_frames(rng, n, shape, dtype="<u2"):
    """Raw values and the terms of their calibration; some are saturated, not finite or flagged."""
    bias, dark = (rng.normal(level, 5, shape).astype(np.float32) for level in (300, 20))
    dark[rng.random(shape) < 0.01] = np.nan
    for _ in range(n):
        raw = rng.normal(1000, 10, shape)
        raw[rng.random(shape) < 0.02] = 65000
        yield (
            raw.astype(dtype),
            {
                "level": rng.normal(100, 1, (shape[0], 1)),
                "bias": bias,
                "dark": dark,
                "dark_scale": 0.5,
                "gain": 1.5,
                "saturation": 60000,
                "flags": (rng.random(shape) < 0.02).astype(np.uint8),
                "bits": BITS,
            },
        )


def one_after_the_other(frames, **rule):
    """Calibrate all frames, and then combine them."""
    done = [calibrate(raw, **terms) for raw, terms in frames]
    return combine([one.data for one in done], flags=[one.flags for one in done], **rule)


def assert_same(one, other):
    for name, mine, expected in zip(one._fields, one, other, strict=True):
        np.testing.assert_array_equal(mine, expected, err_msg=name)


@given(
    seed=st.integers(0, 2**32),
    n=st.sampled_from([1, 2, 10, 17, 70]),
    shape=st.tuples(st.integers(1, 9), st.sampled_from([1, 5, 600])),
    dtype=st.sampled_from(["<u2", ">u2", "<i4", ">f4", "<f8"]),
    clip=st.sampled_from([None, "sigma", "noise"]),
)
@settings(max_examples=40)
def test_same_as_one_after_the_other(seed, n, shape, dtype, clip):
    frames = list(raw_frames(np.random.default_rng(seed), n, shape, dtype))
    rule = {"clip": clip, "noise": Noise(100.0, 0.7), "scale": np.linspace(0.9, 1.1, n)}
    raw = [prepare(values, **terms) for values, terms in frames]
    assert_same(combine(raw, **rule), one_after_the_other(frames, **rule))


@pytest.mark.parametrize(
    ("n", "shape"), [(300, (3, 1500)), (3, (0, 5)), (3, (5, 0)), (2, (40, 9000))]
)
def test_blocks_cover_every_pixel(n, shape):
    frames = list(raw_frames(np.random.default_rng(n), n, shape))
    rule = {"clip": "noise", "noise": Noise(150.0)}
    raw = [prepare(values, **terms) for values, terms in frames]
    assert_same(combine(raw, **rule), one_after_the_other(frames, **rule))


@pytest.mark.skipif(compiled.module is None, reason="no compiled kernels")
def test_twins_are_equal(monkeypatch):
    raw = [prepare(v, **t) for v, t in raw_frames(np.random.default_rng(5), 12, (50, 3000))]
    results = []
    for chosen in (public._combine_raw_compiled, combine_blocks):
        monkeypatch.setattr(public, "_combine_raw", chosen)
        results.append(combine(raw, method="median", clip="noise", noise=Noise(150.0)))
    assert_same(*results)


def test_part_of_a_frame():
    (values, terms), *_ = raw_frames(np.random.default_rng(6), 1, (20, 30))
    rows, columns = slice(3, 9), slice(10, 25)
    part = combine([prepare(values, **terms).part(rows, columns)], noise=Noise(100.0))
    whole = combine([prepare(values, **terms)], noise=Noise(100.0))
    assert_same(part, type(whole)(*(plane[rows, columns] for plane in whole)))


def test_into_given_arrays():
    frames = list(raw_frames(np.random.default_rng(7), 4, (6, 40)))
    raw = [prepare(values, **terms) for values, terms in frames]
    expected = combine(raw, noise=Noise(100.0))
    large = type(expected)(*(np.zeros((8, 50), plane.dtype) for plane in expected))
    combine(raw, noise=Noise(100.0), out=type(expected)(*(plane[1:7, 5:45] for plane in large)))
    for plane, wanted in zip(large, expected, strict=True):
        np.testing.assert_array_equal(plane[1:7, 5:45], wanted)
        plane[1:7, 5:45] = 0
        assert not plane.any()


def test_what_raw_frames_cannot_have():
    raw = prepare(np.ones((2, 3)), bits=BITS)
    with pytest.raises(ValueError, match="need noise="):
        combine([raw, raw])
    with pytest.raises(ValueError, match="no variance="):
        combine([raw, raw], noise=Noise(1.0), variance=np.ones((2, 2, 3)))
    with pytest.raises(TypeError, match="all of them raw"):
        combine([raw, np.ones((2, 3))], noise=Noise(1.0))
    with pytest.raises(ValueError, match="shapes"):
        combine([raw, prepare(np.ones((3, 3)))], noise=Noise(1.0))
    out = combine([raw], noise=Noise(1.0))
    with pytest.raises(ValueError, match="shares memory"):
        combine([prepare(out.data, bits=BITS)], noise=Noise(1.0), out=out)


def whole_call():
    """Arguments of the compiled function, as lists that can be changed."""
    raw, terms, flags, rules, _ = prepare(
        np.ones((2, 5), np.uint16), level=np.ones((2, 1)), saturation=9, bits=BITS
    )
    settings = (0, 3, False, 0, 0, 0, 1, 1, 3.0, 3.0, 0.0, 3, 10, 32, False)
    return {
        "frames": [[raw, terms, flags, rules] for _ in range(3)],
        "numbers": [np.ones(3), np.zeros(3), np.ones(4), None],
        "rule": list(settings),
        "noise": (np.ones(3), 0.0, 0.0, None, None, None, True, True),
        "out": [np.empty((2, 5), kind) for kind in ("f4", "f4", "u2", "u1")],
    }


def call(arguments):
    frames = arguments["frames"]
    frames = [tuple(one) for one in frames] if isinstance(frames, list) else frames
    numbers, rule, out = (tuple(arguments[name]) for name in ("numbers", "rule", "out"))
    compiled.module.combine_raw(frames, numbers, rule, arguments["noise"], out)


@pytest.mark.skipif(compiled.module is None, reason="no compiled kernels")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda a: None, None),
        (lambda a: a.update(frames=[]), ValueError),
        (lambda a: a.update(frames=()), TypeError),
        (lambda a: a["frames"].pop(), ValueError),
        (lambda a: a["frames"][1].pop(), TypeError),
        (lambda a: a["frames"][1].__setitem__(0, np.ones((2, 4), np.uint16)), ValueError),
        (lambda a: a["frames"][1].__setitem__(0, np.ones((3, 5), np.uint16)), ValueError),
        (lambda a: a["frames"][1].__setitem__(0, np.ones((2, 5))), ValueError),
        (lambda a: a["frames"][1].__setitem__(1, (None,) * 10), ValueError),
        (lambda a: a["frames"][1].__setitem__(2, (np.ones((2, 5)),)), ValueError),
        (lambda a: a["frames"][1].__setitem__(3, (1, 2)), TypeError),
        (lambda a: a["numbers"].__setitem__(0, np.ones(2)), ValueError),
        (lambda a: a["rule"].__setitem__(14, True), ValueError),
        (lambda a: a.update(noise=None), ValueError),
        (lambda a: a["out"].__setitem__(0, np.empty((2, 6), "f4")), ValueError),
        (lambda a: a["out"].__setitem__(2, a["out"][3]), ValueError),
        (lambda a: a["out"].__setitem__(3, None), ValueError),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, error):
    arguments = whole_call()
    change(arguments)
    if error is None:
        call(arguments)
    else:
        with pytest.raises(error):
            call(arguments)

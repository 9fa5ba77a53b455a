"""The compiled combination gives what its numpy twin gives, to the last bit; both what is true."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.kernels import Noise, combine, combine_numpy, compiled
from bmp_astro.kernels.combine import Combined

pytestmark = pytest.mark.skipif(compiled.module is None, reason="no compiled kernels")

public = importlib.import_module("bmp_astro.kernels.combine")
DTYPES = ["<u2", ">u2", "<i2", "u1", "i1", "?", "<f2", "<f4", ">f4", "<i4", ">i4", "<u8", "<f8"]
DTYPES += [">f8"]
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 3e38, -3e38, 1e-44])


@pytest.fixture(autouse=True, scope="module")
def implementation():
    """Both implementations are called here: they are not chosen."""


def bits_of(plane):
    """The plane as integers, all NaN alike."""
    if plane is None or plane.dtype != np.float32:
        return plane
    return np.where(np.isnan(plane), np.float32(np.nan), plane).view(np.uint32)


def with_both(stack, **rule):
    """Combine with each implementation."""
    results = []
    for chosen in (public._combine_compiled, combine_numpy.combine):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(public, "_combine", chosen)
            results.append(combine(stack, **rule))
    return results


def assert_same(stack, **rule):
    one, other = with_both(stack, **rule)
    for name, mine, twins in zip(Combined._fields, one, other, strict=True):
        np.testing.assert_array_equal(bits_of(mine), bits_of(twins), err_msg=name)
    return one


def noises(draw, rng, n):
    """An expected noise of any kind, or none."""
    kind = draw(st.sampled_from(["none", "floor", "floors", "formula", "table"]))
    if kind == "table":
        levels = np.sort(rng.normal(1000, 100, draw(st.sampled_from([1, 2, 40]))))
        return Noise(levels=levels, variances=rng.uniform(50, 150, levels.size))
    return {
        "none": None,
        "floor": Noise(100.0),
        "floors": Noise(rng.uniform(50, 150, n)),
        "formula": Noise(np.float64(50.0), np.float64(0.05), draw(st.sampled_from([0.0, 0.01]))),
    }[kind]


@st.composite
def stacks(draw, most=40):
    """A stack and a rule of any kind."""
    n = draw(st.integers(1, most))
    shape = (n, draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 5, 65, 520])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    center, width = (60, 8) if dtype.itemsize == 1 else (1000, draw(st.sampled_from([0.6, 9.0])))
    values = np.full(shape, center) + draw(st.booleans()) * rng.normal(0, width, shape)
    values[rng.random(shape) < 0.03] += width * 9
    if dtype.kind == "f" and draw(st.booleans()):
        hit = rng.random(shape) < draw(st.sampled_from([0.02, 0.5, 1.0]))
        values[hit] = rng.choice(SPECIAL, hit.sum())
    with np.errstate(over="ignore"):
        stack = values.astype(dtype)
    if draw(st.booleans()):
        stack = np.repeat(stack, 2, axis=2)[:, ::-1, ::2]
    method = draw(st.sampled_from(["mean", "median", "sum"]))
    rule = {
        "method": method,
        "clip": draw(st.sampled_from([None, "minmax", "sigma", "noise", "percentile"])),
        "sigma_low": draw(st.sampled_from([0.0, 1.5, 3.0])),
        "sigma_high": draw(st.sampled_from([np.float64(1.5), 3])),
        "percentile_low": draw(st.sampled_from([0.001, 0.2])),
        "percentile_high": draw(st.sampled_from([0.01, 1.5])),
        "center": draw(st.sampled_from(["median", "mean"])),
        "deviation": draw(st.sampled_from(["mad", "std", "winsorized"])),
        "max_iterations": draw(st.sampled_from([1, 3])),
        "min_keep": draw(st.sampled_from([1, 3])),
        "quantum": draw(st.sampled_from([0.0, 1.0])),
        "k": draw(st.sampled_from([None, rng.uniform(1, 1.3, n + 1)])),
        "noise": noises(draw, rng, n),
    }
    if rule["clip"] == "minmax":
        rule["n_low"] = draw(st.integers(0, n - 1))
        rule["n_high"] = draw(st.integers(0, n - 1 - rule["n_low"]))
    if rule["clip"] == "noise" and rule["noise"] is None:
        rule["noise"] = Noise(100.0)
    if draw(st.booleans()):
        rule["scale"], rule["offset"] = rng.uniform(0.5, 2, n), rng.normal(0, 50, n)
    if draw(st.booleans()) and method == "mean":
        rule["weights"] = rng.uniform(0.5, 2, n)
    if draw(st.booleans()):
        rule["variance"] = rng.uniform(50, 150, shape).astype(draw(st.sampled_from([">f4", "f8"])))
    if draw(st.booleans()):
        some = rng.random(shape) < draw(st.sampled_from([0.02, 0.6, 1.0]))
        rule["flags"] = some * rng.integers(1, 256, shape).astype(np.uint8)
    return stack, rule


@given(stacks())
@settings(max_examples=200)
def test_equal_to_the_last_bit(case):
    stack, rule = case
    assert_same(stack, **rule)


@given(stacks(most=1000))
@settings(max_examples=15)
def test_many_frames_are_equal_to_the_last_bit(case):
    stack, rule = case
    assert_same(
        stack[..., :7],
        **{
            name: value[..., :7] if name in ("variance", "flags") else value
            for name, value in rule.items()
        },
    )


@pytest.mark.parametrize("clip", ["sigma", "noise"])
@pytest.mark.parametrize("n", [3, 10, 40])
def test_what_is_beyond_the_limits_of_some_frames_only_is_dropped_in_these(clip, n):
    rng = np.random.default_rng(n)
    quiet = np.arange(n) % 2 == 0
    stack = np.full((n, 2, 700), 1000, np.float32)
    values = rng.integers(0, n, (2, 700))
    np.put_along_axis(stack, values[None], np.float32(1010), axis=0)
    noise = Noise(np.where(quiet, 1.0, 100.0), 1e-6)
    one = assert_same(stack, clip=clip, noise=noise, quantum=1.0)
    np.testing.assert_array_equal(one.count, np.where(quiet[values], n - 1, n))


@pytest.mark.parametrize("n", [*range(1, 20), 31, 32, 33, 47, 48, 49, 63, 64, 65, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_median_of_any_number_of_frames_equals_numpy(n, dtype):
    stack = np.random.default_rng(n).normal(0, 100, (n, 2, 70)).astype(dtype)
    stack[:, 0] = np.round(stack[:, 0])
    one = assert_same(stack, method="median", noise=Noise(1.0))
    np.testing.assert_allclose(one.data, np.median(stack.astype(float), axis=0), rtol=1e-7)
    stack[0, 0, 3] = np.nan
    one = assert_same(stack, method="median", noise=Noise(1.0))
    if n > 1:
        np.testing.assert_allclose(one.data, np.nanmedian(stack.astype(float), axis=0), rtol=1e-7)


@pytest.mark.parametrize("clip", ["minmax", "sigma", "noise"])
@pytest.mark.parametrize("n", [12, 70])
def test_both_equal_an_oracle_in_double(clip, n):
    rng = np.random.default_rng(n)
    stack = rng.normal(1000, 10, (n, 20, 30)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.02] += 500
    noise = Noise(40.0, 0.06)
    wide = stack.astype(float)
    center = np.median(wide, axis=0)
    if clip == "minmax":
        order = np.argsort(np.argsort(wide, axis=0, kind="stable"), axis=0, kind="stable")
        kept = (order >= 2) & (order < n - 1)
    else:
        deviation = np.sqrt(noise.variance(center))
        if clip == "sigma":
            deviation = np.maximum(1.4826 * np.median(np.abs(wide - center), axis=0), deviation)
        kept = np.abs(wide - center) <= 3 * deviation
    mean = np.where(kept, wide, 0).sum(axis=0) / kept.sum(axis=0)
    for result in with_both(stack, clip=clip, n_low=2, n_high=1, noise=noise):
        np.testing.assert_array_equal(result.count, kept.sum(axis=0))
        np.testing.assert_allclose(result.data, mean, rtol=1e-6)
        np.testing.assert_allclose(
            result.variance, noise.variance(mean) / kept.sum(axis=0), rtol=1e-6
        )


def test_frames_of_a_list_are_combined_like_a_stack():
    rng = np.random.default_rng(1)
    stack = rng.normal(1000, 10, (11, 9, 70)).astype(np.float32)
    frames = [frame.astype(d) for frame, d in zip(stack, [">f4", "<f4", "f8"] * 4, strict=False)]
    flags = (rng.random(stack.shape) < 0.1).astype(np.uint8)
    listed = assert_same(frames, flags=list(flags), clip="noise", noise=Noise(90.0))
    for one, other in zip(
        listed, combine(stack, flags=flags, clip="noise", noise=Noise(90.0)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def whole_call(n=3):
    """Arguments of the compiled function that fit each other."""
    shape = (2, 5)
    return {
        "frames": [np.ones(shape, np.float32) for _ in range(n)],
        "variances": None,
        "flags": None,
        "numbers": [np.ones(n), np.zeros(n), np.ones(n + 1), None],
        "rule": [0, 3, 0, 0, 0, 0, 1, 1, 3.0, 3.0, 0.0, 3, 10, 32, False],
        "noise": [np.ones(n), 0.0, 0.0, None, None, None, True, True],
        "out": [np.empty(shape, dtype) for dtype in (np.float32, np.float32, np.uint16, np.uint8)],
    }


def call(arguments):
    compiled.module.combine(
        *(
            tuple(a) if name in ("numbers", "rule", "noise", "out") and a is not None else a
            for name, a in arguments.items()
        )
    )
    return arguments["out"][0]


def test_arguments_that_fit_are_taken():
    assert (call(whole_call()) == 1).all()


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("frames", 1, np.ones((2, 4), np.float32)),
        ("frames", 1, np.ones((2, 5), np.int32)),
        ("frames", 1, np.ones(5, np.float32)),
        ("variances", None, [np.ones((2, 5))] * 2),
        ("flags", None, [np.ones((2, 5))] * 3),
        ("numbers", 0, np.ones(2)),
        ("numbers", 1, np.ones(3, np.float32)),
        ("numbers", 2, np.ones(3)),
        ("numbers", 3, np.ones(4)),
        ("rule", 0, 3),
        ("rule", 1, 5),
        ("rule", 3, 3),
        ("rule", 4, -1),
        ("rule", 4, 3),
        ("rule", 6, 0),
        ("noise", None, None),
        ("noise", 0, np.ones(2)),
        ("noise", 3, np.ones(0)),
        ("noise", 3, np.ones(2)),
        ("out", 0, np.empty((2, 5))),
        ("out", 2, np.empty((2, 5), np.int16)),
        ("out", 3, np.empty((2, 6), np.uint8)),
        ("out", 3, None),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name, index, value):
    arguments = whole_call()
    if name == "noise" and index == 3:
        arguments["noise"][4:6] = [np.ones(1), np.ones(1)]
    if index is None:
        arguments[name] = value
    else:
        arguments[name][index] = value
    with pytest.raises(ValueError):  # noqa: PT011
        call(arguments)


def test_output_that_shares_memory_with_a_frame_is_refused():
    arguments = whole_call()
    arguments["out"][0] = arguments["frames"][2]
    with pytest.raises(ValueError, match="data: shares memory"):
        call(arguments)


@pytest.mark.parametrize("frames", [[], [3], (), None])
def test_frames_that_are_none_are_refused(frames):
    arguments = whole_call()
    arguments["frames"] = frames
    with pytest.raises((TypeError, ValueError)):
        call(arguments)


def test_flags_that_are_no_bytes_are_refused():
    with pytest.raises(TypeError, match="int64"):
        combine(np.ones((2, 3, 3)), flags=np.ones((2, 3, 3), int))

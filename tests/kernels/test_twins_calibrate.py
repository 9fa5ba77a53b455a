"""The compiled calibration gives what its numpy twin gives, to the last bit."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmp_astro.kernels import calibrate_numpy, compiled
from bmp_astro.kernels.calibrate import Bits, Calibrated, calibrate

pytestmark = pytest.mark.skipif(compiled.module is None, reason="no compiled kernels")

public = importlib.import_module("bmp_astro.kernels.calibrate")
RAW = ["u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<i8", ">i8", "<u8"]
RAW += [">u8", "<f2", "<f4", ">f4", "<f8", ">f8", "?"]
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 3e38, -3e38, 1e-44])


@pytest.fixture(autouse=True, scope="module")
def implementation():
    """Both implementations are called here: they are not chosen."""


def bits_of(plane):
    """The plane as integers, all NaN alike."""
    if plane is None or plane.dtype == np.uint8:
        return plane
    return np.where(np.isnan(plane), np.float32(np.nan), plane).view(np.uint32)


def with_both(raw, **terms):
    """Calibrate with each implementation; return the planes of both as bits."""
    results = []
    for chosen in (compiled.module, calibrate_numpy):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(public, "_calibrate", chosen.calibrate)
            results.append(calibrate(raw, **terms))
    return [[bits_of(plane) for plane in result] for result in results]


def strided(draw, array):
    """The same values in another order in memory: reversed, with gaps, or transposed."""
    how = draw(st.sampled_from(["plain", "gaps", "reversed", "transposed"]))
    if how == "gaps":
        wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]), array.dtype)
        wide[::2, ::3] = array
        return wide[::2, ::3]
    if how == "reversed":
        return array[::-1, ::-1].copy()[::-1, ::-1]
    return array.T.copy().T if how == "transposed" else array


@st.composite
def frames(draw):
    """A raw frame and terms of any kind, with values that are not finite among them."""
    shape = draw(st.integers(1, 9)), draw(st.sampled_from([1, 2, 7, 31, 513, 1030]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    special = draw(st.booleans())

    def plane(center, width, dtype="f4"):
        values = rng.normal(center, width, shape)
        if special:
            hit = rng.random(shape) < 0.05
            values[hit] = rng.choice(SPECIAL, hit.sum())
        with np.errstate(over="ignore"):
            return values.astype(dtype)

    def term(center, width, positive=False):
        kind = draw(st.sampled_from(["none", "number", "row", "column", "plane", "other"]))
        values = plane(
            center, width, draw(st.sampled_from([">f4", "f8"])) if kind == "other" else "f4"
        )
        values = np.abs(values) if positive else values
        cut = {"row": np.s_[:1], "column": np.s_[:, :1]}.get(kind, np.s_[:])
        if kind == "none":
            return None
        return float(values[0, 0]) if kind == "number" else strided(draw, values[cut])

    dtype = np.dtype(draw(st.sampled_from(RAW)))
    if dtype.kind == "f":
        raw = plane(3000, 2000, dtype)
    else:
        raw = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    if dtype.kind == "b":
        raw = rng.random(shape) < 0.5
    gain = term(1.5, 0.2)
    read_noise = None if gain is None else term(5, 1)
    terms = {
        "level": term(500, 20),
        "level_variance": term(0.3, 0.1, positive=True),
        "bias": term(300, 10),
        "dark": term(40, 20),
        "dark_scale": draw(st.sampled_from([0.0, 0.3, 0.5, 1.0, 7.1])),
        "masters_variance": term(3, 10),
        "linearity": draw(st.sampled_from([None, [1.1], [1.0, 1e-6, -3e-11]])),
        "gain": gain,
        "apply_gain": draw(st.booleans()),
        "read_noise": read_noise,
        "variance": term(100, 10, positive=True) if read_noise is None else None,
        "flat": term(1, 0.4),
        "flat_sigma": term(1e-2, 1e-3, positive=True),
        "saturation": term(5000, 2000),
        "flags": [
            strided(draw, rng.integers(0, 256, shape).astype(np.uint8))
            for _ in range(draw(st.integers(0, 3)))
        ],
        "bits": draw(st.sampled_from([None, Bits(2, 4, 32), Bits(0, 0, 1), Bits()])),
        "deviation": draw(st.booleans()),
    }
    if draw(st.booleans()):
        terms |= {"bscale": draw(st.sampled_from([1.0, 0.25, 1 / 3])), "bzero": 32768.0}
    return strided(draw, raw), terms


@given(frames())
def test_equal_to_the_last_bit(frame):
    raw, terms = frame
    compiled_planes, numpy_planes = with_both(raw, **terms)
    for name, one, other in zip(Calibrated._fields, compiled_planes, numpy_planes, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


def whole_call():
    """Arguments of the compiled function that fit each other."""
    shape, single = (3, 5), np.float32
    terms = dict.fromkeys(calibrate_numpy.Terms._fields)
    terms |= {"bias": np.ones(shape, single), "gain": np.ones((1, 1), single)}
    rules = dict(
        zip(
            calibrate_numpy.Rules._fields,
            (False, 1.0, 0.0, 1.0, None, 0.1, True, 1, 2, 4, True, False),
            strict=True,
        )
    )
    out = {"data": np.empty(shape, single), "variance": None, "flags": np.empty(shape, np.uint8)}
    return np.ones(shape, np.uint16), terms, rules, out, {}


def call(raw, terms, rules, out, flags):
    compiled.module.calibrate(
        raw,
        tuple(terms.values()),
        tuple(flags.values()),
        tuple(rules.values()),
        tuple(out.values()),
    )
    return out["data"]


def test_arguments_that_fit_are_taken():
    assert (call(*whole_call()) == 0).all()


shared = np.zeros((6, 5), np.float32)


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        (1, "bias", np.ones((3, 5)), "bias"),
        (1, "bias", np.ones((3, 5), ">f4"), "bias"),
        (1, "bias", np.ones((3, 4), np.float32), "bias"),
        (1, "bias", np.ones(5, np.float32), "bias"),
        (1, "bias", np.zeros(61, np.uint8)[1:].view(np.float32).reshape(3, 5), "bias"),
        (1, "bias", np.ones((3, 5), [("x", "f4")]), "bias"),
        (4, "flags", np.ones((3, 5), np.int8), "flags"),
        (4, "flags", np.ones((3, 4), np.uint8), "flags"),
        (1, "saturation", np.ones((3, 5)), "saturation"),
        (1, "gain", None, "absent"),
        (2, "linearity", np.ones(3), "linearity"),
        (2, "linearity", np.ones(6, np.float32)[::2], "linearity"),
        (3, "data", None, "data"),
        (3, "data", np.empty((3, 5)), "data"),
        (3, "data", np.empty((5, 3), np.float32).T, "data"),
        (3, "data", np.empty((3, 6), np.float32), "data"),
        (3, "data", np.lib.stride_tricks.as_strided(shared, (3, 5), (4, 4)), "data"),
        (3, "variance", np.empty((3, 5), np.float32), "absent"),
        (3, "flags", np.empty((3, 5), np.float32), "flags"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(part, name, value, message):
    arguments = whole_call()
    arguments[part][name] = value
    with pytest.raises(ValueError, match=message):
        call(*arguments)


@pytest.mark.parametrize("dtype", [np.complex64, "M8[s]", "S4", object])
def test_raw_values_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match="real numbers"):
        calibrate(np.zeros((2, 2), dtype))


def test_outputs_that_share_memory_are_refused():
    memory = np.zeros((4, 5), np.float32)
    raw, terms, rules, out, _ = whole_call()
    terms["bias"], out["data"] = memory[1:], memory[:3]
    with pytest.raises(ValueError, match="data: shares memory"):
        call(raw, terms, rules, out, {})
    given_out = Calibrated(memory[:3], None, None)
    with pytest.raises(ValueError, match="shares memory"):
        calibrate(raw, bias=memory[1:], out=given_out)


def test_read_only_output_is_refused():
    arguments = whole_call()
    arguments[3]["data"].setflags(write=False)
    with pytest.raises((BufferError, ValueError)):
        call(*arguments)


def test_other_python_objects_are_refused():
    raw, terms, rules, out, _ = whole_call()
    with pytest.raises(TypeError):
        call(3.0, terms, rules, out, {})
    with pytest.raises(ValueError, match="terms"):
        call(raw, {"bias": None}, rules, out, {})


def test_more_planes_of_flags_than_there_is_room_for_are_refused():
    raw, *others, _ = whole_call()
    with pytest.raises(ValueError, match="at most 8 planes"):
        call(raw, *others, dict.fromkeys(range(9), np.ones((3, 5), np.uint8)))

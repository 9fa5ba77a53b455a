"""The calibration kernel against the equation in float64, against truth, and against itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.kernels import masters_variance
from bmp_astro.kernels.calibrate import Bits, calibrate
from bmp_astro.kernels.calibrate_numpy import TILE_PIXELS

BITS = Bits(saturated=2, low_flat=4, no_data=32)
SHAPE = (40, 30)


def make_terms(seed=0, shape=SHAPE):
    """Return a raw frame and every term of the equation."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(900, 60000, shape).astype(np.uint16)
    terms = {
        "level": rng.normal(500, 1, (shape[0], 1)),
        "level_variance": 0.25,
        "bias": rng.normal(300, 3, shape).astype(np.float32),
        "dark": rng.normal(40, 10, shape).astype(np.float32),
        "dark_scale": 0.4,
        "masters_variance": rng.uniform(1, 4, shape).astype(np.float32),
        "gain": 1.7,
        "read_noise": 8.0,
        "flat": rng.normal(1, 0.05, shape).astype(np.float32),
        "flat_sigma": rng.uniform(1e-3, 1e-2, shape).astype(np.float32),
        "saturation": 55000,
        "bits": BITS,
    }
    return raw, terms


def oracle(raw, t):
    """Return data and variance by the equation, in float64."""
    s, g = t["dark_scale"], t["gain"]
    signal = raw.astype(float) - t["level"] - t["bias"]
    variance = np.maximum(signal, 0) / g + (t["read_noise"] / g) ** 2 + t["level_variance"]
    variance += t["masters_variance"].astype(float)
    flat, flat_var = t["flat"].astype(float), t["flat_sigma"].astype(float) ** 2
    x = g * (signal - s * t["dark"].astype(float)) / flat
    return x, (g**2 * variance + x**2 * flat_var) / flat**2


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 2.5])
def test_whole_equation(scale):
    raw, terms = make_terms()
    terms |= {"dark_scale": scale}
    data, variance, flags = calibrate(raw, **terms)
    want, want_variance = oracle(raw, terms)
    largest = raw * 1.7 / terms["flat"]
    assert data.dtype == variance.dtype == np.float32
    assert np.all(np.abs(data - want) <= 1e-6 * largest)
    np.testing.assert_allclose(variance, want_variance, rtol=2e-6)
    np.testing.assert_array_equal(flags, np.where(raw >= 55000, 2, 0))


def test_deviation_is_the_root_of_the_variance():
    raw, terms = make_terms()
    raw[3, 4], terms["dark"][5, 6] = 65535, np.inf
    plain, rooted = calibrate(raw, **terms), calibrate(raw, **terms, deviation=True)
    np.testing.assert_array_equal(rooted.variance, np.sqrt(plain.variance))
    for one, other in zip(plain[::2], rooted[::2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert calibrate(raw, deviation=True).variance is None


def test_absent_terms_leave_the_frame_as_it_is():
    raw, _ = make_terms()
    data, variance, flags = calibrate(raw)
    np.testing.assert_array_equal(data, raw)
    assert data.dtype == np.float32
    assert variance is None
    assert flags is None


def test_given_variance_is_propagated():
    raw, terms = make_terms()
    known = np.full(SHAPE, 100.0)
    added = terms["masters_variance"]
    got = calibrate(raw, variance=known, bias=terms["bias"], masters_variance=added)
    np.testing.assert_allclose(got.variance, 100 + added, rtol=1e-6)
    less = calibrate(raw, variance=known, masters_variance=-101 * np.sign(added))
    np.testing.assert_array_equal(less.variance, 0)


def test_gain_for_the_noise_only():
    raw, terms = make_terms()
    got = calibrate(raw, bias=terms["bias"], gain=2.0, read_noise=6.0, apply_gain=False)
    signal = raw - terms["bias"].astype(float)
    np.testing.assert_allclose(got.data, signal, rtol=1e-6)
    np.testing.assert_allclose(got.variance, np.maximum(signal, 0) / 2 + 9, rtol=1e-6)


def test_negative_signal_has_read_noise_only():
    got = calibrate(np.array([[90.0]]), bias=100.0, gain=2.0, read_noise=6.0)
    assert got.variance[0, 0] == 36


def test_low_flat_divides_by_one_and_is_flagged():
    flat = np.array([[1.0, 0.0999, 0.1, np.nan, -1.0]])
    got = calibrate(np.full((1, 5), 10.0), variance=4.0, flat=flat, flat_sigma=flat, bits=BITS)
    np.testing.assert_allclose(got.data, [[10, 10, 100, 10, 10]], rtol=1e-6)
    np.testing.assert_array_equal(got.flags, [[0, 4, 0, 4, 4]])
    np.testing.assert_allclose(got.variance[0, [1, 3, 4]], 4)
    np.testing.assert_allclose(got.variance[0, 0], 4 + 100)


def test_saturation_is_of_the_raw_value_not_of_the_calibrated_one():
    raw = np.array([[60000, 59999, 60001]], dtype=np.uint16)
    got = calibrate(raw, bias=1000.0, gain=0.5, saturation=60000, bits=BITS)
    np.testing.assert_array_equal(got.flags, [[2, 0, 2]])


def test_saturation_of_wide_integers_is_exact():
    raw = np.array([[2**31 - 2, 2**31 - 1]], dtype=np.uint32)
    got = calibrate(raw, saturation=2**31 - 1, bits=BITS)
    np.testing.assert_array_equal(got.flags, [[0, 2]])


def test_not_finite_becomes_zero_with_a_bit():
    raw = np.array([[1.0, np.nan, np.inf, 5.0]])
    bias = np.array([[0.0, 0.0, 0.0, np.nan]])
    got = calibrate(raw, bias=bias, gain=1.0, read_noise=1.0, bits=BITS)
    np.testing.assert_array_equal(got.flags, [[0, 32, 32, 32]])
    np.testing.assert_array_equal(got.data, [[1, 0, 0, 0]])
    np.testing.assert_array_equal(got.variance, [[2, 0, 0, 0]])


def test_not_finite_stays_without_a_bit_for_it():
    got = calibrate(np.array([[np.nan, 1.0]]), bias=1.0)
    np.testing.assert_array_equal(got.data, [[np.nan, 0.0]])


def test_flags_are_kept_and_joined():
    flags = np.array([[1, 64, 0]], dtype=np.uint8)
    raw = np.array([[9, 5, 9]], dtype=np.uint16)
    got = calibrate(raw, flags=flags, saturation=9, bits=BITS)
    np.testing.assert_array_equal(got.flags, [[3, 64, 2]])
    np.testing.assert_array_equal(flags, [[1, 64, 0]])


def test_several_planes_of_flags_are_joined():
    planes = [np.array([[1, 64, 0]], np.uint8), np.array([[1, 0, 8]], np.uint8)]
    empty = np.broadcast_to(np.uint8(0), (1, 3))
    got = calibrate(np.full((1, 3), 9), flags=[planes[0], empty, planes[1]])
    np.testing.assert_array_equal(got.flags, [[1, 64, 8]])
    full = np.broadcast_to(np.uint8(128), (1, 3))
    np.testing.assert_array_equal(calibrate(np.full((1, 3), 9), flags=full).flags, full)
    with pytest.raises(ValueError, match=r"flags have shape \(1, 2\)"):
        calibrate(np.full((1, 3), 9), flags=[planes[0], planes[1][:, 1:]])


def test_linearity_acts_between_bias_and_dark():
    got = calibrate(np.array([[1100.0]]), bias=100.0, linearity=(1.0, 1e-4, 1e-8), dark=5.0)
    np.testing.assert_allclose(got.data, 1000 * (1 + 0.1 + 0.01) - 5, rtol=1e-6)


def test_inputs_are_never_changed():
    raw, terms = make_terms()
    flags = np.ones(SHAPE, np.uint8)
    inputs = {k: v for k, v in terms.items() if isinstance(v, np.ndarray)}
    inputs |= {"raw": raw, "flags": flags}
    before = {k: v.copy() for k, v in inputs.items()}
    for array in inputs.values():
        array.setflags(write=False)
    calibrate(raw, flags=flags, **terms)
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8"])
def test_byte_order_and_precision_of_the_masters_do_not_matter(dtype):
    raw, terms = make_terms()
    other = {
        k: v.astype(dtype) if isinstance(v, np.ndarray) and v.shape == SHAPE else v
        for k, v in terms.items()
    }
    for got, want in zip(calibrate(raw, **other), calibrate(raw, **terms), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [">u2", "<u4", ">i4", "<f4", ">f4", ">f8"])
def test_dtype_of_the_raw_does_not_matter(dtype):
    raw, terms = make_terms()
    for got, want in zip(
        calibrate(raw.astype(dtype), **terms), calibrate(raw, **terms), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@settings(max_examples=30, deadline=None)
@given(
    ny=st.integers(1, 60),
    nx=st.integers(1, 8),
    cut=st.integers(0, 60),
    axis=st.sampled_from([0, 1]),
    seed=st.integers(0, 10),
)
def test_bands_equal_the_whole(ny, nx, cut, axis, seed):
    raw, terms = make_terms(seed, (ny, nx))
    if axis == 0:
        terms["level"] = np.linspace(400, 500, nx)[None, :]
    whole = calibrate(raw, **terms)

    def band(rows):
        part = {
            k: v[rows] if isinstance(v, np.ndarray) and len(v) == ny and v.shape != (1, nx) else v
            for k, v in terms.items()
        }
        return calibrate(raw[rows], **part)

    bands = [band(rows) for rows in (slice(0, cut), slice(cut, None))]
    for plane in range(3):
        joined = np.concatenate([b[plane] for b in bands])
        np.testing.assert_array_equal(joined, whole[plane])


def test_tiles_equal_one_pixel_at_a_time():
    raw, terms = make_terms(3, (3, TILE_PIXELS // 2 + 7))  # one row in a tile, and more than one
    whole = calibrate(raw, **terms)
    last = {
        k: v[-1:, -1:] if isinstance(v, np.ndarray) and v.ndim == 2 else v for k, v in terms.items()
    }
    one = calibrate(raw[-1:, -1:], **last)
    for plane in range(3):
        assert whole[plane][-1, -1] == one[plane][0, 0]


def test_a_view_with_strides_is_calibrated_like_its_copy():
    raw, terms = make_terms(1, (80, 60))
    terms = {k: v[::2, ::2] if np.ndim(v) == 2 and v.shape[1] > 1 else v for k, v in terms.items()}
    terms["level"] = terms["level"][::2]
    for got, want in zip(
        calibrate(raw[::2, ::2], **terms), calibrate(raw[::2, ::2].copy(), **terms), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["bias", "dark", "flat", "level", "variance"])
def test_shape_that_does_not_fit_is_named(name):
    with pytest.raises(ValueError, match=rf"{name} has shape \(20, 30\).*\(10, 10\)"):
        calibrate(np.zeros((10, 10)), **{name: np.ones((20, 30))})


def test_flags_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"flags have shape \(1, 10\)"):
        calibrate(np.zeros((10, 10)), flags=np.zeros((1, 10), np.uint8))


@pytest.mark.parametrize("extra", [{}, {"gain": 1.0, "variance": 2.0}])
def test_contradicting_noise_terms_are_refused(extra):
    with pytest.raises(ValueError, match="read_noise"):
        calibrate(np.zeros((2, 2)), read_noise=3.0, **extra)


@pytest.mark.parametrize(("n_bias", "n_dark"), [(10, 10), (5, 5)])
def test_pulls_with_a_shared_bias_are_of_width_one(n_bias, n_dark):
    """Sigma, taken on the noiseless expectation, against the scatter of the error itself."""
    rng = np.random.default_rng(42)
    shape, gain, noise, sky, dark_rate = (400, 400), 1.6, 6.0, 60.0, 20.0

    def exposure(electrons):
        return rng.poisson(electrons, shape) / gain + rng.normal(0, noise / gain, shape) + 1000

    bias = np.mean([exposure(0) for _ in range(n_bias)], axis=0)
    dark = np.mean([exposure(dark_rate) for _ in range(n_dark)], axis=0) - bias
    bias_variance = (noise / gain) ** 2 / n_bias
    dark_variance = (dark_rate + noise**2) / gain**2 / n_dark + bias_variance
    sigmas = (np.full(shape, variance**0.5) for variance in (bias_variance, dark_variance))
    added = masters_variance(*sigmas, shared_bias=True)
    terms = {"masters_variance": added, "gain": gain, "read_noise": noise}
    got = calibrate(exposure(sky + dark_rate), bias=bias, dark=dark, **terms)
    expected = np.full(shape, 1000 + (sky + dark_rate) / gain)
    sigma2 = calibrate(expected, bias=1000.0, dark=dark_rate / gain, **terms).variance
    pull = (got.data - sky) / np.sqrt(sigma2)
    assert np.std(pull) == pytest.approx(1, abs=0.01)


def test_a_cube_is_refused():
    with pytest.raises(ValueError, match="two axes"):
        calibrate(np.zeros((3, 10, 10)))

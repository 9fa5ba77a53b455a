"""The combine kernel against float64 oracles, published rules and algebra."""

import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.stats import mad_std
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bmp_astro.kernels import Combined, Noise, combine, pooled_noise
from bmp_astro.kernels.ordering import comparators, sort_planes

STACK = np.ones((3, 2, 3), np.float32)


def gaussian(n, ny=200, nx=250, level=1000.0, sigma=10.0, seed=3):
    return np.random.default_rng(seed).normal(level, sigma, (n, ny, nx))


def clipped_oracle(stack, low, high, center=np.median, deviation=None):
    """Mean and count of the values within the limits, one pass, in float64."""
    middle = center(stack, axis=0)
    width = deviation(stack)
    kept = (stack >= middle - low * width) & (stack <= middle + high * width)
    return np.where(kept, stack, 0).sum(axis=0) / kept.sum(axis=0), kept.sum(axis=0)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 70])
def test_sorting_network_sorts(n):
    stack = np.random.default_rng(n).integers(0, 9, (n, 400)).astype(np.float32)
    np.testing.assert_array_equal(np.array(sort_planes(stack.copy())), np.sort(stack, axis=0))
    wanted = (n // 2,)
    np.testing.assert_array_equal(
        sort_planes(stack.copy(), wanted)[wanted[0]], np.sort(stack, axis=0)[wanted[0]]
    )


def test_comparators_are_pruned():
    assert len(comparators(10, (4, 5))) < len(comparators(10))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int32, ">f4"])
@pytest.mark.parametrize("method", ["mean", "median", "sum"])
@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_plain_methods_equal_numpy(method, n, dtype):
    stack = gaussian(n, 23, 17).astype(dtype)
    combined = combine(stack, method=method)
    expected = getattr(np, method)(stack.astype(float), axis=0)
    np.testing.assert_allclose(combined.data, expected, rtol=2e-7)
    assert combined.data.dtype == np.float32
    assert (combined.count == n).all()
    assert not combined.flags.any()


def test_limits_given_as_numpy_numbers_do_not_widen_the_arithmetic():
    """The limit is beyond single precision, so that nothing is."""
    stack = np.float32([1e-44, 3e38, 3e38, -3e38, -3e38, -3e38]).reshape(6, 1, 1)
    for sigma_high in (1.5, np.float64(1.5)):
        limits = {"sigma_low": 0.0, "sigma_high": sigma_high}
        combined = combine(stack, clip="sigma", deviation="std", noise=None, **limits)
        assert combined.count.item() == 3


@pytest.mark.parametrize("n", [5, 10, 30])
def test_standard_deviation_clip_equals_oracle(n):
    stack = gaussian(n)
    stack[0, ::7] += 400
    combined = combine(
        stack, clip="sigma", deviation="std", sigma_low=1.5, sigma_high=1.7, center="mean"
    )
    data, count = clipped_oracle(
        stack, 1.5, 1.7, np.mean, lambda values: values.std(axis=0, ddof=1)
    )
    np.testing.assert_allclose(combined.data, data, rtol=1e-6)
    np.testing.assert_array_equal(combined.count, count)


def test_mad_clip_equals_ccdproc_where_the_guard_is_low():
    stack = gaussian(12, 40, 50)
    stack[3, 5:9] += 300
    combined = combine(stack, clip="sigma", noise=Noise(floor=1e-12))
    reference = ccdproc.Combiner([CCDData(plane, unit="adu") for plane in stack])
    reference.sigma_clipping(
        low_thresh=3 / 1.4826 / 0.6744897501960817,
        high_thresh=3 / 1.4826 / 0.6744897501960817,
        func=np.ma.median,
        dev_func=lambda values, axis: (
            mad_std(values, axis=axis) * (1.4826 * 0.6744897501960817) ** 2
        ),
    )
    np.testing.assert_allclose(combined.data, reference.average_combine().data, rtol=1e-6)


def test_minmax_equals_ccdproc():
    stack = gaussian(9, 40, 50)
    combined = combine(stack, clip="minmax", n_low=1, n_high=2)
    reference = ccdproc.Combiner([CCDData(plane, unit="adu") for plane in stack])
    reference.clip_extrema(nlow=1, nhigh=2)
    np.testing.assert_allclose(combined.data, reference.average_combine().data, rtol=1e-6)
    assert (combined.count == 6).all()


def test_minmax_of_equal_values_drops_exactly_that_many():
    assert (combine(np.full((6, 2, 2), 5), clip="minmax", n_low=2, n_high=1).count == 3).all()


def test_minmax_drops_fewer_where_values_are_missing():
    # IRAF: 2 of 8 are a quarter; a quarter of 4 is 1, of 3 rounds down to 0.
    stack = np.arange(8.0).reshape(8, 1, 1) * np.ones((1, 1, 3))
    stack[4:, 0, 1] = np.nan
    stack[3:, 0, 2] = np.nan
    combined = combine(stack, clip="minmax", n_high=2)
    assert combined.count.tolist() == [[6, 3, 3]]
    assert combined.data.tolist() == [[2.5, 1.0, 1.0]]


def test_minmax_follows_irafs_rule():
    """The numbers are a fraction of the frames, applied to the values present, rounded down."""
    n, n_low, n_high = 11, 2, 3
    stack = gaussian(n, 12, 15)
    stack[np.random.default_rng(4).random(stack.shape) < 0.3] = np.nan
    combined = combine(stack, clip="minmax", n_low=n_low, n_high=n_high)
    for y, x in np.ndindex(stack.shape[1:]):
        values = sorted(value for value in stack[:, y, x] if np.isfinite(value))
        low, high = (int(len(values) * number / n + 0.001) for number in (n_low, n_high))
        kept = values[low : len(values) - high]
        assert combined.count[y, x] == len(kept)
        assert combined.data[y, x] == pytest.approx(np.mean(kept), rel=1e-6)


def iraf_ccdclip(values, scale, gain, read_noise, fraction, limit):
    """What the help of IRAF's imcombine says of ccdclip with mclip, for the values of a pixel."""
    kept = list(zip(values, scale, strict=True))
    while len(kept) >= 3:
        middle = np.median([value for value, _ in kept])
        inside = []
        for value, factor in kept:
            level = max(middle / factor, 0)
            sigma = factor * np.sqrt(
                (read_noise / gain) ** 2 + level / gain + (fraction * level) ** 2
            )
            if abs(value - middle) <= limit * sigma:
                inside.append((value, factor))
        if len(inside) == len(kept):
            break
        kept = inside
    return [value for value, _ in kept]


@pytest.mark.parametrize(("n", "fraction"), [(3, 0.0), (8, 0.0), (9, 0.02)])
def test_noise_clip_follows_irafs_ccdclip(n, fraction):
    gain, read_noise, limit = 1.6, 7.0, 2.0
    rng = np.random.default_rng(n)
    scale = rng.uniform(0.7, 1.4, n)
    raw = (600 + rng.normal(0, 25, (n, 12, 15))) / scale[:, None, None]
    raw[rng.random(raw.shape) < 0.05] += 400
    combined = combine(
        raw,
        clip="noise",
        scale=scale,
        sigma_low=limit,
        sigma_high=limit,
        max_iterations=n,
        noise=Noise((read_noise / gain) ** 2, 1 / gain, fraction),
    )
    scaled = raw * scale[:, None, None]
    compared = 0
    for y, x in np.ndindex(raw.shape[1:]):
        kept = iraf_ccdclip(scaled[:, y, x], scale, gain, read_noise, fraction, limit)
        if kept:  # else IRAF keeps the one nearest to the median
            compared += len(kept) < n
            assert combined.count[y, x] == len(kept)
            assert combined.data[y, x] == pytest.approx(np.mean(kept), rel=1e-6)
    assert compared > 30


def test_percentile_clip_is_a_fraction_of_the_center():
    stack = np.array([70.0, 81, 79, 100, 100, 109, 111]).reshape(7, 1, 1) * [[[1.0, 0.01, -1.0]]]
    combined = combine(stack, clip="percentile")
    assert combined.count.tolist() == [[4, 4, 7]]  # a negative level has no such fractions
    assert combined.data[0] == pytest.approx([97.5, 0.975, -stack[:, 0, 0].mean()])


def winsorized_deviation(values):
    """The deviation of a list of numbers, far ones drawn in."""
    middle, sigma = np.median(values), np.std(values, ddof=1)
    for _ in range(20):
        drawn_in = np.clip(values, middle - 1.5 * sigma, middle + 1.5 * sigma)
        before, sigma = sigma, 1.134 * np.std(drawn_in, ddof=1)
        if abs(sigma - before) <= 5e-4 * before:
            return before
    return sigma


@pytest.mark.parametrize("n", [10, 25])
def test_winsorized_clip_equals_oracle(n):
    stack = gaussian(n, 12, 15)
    stack[1, ::3] += 200
    stack[2, ::6, ::2] -= 90
    rule = {"clip": "sigma", "deviation": "winsorized", "sigma_low": 2.5}
    combined = combine(stack, noise=Noise(1e-12), **rule)
    for y, x in np.ndindex(stack.shape[1:]):
        values = stack[:, y, x].astype(np.float32).astype(float)
        sigma, middle = winsorized_deviation(values), np.median(values)
        kept = values[(values >= middle - 2.5 * sigma) & (values <= middle + 3 * sigma)]
        assert combined.count[y, x] == len(kept)
        assert combined.data[y, x] == pytest.approx(kept.mean(), rel=1e-6)


def test_winsorized_deviation_finds_what_the_standard_deviation_hides():
    stack = gaussian(10, 20, 20)
    stack[0] += 500  # of ten values, none is 3 standard deviations away from their mean
    rule = {"clip": "sigma", "noise": Noise(1e-12)}
    hidden = combine(stack, deviation="std", center="mean", **rule)
    assert hidden.data.mean() == pytest.approx(1050, abs=2)
    found = combine(stack, deviation="winsorized", **rule)
    assert found.data.mean() == pytest.approx(1000, abs=2)


def test_noise_clip_follows_each_frames_scale():
    scale = np.array([1.0, 0.5, 2.0, 1.0, 4.0, 1.0])
    gain, read_noise, fraction = 2.0, 8.0, 0.01
    rng = np.random.default_rng(8)
    raw = 500.0 / scale[:, None, None] + rng.normal(0, 40, (6, 30, 40))
    combined = combine(
        raw,
        clip="noise",
        scale=scale,
        sigma_low=2,
        sigma_high=2,
        noise=Noise((read_noise / gain) ** 2, 1 / gain, fraction),
    )
    scaled = raw * scale[:, None, None]
    middle = np.median(scaled, axis=0)
    level = middle / scale[:, None, None]
    sigma = scale[:, None, None] * np.sqrt(
        (read_noise / gain) ** 2 + np.maximum(level, 0) / gain + (fraction * level) ** 2
    )
    kept = np.abs(scaled - middle) <= 2 * sigma
    some = kept.any(axis=0)
    np.testing.assert_array_equal(combined.count, kept.sum(axis=0))
    np.testing.assert_allclose(
        combined.data[some],
        (np.where(kept, scaled, 0).sum(0) / np.maximum(kept.sum(0), 1))[some],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("rule", "n", "percent"),
    [
        ({"clip": "noise"}, 5, 0.45),
        ({"clip": "noise"}, 10, 0.35),
        ({"clip": "noise"}, 30, 0.30),
        ({"clip": "sigma", "noise": Noise(1e-12)}, 10, 2.8),
        ({"clip": "sigma", "noise": Noise(1e-12)}, 30, 1.0),
        ({"clip": "sigma", "deviation": "winsorized", "noise": Noise(1e-12)}, 10, 0.9),
        ({"clip": "sigma", "deviation": "winsorized", "noise": Noise(1e-12)}, 30, 0.47),
        ({"clip": "percentile", "percentile_low": 0.03, "percentile_high": 0.03}, 5, 0.45),
        ({"clip": "percentile", "percentile_low": 0.03, "percentile_high": 0.03}, 10, 0.35),
        ({"clip": "percentile", "percentile_low": 0.03, "percentile_high": 0.03}, 30, 0.30),
        ({"clip": "sigma", "deviation": "std"}, 5, 0.0),
        ({"clip": "sigma", "deviation": "std"}, 10, 0.0),
        ({"clip": "sigma", "deviation": "std"}, 30, 0.16),
    ],
)
def test_false_rejection_at_three_sigma(rule, n, percent):
    combined = combine(gaussian(n, 400, 500), **{"noise": Noise(100.0), **rule})
    rejected = 100 * (1 - combined.count.mean() / n)
    assert rejected == pytest.approx(percent, abs=max(0.03 * percent, 0.006))


@pytest.mark.parametrize(
    ("rule", "n", "k"),
    [
        *(({}, n, 1.0) for n in (5, 10, 30)),
        ({"method": "median"}, 5, 1.199),
        ({"method": "median"}, 10, 1.177),
        ({"method": "median"}, 30, 1.224),
        ({"clip": "minmax", "n_low": 1, "n_high": 1}, 5, 1.065),
        ({"clip": "minmax", "n_low": 1, "n_high": 1}, 10, 1.024),
        ({"clip": "minmax", "n_low": 1, "n_high": 1}, 30, 1.007),
        ({"clip": "noise"}, 5, 1.029),
        ({"clip": "noise"}, 10, 1.020),
        ({"clip": "noise"}, 30, 1.015),
        ({"clip": "sigma", "noise": Noise(1e-12)}, 10, 1.069),
        ({"clip": "sigma", "noise": Noise(1e-12)}, 30, 1.035),
        ({"clip": "sigma", "deviation": "winsorized", "noise": Noise(1e-12)}, 10, 1.027),
        ({"clip": "sigma", "deviation": "winsorized", "noise": Noise(1e-12)}, 30, 1.019),
    ],
)
def test_efficiency_of_each_method(rule, n, k):
    combined = combine(gaussian(n, 400, 500), **{"noise": Noise(100.0), **rule})
    # 200,000 pixels: the scatter of a standard deviation is 0.16 %
    assert combined.data.std() / 10 * np.sqrt(n) == pytest.approx(k, abs=0.006)


def test_mad_of_quantized_values_rejects_nothing_that_noise_explains():
    stack = np.round(gaussian(12, 200, 200, sigma=0.5)).astype(np.uint16)
    kept = combine(stack, clip="sigma", quantum=1.0).count.mean() / 12
    assert kept > 0.995


def test_no_clipping_below_three_values():
    stack = np.array([[[0.0]], [[1000.0]]])
    for clip in ("sigma", "noise"):
        combined = combine(stack, clip=clip, noise=Noise(1.0))
        assert combined.data[0, 0] == 500
        assert combined.count[0, 0] == 2


def test_few_frames_use_the_pooled_noise():
    stack = gaussian(5)
    stack[1, 50:100, 60] += 200
    combined = combine(stack, clip="sigma", sigma_low=5, sigma_high=5)
    assert (combined.count[50:100, 60] == 4).all()
    assert combined.count.mean() > 4.99


def test_iterations_continue_until_nothing_is_rejected():
    # By hand: 0..9 and 40 have a standard deviation of 11.1, and after 40 is gone of 3.03;
    # 1.3 of those about the medians 5 and 4.5 leave 1..8, then 2..7.
    stack = np.array([*range(10), 40.0]).reshape(11, 1, 1)
    rule = {"clip": "sigma", "deviation": "std", "sigma_low": 1.3, "sigma_high": 1.3}
    counts = [combine(stack, max_iterations=m, **rule).count[0, 0] for m in (1, 2, 3)]
    assert counts == [10, 8, 6]


def test_pixel_rejected_everywhere_is_the_flagged_median():
    stack = np.array([0.0, 0.0, 100.0, 100.0]).reshape(4, 1, 1)
    combined = combine(stack, clip="noise", noise=Noise(1.0), lost_bit=64)
    assert (combined.data[0, 0], combined.count[0, 0], combined.flags[0, 0]) == (50, 0, 64)


def test_min_keep_gives_the_median_of_all():
    stack = np.array([1.0, 1.0, 2.0, 500.0, 900.0]).reshape(5, 1, 1)
    rule = {"clip": "noise", "noise": Noise(1.0)}
    assert combine(stack, min_keep=3, **rule).data[0, 0] == pytest.approx(4 / 3)
    lost = combine(stack, min_keep=4, **rule)
    assert (lost.data[0, 0], lost.count[0, 0], lost.flags[0, 0]) == (2, 3, 32)


def test_flagged_and_missing_values_do_not_count():
    stack = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.inf], [900.0, 7.0, np.nan]])[:, None]
    flags = np.zeros(stack.shape, np.uint8)
    flags[2, 0, 0] = 2
    combined = combine(stack, flags=flags)
    assert combined.data.tolist() == [[2, 6, 0]]
    assert combined.count.tolist() == [[2, 2, 0]]
    assert combined.flags.tolist() == [[0, 0, 32]]
    assert np.isfinite(combined.variance).all()


def test_pixel_flagged_everywhere_keeps_its_median_and_bits():
    stack = np.array([1.0, 2.0, 30.0]).reshape(3, 1, 1)
    flags = np.array([1, 2, 2], np.uint8).reshape(3, 1, 1)
    combined = combine(stack, flags=flags)
    assert (combined.data[0, 0], combined.flags[0, 0]) == (2, 32 | 1 | 2)


def test_more_frames_than_a_byte_counts():
    assert combine(np.ones((300, 2, 2), np.float32)).count.tolist() == [[300, 300]] * 2


def test_weights_are_a_weighted_mean_with_its_variance():
    stack, weights = gaussian(4, 10, 12), np.array([1.0, 2, 3, 4])
    variance = np.random.default_rng(5).uniform(1, 9, stack.shape)
    combined = combine(stack, weights=weights, variance=variance)
    np.testing.assert_allclose(combined.data, np.average(stack, axis=0, weights=weights), 1e-6)
    expected = (weights[:, None, None] ** 2 * variance).sum(0) / weights.sum() ** 2
    np.testing.assert_allclose(combined.variance, expected, rtol=1e-6)


def test_variance_of_a_sum_adds_up():
    stack = gaussian(6, 10, 12)
    variance = np.full(stack.shape, 3.0)
    np.testing.assert_allclose(
        combine(stack, method="sum", variance=variance).variance, 18, rtol=1e-6
    )
    np.testing.assert_allclose(
        combine(stack, method="sum", noise=Noise(3.0)).variance, 18, rtol=1e-6
    )


def test_variance_of_values_that_do_not_count_is_not_looked_at():
    stack = np.array([1.0, 3.0, np.nan]).reshape(3, 1, 1)
    combined = combine(stack, variance=np.array([2.0, 2.0, np.nan]).reshape(3, 1, 1))
    assert combined.variance[0, 0] == 1


def test_pooled_scatter_is_found_by_level():
    rng = np.random.default_rng(11)
    level = np.where(np.arange(100)[:, None] < 50, 100.0, 5000.0) * np.ones((1, 200))
    sigma = np.where(level < 1000, 2.0, 30.0)
    stack = level + sigma * rng.normal(size=(5, 100, 200))
    stack[2, ::9, ::11] += 20000
    noise = pooled_noise(stack.reshape(5, -1))
    np.testing.assert_allclose(np.sqrt(noise.variance([100.0, 5000.0])), [2, 30], rtol=0.03)


def test_standard_error_from_scatter_gives_pulls_of_unit_width():
    stack = gaussian(5, 300, 300, sigma=4)
    combined = combine(stack)
    pulls = (combined.data - 1000) / np.sqrt(combined.variance)
    assert pulls.std() == pytest.approx(1, abs=0.01)


def test_single_frame_without_noise_has_no_variance():
    assert combine(np.ones((1, 3, 3))).variance is None


def test_rows_combined_apart_equal_the_whole():
    stack = gaussian(11, 64, 900).astype(np.float32)
    stack[4, 10:30, 100:200] = np.nan
    settings = {
        "clip": "sigma",
        "noise": Noise(90.0, 0.01),
        "scale": np.linspace(0.9, 1.1, 11),
        "weights": np.arange(1.0, 12.0),
    }
    whole = combine(stack, **settings)
    parts = [combine(stack[:, rows], **settings) for rows in (np.s_[:7], np.s_[7:41], np.s_[41:])]
    for index, plane in enumerate(whole):
        np.testing.assert_array_equal(plane, np.concatenate([part[index] for part in parts]))


def test_given_arrays_are_filled():
    stack = gaussian(6, 20, 30).astype(np.float32)
    settings = {"clip": "noise", "noise": Noise(100.0)}
    expected = combine(stack, **settings)
    whole = Combined(*(np.zeros((40, 30), plane.dtype) for plane in expected))
    rows = Combined(*(plane[7:27] for plane in whole))
    result = combine(stack, out=rows, **settings)
    for mine, filled, alone in zip(whole, result, expected, strict=True):
        assert np.shares_memory(mine, filled)
        np.testing.assert_array_equal(mine[7:27], alone)
        assert not mine[:7].any()
        assert not mine[27:].any()
    without = rows._replace(variance=None)
    assert combine(stack, out=without, **settings).variance is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": np.zeros((2, 3), np.int32)}, "out.count"),
        ({"data": np.zeros((3, 2), np.float32)}, "out.data"),
        ({"flags": None}, "out.flags"),
        ({"data": STACK[0]}, "shares memory"),
    ],
)
def test_arrays_that_cannot_be_filled_are_refused(changed, message):
    out = combine(STACK, noise=Noise(1.0))._replace(**changed)
    with pytest.raises(ValueError, match=message):
        combine(STACK, noise=Noise(1.0), out=out)


values = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(2), st.just(3)),
    elements=st.floats(-1e4, 1e4, width=32) | st.just(np.nan),
)
rules = st.sampled_from(
    [
        {},
        {"method": "median"},
        {"clip": "minmax", "n_high": 0},
        {"clip": "noise", "sigma_low": 2.0},
        {"clip": "sigma", "max_iterations": 3},
        {"clip": "sigma", "deviation": "std"},
        {"clip": "sigma", "deviation": "winsorized"},
        {"clip": "percentile"},
    ]
)


@given(values, rules, st.randoms(use_true_random=False))
def test_order_of_frames_does_not_matter(stack, rule, random):
    order = list(range(len(stack)))
    random.shuffle(order)
    one = combine(stack, noise=Noise(25.0), **rule)
    other = combine(stack[order], noise=Noise(25.0), **rule)
    np.testing.assert_allclose(one.data, other.data, rtol=1e-6, atol=1e-3)
    if rule.get("deviation") != "std":
        np.testing.assert_array_equal(one.count, other.count)


@given(values, rules)
def test_result_lies_within_the_values_and_is_finite(stack, rule):
    combined = combine(stack, noise=Noise(25.0), **rule)
    seen = np.isfinite(stack).any(axis=0)
    assert np.isfinite(combined.data).all()
    low = np.where(np.isfinite(stack), stack, np.inf).min(axis=0)[seen]
    high = np.where(np.isfinite(stack), stack, -np.inf).max(axis=0)[seen]
    slack = 1e-6 * np.abs(stack[np.isfinite(stack)]).max(initial=0)
    assert (combined.data[seen] >= low - slack).all()
    assert (combined.data[seen] <= high + slack).all()
    np.testing.assert_array_equal(combined.flags[~seen], 32)
    assert (combined.count <= np.isfinite(stack).sum(axis=0)).all()


@given(values, rules, st.sampled_from([0.5, 2.0, 4.0]))
def test_scaling_the_frames_scales_the_result(stack, rule, factor):
    plain = combine(stack, noise=Noise(25.0), **rule)
    scaled = combine(stack, noise=Noise(25.0), scale=[factor] * len(stack), **rule)
    np.testing.assert_allclose(scaled.data, factor * plain.data, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(scaled.count, plain.count)
    np.testing.assert_allclose(scaled.variance, factor**2 * plain.variance, rtol=1e-5)


@given(st.integers(1, 20), st.floats(-1e5, 1e5, width=32), rules)
def test_constant_stack_is_unchanged(n, value, rule):
    combined = combine(np.full((n, 2, 2), value, np.float32), noise=Noise(0.0), **rule)
    np.testing.assert_allclose(combined.data, value, rtol=1e-6)
    assert (combined.count == n).all()


@pytest.mark.parametrize(
    ("stack", "settings", "message"),
    [
        (np.ones((3, 4)), {}, "expected"),
        (np.ones((0, 4, 4)), {}, "expected"),
        (np.ones((3, 4, 4)), {"method": "mode"}, "method='mode'"),
        (np.ones((3, 4, 4)), {"clip": "iqr"}, "clip='iqr'"),
        (np.ones((3, 4, 4)), {"clip": "minmax", "n_low": 2, "n_high": 1}, "only 3 frames"),
        (np.ones((3, 4, 4)), {"deviation": "var"}, "deviation='var'"),
        (np.ones((3, 4, 4)), {"clip": "percentile", "percentile_high": 0.0}, "must be positive"),
        (np.ones((3, 4, 4)), {"scale": [1, 2]}, "scale must be 3"),
        (np.ones((3, 4, 4)), {"scale": [1, 2, 0]}, "scale must be positive"),
        (np.ones((3, 4, 4)), {"weights": [1, 2, 0]}, "positive"),
        (np.ones((3, 4, 4)), {"clip": "noise"}, "read noise"),
        (np.ones((3, 4, 4)), {"flags": np.zeros((3, 4, 5), np.uint8)}, "flags has shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(stack, settings, message):
    with pytest.raises(ValueError, match=message):
        combine(stack, **settings)

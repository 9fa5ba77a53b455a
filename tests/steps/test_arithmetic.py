"""Bias, dark, gain, flat, uncertainty: against ccdproc where it is right, else against the rule."""

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.fits import Instrument
from bmp_astro.steps import (
    as_single,
    calibrate,
    correct_gain,
    create_uncertainty,
    divide_flat,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim,
)


@pytest.fixture
def light(sample):
    """A trimmed frame in adu with an uncertainty and a masked pixel."""
    ccd = trim(subtract_overscan(sample.raw))
    ccd.uncertainty = StdDevUncertainty(np.random.default_rng(0).uniform(20, 60, ccd.shape))
    ccd.mask = np.zeros(ccd.shape, bool)
    ccd.mask[1, 2] = True
    return ccd


def assert_like(ours, theirs, rtol=1e-6):
    np.testing.assert_allclose(ours.data, theirs.data, rtol=rtol, atol=0.01)
    np.testing.assert_allclose(ours.uncertainty.array, theirs.uncertainty.array, rtol=rtol)
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    assert ours.unit == theirs.unit
    assert ours.data.dtype == ours.uncertainty.array.dtype == np.float32


def test_bias_as_ccdproc(light, sample, unchanged):
    with unchanged(light, sample.bias):
        ours = subtract_bias(light, master_bias=sample.bias)
    assert_like(ours, ccdproc.subtract_bias(light, sample.bias))
    np.testing.assert_array_equal(ours.flags, light.mask.astype(int))


def test_gain_as_ccdproc(light, unchanged):
    with unchanged(light):
        ours = correct_gain(light)
    assert_like(ours, ccdproc.gain_correct(light, 1.7 * u.electron / u.adu))
    assert (ours.header["GAIN"], ours.header["RAWGAIN"]) == (1.0, 1.7)
    with pytest.raises(ValueError, match="frame is in electron but a gain applies to adu"):
        correct_gain(ours)


def test_scaled_dark_as_ccdproc(light, sample, unchanged):
    with unchanged(light, sample.dark):
        ours = subtract_dark(light, master_dark=sample.dark)
    theirs = ccdproc.subtract_dark(
        light, sample.dark, exposure_time="EXPTIME", exposure_unit=u.s, scale=True
    )
    assert_like(ours, theirs)
    assert ours.header["DARKSCAL"] == pytest.approx(1 / 3)


def test_flat_of_mean_one_as_ccdproc(light, sample, unchanged):
    sample.flat.data[20, 3] = 1
    sample.flat.data /= np.mean(sample.flat.data, dtype=float)
    with unchanged(light, sample.flat):
        ours = divide_flat(light, master_flat=sample.flat)
    assert_like(ours, ccdproc.flat_correct(light, sample.flat), rtol=2e-6)


def test_flat_is_never_normalized_again(make_image):
    flat = make_image(np.full((3, 3), 0.8), "")
    ccd = divide_flat(make_image(np.full((3, 3), 100.0), "adu"), master_flat=flat)
    np.testing.assert_allclose(ccd.data, 125)


def test_low_flat(make_image):
    flat = make_image(np.array([[0.3, 0.1, 0.09]]), "")
    ccd = divide_flat(make_image(np.full((1, 3), 9.0), "adu"), master_flat=flat, flat_min=0.2)
    np.testing.assert_allclose(ccd.data, [[30, 9, 9]])
    np.testing.assert_array_equal(ccd.flags, [[0, 4, 4]])


def test_uncertainty_as_ccdproc_after_the_bias(light, sample, unchanged):
    ccd = CCDData(light.data, unit="adu")
    theirs = ccdproc.create_deviation(ccd, gain=1.7 * u.electron / u.adu, readnoise=6 * u.electron)
    with unchanged(ccd):
        ours = create_uncertainty(ccd, gain=1.7, read_noise=6.0)
    np.testing.assert_allclose(ours.uncertainty.array, theirs.uncertainty.array, rtol=1e-6)
    np.testing.assert_array_equal(ours.data, ccd.data)
    assert ours.header["RDNSRC"] == "given"


def test_uncertainty_has_overscan_and_bias(light, sample):
    light.uncertainty = None
    plain = CCDData(light.data, unit="adu", header=light.header.copy())
    del plain.header["OSCANVAR"]
    without = create_uncertainty(plain).uncertainty.array.astype(float) ** 2
    ours = create_uncertainty(light, master_bias=sample.bias).uncertainty.array.astype(float) ** 2
    extra = light.header["OSCANVAR"] + sample.bias.uncertainty.array.astype(float) ** 2
    np.testing.assert_allclose(ours, without + extra, rtol=1e-6)


def test_uncertainty_is_the_same_before_and_after_the_gain(light):
    light.uncertainty = None
    before = correct_gain(create_uncertainty(light))
    after = create_uncertainty(correct_gain(light))
    np.testing.assert_allclose(before.uncertainty.array, after.uncertainty.array, rtol=1e-6)


def test_read_noise_in_adu(light):
    light.uncertainty = None
    by_adu = create_uncertainty(light, read_noise=6 * u.adu)
    by_electron = create_uncertainty(light, read_noise=10.2)
    np.testing.assert_allclose(by_adu.uncertainty.array, by_electron.uncertainty.array)
    assert by_adu.header["RDNOISE"] == pytest.approx(10.2)
    with pytest.raises(ValueError, match="give read_noise in electron"):
        create_uncertainty(correct_gain(light), read_noise=6 * u.adu)


@pytest.mark.parametrize(
    ("step", "lacking", "message"),
    [
        (correct_gain, "GAIN", "gain is unknown.*give gain="),
        (create_uncertainty, "GAIN", "gain is unknown.*give gain="),
        (create_uncertainty, "RDNOISE", "read noise is unknown.*give read_noise="),
    ],
)
def test_facts_that_nobody_knows(light, step, lacking, message):
    del light.header[lacking]
    with pytest.raises(ValueError, match=message):
        step(light)


@pytest.mark.parametrize("gain", [0, -1.0, np.nan, "x", 2 * u.adu])
def test_gain_that_makes_no_sense(light, gain):
    with pytest.raises(ValueError, match="gain is"):
        correct_gain(light, gain=gain)


def test_gain_given_zero_is_not_taken_for_unknown(light):
    with pytest.raises(ValueError, match="must be greater than 0"):
        correct_gain(light, gain=0)


@pytest.mark.parametrize(
    ("dark_scale", "cards", "want"),
    [
        (None, {}, 1 / 3),
        (None, {"EXPTIME": 100.05}, 1),
        (None, {"EXPTIME": 100.0, "BIASSUB": False}, 1),
        (None, {"BIASSUB": None, "CALSTAT": "B"}, 1 / 3),
        (True, {"BIASSUB": None}, 1 / 3),
        (True, {"EXPTIME": 100.0}, 1),
        (False, {}, 1),
        (False, {"EXPTIME": None}, 1),
        (0.25, {"EXPTIME": None}, 0.25),
        (0, {}, 0),
        (1, {"BIASSUB": False}, 1),
    ],
)
def test_scale_of_the_dark(light, sample, dark_scale, cards, want):
    change(sample.dark.header, cards)
    ccd = subtract_dark(light, master_dark=sample.dark, dark_scale=dark_scale)
    assert ccd.header["DARKSCAL"] == pytest.approx(want)
    np.testing.assert_allclose(ccd.data, light.data - want * sample.dark.data, atol=0.01)


@pytest.mark.parametrize(
    ("dark_scale", "cards", "message"),
    [
        (None, {"BIASSUB": False}, "does not say that it is free of bias"),
        (None, {"BIASSUB": None}, "does not say that it is free of bias"),
        (True, {"BIASSUB": False}, "still holds its bias"),
        (0.5, {"BIASSUB": False}, "still holds its bias"),
        (None, {"EXPTIME": None}, "exposure time of the master dark is unknown"),
        (True, {"EXPTIME": None}, "exposure time of the master dark is unknown"),
        (None, {"EXPTIME": 0.0}, "exposure time of 0 s"),
        (-1.0, {}, "dark_scale is -1.0"),
        (np.nan, {}, "dark_scale is nan"),
    ],
)
def test_scales_that_are_refused(light, sample, dark_scale, cards, message):
    change(sample.dark.header, cards)
    with pytest.raises(ValueError, match=message):
        subtract_dark(light, master_dark=sample.dark, dark_scale=dark_scale)


def change(header, cards):
    for name, value in cards.items():
        header.remove(name, ignore_missing=True)
        if value is not None:
            header[name] = value


def test_a_camera_that_forbids_scaling_is_overruled_by_hand(light, sample):
    camera = Instrument("CMOS", dark_scaling=False)
    with pytest.raises(ValueError, match="darks of CMOS are not to be scaled"):
        subtract_dark(light, master_dark=sample.dark, instrument=camera)
    ccd = subtract_dark(light, master_dark=sample.dark, instrument=camera, dark_scale=True)
    assert ccd.header["DARKSCAL"] == pytest.approx(1 / 3)


def test_unscaled_dark_of_another_exposure_is_noted(light, sample, caplog):
    subtract_dark(light, master_dark=sample.dark, dark_scale=False)
    assert "dark of 300 s is not scaled to the exposure of 100 s" in caplog.text


def test_a_dark_with_its_bias_after_a_bias(light, sample):
    sample.dark.header.update(BIASSUB=False, EXPTIME=100.0)
    once = subtract_bias(light, master_bias=sample.bias)
    with pytest.raises(ValueError, match="subtracted twice"):
        subtract_dark(once, master_dark=sample.dark)
    alone = subtract_dark(light, master_dark=sample.dark)
    with pytest.raises(ValueError, match="bias is applied already"):
        subtract_bias(alone, master_bias=sample.bias)


@pytest.mark.parametrize(
    ("name", "value"), [("MBIASSUM", "12345"), ("MBIAS", "other.fits"), ("MBIAS", None)]
)
def test_error_of_another_bias_counts_in_full(light, sample, name, value):
    shared = subtract_dark(light, master_dark=sample.dark, master_bias=sample.bias)
    change(sample.dark.header, {name: value})
    other = subtract_dark(light, master_dark=sample.dark, master_bias=sample.bias)
    difference = other.uncertainty.array.astype(float) ** 2
    difference -= shared.uncertainty.array.astype(float) ** 2
    want = 2 / 3 * sample.bias.uncertainty.array.astype(float) ** 2
    np.testing.assert_allclose(difference, want, atol=2e-3)


def test_a_variance_counts_as_the_uncertainty_that_it_is(light, sample):
    squared = CCDData(light.data, unit="adu", header=light.header, mask=light.mask)
    squared.uncertainty = VarianceUncertainty(light.uncertainty.array**2)
    ours = subtract_bias(squared, master_bias=sample.bias)
    want = subtract_bias(light, master_bias=sample.bias)
    np.testing.assert_allclose(ours.uncertainty.array, want.uncertainty.array, rtol=1e-6)


def test_masks_of_masters_are_inherited(light, sample):
    ccd = subtract_dark(light, master_dark=sample.dark)
    assert ccd.flags[9, 9] == 1
    assert ccd.flags[1, 2] == 1
    assert np.count_nonzero(ccd.flags) == 2


def test_a_frame_without_mask_has_none_after_a_step(sample):
    frame = CCDData(np.ones(sample.bias.shape), unit="adu")
    ccd = subtract_bias(frame, master_bias=sample.bias)
    assert ccd.mask is None
    frame.data[3, 3] = np.nan
    ccd = subtract_bias(frame, master_bias=sample.bias)
    assert ccd.flags[3, 3] == 32
    assert ccd.data[3, 3] == 0


@settings(max_examples=25, deadline=None)
@given(
    dtype=st.sampled_from(["<u2", ">u2", "<i4", ">i4", "<f4", ">f4", "<f8", ">f8"]),
    master_dtype=st.sampled_from(["<f4", ">f4", ">f8", "<u2"]),
    seed=st.integers(0, 99),
)
def test_byte_order_and_dtype_do_not_matter(dtype, master_dtype, seed):
    rng = np.random.default_rng(seed)
    pixels, master = rng.integers(0, 4000, (2, 7, 5))
    ccd = subtract_bias(
        CCDData(pixels.astype(dtype), unit="adu"),
        master_bias=CCDData(master.astype(master_dtype), unit="adu"),
    )
    np.testing.assert_array_equal(ccd.data, pixels - master)
    assert ccd.data.dtype == np.dtype("f4")


def test_single_precision(light, unchanged):
    assert light.uncertainty.array.dtype == np.float64
    ccd = CCDData(light.data.astype(">f8"), unit="adu", uncertainty=light.uncertainty)
    ccd.mask = light.mask
    with unchanged(ccd):
        single = as_single(ccd)
    assert single.data.dtype == single.uncertainty.array.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(single.mask, ccd.mask)
    np.testing.assert_array_equal(single.data, light.data)
    whole = CCDData(np.ones((2, 2), np.uint16), unit="adu")
    assert as_single(whole).data.dtype == np.uint16


def test_a_header_that_is_only_a_mapping():
    ccd = CCDData(np.ones((2, 2)), unit="adu", meta={"gain": 2.0, "OBJECT": "M 1"})
    got = correct_gain(ccd, gain=2.0)
    assert (got.header["RAWGAIN"], got.header["OBJECT"]) == (2.0, "M 1")
    assert "RAWGAIN" not in ccd.meta


def test_a_dark_with_its_bias_beside_a_bias(light, sample):
    sample.dark.header.update(BIASSUB=False, EXPTIME=100.0)
    with pytest.raises(ValueError, match="subtracted twice"):
        subtract_dark(light, master_dark=sample.dark, master_bias=sample.bias)


@pytest.mark.parametrize(
    ("software", "of_frame", "of_bias", "want"),
    [
        ("MaxIm DL Version 6", -100, None, 300.0),
        ("MaxIm DL Version 6", -100, -100, 400.0),
        ("MaxIm DL Version 6", 0, None, 400.0),
        ("SkyX", 100, None, 400.0),
    ],
)
def test_pedestal_of_maxim(make_image, caplog, software, of_frame, of_bias, want):
    frame = make_image(np.full((2, 2), 500.0), "adu", SWCREATE=software, PEDESTAL=of_frame)
    bias = make_image(np.full((2, 2), 100.0), "adu")
    if of_bias is not None:
        bias.header["PEDESTAL"] = of_bias
    ccd = subtract_bias(frame, master_bias=bias)
    np.testing.assert_array_equal(ccd.data, want)
    assert ("PEDESTAL" in ccd.header) == (software == "SkyX" or of_frame == 0)
    assert ("its sign is known for MaxIm DL only" in caplog.text) == (software == "SkyX")
    np.testing.assert_array_equal(calibrate(frame, bias, gain=1.0).data, want)


def test_an_overscan_has_the_pedestal_too(sample):
    plain = calibrate(sample.raw, sample.bias, gain=1.7)
    sample.raw.header.update(SWCREATE="MaxIm DL Version 6", PEDESTAL=-100)
    same = calibrate(sample.raw, sample.bias, gain=1.7)
    np.testing.assert_array_equal(same.data, plain.data)

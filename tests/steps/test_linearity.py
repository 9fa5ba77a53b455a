"""Linearity: by polynomial and by table, alone and within calibrate, in masters, against truth."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import Table

from bmp_astro.fits import flags_of
from bmp_astro.steps import (
    calibrate,
    correct_gain,
    correct_linearity,
    create_uncertainty,
    divide_flat,
    mask_saturated,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim,
)

TABLE = np.array([[0, 0], [1000, 1001], [10_000, 10_100], [45_000, 47_025]])


def frame(pixels, **cards):
    return CCDData(np.atleast_2d(pixels), unit="adu", meta={"CALSTAT": "B", **cards})


@pytest.mark.parametrize("form", ["array", "table", "ecsv", "csv"])
def test_a_table_gives_its_own_values_and_flags_what_is_above(form, tmp_path):
    table = Table(TABLE, names=["measured", "true"])
    if form in ("ecsv", "csv"):
        table.write(tmp_path / f"t.{form}", format=f"ascii.{form}")
    given = {"array": TABLE, "table": table}.get(form, tmp_path / f"t.{form}")
    ccd = correct_linearity(frame([-50.0, 0, 500, 1000, 10_000, 45_000, 45_001]), linearity=given)
    want = [-50.05, 0, 500.5, 1001, 10_100, 47_025, 45_001 * 1.045]
    np.testing.assert_allclose(ccd.data[0], want, rtol=1e-6)
    assert ccd.data.dtype == np.float32
    np.testing.assert_array_equal(ccd.flags[0], [0, 0, 0, 0, 0, 0, 16])
    assert ccd.header["LINCORR"] is True


def test_polynomial_propagates_the_uncertainty_and_the_limits():
    ccd = frame([1000.0, 40_000.0], SATURATE=50_000.0, MAXLIN=30_000.0)
    ccd.uncertainty = StdDevUncertainty([[10.0, 100.0]])
    linear = correct_linearity(ccd, linearity=[1.0, 1e-6, 1e-11])
    np.testing.assert_allclose(linear.data[0], [1001.01, 42_240.0], rtol=1e-6)
    slope = 1 + 2e-6 * ccd.data[0] + 3e-11 * ccd.data[0] ** 2
    np.testing.assert_allclose(linear.uncertainty.array[0], slope * [10, 100], rtol=1e-6)
    np.testing.assert_array_equal(linear.flags, [[0, 16]])
    assert linear.header["SATURATE"] == pytest.approx(50_000 + 2500 + 1250)
    assert linear.header["MAXLIN"] == pytest.approx(30_000 + 900 + 270)
    np.testing.assert_array_equal(ccd.data, [[1000, 40_000]])
    assert (ccd.header["MAXLIN"], ccd.flags) == (30_000, None)


def test_slope_of_a_table():
    ccd = frame([5000.0, 30_000.0])
    ccd.uncertainty = StdDevUncertainty([[1.0, 1.0]])
    linear = correct_linearity(ccd, linearity=TABLE)
    step = [correct_linearity(frame(ccd.data + d), linearity=TABLE).data for d in (-50, 50)]
    np.testing.assert_allclose(linear.uncertainty.array, (step[1] - step[0]) / 100, rtol=1e-3)


@pytest.mark.parametrize(
    ("linearity", "message"),
    [
        (None, "no linearity correction is given"),
        ([], "must be finite numbers"),
        ([1.0, np.nan], "must be finite numbers"),
        (np.ones((3, 3)), "expected coefficients, or a table of two columns"),
        ([[10, 10], [5, 6]], "must rise from line to line"),
        ([[-10, 10], [5, 6]], "must be greater than 0"),
        ([[0, 0]], "must be greater than 0"),
    ],
)
def test_corrections_that_make_no_sense(linearity, message):
    with pytest.raises(ValueError, match=message):
        correct_linearity(frame([1.0]), linearity=linearity)


def test_frames_that_are_not_fit(caplog):
    with pytest.raises(ValueError, match="corrected already"):
        correct_linearity(frame([1.0], LINCORR=True), linearity=[1.0])
    with pytest.raises(ValueError, match="frame is in electron"):
        correct_linearity(CCDData([[1.0]], unit="electron"), linearity=[1.0])
    correct_linearity(CCDData([[1.0]], unit="adu"), linearity=[1.0])
    assert "no bias or overscan is subtracted" in caplog.text


@pytest.mark.parametrize("linearity", [[1.0, 2e-6], [[20_000, 20_400], [40_000, 42_000]]])
@pytest.mark.parametrize("with_bias", [True, False])
def test_calibrate_gives_what_the_steps_give(sample, linearity, with_bias):
    sample.raw.header["MAXLIN"] = 45_000.0
    for master in (sample.dark, sample.flat):
        master.header["LINCORR"] = True
    bias = {"master_bias": sample.bias} if with_bias else {}
    whole = calibrate(
        sample.raw,
        master_dark=sample.dark,
        master_flat=sample.flat,
        linearity=linearity,
        **bias,
    )
    ccd = trim(subtract_overscan(mask_saturated(sample.raw)))
    ccd = subtract_bias(ccd, **bias) if with_bias else ccd
    ccd = create_uncertainty(correct_linearity(ccd, linearity=linearity), **bias)
    ccd = subtract_dark(ccd, master_dark=sample.dark, **bias)
    ccd = divide_flat(correct_gain(ccd), master_flat=sample.flat)
    np.testing.assert_allclose(whole.data, ccd.data, rtol=1e-6, atol=0.05)
    np.testing.assert_allclose(whole.uncertainty.array, ccd.uncertainty.array, rtol=1e-5)
    np.testing.assert_array_equal(whole.flags, flags_of(ccd))
    assert np.count_nonzero(whole.flags & 16)
    for card in ("SATURATE", "MAXLIN"):
        assert whole.header[card] == pytest.approx(ccd.header[card])
    assert whole.header["MAXLIN"] > 43_000 * 1.7


def test_calibrate_propagates_an_uncertainty_through_it(sample):
    sample.raw.uncertainty = StdDevUncertainty(np.full(sample.raw.shape, 30.0))
    masters = {"master_bias": sample.bias, "master_dark": sample.dark}
    plain = calibrate(sample.raw, **masters)
    same = calibrate(sample.raw, linearity=[1.0], **masters)
    np.testing.assert_allclose(same.data, plain.data, rtol=1e-6, atol=0.01)
    np.testing.assert_allclose(same.uncertainty.array, plain.uncertainty.array, rtol=1e-5)


def test_masters_of_other_linearity_are_noted(sample, caplog):
    calibrate(sample.raw, master_flat=sample.flat, gain=1.7, linearity=[1.0, 1e-6])
    assert "linearity of the frame is corrected, but that of master_flat.fits is not" in caplog.text


def test_truth_is_recovered():
    rng = np.random.default_rng(5)
    electrons = rng.poisson(np.linspace(100, 60_000, 40_000)).reshape(200, 200)
    true = electrons / 1.5
    measured = true * (1 - 1.5e-6 * true)
    raw = np.rint(measured + 500 + rng.normal(0, 3, true.shape)).astype(np.uint16)
    x = np.linspace(1000, 45_000, 40)
    table = np.transpose([x * (1 - 1.5e-6 * x), x])
    bias = CCDData(np.full(true.shape, 500.0), unit="adu")
    ccd = calibrate(
        CCDData(raw, unit="adu"),
        bias,
        linearity=table,
        gain=1.5 * u.electron / u.adu,
        read_noise=4.5,
    )
    expected = np.linspace(100, 60_000, 40_000).reshape(200, 200)
    pull = (ccd.data - expected) / ccd.uncertainty.array
    assert abs(pull.mean()) < 0.03
    assert pull.std() == pytest.approx(1, abs=0.03)

"""calibrate: against the steps, against the equation in float64, against truth."""

import logging
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmp_astro.fits import Instrument, flags_of, read_frame, write_frame
from bmp_astro.steps import (
    calibrate,
    correct_gain,
    create_uncertainty,
    divide_flat,
    mask_bad_pixels,
    mask_saturated,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim,
)
from bmp_astro.steps.overscan import overscan_level

ULP = 2.0**-23


def by_steps(raw, master_bias=None, master_dark=None, master_flat=None, **kwargs):
    """Return what the steps give, one after the other."""
    ccd = mask_saturated(raw, **kwargs)
    ccd = trim(subtract_overscan(ccd, **kwargs), **kwargs)
    if master_bias is not None:
        ccd = subtract_bias(ccd, master_bias=master_bias, **kwargs)
    ccd = create_uncertainty(ccd, master_bias=master_bias, **kwargs)
    if master_dark is not None:
        ccd = subtract_dark(ccd, master_dark=master_dark, master_bias=master_bias, **kwargs)
    ccd = correct_gain(ccd, **kwargs)
    if master_flat is not None:
        ccd = divide_flat(ccd, master_flat=master_flat, **kwargs)
    return ccd


def cards_of(ccd):
    """Return the header's cards but the type of the frame, which calibrate alone sets."""
    return [card.image for card in ccd.header.cards if card.keyword != "IMAGETYP"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    use=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    dark_scale=st.sampled_from([None, True, 0.5, 2]),
    method=st.sampled_from(["polynomial", "mean", "median"]),
    gain=st.floats(0.2, 5),
    read_noise=st.floats(1, 20),
    flat_min=st.sampled_from([0.01, 0.1, 1.0]),
)
def test_steps_one_after_the_other_give_the_same(
    sample, use, dark_scale, method, gain, read_noise, flat_min
):
    masters = {"master_bias": sample.bias, "master_dark": sample.dark, "master_flat": sample.flat}
    kwargs = {name: m for (name, m), wanted in zip(masters.items(), use, strict=True) if wanted}
    kwargs |= {"overscan_method": method, "gain": gain, "read_noise": read_noise}
    kwargs |= {"flat_min": flat_min, "dark_scale": dark_scale}
    whole, steps = calibrate(sample.raw, **kwargs), by_steps(sample.raw, **kwargs)
    flat = sample.flat.data if use[2] else np.float32(1)
    divisor = np.where(flat >= flat_min, flat, 1)
    largest = sample.raw.data[:, :40] * gain / divisor
    assert np.all(np.abs(whole.data - steps.data) <= 4 * ULP * largest)
    np.testing.assert_allclose(whole.uncertainty.array, steps.uncertainty.array, rtol=8 * ULP)
    np.testing.assert_array_equal(whole.flags, flags_of(steps))
    np.testing.assert_array_equal(whole.mask, steps.mask)
    assert whole.unit == steps.unit == u.electron
    assert cards_of(whole) == cards_of(steps)


def test_against_the_equation_in_float64(sample):
    raw, bias, dark, flat = sample.raw, sample.bias, sample.dark, sample.flat
    got = calibrate(raw, bias, dark, flat)
    gain, noise, scale = 1.7, 6.0, 1 / 3
    level, level_var = overscan_level(raw.data[:, 40:], 1)
    signal = raw.data[:, :40] - level - bias.data.astype(float)
    bias_var = bias.uncertainty.array.astype(float) ** 2
    variance = np.maximum(signal, 0) / gain + (noise / gain) ** 2 + level_var.mean()
    variance += bias_var * (1 - 2 * scale) + scale**2 * dark.uncertainty.array.astype(float) ** 2
    divisor = np.where(flat.data >= 0.1, flat.data, 1).astype(float)
    flat_var = np.where(flat.data >= 0.1, flat.uncertainty.array.astype(float) ** 2, 0)
    x = gain * (signal - scale * dark.data.astype(float)) / divisor
    variance = (gain**2 * variance + x**2 * flat_var) / divisor**2
    largest = raw.data[:, :40] * gain / divisor
    assert np.max(np.abs(got.data - x) / largest) < 1e-6
    np.testing.assert_allclose(got.uncertainty.array, np.sqrt(variance), rtol=1e-6)
    flags = np.zeros(x.shape, int)
    flags[5, 6], flags[9, 9], flags[20, 3] = 2, 1, 4
    np.testing.assert_array_equal(got.flags, flags)
    assert got.data.dtype == got.uncertainty.array.dtype == np.float32
    assert got.flags.dtype == np.uint8


def test_what_the_header_of_a_product_says(sample):
    header = calibrate(sample.raw, sample.bias, sample.dark, sample.flat).header
    said = {
        "IMAGETYP": "Light Frame",
        "CALSTAT": "BDF",
        "MBIAS": "master_bias.fits",
        "MDARK": "master_dark.fits",
        "MFLAT": "master_flat.fits",
        "MBIASSUM": sample.dark.header["MBIASSUM"],
        "DARKSCAL": pytest.approx(1 / 3),
        "FLATNORM": 21000.0,
        "GAIN": 1.0,
        "RAWGAIN": 1.7,
        "RDNOISE": 6.0,
        "RDNSRC": "header",
        "OSCANLEV": pytest.approx(1004.5, abs=1),
    }
    assert {name: header[name] for name in said} == said
    expected = (58000 - header["OSCANLEV"] - 40 - 30 / 3) * 1.7
    assert header["SATURATE"] == pytest.approx(expected, abs=5)
    assert not {"BIASSEC", "TRIMSEC", "DATASEC"} & set(header)
    assert list(header["HISTORY"]) == [
        "saturated pixels masked, from 58000 adu (header)",
        f"overscan subtracted: {header['OSCANLEV']:.3f} adu",
        "[41:48,1:60], polynomial of order 2, 1 x rejection at 3 sigma",
        "trimmed to [1:40,1:60]",
        "bias subtracted: master_bias.fits",
        "uncertainty: gain 1.7 electron/adu, read noise 6 electron (header)",
        "dark subtracted: master_dark.fits, times 0.333333",
        "multiplied by the gain: 1.7 electron/adu",
        "divided by flat: master_flat.fits, where it is 0.1 or more",
    ]


def test_nothing_given_is_changed(sample, unchanged):
    images = (sample.raw, sample.bias, sample.dark, sample.flat)
    for ccd in images:
        ccd.data.setflags(write=False)
    with unchanged(*images):
        ccd = calibrate(*images)
        ccd.data[:] = 0
        ccd.flags[:] = 0
        ccd.header["OBJECT"] = "changed"


def test_masters_may_be_files(sample, tmp_path):
    paths = [
        write_frame(master, tmp_path / f"{name}.fits")
        for name, master in vars(sample).items()
        if name != "raw"
    ]
    got = calibrate(sample.raw, *paths)
    want = calibrate(sample.raw, sample.bias, sample.dark, sample.flat)
    np.testing.assert_array_equal(got.data, want.data)
    np.testing.assert_array_equal(got.flags, want.flags)
    assert got.header["MFLAT"] == "flat.fits"
    assert got.header["MFLATSUM"] == want.header["MFLATSUM"]


def test_threads_give_what_one_gives(sample, tmp_path):
    path = write_frame(sample.bias, tmp_path / "bias.fits")
    want = calibrate(sample.raw, path)
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: calibrate(sample.raw, path), range(24)):
            np.testing.assert_array_equal(got.data, want.data)
            np.testing.assert_array_equal(got.uncertainty.array, want.uncertainty.array)
            assert got.header.tostring() == want.header.tostring()


def test_without_read_noise_there_is_no_uncertainty(sample, caplog):
    del sample.raw.header["RDNOISE"]
    ccd = calibrate(sample.raw, sample.bias)
    assert ccd.uncertainty is None
    assert "no read noise" in caplog.text
    assert "RDNSRC" not in ccd.header


def test_read_noise_measured_for_the_master_bias_serves(sample):
    del sample.raw.header["RDNOISE"]
    sample.bias.header.update(RDNOISE=6.7, RDNSRC="measured")
    got = calibrate(sample.raw, sample.bias)
    want = calibrate(sample.raw, sample.bias, read_noise=6.7 * u.electron)
    np.testing.assert_array_equal(got.uncertainty.array, want.uncertainty.array)
    assert (got.header["RDNSRC"], want.header["RDNSRC"]) == ("measured", "given")
    assert got.header["RDNOISE"] == 6.7


def test_without_gain_the_frame_stays_in_adu(sample, caplog):
    del sample.raw.header["GAIN"]
    ccd = calibrate(sample.raw, sample.bias)
    assert ccd.unit == u.adu
    assert ccd.uncertainty is None
    assert "no gain" in caplog.text


def test_without_sections_nothing_is_cut(make_image):
    raw = make_image(np.full((4, 5), 7, np.uint16), "adu")
    ccd = calibrate(raw, gain=2.0, read_noise=1.0)
    np.testing.assert_array_equal(ccd.data, 14)
    assert "OSCANLEV" not in ccd.header
    assert "CALSTAT" not in ccd.header


def test_overscan_in_rows(make_image):
    raw = np.full((30, 20), 500.0) + np.arange(20)
    raw[:20] += 100
    ccd = calibrate(
        make_image(raw, "adu"),
        overscan_section="[1:20,21:30]",
        trim_section="[3:20,1:20]",
        overscan_method="mean",
        gain=1.0,
        read_noise=1.0,
    )
    assert ccd.shape == (20, 18)
    np.testing.assert_allclose(ccd.data, 100, rtol=1e-6)


@pytest.mark.parametrize("trimmed", [True, False])
def test_bad_pixels_of_the_raw_or_of_the_trimmed_frame(sample, trimmed):
    bad = np.zeros((60, 48), bool)
    bad[2, 3] = bad[50, 44] = True
    ccd = calibrate(sample.raw, bad_pixel_mask=bad[:, :40] if trimmed else bad)
    flags = np.zeros((60, 40), int)
    flags[2, 3], flags[5, 6] = 1, 2
    np.testing.assert_array_equal(ccd.flags, flags)
    same = calibrate(mask_bad_pixels(sample.raw, bad))
    np.testing.assert_array_equal(same.flags, flags)


def test_an_uncertainty_that_is_there_is_propagated(sample):
    sample.raw.uncertainty = StdDevUncertainty(np.full(sample.raw.shape, 3.0))
    del sample.raw.header["RDNOISE"]
    ccd = calibrate(sample.raw, sample.bias)
    variance = 9 + ccd.header["OSCANVAR"] + sample.bias.uncertainty.array.astype(float) ** 2
    np.testing.assert_allclose(ccd.uncertainty.array, 1.7 * np.sqrt(variance), rtol=1e-6)


def test_a_frame_whose_overscan_is_gone_keeps_its_variance(sample):
    at_once = calibrate(sample.raw, sample.bias)
    raw = mask_saturated(sample.raw)
    later = calibrate(trim(subtract_overscan(raw)), sample.bias)
    np.testing.assert_array_equal(later.data, at_once.data)
    np.testing.assert_array_equal(later.flags, at_once.flags)
    np.testing.assert_allclose(later.uncertainty.array, at_once.uncertainty.array, rtol=8 * ULP)


def test_saturation_is_looked_for_in_raw_frames_only(sample, caplog):
    reduced = calibrate(sample.raw, sample.bias)
    again = calibrate(reduced, master_flat=sample.flat, saturation=1.0)
    assert np.count_nonzero(again.flags & 2) == 1
    assert "not a raw frame" in caplog.text


def test_top_of_the_integers_is_noted(make_image, caplog):
    raw = make_image(np.array([[65535, 65534]], np.uint16), "adu")
    with caplog.at_level(logging.WARNING):
        ccd = calibrate(raw, gain=1.0, read_noise=1.0)
    np.testing.assert_array_equal(ccd.flags, [[2, 0]])
    assert "top of the range" in caplog.text


def test_a_bias_is_never_subtracted_twice(sample):
    sample.dark.header["BIASSUB"] = False
    with pytest.raises(ValueError, match="subtracted twice"):
        calibrate(sample.raw, sample.bias, sample.dark, dark_scale=False)
    once = calibrate(sample.raw, sample.bias)
    once = CCDData(once.data, unit="adu", header=once.header)
    with pytest.raises(ValueError, match=r"bias is applied already \(CALSTAT = 'B'\)"):
        calibrate(once, sample.bias)


def test_a_dark_with_its_bias_serves_equal_exposures_without_a_bias(sample):
    sample.dark.header.update(BIASSUB=False, EXPTIME=100.0)
    ccd = calibrate(sample.raw, master_dark=sample.dark)
    assert ccd.header["CALSTAT"] == "BD"
    assert ccd.header["DARKSCAL"] == 1
    level, level_var = overscan_level(sample.raw.data[:, 40:], 1)
    signal = sample.raw.data[:, :40] - level - sample.dark.data
    variance = np.maximum(signal, 0) / 1.7 + (6 / 1.7) ** 2 + level_var.mean()
    variance += sample.dark.uncertainty.array.astype(float) ** 2
    np.testing.assert_allclose(ccd.data, 1.7 * signal, rtol=1e-5)
    np.testing.assert_allclose(ccd.uncertainty.array, 1.7 * np.sqrt(variance), rtol=1e-6)
    by_step = subtract_dark(trim(subtract_overscan(sample.raw)), master_dark=sample.dark)
    np.testing.assert_array_equal(correct_gain(by_step).data, ccd.data)


def test_camera_may_forbid_scaling(sample):
    with pytest.raises(ValueError, match="darks of CMOS are not to be scaled"):
        calibrate(
            sample.raw,
            sample.bias,
            sample.dark,
            instrument=Instrument("CMOS", dark_scaling=False),
        )


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_shapes_that_do_not_fit(sample, kind):
    master = getattr(sample, kind)
    small = CCDData(master.data[:10, :10], unit=master.unit, header=master.header)
    with pytest.raises(
        ValueError,
        match=rf"^master {kind} is \(10, 10\) \(ny, nx\) but the frame is \(60, 40\): "
        "was one of them not trimmed\\?$",
    ):
        calibrate(sample.raw, **{f"master_{kind}": small})


def test_unit_of_the_frame(sample):
    raw = CCDData(sample.raw.data, unit="s")
    with pytest.raises(ValueError, match="frame is in s"):
        calibrate(raw)
    electrons = CCDData(sample.bias.data, unit="electron")
    with pytest.raises(ValueError, match="in electron already"):
        calibrate(electrons, sample.bias)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_pulls_over_the_whole_chain_are_of_width_one(make_image, n):
    """Raw frames with overscan, masters of n frames; dark of the light's exposure, same bias."""
    rng = np.random.default_rng(11)
    ny, nx, gain, noise, sky, dark_rate, lamp = 300, 200, 1.5, 6.0, 40.0, 15.0, 20000.0
    shape = (ny, nx)
    response = rng.normal(1, 0.05, shape)

    def readout(electrons):
        frame = rng.normal(1000, noise / gain, (ny, nx + 20))
        frame[:, :nx] += rng.poisson(electrons, shape) / gain
        return make_image(frame, "adu", BIASSEC=f"[{nx + 1}:{nx + 20},1:{ny}]", EXPTIME=60.0)

    def pixels(electrons):
        ccd = subtract_overscan(readout(electrons), overscan_method="mean")
        return ccd.data[:, :nx].astype(float)

    def averaged(electrons):
        frames = [pixels(electrons) for _ in range(n)]
        return np.mean(frames, axis=0), (electrons / gain**2 + row_variance) / n

    row_variance = (noise / gain) ** 2 * (1 + 1 / 20)
    bias_pixels, bias_variance = averaged(np.zeros(shape))
    bias = make_image(bias_pixels, "adu", sigma=np.sqrt(bias_variance), FILENAME="b.fits")
    bias_sum = calibrate(
        readout(0.0 * response),
        trim_section=f"[1:{nx},1:{ny}]",
        master_bias=bias,
        gain=gain,
        read_noise=noise,
    ).header["MBIASSUM"]
    dark_pixels, dark_variance = averaged(np.full(shape, dark_rate))
    dark = make_image(
        dark_pixels - bias_pixels,
        "adu",
        sigma=np.sqrt(dark_variance + bias_variance),
        EXPTIME=60.0,
        BIASSUB=True,
        MBIAS="b.fits",
        MBIASSUM=bias_sum,
    )
    flat_pixels, flat_variance = averaged(lamp * response)
    flat_sigma = np.sqrt(flat_variance + bias_variance) * gain / lamp
    flat = make_image((flat_pixels - bias_pixels) * gain / lamp, "", sigma=flat_sigma)
    chain = {
        "master_bias": bias,
        "master_dark": dark,
        "master_flat": flat,
        "trim_section": f"[1:{nx},1:{ny}]",
        "overscan_method": "mean",
        "gain": gain,
        "read_noise": noise,
    }
    light = calibrate(readout(sky * response + dark_rate), **chain)
    noiseless = readout(0 * response)
    noiseless.data[:] = 1000
    noiseless.data[:, :nx] += bias_pixels + (sky * response + dark_rate) / gain
    expected = calibrate(noiseless, **chain).uncertainty.array ** 2
    expected += gain**2 * (noise / gain) ** 2 / 20  # the overscan of that one has no noise
    pull = (light.data - sky) / np.sqrt(expected)
    assert np.std(pull) == pytest.approx(1, abs=0.03)


def test_a_real_light_frame(real_data):
    folder = real_data / "ngc520_g"
    bias = read_frame(folder / "calibration" / "calib-001-bi.fit")
    raw = read_frame(folder / "raw" / "NGC520-001-g.fit")
    got = calibrate(raw, master_bias=bias, read_noise=6.72 * u.adu)
    want = 2.6 * (raw.data.astype(float) - bias.data.astype(float))
    assert np.max(np.abs(got.data - want) / (2.6 * raw.data)) < 1e-6
    sigma = np.sqrt(np.maximum(want, 0) + (6.72 * 2.6) ** 2)
    np.testing.assert_allclose(got.uncertainty.array, sigma, rtol=1e-6)

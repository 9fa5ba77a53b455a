"""Frames of several amplifiers, step by step and in one pass, against plain numpy."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from bmp_astro.fits import Amplifier, Instrument, MaskBit, read_frame
from bmp_astro.steps import (
    calibrate,
    correct_crosstalk,
    correct_gain,
    create_uncertainty,
    mask_saturated,
    subtract_overscan,
    trim,
)

NY, NX = 40, 30
# Two halves with their overscans in the middle, as the second is read from the right.
SECTIONS = {
    "left": ("[1:30,1:40]", "[31:36,1:40]", "[1:30,1:40]"),
    "right": ("[72:43,1:40]", "[37:42,1:40]", "[60:31,1:40]"),
}
GAINS, NOISES, LIMITS = (1.5, 1.25), (5.0, 8.0), (3000.0, 2000.0)
CAMERA = Instrument(
    "two halves",
    amplifiers=tuple(
        Amplifier(
            data,
            overscan,
            detector,
            gain=gain * u.electron / u.adu,
            read_noise=noise * u.electron,
            saturation=limit * u.adu,
        )
        for (data, overscan, detector), gain, noise, limit in zip(
            SECTIONS.values(), GAINS, NOISES, LIMITS, strict=True
        )
    ),
)


@pytest.fixture
def frame():
    """A raw frame of two halves: levels that change along the rows, and a signal."""
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 4, (NY, 72))
    raw[:, :36] += 1000 + np.linspace(0, 5, NY)[:, None]
    raw[:, 36:] += 700 - np.linspace(0, 3, NY)[:, None]
    raw[:, :30] += rng.uniform(0, 2500, (NY, 30))
    raw[:, 42:] += rng.uniform(0, 1700, (NY, 30))
    return CCDData(np.rint(raw).astype(np.uint16), unit="adu")


def by_hand(raw):
    """The frame in adu without its levels, each a parabola through the means of the rows."""
    halves = []
    for data, overscan in ((slice(0, 30), slice(30, 36)), (slice(42, 72), slice(36, 42))):
        rows, means = np.arange(NY), raw[:, overscan].mean(axis=1)
        level = np.polyval(np.polyfit(rows, means, 2), rows)
        halves.append(raw[:, data] - level[:, None])
    return np.hstack(halves)


def test_overscan_gain_noise_and_saturation_are_those_of_each_amplifier(frame):
    ccd = calibrate(frame, instrument=CAMERA, overscan_iterations=0)
    signal = by_hand(frame.data.astype(float))
    gain = np.repeat(GAINS, 30)
    assert ccd.unit == u.electron
    np.testing.assert_allclose(ccd.data, gain * signal, atol=1e-3)
    variance = gain * np.maximum(signal, 0) + gain**2 * np.repeat(
        [ccd.header["AMPLVR1"], ccd.header["AMPLVR2"]], 30
    )
    variance += np.repeat(NOISES, 30) ** 2
    np.testing.assert_allclose(ccd.uncertainty.array, np.sqrt(variance), rtol=1e-5)
    raw = np.hstack([frame.data[:, :30], frame.data[:, 42:]])
    np.testing.assert_array_equal(
        (ccd.flags & MaskBit.SATURATED) != 0, raw >= np.repeat(LIMITS, 30)
    )
    assert ((ccd.flags & MaskBit.SATURATED) != 0).sum() > 10


def test_the_header_says_what_each_amplifier_is(frame):
    header = calibrate(frame, instrument=CAMERA).header
    assert (header["AMPSEC1"], header["AMPSEC2"]) == ("[1:30,1:40]", "[31:60,1:40]")
    assert (header["RAWGN1"], header["RAWGN2"], header["RAWGAIN"]) == (1.5, 1.25, 1.375)
    assert (header["GAIN"], header["AMPRN1"], header["AMPRN2"]) == (1.0, 5.0, 8.0)
    assert header["AMPLEV1"] == pytest.approx(1002.5, abs=1)
    limits = [
        gain * (limit - header[f"AMPLEV{n}"])
        for n, (gain, limit) in enumerate(zip(GAINS, LIMITS, strict=True), start=1)
    ]
    assert [header["AMPSAT1"], header["AMPSAT2"]] == pytest.approx(limits)
    assert header["SATURATE"] == pytest.approx(min(limits))
    assert not {"AMPGN1", "AMPRAW1", "AMPOVS1"} & set(header)


def test_steps_one_by_one_are_what_one_pass_is(frame):
    at_once = calibrate(frame, instrument=CAMERA)
    ccd = trim(
        subtract_overscan(mask_saturated(frame, instrument=CAMERA), instrument=CAMERA),
        instrument=CAMERA,
    )
    ccd = correct_gain(create_uncertainty(ccd))
    np.testing.assert_array_equal(ccd.data, at_once.data)
    np.testing.assert_array_equal(ccd.flags, at_once.flags)
    np.testing.assert_allclose(ccd.uncertainty.array, at_once.uncertainty.array, rtol=1e-6)
    names = [name for name in at_once.header if name not in ("HISTORY", "IMAGETYP")]
    assert {name: ccd.header[name] for name in names} == {
        name: at_once.header[name] for name in names
    }


def test_what_is_given_goes_for_all_amplifiers(frame):
    ccd = calibrate(frame, instrument=CAMERA, gain=2.0, read_noise=3.0, saturation=2500)
    assert (ccd.header["RAWGN2"], ccd.header["AMPRN2"]) == (2.0, 3.0)
    raw = np.hstack([frame.data[:, :30], frame.data[:, 42:]])
    np.testing.assert_array_equal((ccd.flags & MaskBit.SATURATED) != 0, raw >= 2500)


def test_a_section_of_the_image_is_cut_from_it(frame):
    whole = calibrate(frame, instrument=CAMERA)
    part = calibrate(frame, instrument=CAMERA, trim_section="[21:50,11:30]")
    np.testing.assert_array_equal(part.data, whole.data[10:30, 20:50])
    np.testing.assert_array_equal(part.flags, whole.flags[10:30, 20:50])
    assert (part.header["AMPSEC1"], part.header["AMPSEC2"]) == ("[1:10,1:20]", "[11:30,1:20]")
    image = trim(frame, trim_section="[21:50,11:30]", instrument=CAMERA)
    np.testing.assert_array_equal(image.data, trim(frame, instrument=CAMERA).data[10:30, 20:50])


def test_bad_pixels_may_be_those_of_the_raw_frame_or_of_the_image(frame):
    raw = np.zeros(frame.shape, bool)
    raw[3, 45] = True
    image = np.zeros((NY, 2 * NX), bool)
    image[3, 33] = True
    masks = [calibrate(frame, instrument=CAMERA, bad_pixel_mask=bad).flags for bad in (raw, image)]
    np.testing.assert_array_equal(*masks)
    assert masks[0][3, 33] & MaskBit.BAD_PIXEL


def test_what_makes_no_sense_is_said(frame):
    with pytest.raises(ValueError, match="the frame has 2 amplifiers, each with its own"):
        calibrate(frame, instrument=CAMERA, overscan_section="[31:36,1:40]")
    with pytest.raises(ValueError, match=r"amplifier 2 has pixels .* is it a raw one"):
        calibrate(CCDData(np.zeros((40, 60)), unit="adu"), instrument=CAMERA)
    with pytest.raises(ValueError, match=r"crosstalk has shape \(3, 3\) but must be 2 x 2"):
        calibrate(frame, instrument=CAMERA, crosstalk=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="this frame is of a piece"):
        correct_crosstalk(frame, crosstalk=[[0, 0], [0, 0]])
    with pytest.raises(ValueError, match="there are no coefficients"):
        correct_crosstalk(frame, instrument=CAMERA)
    without = subtract_overscan(frame, instrument=CAMERA)
    with pytest.raises(ValueError, match="before the overscan"):
        correct_crosstalk(without, crosstalk=[[0, 0.1], [0, 0]], instrument=CAMERA)


def test_crosstalk_is_taken_off_in_the_order_of_reading(frame):
    signal = by_hand(frame.data.astype(float))
    mixed = frame.data.astype(float)
    # the right half is read from the right: its first pixel goes with the first of the left one
    mixed[:, :30] += 0.01 * signal[:, 30:][:, ::-1]
    mixed[:, 42:] += 0.02 * signal[:, :30][:, ::-1]
    raw = CCDData(mixed, unit="adu")
    matrix = [[0, 0.01], [0.02, 0]]
    expected = calibrate(frame, instrument=CAMERA).data
    ccd = calibrate(raw, instrument=CAMERA, crosstalk=matrix)
    assert np.abs(calibrate(raw, instrument=CAMERA).data - expected).max() > 30
    # what is left is the crosstalk of the crosstalk, and of the levels' slopes
    assert np.abs(ccd.data - expected).max() < 1.0
    unmixed = correct_crosstalk(raw, crosstalk=matrix, instrument=CAMERA)
    assert unmixed.header["XTALKCOR"] is True
    np.testing.assert_allclose(
        calibrate(unmixed, instrument=CAMERA).data, ccd.data, rtol=1e-6, atol=1e-3
    )
    with pytest.raises(ValueError, match="crosstalk is corrected already"):
        calibrate(unmixed, instrument=CAMERA, crosstalk=matrix)


def test_columns_and_rows_of_overscan_at_once():
    rng = np.random.default_rng(2)
    rows, columns = np.linspace(0, 20, 60)[:, None], 3 * np.sin(np.arange(50) / 5)[None, :]
    raw = 1000 + rng.normal(0, 0.1, (60, 50)) + rows + columns
    raw[:50, :40] += 500
    raw[:, 40:] -= columns[:, 40:]  # the columns' structure is where the charge comes from
    section = "[41:50,1:60] [1:40,51:60]"
    ccd = subtract_overscan(
        CCDData(raw, unit="adu"), overscan_section=section, overscan_method="mean"
    )
    assert np.abs(ccd.data[:50, :40] - 500).max() < 0.7
    alone = subtract_overscan(
        CCDData(raw, unit="adu"), overscan_section="[41:50,1:60]", overscan_method="mean"
    )
    assert np.abs(alone.data[:50, :40] - 500).max() > 2.5
    whole = calibrate(
        CCDData(raw, unit="adu"),
        overscan_section=section,
        overscan_method="mean",
        trim_section="[1:40,1:50]",
    )
    np.testing.assert_array_equal(whole.data, ccd.data[:50, :40])


def test_the_wcs_of_the_image_points_where_that_of_each_amplifier_did(tmp_path):
    shape, scale = (20, 24), 1e-4
    sections = ("[48:25,40:21]", "[1:24,40:21]", "[1:24,1:20]", "[48:25,1:20]")
    stars = [(13, 30), (40, 33), (5, 6), (30, 12)]  # x, y on the detector, from 1
    units, skies = [fits.PrimaryHDU(header=fits.Header({"INSTRUME": "mosaic"}))], []
    for text in sections:
        x1, x2, y1, y2 = (int(n) for part in text[1:-1].split(",") for n in part.split(":"))
        sx, sy = (1 if x2 > x1 else -1), (1 if y2 > y1 else -1)
        header = fits.Header(
            {
                "DETSEC": text,
                "DATASEC": "[5:28,1:20]",  # after a prescan
                "BIASSEC": "[29:32,1:20]",
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CRVAL1": 50.0,
                "CRVAL2": 20.0,
                "CRPIX1": (24.5 - x1) * sx + 5,
                "CRPIX2": (20.5 - y1) * sy + 1,
                "CD1_1": -scale * sx,
                "CD1_2": 0.2 * scale * sy,
                "CD2_1": 0.2 * scale * sx,
                "CD2_2": scale * sy,
            }
        )
        wcs = WCS(header)
        for x, y in stars:
            if min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
                skies.append(((x, y), wcs.pixel_to_world((x - x1) * sx + 4, (y - y1) * sy)))
        units.append(fits.ImageHDU(np.zeros((shape[0], 34), np.uint16), header))
    path = tmp_path / "mosaic.fits"
    fits.HDUList(units).writeto(path)
    image = trim(read_frame(path))
    assert image.shape == (40, 48)
    assert len(skies) == 4
    for (x, y), sky in skies:
        found = image.wcs.pixel_to_world(x - 1, y - 1)
        assert found.separation(sky).to_value(u.arcsec) < 1e-6


def test_the_sinistro_frame_becomes_one_image(real_data):
    path = real_data / "quirks/lco_sinistro_raw_mef.fits"
    raw = read_frame(path)
    ccd = calibrate(raw, overscan_iterations=0)
    gains, pieces = (6.42, 6.23, 6.27, 6.26), []
    with fits.open(path) as hdus:
        for hdu, gain in zip(hdus[1:], gains, strict=True):
            pixels = hdu.data.astype(float)
            rows = np.arange(512)
            means = pixels[:512, 519:540].mean(axis=1)
            level = np.polyval(np.polyfit(rows, means, 2), rows)
            pieces.append(gain * (pixels[:512, :512] - level[:, None]))
    upper = np.hstack([pieces[0][::-1], pieces[3][::-1, ::-1]])
    lower = np.hstack([pieces[1], pieces[2][:, ::-1]])
    expected = np.vstack([lower, upper])
    assert ccd.shape == (1024, 1024)
    np.testing.assert_allclose(ccd.data, expected, rtol=1e-5, atol=0.02)
    # the sky goes on across the seams, as it does not with one gain for all
    edges = [np.median(part) for part in (ccd.data[480:512], ccd.data[512:544])]
    assert edges[0] == pytest.approx(edges[1], rel=0.02)
    assert ccd.header["RAWGN1"] == 6.42
    # its reference pixel counts in the assembled image, of which it is the middle
    assert (ccd.header["CRPIX1"], ccd.header["CRPIX2"]) == (512, 512)
    middle = ccd.wcs.pixel_to_world(511, 511)
    assert (middle.ra.deg, middle.dec.deg) == pytest.approx((287.3248172, 59.4939290))

"""A night of a detector with four amplifiers, from raw files to lights."""

import numpy as np
import pytest
from astropy.io import fits

from bmp_astro import read_frame, reduce_night
from bmp_astro.ccdmultipipe import BYTES_PER_TASK, frame_size
from bmp_astro.fits import MaskBit
from bmp_astro.masters import build_master, measure_camera
from bmp_astro.simulate import simulate_night
from bmp_astro.steps import calibrate

SMALL = {"shape": (96, 128), "n_bias": 5, "n_dark": 4, "n_flat": 4, "n_light": 2, "filters": ["V"]}
CROSSTALK = 0.002


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four") / "raw"
    return simulate_night(folder, **SMALL, amplifiers=4, crosstalk=CROSSTALK, bad_files=False)


@pytest.fixture(scope="module")
def reduced(night, tmp_path_factory):
    out = tmp_path_factory.mktemp("four") / "reduced"
    table = reduce_night(
        night.folder,
        out,
        progress=False,
        num_processes=1,
        crosstalk=night.detector.crosstalk.tolist(),
    )
    return out, table


def good_pixels(night, light, ccd):
    """Where neither a cosmic ray nor a hot pixel nor a bit is."""
    good = (ccd.flags == 0) & ~night.detector.hot_pixels
    rays = night.frame(light).cosmic_rays
    good[rays[:, 0], rays[:, 1]] = False
    return good


def test_every_frame_is_reduced(reduced):
    _, table = reduced
    assert set(table["status"].tolist()) == {"done"}
    assert not any(table["alarms"].tolist())


def test_lights_are_right_in_every_amplifier(night, reduced):
    out, _ = reduced
    for light in night.paths("light"):
        ccd = read_frame(out / "lights" / f"{light.stem}_reduced.fits")
        good = good_pixels(night, light, ccd)
        pulls = (ccd.data - night.scene(light)) / ccd.uncertainty.array
        for amplifier in night.detector.amplifiers:
            part = pulls[amplifier.section][good[amplifier.section]]
            # 3000 pixels: 0.02 of chance in the mean, 0.013 in the width
            assert abs(part.mean()) < 0.1
            assert part.std() == pytest.approx(1, abs=0.06)
        wcs = ccd.header["CRPIX1"], ccd.header["CD1_1"]
        assert wcs == pytest.approx((64.5 + night.frame(light).shift[0], -0.8 / 3600))


def test_without_the_coefficients_crosstalk_stays(night, reduced):
    out, _ = reduced
    bias, dark, flat = (out / "masters" / f"master_{kind}.fits" for kind in ("bias", "dark", "x"))
    flat = next((out / "masters").glob("master_flat*"))
    dark = next((out / "masters").glob("master_dark*"))
    light = night.paths("light")[0]
    masters = {"master_bias": bias, "master_dark": dark, "master_flat": flat}
    ccd = calibrate(read_frame(light), **masters)
    clean = calibrate(read_frame(light), **masters, crosstalk=night.detector.crosstalk)
    ghost = (ccd.data - clean.data)[good_pixels(night, light, ccd)]
    # three others leave a sky of about 400 electron in each, and their stars
    assert np.median(ghost) == pytest.approx(3 * CROSSTALK * 400, rel=0.3)
    assert ghost.max() > 20


def test_masters_are_of_one_image_with_what_each_amplifier_has(night, reduced):
    out, _ = reduced
    bias = read_frame(out / "masters" / "master_bias.fits")
    assert bias.shape == (96, 128)
    detector = night.detector
    for n, amplifier in enumerate(detector.amplifiers, start=1):
        assert bias.header[f"AMPGN{n}"] == amplifier.gain
        assert bias.header[f"AMPRN{n}"] == pytest.approx(amplifier.read_noise, rel=0.03)
        noise = amplifier.read_noise / amplifier.gain
        sigma = np.median(bias.uncertainty.array[amplifier.section])
        assert sigma == pytest.approx(noise / np.sqrt(5), rel=0.05)
        difference = (bias.data - detector.bias)[amplifier.section]
        assert (difference / sigma).std() == pytest.approx(1, abs=0.05)
    assert bias.header["RDNSRC"] == "measured"


def test_the_flat_has_no_steps_between_amplifiers(night, reduced):
    out, _ = reduced
    flat = read_frame(next((out / "masters").glob("master_flat*")))
    ratio = flat.data / night.detector.flats["V"]
    levels = [np.median(ratio[each.section]) for each in night.detector.amplifiers]
    assert levels == pytest.approx([1] * 4, abs=1e-3)
    assert np.median(flat.data[flat.flags == 0]) == pytest.approx(1)


def test_bands_within_little_memory_give_the_same(night):
    whole, _ = build_master("bias", night.paths("bias"))
    banded, _ = build_master("bias", night.paths("bias"), mem_limit=1.0, num_threads=1)
    np.testing.assert_array_equal(whole.data, banded.data)
    np.testing.assert_array_equal(whole.uncertainty.array, banded.uncertainty.array)
    assert not (whole.flags & MaskBit.NO_DATA).any()


def test_a_wrong_gain_or_read_noise_is_an_alarm_of_that_amplifier(night, tmp_path):
    paths = []
    for path in night.paths("bias"):
        with fits.open(path) as hdus:
            for hdu, amplifier in zip(hdus[1:], night.detector.amplifiers, strict=True):
                hdu.header["RDNOISE"] = amplifier.read_noise
            hdus[3].header["RDNOISE"] = 20.0
            hdus.writeto(tmp_path / path.name)
            paths.append(tmp_path / path.name)
    _, report = build_master("bias", paths)
    (alarm,) = [alarm for alarm in report.alarms if "read noise" in alarm]
    assert alarm.startswith("amplifier 3: the read noise is")


def test_the_camera_is_measured_on_the_assembled_frames(night):
    camera = measure_camera(night.paths("bias"), night.paths("flat"))
    gains = [amplifier.gain for amplifier in night.detector.amplifiers]
    assert min(gains) < camera.gain.value.value < max(gains)
    assert camera.read_noise.value.value == pytest.approx(6, rel=0.3)  # between 3.6 and 8.9


def test_more_memory_is_counted_for_several_amplifiers(night, tmp_path):
    one = simulate_night(tmp_path, **SMALL, bad_files=False)
    several, single = (each.paths("light")[0] for each in (night, one))
    assert frame_size(several) - BYTES_PER_TASK > 1.8 * (frame_size(single) - BYTES_PER_TASK)

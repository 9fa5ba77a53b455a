"""What is measured on a camera, against the truth and on real frames."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro.masters import Limits, build_master, measure_camera
from bmp_astro.masters.transfer import Estimate, measure_gain, measure_read_noise
from bmp_astro.simulate import make_detector, simulate_frame
from bmp_astro.steps.plateau import find_plateau

SHAPE = (128, 192)
QUANTUM = 12**-0.5  # adu: the noise of rounding to integers


def camera_frames(seed, gain, read_noise, *, shape=SHAPE, overscan=0, n=4, dark=0.05):
    """Bias, flats of different levels and darks of a simulated camera."""
    rng = np.random.default_rng(seed)
    made = {"gain": gain, "read_noise": read_noise, "overscan": overscan, "dark_current": dark}
    detector = make_detector(rng, shape, filters=["V"], **made)
    even = np.where(detector.hot_pixels, detector.dark_rate, dark)  # without the corner
    detector = replace(detector, dark_rate=even)

    def expose(kind, exptime=0.0, light=0.0):
        raw = simulate_frame(
            rng, detector, exptime=exptime, light=light, filter="V", level=1000 + rng.normal(0, 0.2)
        )
        cards = {"IMAGETYP": kind, "EXPTIME": exptime, "EGAIN": gain, "FILTER": "V"}
        if overscan:
            cards["BIASSEC"] = f"[{shape[1] + 1}:{shape[1] + overscan},1:{shape[0]}]"
            cards["TRIMSEC"] = f"[1:{shape[1]},1:{shape[0]}]"
        return CCDData(raw, unit="adu", header=fits.Header(cards))

    levels = rng.uniform(0.5, 1.0, n) * 25_000 * gain
    return {
        "bias": [expose("bias") for _ in range(n)],
        "flats": [expose("flat", light=level) for level in levels],
        "darks": [expose("dark", exptime=600.0) for _ in range(3)],
    }


@pytest.mark.parametrize(("gain", "sigma"), [(0.3, 8.0), (1.5, 2.0), (2.7, 0.5)])
def test_gain_and_read_noise_err_by_what_they_say(gain, sigma):
    of_gain, of_noise = [], []
    for seed in range(40):
        frames = camera_frames([seed, 1], gain, sigma * gain)
        found = measure_camera(frames["bias"], frames["flats"])
        noise = np.hypot(sigma, QUANTUM) * u.adu
        of_gain.append((found.gain.value.value - gain) / found.gain.uncertainty.value)
        of_noise.append((found.read_noise.value - noise) / found.read_noise.uncertainty)
        assert found.gain.uncertainty.value < 0.03 * gain
    for pulls in (np.array(of_gain), np.array(of_noise, dtype=float)):
        assert abs(pulls.mean()) < 3.5 / np.sqrt(40)
        assert pulls.std() == pytest.approx(1, abs=3.5 / np.sqrt(80))


def test_dark_current_and_overscan():
    frames = camera_frames(3, 1.5, 6.0, overscan=24)
    found = measure_camera(**frames).dark_current
    assert found.value.unit == u.electron / u.s
    assert abs(found.value.value - 0.05) < 4 * found.uncertainty.value
    assert found.uncertainty.value < 0.02 * 0.05


@pytest.mark.filterwarnings("error")
def test_one_frame_of_each_tells_little():
    frames = camera_frames(4, 1.5, 6.0)
    found = measure_camera(frames["bias"][:1], frames["flats"][:1], frames["darks"][:1])
    assert (found.gain, found.read_noise) == (None, None)
    with pytest.raises(ValueError, match="no bias frames"):
        measure_camera([], frames["flats"])


def test_frames_that_do_not_fit():
    frames = camera_frames(5, 1.5, 6.0)
    odd = CCDData(np.ones((4, 5), np.uint16), unit="adu")
    with pytest.raises(ValueError, match=r"is \(4, 5\).*before it \(128, 192\)"):
        measure_camera([*frames["bias"], odd])
    done = CCDData(np.ones(SHAPE), unit="electron")
    with pytest.raises(ValueError, match="not a raw frame: it is in electron"):
        measure_camera([done])


def test_alarms_and_the_table():
    frames = camera_frames(6, 1.5, 6.0)
    for ccd in frames["bias"]:
        ccd.header.update(EGAIN=1.3, RDNOISE=12.0)
    found = measure_camera(**frames)
    of_gain, of_noise = found.alarms
    assert "electron / adu as measured, but 1.3 was used: 1" in of_gain
    assert "the read noise is 4." in of_noise
    assert measure_camera(**frames, limits=Limits(max_gain_error=0.2)).alarms == (of_noise,)
    table = found.table()
    assert list(table["fact"]) == ["gain", "read_noise", "dark_current"]
    assert table["header"][0] == 1.3
    assert str(found.gain).endswith("(3 pairs of flats; header: 1.3 electron / adu)")


def test_saturated_pixels_of_flats_do_not_count():
    frames = camera_frames(7, 1.5, 6.0)
    for ccd in frames["flats"]:
        ccd.data[:, :40] = 40_000
    found = measure_camera(frames["bias"], frames["flats"], saturation=40_000)
    assert abs(found.gain.value.value - 1.5) < 4 * found.gain.uncertainty.value


def test_flats_of_other_filters_are_not_compared():
    frames = camera_frames(8, 1.5, 6.0)
    shadow = 1 - 0.5 * (np.indices(SHAPE).sum(axis=0) % 2)
    for ccd in frames["flats"][::2]:
        ccd.data[...] = ccd.data * shadow
        ccd.header["FILTER"] = "R"
    found = measure_camera(frames["bias"], [frames["flats"][i] for i in (1, 0, 3)])
    assert abs(found.gain.value.value - 1.5) < 4 * found.gain.uncertainty.value


def test_plateau():
    rng = np.random.default_rng(1)
    faint = rng.normal(1500, 30, (200, 200)).round()
    assert find_plateau(faint, 65535) is None
    stars = faint.copy()
    stars.flat[:400] = rng.uniform(2000, 60000, 400)
    assert find_plateau(stars, 65535) is None
    full = stars.copy()
    full.flat[:400] = np.minimum(full.flat[:400], rng.normal(50000, 200, 400))
    found = find_plateau(full, 65535)
    assert found.value == pytest.approx(50000, rel=0.01)
    assert find_plateau(np.minimum(stars, 50000), 50000) is None
    assert find_plateau(np.zeros((5, 5)), 65535) is None


def test_light_that_moves_does_not_change_the_gain():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:300, :400] / 400
    flats = []
    for number in range(4):
        light = 20000 * (1 + 0.05 * number * (x - y))
        flat = rng.poisson(light) / 2.0
        flat[50 * number : 50 * number + 20, 30:60] += 9000  # a star, somewhere else each time
        flats.append(flat)
    found = measure_gain(flats, Estimate(0.0, 0.0, 1))
    assert found.value == pytest.approx(2.0, rel=0.01)


def test_frames_without_noise_have_neither():
    same = np.full((64, 128), 7.0)
    assert measure_read_noise([same, same]) is None
    assert measure_gain([same, same], Estimate(1.0, 0.1, 1)) is None


def test_masters_say_what_was_measured(expose):
    bias, report = build_master("bias", expose("bias", 5), read_noise=12.0)
    assert "the read noise is 4." in report.alarms[-1]
    assert "but 6 was used" in report.alarms[-1]
    dark, report = build_master("dark", expose("dark", 5, exptime=100.0), master_bias=bias)
    assert report.dark_current == pytest.approx(0.4, abs=0.05)  # 0.2 adu/s
    assert dark.header["DARKCUR"] == report.dark_current
    paths = expose("flat", 6, exptime=1.0, electrons=40_000)
    flat, report = build_master("flat", paths, master_bias=bias, gain=2.5)
    error = abs(report.gain_measured - 2.0)
    assert error < 4 * report.gain_uncertainty < 0.2
    assert flat.header["GAINMEAS"] == report.gain_measured
    assert "25 % off" in report.alarms[-1] or "2.5 was used" in report.alarms[-1]
    good, report = build_master("flat", paths, master_bias=bias)
    assert report.alarms == []
    assert "GAINMEAS" in good.header


def test_each_frame_has_its_own_alarm_of_temperature(expose):
    paths = expose("bias", 3, SET_TEMP=-10.0) + expose("bias", 1, seed=1, SET_TEMP=-12.0)
    _, report = build_master("bias", paths)
    assert [bool(row.alarms) for row in report.rows] == [False, False, False, True]
    assert "at -10.0 deg_C, +2.0 K from the -12 deg_C" in report.rows[3].alarms[0]
    _, report = build_master("bias", paths, gates={"max_temperature_offset": 3.0})
    assert not report.rows[3].alarms


def test_a_real_camera(real_data):
    raw = real_data / "ngc520_g" / "calibration"
    found = measure_camera(
        *(sorted(raw.glob(names)) for names in ("*-bi.fit", "flat-*.fit", "*-d.fit"))
    )
    assert found.gain.value.value == pytest.approx(2.72, abs=0.02)
    assert found.gain.header.value == pytest.approx(2.6)
    assert found.read_noise.value.value == pytest.approx(6.72, abs=0.03)
    assert found.dark_current.value.value == pytest.approx(0.16, abs=0.04)
    assert found.saturation.value.value == pytest.approx(55_300, abs=500)
    assert found.alarms == (
        "pixels stop at 55136 adu, not at 65535: give saturation= (--saturation), or an "
        "instrument that knows it",
    )

"""Masters of a real night against a few lines of numpy."""

import numpy as np
import pytest

from bmp_astro.fits import read_frame, write_frame
from bmp_astro.masters import build_master


@pytest.fixture(scope="module")
def night(real_data, tmp_path_factory):
    """Master bias, dark and flat of a night, with their reports and raw frames."""
    raw = real_data / "ngc520_g" / "calibration"
    out = tmp_path_factory.mktemp("masters")
    made, used = {}, {}
    for kind, pattern in (("bias", "*-bi.fit"), ("dark", "*-d.fit"), ("flat", "flat-*.fit")):
        paths = sorted(raw.glob(pattern))
        masters = {f"master_{name}": path for name, (path, _) in made.items()}
        ccd, report = build_master(kind, paths, **masters)
        made[kind] = (write_frame(ccd, out / f"{kind}.fits", checksum=True), report)
        used[kind] = np.array([read_frame(path).data.astype(float) for path in paths])
    return made, used


def clipped_mean(stack, sigma, weights):
    kept = np.abs(stack - np.median(stack, axis=0)) <= 3 * sigma
    total = weights[:, None, None] * kept
    return (total * stack).sum(axis=0) / total.sum(axis=0)


def median_levels(stack):
    """Medians of each frame on half a million pixels, in eight blocks of rows."""
    ny, nx = stack.shape[1:]
    height = -(-(2**19) // (8 * nx))
    starts = np.linspace(0, ny - height, 8).astype(int)
    rows = (starts[:, None] + np.arange(height)).ravel()
    return np.median(stack[:, rows], axis=(1, 2))


def test_no_frame_of_a_good_night_is_refused(night):
    for _, report in night[0].values():
        assert len(report.used) == 7


def test_read_noise_and_drift(night):
    path, report = night[0]["bias"]
    assert read_frame(path).header["RDNADU"] == pytest.approx(6.72, abs=0.05)
    assert report.level_drift == pytest.approx(10, abs=1.5)
    assert "drifts" in report.alarms[0]


def test_pixels_equal_numpy(night):
    made, raw = night
    bias = read_frame(made["bias"][0])
    read_noise, gain = bias.header["RDNADU"], bias.header["EGAIN"]
    equal = np.ones(7)

    levels = median_levels(raw["bias"])
    stack = raw["bias"] + (levels.mean() - levels)[:, None, None]
    expected = clipped_mean(stack, read_noise, equal)
    assert np.abs(bias.data - expected).max() < 1e-6 * raw["bias"].max()

    dark = read_frame(made["dark"][0])
    stack = raw["dark"] - bias.data.astype(float)
    levels = median_levels(stack.astype(np.float32)).astype(float)
    offset = (levels.mean() - levels)[:, None, None]
    stack += offset
    level = np.median(stack, axis=0) - offset
    sigma = np.sqrt(read_noise**2 + np.maximum(level, 0) / gain + (0.05 * level) ** 2)
    difference = np.abs(dark.data - clipped_mean(stack, sigma, equal))
    # a value exactly at the limit may fall on either side of it in float32
    assert (difference > 1e-6 * raw["dark"].max()).mean() < 1e-5

    flat = read_frame(made["flat"][0])
    stack = gain * (raw["flat"] - bias.data.astype(float) - dark.data.astype(float) / 30)
    levels = median_levels(stack)
    scale = (levels.mean() / levels)[:, None, None]
    typical = np.median(dark.data) / 30
    level = np.median(stack * scale, axis=0) / scale
    sigma = scale * np.sqrt(gain**2 * read_noise**2 + gain * typical + np.maximum(level, 0))
    expected = clipped_mean(stack * scale, sigma, levels)
    good = flat.flags == 0
    norm = np.median(expected[good])
    difference = np.abs(flat.data - expected / norm)
    assert (difference > 2e-6 * expected.max() / norm).mean() < 1e-5
    assert np.median(flat.data[good]) == pytest.approx(1, abs=1e-6)


def test_scatter_of_the_flats_is_what_their_uncertainty_says(night):
    made, raw = night
    flat = read_frame(made["flat"][0])
    levels = np.median(raw["flat"], axis=(1, 2))
    variance = (raw["flat"] / levels[:, None, None]).var(axis=0, ddof=1) / 7
    # the median of chi square with 6 degrees of freedom is 0.891 of its mean
    measured = np.sqrt(np.median(variance) / 0.891)
    assert np.median(flat.uncertainty.array) == pytest.approx(measured, rel=0.1)


def test_camera_with_an_unsteady_bias_keeps_its_frames(real_data):
    paths = sorted((real_data / "ic310_j").glob("bias_*.fits"))
    _, report = build_master("bias", paths)
    # patches differ by 26 adu from frame to frame: no one frame is to blame for that
    assert len(report.used) == 3


def test_good_but_faint_flats_pass_the_gates(real_data):
    paths = sorted((real_data / "ic310_j").glob("flats*.fits"))
    bias, _ = build_master("bias", sorted((real_data / "ic310_j").glob("bias_[12].fits")))
    master, report = build_master("flat", paths, master_bias=bias)
    assert len(report.used) == 5
    assert report.level == pytest.approx(145, abs=20)
    assert master.header["UNCSRC"] == "scatter"

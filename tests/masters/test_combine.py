"""The public combine: files and images in, one image out."""

import tracemalloc

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty

from bmp_astro.fits import Instrument, Keyword, read_frame, with_flags, write_frame
from bmp_astro.masters import combine
from bmp_astro.masters import combine as public


def images(n=6, shape=(40, 50), level=1000.0, sigma=10.0, seed=1, **options):
    rng = np.random.default_rng(seed)
    return [
        CCDData(
            rng.normal(level, sigma, shape).astype(np.float32),
            unit="adu",
            meta={"EXPTIME": 30.0, "OBJECT": f"frame {number}"},
            **options,
        )
        for number in range(n)
    ]


@pytest.fixture
def files(tmp_path):
    """Raw integers of one sky on disk, at several levels."""
    rng = np.random.default_rng(4)
    paths = []
    for number, level in enumerate((900.0, 1000.0, 1300.0, 700.0, 1100.0)):
        pixels = rng.normal(level, 12, (300, 130))
        pixels[50 + number, 60:70] += 3000
        ccd = CCDData(np.round(pixels).astype(np.uint16), unit="adu", meta={"EXPTIME": 10.0})
        paths.append(write_frame(ccd, tmp_path / f"raw{number}.fits"))
    return paths


def test_files_and_images_mixed(tmp_path):
    ccds = images()
    path = write_frame(ccds[2], tmp_path / "third.fits")
    combined = combine([ccds[0], ccds[1], path, str(path)])
    expected = np.mean([ccds[i].data.astype(float) for i in (0, 1, 2, 2)], axis=0)
    np.testing.assert_allclose(combined.data, expected, rtol=1e-7)
    assert combined.unit == u.adu
    assert combined.data.dtype == np.float32


@pytest.mark.parametrize("method", ["average", "median", "sum"])
def test_methods_equal_ccdproc(files, method):
    reference = ccdproc.combine([read_frame(path) for path in files], method=method)
    ours = combine(files, method="mean" if method == "average" else method)
    np.testing.assert_allclose(ours.data, reference.data, rtol=1e-6)


def test_minmax_equals_ccdproc(files):
    reference = ccdproc.combine(
        [read_frame(path) for path in files], clip_extrema=True, nlow=1, nhigh=1
    )
    ours, count = combine(files, clip="minmax", n_low=1, n_high=1, return_count=True)
    np.testing.assert_allclose(ours.data, reference.data, rtol=1e-6)
    assert (count == 3).all()
    assert count.dtype == np.uint16


SETTINGS = [
    {"method": "median"},
    {"clip": "sigma", "scale": "median", "weights": "level"},
    {"clip": "sigma", "offset": "mean", "max_iterations": 3},
    {"clip": "noise", "gain": 1.0, "read_noise": 10.0, "scale": "mean"},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_strips_combined_equal_the_whole(files, settings, n_threads):
    whole, all_counts = combine(files, num_threads=1, return_count=True, **settings)
    # the result takes 0.6 MB, a row of all frames 10 kB, so that strips are a few rows
    strips, counts = combine(
        files, mem_limit=9.3e6, num_threads=n_threads, return_count=True, **settings
    )
    np.testing.assert_array_equal(strips.data, whole.data)
    np.testing.assert_array_equal(strips.uncertainty.array, whole.uncertainty.array)
    np.testing.assert_array_equal(strips.mask, whole.mask)
    np.testing.assert_array_equal(counts, all_counts)


def test_memory_stays_within_the_limit(tmp_path):
    paths = [
        write_frame(ccd, tmp_path / f"{number}.fits")
        for number, ccd in enumerate(images(8, (1200, 1100)))
    ]
    limit = 50e6
    combine(paths[:2], clip="sigma", num_threads=2)
    tracemalloc.start()
    combine(paths, clip="sigma", scale=np.ones(8), mem_limit=limit, num_threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit
    assert 0.8 * limit < 8 * 1200 * 1100 * 4


def test_each_file_is_opened_once(files, monkeypatch):
    import sys

    import bmp_astro.masters.combine  # noqa: F401

    module = sys.modules["bmp_astro.masters.combine"]
    opened = []
    original = module.open_frame
    monkeypatch.setattr(
        module, "open_frame", lambda path, **how: opened.append(path) or original(path, **how)
    )
    combine(files, clip="sigma", scale="median", mem_limit=9.3e6)
    assert opened == files


def test_scaled_frames_have_their_mean_level(files):
    frames = np.array([read_frame(path).data.astype(float) for path in files])
    levels = np.median(frames, axis=(1, 2))
    combined = combine(files, scale="median", weights="level")
    expected = frames.sum(axis=0) / levels.sum() * levels.mean()
    np.testing.assert_allclose(combined.data, expected, rtol=1e-6)


def test_offset_frames_keep_their_mean(files):
    plain, moved = combine(files), combine(files, offset="median")
    np.testing.assert_allclose(moved.data, plain.data, rtol=1e-6)


def test_numbers_for_each_frame():
    ccds = images(3)
    combined = combine(ccds, scale=[1, 2, 4], offset=[0, -5, 10], weights=[3, 2, 1])
    data = np.array([ccd.data.astype(float) for ccd in ccds])
    moved = data * np.array([1, 2, 4])[:, None, None] + np.array([0, -5, 10])[:, None, None]
    np.testing.assert_allclose(
        combined.data, np.average(moved, axis=0, weights=[3, 2, 1]), rtol=1e-6
    )


def test_uncertainty_from_the_inputs():
    ccds = images(4)
    for number, ccd in enumerate(ccds):
        ccd.uncertainty = StdDevUncertainty(np.full(ccd.shape, 2.0 + number))
    combined = combine(ccds)
    expected = np.sqrt((np.arange(2, 6.0) ** 2).sum()) / 4
    np.testing.assert_allclose(combined.uncertainty.array, expected, rtol=1e-6)
    assert combined.header["UNCSRC"] == "inputs"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "median"},
        {"clip": "sigma"},
        {"clip": "sigma", "deviation": "winsorized"},
        {"clip": "percentile", "percentile_low": 0.4, "percentile_high": 0.4},
        {"clip": "minmax", "n_low": 1, "n_high": 1},
        {"gain": 2.0, "read_noise": 8.0},
        {"gain": 2.0, "read_noise": 8.0, "clip": "noise", "method": "median"},
    ],
)
@pytest.mark.parametrize("n", [3, 5, 12])
def test_pulls_have_unit_width(settings, n):
    rng = np.random.default_rng(n)
    level = np.linspace(200, 4000, 300)[None, :] * np.ones((200, 1))
    frames = [
        CCDData(rng.poisson(2 * level) / 2 + rng.normal(0, 4, level.shape), unit="adu")
        for _ in range(n)
    ]
    combined = combine(frames, **settings)
    pulls = (combined.data - level) / combined.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.015)
    assert combined.header["UNCSRC"] == ("noise" if "gain" in settings else "scatter")


def test_pulls_of_frames_at_several_levels_with_weights():
    rng = np.random.default_rng(31)
    field = np.linspace(0.8, 1.2, 300)[None, :] * np.ones((200, 1))
    factors = np.array([5000.0, 20000.0, 45000.0])
    frames = [CCDData(rng.poisson(f * field).astype(float), unit="electron") for f in factors]
    combined = combine(frames, scale="median", weights="level", clip="noise", read_noise=1.0)
    norm = np.median(combined.data) / np.median(field)
    pulls = (combined.data - norm * field) / combined.uncertainty.array
    assert pulls.std() == pytest.approx(1, abs=0.015)


def test_single_frame_has_no_uncertainty_from_scatter():
    combined = combine(images(1))
    assert combined.uncertainty is None
    assert "UNCSRC" not in combined.header


def test_masked_pixels_do_not_count():
    ccds = images(3)
    ccds[0].mask = np.zeros(ccds[0].shape, bool)
    ccds[0].mask[3, 4] = True
    for ccd in ccds:
        with_flags(ccd, np.zeros(ccd.shape, np.uint8) if ccd.mask is None else ccd.mask * 2)
        ccd.flags[7, 7] = 2
        ccd.mask = ccd.flags != 0
    before = ccds[0].data.copy()
    combined, count = combine(ccds, return_count=True)
    assert count[3, 4] == 2
    assert combined.data[3, 4] == pytest.approx((ccds[1].data[3, 4] + ccds[2].data[3, 4]) / 2)
    assert combined.flags[7, 7] == 32 | 2
    assert combined.mask.sum() == 1
    np.testing.assert_array_equal(ccds[0].data, before)


def test_more_frames_than_a_byte_counts():
    frames = [CCDData(np.full((3, 4), 7, np.uint16), unit="adu")] * 260
    combined, count = combine(frames, clip="sigma", return_count=True)
    assert (count == 260).all()
    assert combined.header["NCOMBINE"] == 260
    assert combined.header["IMCMB260"] == "frame 260"


def test_header_is_that_of_the_first_frame_with_the_inputs(files):
    header = combine(files, clip="minmax", n_high=1).header
    assert header["NCOMBINE"] == 5
    assert [header[f"IMCMB00{n}"] for n in range(1, 6)] == [f"raw{n}.fits" for n in range(5)]
    assert header["EXPTIME"] == 10
    assert "minmax 0 low 1 high" in " ".join(header["HISTORY"])


def test_exposure_times_that_differ_are_averaged_or_added():
    ccds = images(3)
    ccds[1].header["EXPTIME"] = 90.0
    mean, total = combine(ccds), combine(ccds, method="sum")
    assert mean.header["EXPTIME"] == 50
    assert "30 to 90 s" in "".join(mean.header["HISTORY"])
    assert total.header["EXPTIME"] == 150


def test_noise_clip_takes_gain_and_read_noise_from_the_header():
    ccds = images(5)
    for ccd in ccds:
        ccd.header |= {"EGAIN": 2.0, "RDNOISE": 8.0}
    from_header = combine(ccds, clip="noise")
    given = combine(ccds, clip="noise", gain=2.0 * u.electron / u.adu, read_noise=8 * u.electron)
    np.testing.assert_array_equal(from_header.data, given.data)
    with pytest.raises(ValueError, match="needs gain and read_noise"):
        combine(images(5), clip="noise")


def test_an_instrument_knows_the_keywords_of_the_noise():
    ccds = images(5)
    for ccd in ccds:
        ccd.header |= {"E_PER_DN": 2.0, "SIGMA_E": 8.0}
    camera = Instrument(
        "own",
        gain=Keyword("E_PER_DN", unit=u.electron / u.adu),
        read_noise=Keyword("SIGMA_E", unit=u.electron),
    )
    known = combine(ccds, clip="noise", instrument=camera)
    given = combine(ccds, clip="noise", gain=2.0, read_noise=8.0)
    np.testing.assert_array_equal(known.data, given.data)
    with pytest.raises(ValueError, match="needs gain and read_noise"):
        combine(ccds, clip="noise")


def test_shapes_that_differ_are_named(files, tmp_path):
    odd = write_frame(CCDData(np.ones((8, 9), np.float32), unit="adu"), tmp_path / "odd.fits")
    with pytest.raises(ValueError, match=r"shape of .*odd\.fits is \(8, 9\) .* \(300, 130\)"):
        combine([*files, odd])


def test_units_that_differ_are_named():
    odd = CCDData(np.ones((40, 50)), unit="electron", meta={"FILENAME": "odd.fits"})
    with pytest.raises(ValueError, match=r"unit of odd\.fits is electron"):
        combine([*images(3), odd])


@pytest.mark.parametrize(
    ("frames", "settings", "error", "message"),
    [
        ([], {}, ValueError, "no frames"),
        ("a.fits", {}, TypeError, "single frame"),
        (images(3), {"scale": [1, 2]}, ValueError, "scale must be"),
        (images(3), {"scale": "mode"}, ValueError, "'mode'"),
        (images(3, level=-5.0), {"scale": "median"}, ValueError, "level of frame 1"),
        (images(3), {"weights": "variance"}, ValueError, "weights"),
        (images(3), {"num_threads": 0}, ValueError, "num_threads"),
        (images(3), {"gain": 0.0, "read_noise": 3.0}, ValueError, "gain is 0"),
    ],
)
def test_what_does_not_fit_is_refused(frames, settings, error, message):
    with pytest.raises(error, match=message):
        combine(frames, **settings)


def test_truncated_file_is_named(files):
    path = files[2]
    path.write_bytes(path.read_bytes()[:-30000])
    with pytest.raises(OSError, match=r"raw2\.fits"):
        public(files)


def test_a_rule_that_leaves_nothing_is_told_of_the_numbers_that_were_given():
    frames = [CCDData(np.full((2, 2), float(level)), unit="adu") for level in range(5)]
    with pytest.raises(ValueError, match="drop 3 low and 3 high values, but there are only 5"):
        combine(frames, clip="minmax", n_low=3, n_high=3)

"""What masters have together: made once, right whoever asks, and not kept twice."""

import gc
import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bmp_astro.fits import flags_of, with_flags, write_frame
from bmp_astro.kernels import masters_variance
from bmp_astro.steps import calibrate, joint, master

KINDS = ("bias", "dark", "flat")


@pytest.fixture
def files(sample, tmp_path):
    """The masters in files, by their kinds; some pixels of each are flagged."""
    for kind, bit in (("bias", 128), ("flat", 4)):
        flags = np.zeros(sample.bias.shape, np.uint8)
        flags[3, 4] = bit
        with_flags(getattr(sample, kind), flags)
    return {
        kind: write_frame(getattr(sample, kind), tmp_path / f"master_{kind}.fits") for kind in KINDS
    }


def opened(files, sample):
    """The masters as steps open them."""
    raw = sample.bias
    return [master.open_master(files[kind], kind, raw) for kind in KINDS]


def calibrated(sample, files):
    return calibrate(sample.raw, **{f"master_{kind}": path for kind, path in files.items()})


@pytest.fixture
def made(monkeypatch):
    """How often a plane of variance is worked out."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return masters_variance(*args, **kwargs)

    monkeypatch.setattr(joint, "masters_variance", counted)
    return calls


def test_frames_alike_share_one_plane_though_many_ask_at_once(sample, files, made):
    with ThreadPoolExecutor(8) as pool:
        ccds = list(pool.map(lambda _: calibrated(sample, files), range(8)))
    assert len(made) == 1
    for ccd in ccds[1:]:
        np.testing.assert_array_equal(ccd.uncertainty.array, ccds[0].uncertainty.array)


def test_files_and_images_give_the_same(sample, files):
    images = {f"master_{kind}": master.load_master(path) for kind, path in files.items()}
    for name, image in images.items():
        image.header["FILENAME"] = os.path.basename(files[name.removeprefix("master_")])
    want = calibrate(sample.raw, **images)
    for _ in range(2):  # from the file, and from what was made of it
        got = calibrated(sample, files)
        np.testing.assert_array_equal(got.data, want.data)
        np.testing.assert_array_equal(got.uncertainty.array, want.uncertainty.array)
        np.testing.assert_array_equal(got.flags, want.flags)
        assert got.flags[3, 4] == 128 + 4


def test_another_scale_has_a_plane_of_its_own(sample, files, made):
    planes = {}
    for exposure in (100.0, 300.0, 100.0):
        sample.raw.header["EXPTIME"] = exposure
        planes.setdefault(exposure, calibrated(sample, files).uncertainty.array)
    assert [how["dark_scale"] for how in made] == [pytest.approx(1 / 3), 1.0]
    assert not np.array_equal(planes[100.0], planes[300.0])


def test_more_than_are_kept_are_made_again_from_the_files(sample, files, made):
    exposures = (50.0, 100.0, 150.0, 300.0)
    found = []
    for exposure in exposures * 2:
        sample.raw.header["EXPTIME"] = exposure
        found.append(calibrated(sample, files).uncertainty.array)
    assert len(made) == 2 * len(exposures)
    for first, again in zip(found[:4], found[4:], strict=True):
        np.testing.assert_array_equal(first, again)


def test_planes_that_were_put_together_are_let_go_of_and_found_again(sample, files):
    bias, dark, flat = opened(files, sample)
    known = {one.name: (one.sigma.copy(), one.flags.copy()) for one in (bias, dark, flat)}
    gone = [weakref.ref(plane) for one in (bias, dark) for plane in (one.sigma, one.flags)]
    joint.variance_terms(bias, dark)
    joint.flag_terms(bias, dark, flat)
    gc.collect()
    assert [plane() for plane in gone] == [None] * 4
    for one in (bias, dark, flat):
        sigma, flags = known[one.name]
        np.testing.assert_array_equal(one.sigma, sigma)
        np.testing.assert_array_equal(one.flags, flags)
        assert not one.sigma.flags.writeable
        assert not one.flags.flags.writeable


def test_flags_of_which_none_is_set_take_no_memory_and_stay(sample, files):
    dark = opened(files, sample)[1]
    sample.bias.flags[...] = 0
    sample.bias.mask = None
    bias = master.open_master(
        write_frame(sample.bias, files["bias"], overwrite=True), "bias", dark.ccd
    )
    empty = bias.flags
    joint.flag_terms(bias, dark)
    assert bias.flags is empty
    assert empty.strides == (0, 0)


def test_frames_of_many_scales_do_not_read_the_masters_again(sample, files, monkeypatch):
    calibrated(sample, files)
    reads = []
    monkeypatch.setattr(master, "open_frame", reads.append)
    for exposure in (50.0, 60.0, 70.0, 50.0):
        sample.raw.header["EXPTIME"] = exposure
        calibrated(sample, files)
    assert reads == []


def test_a_loaded_master_is_whole_all_the_same(sample, files):
    before = master.load_master(files["dark"])
    sigma, flags = before.uncertainty.array.copy(), flags_of(before).copy()
    calibrated(sample, files)
    for ccd in (before, master.load_master(files["dark"])):
        np.testing.assert_array_equal(ccd.uncertainty.array, sigma)
        np.testing.assert_array_equal(flags_of(ccd), flags)
        assert ccd.uncertainty.parent_nddata.unit == ccd.unit


def test_a_master_that_was_made_anew_is_not_taken_for_the_old_one(sample, files):
    first = calibrated(sample, files).uncertainty.array
    sample.bias.uncertainty.array[...] = 20
    write_frame(sample.bias, files["bias"], overwrite=True)
    later = os.stat(files["bias"]).st_mtime_ns + 10**9
    os.utime(files["bias"], ns=(later, later))
    assert np.all(calibrated(sample, files).uncertainty.array > first)

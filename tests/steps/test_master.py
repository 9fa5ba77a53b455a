"""Masters: read once, read-only, refused where they do not fit."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bmp_astro.fits import write_frame
from bmp_astro.steps import divide_flat, mask_bad_pixels, master, subtract_bias, subtract_dark


@pytest.fixture
def path(sample, tmp_path):
    return write_frame(sample.bias, tmp_path / "bias.fits")


def test_a_file_is_read_once_by_many_threads(path, monkeypatch):
    reads = []
    started = threading.Barrier(8)

    def counted(name):
        reads.append(name)
        return real(name)

    real = master.read_frame
    monkeypatch.setattr(master, "read_frame", counted)

    def load(_):
        started.wait()
        return master.load_master(path)

    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, range(8)))
    assert len(reads) == 1
    assert all(ccd is loaded[0] for ccd in loaded)


def test_a_file_that_changed_is_read_again(sample, path):
    first = master.load_master(path).data[0, 0]
    sample.bias.data[0, 0] += 1
    write_frame(sample.bias, path, overwrite=True)
    later = os.stat(path).st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))
    assert master.load_master(path).data[0, 0] == first + 1


def test_a_loaded_master_is_shared_and_read_only(sample, path):
    ccd = master.load_master(path)
    assert master.load_master(str(path)) is ccd
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    np.testing.assert_allclose(ccd.uncertainty.array, sample.bias.uncertainty.array, rtol=1e-6)
    for plane in (ccd.data, ccd.uncertainty.array):
        with pytest.raises(ValueError, match="read-only"):
            plane[0, 0] = 1


def test_few_masters_are_kept(sample, tmp_path):
    paths = [tmp_path / f"{number}.fits" for number in range(master.CACHE_SIZE + 1)]
    loaded = [master.load_master(write_frame(sample.bias, path)) for path in paths]
    assert master.load_master(paths[-1]) is loaded[-1]
    assert master.load_master(paths[0]) is not loaded[0]


def test_a_failure_is_not_kept(sample, tmp_path):
    path = tmp_path / "bias.fits"
    with pytest.raises(OSError, match=r"bias\.fits"):
        master.load_master(path)
    path.write_bytes(b"")
    with pytest.raises(OSError, match=r"bias\.fits"):
        master.load_master(path)
    write_frame(sample.bias, path, overwrite=True)
    assert master.load_master(path).shape == sample.bias.shape


def test_images_are_used_as_they_are(sample):
    assert master.load_master(sample.bias) is sample.bias
    with pytest.raises(TypeError, match="path or a CCDData"):
        master.load_master(np.zeros((2, 2)))


@settings(max_examples=50)
@given(pixels=arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_data_sum_is_the_datasum_of_fits(pixels):
    hdu = fits.PrimaryHDU(pixels)
    hdu.add_datasum()
    assert master.data_sum(pixels) == hdu.header["DATASUM"]
    assert master.data_sum(pixels.astype(">f4")) == hdu.header["DATASUM"]


@pytest.mark.parametrize(
    ("step", "kind", "given", "message"),
    [
        (subtract_bias, "bias", "flat", "given as master bias but its IMAGETYP is 'Master Flat'"),
        (subtract_dark, "dark", "bias", "given as master dark but its IMAGETYP is 'Master Bias'"),
        (divide_flat, "flat", "dark", "given as master flat but its IMAGETYP is 'Master Dark'"),
        (subtract_bias, "bias", None, "there is no master bias: give master_bias="),
        (subtract_dark, "dark", None, "there is no master dark: give master_dark="),
        (divide_flat, "flat", None, "there is no master flat: give master_flat="),
    ],
)
def test_a_master_of_another_kind_and_none(sample, step, kind, given, message):
    frame = CCDData(np.ones(sample.bias.shape), unit="adu")
    chosen = None if given is None else getattr(sample, given)
    with pytest.raises(ValueError, match=message):
        step(frame, **{f"master_{kind}": chosen})


def test_a_master_of_raw_frames_by_other_software_is_taken(make_image):
    for said in ("BIAS", "zero", "Light Frame", ""):
        bias = make_image(np.ones((3, 4)), "adu", IMAGETYP=said)
        ccd = subtract_bias(CCDData(np.ones((3, 4)), unit="adu"), master_bias=bias)
        np.testing.assert_array_equal(ccd.data, 0)


@pytest.mark.parametrize(
    ("step", "kind", "unit", "frame_unit", "message"),
    [
        (subtract_bias, "bias", "electron", "adu", "master bias is in electron but the frame"),
        (subtract_bias, "bias", "adu", "electron", "in electron already"),
        (subtract_dark, "dark", "adu / s", "adu", "master dark is in adu / s but the frame is in"),
        (divide_flat, "flat", "adu", "electron", "master flat is in adu but must have no unit"),
    ],
)
def test_units_that_do_not_fit(step, kind, unit, frame_unit, message):
    ones = np.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        step(CCDData(ones, unit=frame_unit), **{f"master_{kind}": CCDData(ones, unit=unit)})


def test_bad_pixels_from_a_file(tmp_path):
    bad = np.zeros((5, 6), np.uint8)
    bad[1, 2] = 1
    fits.PrimaryHDU(bad).writeto(tmp_path / "bad.fits")
    ccd = mask_bad_pixels(CCDData(np.ones((5, 6)), unit="adu"), tmp_path / "bad.fits")
    np.testing.assert_array_equal(ccd.flags, bad)
    with pytest.raises(ValueError, match=r"bad pixel mask is \(5, 6\) \(ny, nx\) but the frame is"):
        mask_bad_pixels(CCDData(np.ones((5, 5)), unit="adu"), tmp_path / "bad.fits")


def test_level_ignores_what_is_not_finite(make_image):
    pixels = np.full((4, 4), 7.0)
    pixels[0] = np.nan
    assert master.Master(make_image(pixels, "adu"), "x").level == 7
    assert master.Master(make_image(pixels * np.nan, "adu"), "x").level == 0

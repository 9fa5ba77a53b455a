"""Stored bytes: the compiled module and its numpy twin, against astropy and against each other."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmp_astro.fits import open_frame, words
from bmp_astro.fits.checksum import fold, ones_complement_sum

COMPILED = words._compiled
ODD = [np.nan, -np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, -0.0, 1e-45, 1.5]


@pytest.fixture(params=["C", "numpy"], autouse=True, scope="module")
def implementation(request):
    """Use the compiled module, or its numpy twin, in every test."""
    if request.param == "C" and COMPILED is None:
        pytest.skip("the compiled module is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_compiled", COMPILED if request.param == "C" else None)
        yield request.param


def theirs(data):
    """The sum of bytes as astropy has it."""
    return fits.ImageHDU(np.zeros((1, 1), np.uint8))._compute_checksum(data)


@given(st.integers(0, 5), st.integers(0, 300), st.integers(0, 99), st.sampled_from([1, 255, 256]))
def test_bytes_of_any_number_and_place_add_up_as_astropy_has_it(shift, length, seed, high):
    data = np.random.default_rng(seed).integers(0, high, shift + length).astype(np.uint8)[shift:]
    data = data if high > 1 else data | 255
    assert fold(words.add_up(data)) == theirs(np.pad(data, (0, -len(data) % 4)))


def test_a_long_sum_keeps_its_carry():
    data = np.full((3000, 1001), -1, ">i4")
    assert ones_complement_sum([data, data]) == 0xFFFFFFFF == theirs(data.view(np.uint8).ravel())
    parts = ones_complement_sum([data[:7], data[7:]], total=5)
    assert parts == ones_complement_sum([data], total=5) == 5


numbers = hnp.arrays(
    st.sampled_from(["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40),
    elements=None,
)


@given(numbers, st.sampled_from("<>"), st.booleans(), st.lists(st.sampled_from(ODD), max_size=3))
@example(np.zeros((0, 4), "f4"), "<", False, [])
def test_numbers_are_copied_to_the_other_order_and_what_is_not_finite_is_told(
    array, order, strided, odd
):
    if array.dtype.kind == "f":
        array.reshape(-1)[: len(odd)] = odd[: array.size]
    source = array.astype(array.dtype.newbyteorder(order))
    source = np.repeat(source, 2, axis=1)[:, ::2] if strided else source
    target = np.empty(array.shape, array.dtype.newbyteorder("<" if order == ">" else ">"))
    with np.errstate(invalid="ignore"):
        assert words.copy_numbers(source, target) == bool(np.isfinite(array).all())
    # to the bit, also where it is not a number
    bits = f"u{array.dtype.itemsize}"
    np.testing.assert_array_equal(target.astype(array.dtype).view(bits), array.view(bits))


@pytest.mark.parametrize(("stored", "pixels"), [("u1", "i1"), ("i2", "u2"), ("i4", "u4")])
@given(values=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), to_file=st.booleans())
def test_signedness_is_turned_over_both_ways(stored, pixels, values, to_file):
    info = np.iinfo(pixels)
    native = (np.array([values]) % (info.max - info.min + 1) + info.min).astype(pixels)
    middle = (int(info.max) + 1 + int(info.min)) // 2 if stored != "u1" else -128
    in_file = (native.astype(np.int64) - middle).astype(f">{stored}")
    source, expected = (native, in_file) if to_file else (in_file, native)
    found = np.empty_like(expected)
    assert words.copy_numbers(source, found, flip=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("bscale", [1.0, 0.5])
def test_columns_are_read_as_from_the_whole(tmp_path, bscale, monkeypatch):
    pixels = np.random.default_rng(3).integers(0, 65536, (37, 5000)).astype(np.uint16)
    hdu = fits.ImageHDU(pixels)
    if bscale != 1:
        hdu.scale("int16", bscale=bscale, bzero=7.0)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    called = []
    monkeypatch.setattr(
        "bmp_astro.fits.source.read_pieces",
        lambda *args: called.append(args) or words.read_pieces(*args),
    )
    with open_frame(tmp_path / "a.fits") as frame:
        whole = frame.rows(0, 37)
        for rows, columns in [((0, 37), (4936, 5000)), ((36, 37), (0, 1)), ((5, 9), (7, 2800))]:
            window = frame.window(slice(*rows), slice(*columns))
            assert window.dtype == whole.dtype
            np.testing.assert_array_equal(window, whole[slice(*rows), slice(*columns)])
        assert len(called) == 3
        frame.window(slice(0, 37), slice(0, 4000))
        frame.window(slice(3, 3), slice(0, 4))
        assert len(called) == 4
        with pytest.raises(ValueError, match="rows"):
            frame.window(slice(30, 38), slice(0, 9))
        with pytest.raises(ValueError, match="5000"):
            frame.window(slice(0, 9), slice(4999, 5001))


def test_a_file_that_is_cut_while_it_is_open_is_an_error(tmp_path):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((50, 5000), np.uint16))
    with open_frame(path) as frame:
        os.truncate(path, path.stat().st_size - 2880 - 50_000)
        with pytest.raises(OSError, match="truncated"):
            frame.window(slice(0, 50), slice(4990, 5000))
        assert (frame.window(slice(0, 20), slice(4990, 5000)) == 1).all()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            words.read_pieces(descriptor, np.empty((3, 4), np.uint8), 0, 8)
    finally:
        os.close(descriptor)


def test_room_for_more_leaves_a_file_as_it_is(tmp_path):
    path = tmp_path / "a"
    with open(path, "wb", buffering=0) as stream:
        stream.write(b"abc")
        words.reserve(stream.fileno(), 1, 100_000)
        assert path.read_bytes() == b"abc"
        stream.write(b"def")
    assert path.read_bytes() == b"abcdef"


def test_where_no_room_can_be_reserved_that_is_no_error():
    ends = os.pipe()
    try:
        words.reserve(ends[1], 0, 100)
        assert os.write(ends[1], b"abc") == 3
    finally:
        for end in ends:
            os.close(end)


def test_threads_work_at_the_same_time():
    rng = np.random.default_rng(8)
    arrays = [rng.normal(size=(300, 1000)).astype("f4") for _ in range(4)]
    arrays[1][299, 999] = np.nan
    expected = [theirs(array.astype(">f4").view(np.uint8).ravel()) for array in arrays]

    def work(which):
        stored = np.empty(arrays[which].shape, ">f4")
        finite = words.copy_numbers(arrays[which], stored)
        return finite, ones_complement_sum([stored])

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, [0, 1, 2, 3] * 25))
    assert found == [(which != 1, expected[which]) for which in range(4)] * 25


@pytest.mark.parametrize("implementation", ["C"], indirect=True)
def test_numpy_is_chosen_in_silence(monkeypatch, caplog):
    monkeypatch.delenv("BMP_ASTRO_KERNELS", raising=False)
    assert words._load() is COMPILED
    monkeypatch.setenv("BMP_ASTRO_KERNELS", "numpy")
    assert words._load() is None
    monkeypatch.delenv("BMP_ASTRO_KERNELS")
    monkeypatch.setitem(sys.modules, "bmp_astro.fits._words", None)
    monkeypatch.delattr("bmp_astro.fits._words")
    assert words._load() is None
    assert not caplog.records


@pytest.mark.parametrize("implementation", ["C"], indirect=True)
def test_the_module_runs_clean_under_the_sanitizers(run_sanitized):
    run_sanitized("fits", Path(__file__).with_name("sanitized.py"))

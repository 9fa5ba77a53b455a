import gzip
import logging
import os
import shutil
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmp_astro.fits import MaskBit, is_product, read_frame, with_flags, write_frame
from bmp_astro.fits.writer import write_master

SUFFIXES = [".fits", ".fits.gz", ".fits.fz"]


@pytest.fixture
def verify():
    """A function that fails the test where fitsverify finds an error in a file."""
    program = shutil.which("fitsverify")
    if program is None:
        pytest.skip("fitsverify is not installed")

    def check(path):
        done = subprocess.run([program, "-e", str(path)], capture_output=True, text=True)
        assert " 0 error(s)" in done.stdout, done.stdout + done.stderr

    return check


@pytest.fixture
def ccd():
    rng = np.random.default_rng(2)
    header = fits.Header({"OBJECT": "M 1", "EXPTIME": 30.5, "BZERO": 32768, "BLANK": -1})
    header["FILTER"] = ("Sloan g'", "a comment")
    header["HIERARCH ESO DPR TYPE"] = "OBJECT"
    header.add_history("trimmed")
    made = CCDData(rng.normal(100, 9, (40, 30)).astype(np.float32), unit="electron", header=header)
    made.uncertainty = StdDevUncertainty(np.abs(made.data) ** 0.5)
    return with_flags(made, rng.integers(0, 3, made.shape).astype(np.uint8))


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_product_comes_back(tmp_path, ccd, verify, suffix, checksum):
    path = tmp_path / f"product{suffix}"
    before = ccd.header.copy()
    assert write_frame(ccd, path, checksum=checksum) is path
    assert ccd.header == before
    again = read_frame(path)
    assert again.unit == u.electron
    assert again.data.dtype == again.uncertainty.array.dtype == np.float32
    np.testing.assert_array_equal(again.data, ccd.data)
    np.testing.assert_array_equal(again.uncertainty.array, ccd.uncertainty.array)
    np.testing.assert_array_equal(again.flags, ccd.flags)
    for name in ("OBJECT", "EXPTIME", "FILTER", "ESO DPR TYPE"):
        assert again.header[name] == ccd.header[name]
        assert again.header.comments[name] == ccd.header.comments[name]
    assert again.header["HISTORY"][0] == "trimmed"
    assert not {"BZERO", "BSCALE", "BLANK"} & set(again.header)
    assert is_product(again.header)
    verify(path)
    theirs = CCDData.read(path, hdu=1 if suffix == ".fits.fz" else 0)
    assert theirs.unit == u.electron
    np.testing.assert_array_equal(theirs.data, ccd.data)
    np.testing.assert_array_equal(theirs.mask, ccd.mask)
    np.testing.assert_array_equal(theirs.uncertainty.array, ccd.uncertainty.array)
    with fits.open(path, checksum=True) as hdus:
        assert [hdu.name for hdu in hdus][-2:] == ["UNCERT", "MASK"]
        assert hdus["MASK"].header["MBIT1"] == "SATURATED"
        assert all(("CHECKSUM" in hdu.header) == checksum for hdu in hdus if suffix != ".fits.fz")
    assert left_in(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_checksums_where_bands_of_rows_are_no_whole_words(tmp_path, suffix):
    pixels = np.random.default_rng(1).normal(size=(523, 2051)).astype(np.float32)
    ccd = with_flags(CCDData(pixels, unit="adu"), (pixels * 50).astype(np.uint8))
    kind = {"dtype": "int16", "limits": (-10, 10)}
    path = write_frame(ccd, tmp_path / f"a{suffix}", checksum=True, **kind)
    with fits.open(path, checksum=True) as hdus:  # its warnings are errors here
        assert [hdu.data.shape for hdu in hdus] == [pixels.shape] * 2


def test_a_product_of_a_product_is_the_same(tmp_path, ccd):
    one = read_frame(write_frame(ccd, tmp_path / "one.fits"))
    two = read_frame(write_frame(one, tmp_path / "two.fits"))
    changing = {"DATE", "FILENAME"}
    pairs = [
        [(c.keyword, c.value, c.comment) for c in frame.header.cards if c.keyword not in changing]
        for frame in (one, two)
    ]
    assert pairs[0] == pairs[1]


images = hnp.arrays(
    st.sampled_from(["u1", "<i2", ">i2", "<u2", "<i4", "<f4", ">f4", "<f8", ">f8"]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=7),
)


@settings(max_examples=100, deadline=None)
@given(images, st.sampled_from(["float32", "float64"]))
def test_any_pixels_make_a_round_trip(tmp_path_factory, pixels, dtype):
    path = tmp_path_factory.mktemp("trip") / "a.fits"
    again = read_frame(write_frame(CCDData(pixels, unit="adu"), path, dtype=dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = pixels.astype(dtype)
    finite = np.isfinite(expected)
    assert again.data.dtype == dtype
    np.testing.assert_array_equal(again.data, np.where(finite, expected, 0))
    if finite.all():
        assert again.flags is None
    else:
        np.testing.assert_array_equal(again.flags, np.where(finite, 0, MaskBit.NO_DATA))


INTEGERS = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TILED = ["uint8", "int16", "uint16", "int32", "uint32"]


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".fits", d) for d in INTEGERS] + [(".fits.fz", d) for d in TILED]
)
def test_integers_of_every_kind(tmp_path, verify, dtype, suffix):
    info = np.iinfo(dtype)
    pixels = np.array([[info.min, 0, 1], [2, 100, info.max]], dtype=dtype)
    path = write_frame(CCDData(pixels, unit="adu"), tmp_path / f"a{suffix}", dtype=dtype)
    again = read_frame(path)
    assert again.data.dtype == dtype
    np.testing.assert_array_equal(again.data, pixels)
    verify(path)


def test_integers_are_rounded_and_must_fit(tmp_path):
    image = CCDData(np.array([[0.4, 1.6]]), unit="adu")
    path = write_frame(image, tmp_path / "a.fits", dtype="uint16")
    np.testing.assert_array_equal(read_frame(path).data, [[0, 2]])
    with pytest.raises(ValueError, match="do not fit uint8"):
        write_frame(CCDData([[-1.0, 300.0]], unit="adu"), tmp_path / "b.fits", dtype="uint8")
    assert left_in(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scaled_integers_between_limits(tmp_path, verify, caplog, suffix):
    rng = np.random.default_rng(3)
    pixels = rng.uniform(-50, 1000, (20, 30))
    pixels[0, :3] = [-99, 5000, np.nan]
    path = tmp_path / f"a{suffix}"
    write_frame(CCDData(pixels, unit="adu"), path, dtype="int16", limits=(-50, 1000))
    again = read_frame(path)
    np.testing.assert_allclose(again.data[1:], pixels[1:], atol=0.51 * 1050 / 65534)
    np.testing.assert_allclose(again.data[0, :3], [-50, 1000, 0], atol=0.01)
    assert again.flags[0, 2] == MaskBit.NO_DATA
    assert np.count_nonzero(again.flags) == 1
    assert "2 pixels beyond the limits" in caplog.text
    verify(path)


def test_scaled_integers_with_blanks(tmp_path, verify):
    image = CCDData(np.array([[1.0, np.nan, 3.0]]), unit="adu")
    path = tmp_path / "a.fits"
    write_frame(image, path, dtype="int16", limits=(0, 4), fill="nan", planes=())
    np.testing.assert_array_equal(read_frame(path).flags, [[0, 32, 0]])
    np.testing.assert_allclose(fits.getdata(path), image.data, atol=1e-4)
    verify(path)


@pytest.mark.parametrize("limits", [(1, 0), (0, np.inf), (3, 3)])
def test_limits_must_make_sense(tmp_path, limits):
    image = CCDData(np.zeros((2, 2)), unit="adu")
    with pytest.raises(ValueError, match="limits are"):
        write_frame(image, tmp_path / "a.fits", dtype="int16", limits=limits)
    with pytest.raises(ValueError, match="limits are for dtype='int16'"):
        write_frame(image, tmp_path / "a.fits", limits=(0, 1))


def test_pixels_without_a_value(tmp_path, caplog):
    image = CCDData(np.array([[1, np.nan, np.inf, 4]], np.float32), unit="adu")
    image.uncertainty = StdDevUncertainty(np.array([[np.nan, 1, 1, 1]], np.float32))
    with_flags(image, np.array([[0, 8, 0, 0]], np.uint8))
    again = read_frame(write_frame(image, tmp_path / "a.fits"))
    np.testing.assert_array_equal(again.data, [[1, 0, 0, 4]])
    np.testing.assert_array_equal(again.uncertainty.array, [[0, 1, 1, 1]])
    np.testing.assert_array_equal(again.flags, [[32, 40, 32, 0]])
    assert "3 pixels have no finite value" in caplog.text
    nan = read_frame(write_frame(image, tmp_path / "b.fits", fill="nan"))
    np.testing.assert_array_equal(nan.data, [[1, np.nan, np.nan, 4]])
    five = read_frame(write_frame(image, tmp_path / "c.fits", fill=-5.0))
    np.testing.assert_array_equal(five.data, [[1, -5, -5, 4]])
    with pytest.raises(ValueError, match="fill is 'zero'"):
        write_frame(image, tmp_path / "d.fits", fill="zero")


@pytest.mark.parametrize("odd", ["nothing", "pixel", "sigma"])
def test_a_master_is_written_with_a_checksum_and_whether_all_is_finite_is_told(tmp_path, ccd, odd):
    if odd != "nothing":
        (ccd.data if odd == "pixel" else ccd.uncertainty.array)[-1, -1] = np.inf
    assert write_master(ccd, tmp_path / "a.fits") == (odd == "nothing")
    write_frame(ccd, tmp_path / "b.fits", checksum=True)
    with fits.open(tmp_path / "a.fits") as one, fits.open(tmp_path / "b.fits") as two:
        assert len(one) == 3
        assert [hdu.header["DATASUM"] for hdu in one] == [hdu.header["DATASUM"] for hdu in two]
    with pytest.raises(FileExistsError):
        write_master(ccd, tmp_path / "a.fits")
    write_master(ccd, tmp_path / "a.fits", overwrite=True)


def test_planes_and_bits_are_chosen(tmp_path, ccd):
    with fits.open(write_frame(ccd, tmp_path / "a.fits", planes=())) as hdus:
        assert len(hdus) == 1
        assert "EXTEND" not in hdus[0].header
    with fits.open(write_frame(ccd, tmp_path / "b.fits", planes=["mask"])) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK"]
    path = write_frame(ccd, tmp_path / "c.fits", mask_bits=MaskBit.SATURATED)
    np.testing.assert_array_equal(read_frame(path).flags, ccd.flags & 2)
    with pytest.raises(ValueError, match=r"planes are \['sky'\]"):
        write_frame(ccd, tmp_path / "d.fits", planes=["sky"])


@pytest.mark.parametrize(
    ("make", "sigma"),
    [(StdDevUncertainty, 3.0), (VarianceUncertainty, 9.0), (InverseVariance, 1 / 9.0)],
)
def test_images_of_others(tmp_path, make, sigma):
    data = np.arange(6.0).reshape(2, 3)
    theirs = CCDData(data, unit="adu", mask=data > 4, uncertainty=make(np.full((2, 3), sigma)))
    again = read_frame(write_frame(theirs, tmp_path / "a.fits"))
    np.testing.assert_array_equal(again.data, data)
    np.testing.assert_allclose(again.uncertainty.array, 3.0)
    np.testing.assert_array_equal(again.flags, [[0, 0, 0], [0, 0, 1]])


def test_an_uncertainty_in_another_unit(tmp_path):
    image = CCDData(np.ones((2, 2)), unit=u.kg)
    image.uncertainty = StdDevUncertainty(np.ones((2, 2)), unit=u.g)
    again = read_frame(write_frame(image, tmp_path / "a.fits"))
    assert again.unit == u.kg
    np.testing.assert_allclose(again.uncertainty.array, 1e-3)


def test_an_uncertainty_that_nobody_understands_is_left_out(tmp_path, caplog):
    image = CCDData(np.ones((2, 2)), unit="adu", uncertainty=UnknownUncertainty(np.ones((2, 2))))
    assert read_frame(write_frame(image, tmp_path / "a.fits")).uncertainty is None
    assert "kind 'unknown' is not written" in caplog.text


@pytest.mark.parametrize("unit", ["adu", "", "electron / s", "3 adu", "Jy", "kg m2 / s2"])
def test_units_come_back(tmp_path, unit):
    image = CCDData(np.ones((2, 2)), unit=u.Unit(unit))
    path = write_frame(image, tmp_path / "a.fits")
    assert read_frame(path).unit == u.Unit(unit)
    assert CCDData.read(path).unit == u.Unit(unit)


def test_any_header_can_be_written(tmp_path, verify, caplog):
    meta = {
        "exposure time": 30.0 * u.s,
        "OBJECT": "M\xe9ssier\n1",
        "NOTHING": None,
        "LIST": [1, 2],
        "NAN": float("nan"),
        "NUMPY": np.float32(2.5),
        "A_VERY_LONG_KEYWORD": "x" * 200,
        "TEXT": "y" * 200,
        "XTENSION": "IMAGE",
        "NAXIS3": 5,
    }
    path = tmp_path / "a.fits"
    write_frame(CCDData(np.ones((2, 2)), unit="adu", meta=meta), path)
    header = read_frame(path).header
    assert header["EXPOSURE TIME"] == 30.0
    assert header["OBJECT"] == "M?ssier 1"
    assert header["TEXT"] == "y" * 200
    assert header["NUMPY"] == 2.5
    assert header["NAN"] == "nan"
    assert "NAXIS3" not in header
    assert "LIST" in caplog.text
    assert "A_VERY_LONG_KEYWORD" in caplog.text
    verify(path)


def test_long_comments_do_not_warn(tmp_path):
    header = fits.Header()
    header["FLOAT"] = (1.23456789012345, "c" * 60)
    header["STRING"] = ("s" * 40, "c" * 60)
    again = read_frame(
        write_frame(CCDData(np.ones((2, 2)), unit="adu", header=header), tmp_path / "a.fits")
    ).header
    assert again["FLOAT"] == header["FLOAT"]
    assert again["STRING"] == header["STRING"]
    assert again.comments["FLOAT"].startswith("ccc")


def test_an_existing_file_is_left_alone(tmp_path, ccd):
    path = tmp_path / "a.fits"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_frame(ccd, path)
    assert path.read_bytes() == b"precious"
    write_frame(ccd, path, overwrite=True)
    assert read_frame(path).shape == ccd.shape
    assert left_in(tmp_path) == ["a.fits"]


def test_a_failure_leaves_nothing(tmp_path, ccd):
    script = """if True:
        import resource, signal, sys
        import numpy as np
        from astropy.nddata import CCDData
        from bmp_astro.fits import write_frame
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        ccd = CCDData(np.random.default_rng(1).normal(0, 1, (300, 300)), unit="adu")
        for name in sys.argv[1:]:
            try:
                write_frame(ccd, name)
            except OSError as error:
                print("failed")
    """
    names = [str(tmp_path / f"a{suffix}") for suffix in SUFFIXES]
    done = subprocess.run(
        [sys.executable, "-c", script, *names], capture_output=True, text=True, check=False
    )
    assert done.stdout == 3 * "failed\n", done.stderr
    assert left_in(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        write_frame(ccd, tmp_path / "none" / "a.fits")


def test_a_file_has_the_usual_permissions(tmp_path, ccd):
    old = os.umask(0o022)
    try:
        path = write_frame(ccd, tmp_path / "a.fits")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644


def test_gzipped_bytes_do_not_depend_on_the_time_or_the_name(tmp_path, ccd):
    one = write_frame(ccd, tmp_path / "one.fits.gz").read_bytes()
    assert one[4:8] == b"\0\0\0\0"
    assert b"one.fits" not in one[:40]
    assert gzip.decompress(one).startswith(b"SIMPLE  =")


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_only_two_dimensions_are_written(tmp_path, shape):
    with pytest.raises(ValueError, match="must be 2-D"):
        write_frame(CCDData(np.zeros(shape), unit="adu"), tmp_path / "a.fits")


def test_complex_pixels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="real numbers"):
        write_frame(CCDData(np.ones((2, 2), complex), unit="adu"), tmp_path / "a.fits")
    with pytest.raises(ValueError, match="dtype is 'complex128'"):
        write_frame(CCDData(np.ones((2, 2)), unit="adu"), tmp_path / "a.fits", dtype="complex128")


def tan_wcs(ra, ctype="TAN"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{ctype}", f"DEC--{ctype}"]
    wcs.wcs.crval = [ra, 20.0]
    wcs.wcs.crpix = [15.0, 20.0]
    wcs.wcs.cdelt = [-1e-4, 1e-4]
    wcs.wcs.set()
    return wcs


def solved(ra):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 20.0}
    cards |= {"CRPIX1": 15.0, "CRPIX2": 20.0, "CD1_1": -1e-4, "CD2_2": 1e-4, "CD1_2": 0.0}
    return fits.Header(cards | {"OBJECT": "M 1", "CRPIX1A": 3.0})


def test_cards_that_say_the_same_as_the_wcs_stay(tmp_path, verify):
    image = CCDData(np.ones((40, 30)), unit="adu", header=solved(10.0), wcs=tan_wcs(10.0))
    path = write_frame(image, tmp_path / "a.fits")
    header = fits.getheader(path)
    assert header["CD1_1"] == -1e-4
    assert "PC1_1" not in header
    assert "CDELT1" not in header


@pytest.mark.parametrize("header", [solved(10.0), fits.Header()])
def test_a_new_plate_solution_replaces_the_cards(tmp_path, verify, header):
    image = CCDData(np.ones((40, 30)), unit="adu", header=header, wcs=tan_wcs(11.0))
    path = write_frame(image, tmp_path / "a.fits")
    written = fits.getheader(path)
    assert written["CRVAL1"] == 11.0
    assert "CD1_1" not in written
    again = read_frame(path).wcs
    assert again.wcs_pix2world([[3.0, 4.0]], 0) == pytest.approx(
        tan_wcs(11.0).wcs_pix2world([[3.0, 4.0]], 0), abs=1e-9
    )
    verify(path)


def test_a_slice_of_a_frame_keeps_its_place_in_the_sky(tmp_path, fits_file):
    lines = [
        f"{c.keyword:8}= {c.value!r:>20}" for c in solved(10.0).cards if c.keyword != "CRPIX1A"
    ]
    whole = read_frame(fits_file(lines, np.zeros((40, 30), ">i2")))
    cut = whole[5:, 3:]
    again = read_frame(write_frame(cut, tmp_path / "cut.fits"))
    assert again.wcs.pixel_to_world(0, 0).separation(whole.wcs.pixel_to_world(3, 5)).mas < 1e-3


def test_nothing_is_logged_about_a_good_frame(tmp_path, ccd, caplog):
    read_frame(write_frame(ccd, tmp_path / "a.fits"))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_rice_compression_keeps_what_it_says(tmp_path, verify):
    rng = np.random.default_rng(11)
    noise, quantize = 8.0, 16.0
    ccd = CCDData(rng.normal(500, noise, (128, 256)).astype(np.float32), unit="electron")
    ccd.uncertainty = StdDevUncertainty(rng.normal(20, 0.5, ccd.shape).astype(np.float32))
    ccd = with_flags(ccd, rng.integers(0, 3, ccd.shape).astype(np.uint8))
    ccd.data[5, 6:9] = 0
    path = write_frame(ccd, tmp_path / "a.fits.fz", quantize=quantize, checksum=True)
    verify(path)
    plain = write_frame(ccd, tmp_path / "a.fits")
    assert path.stat().st_size < 0.3 * plain.stat().st_size
    again = read_frame(path)
    error = again.data - ccd.data
    assert np.abs(error).max() <= 0.6 * noise / quantize
    assert abs(error.std() / (noise / quantize / np.sqrt(12)) - 1) < 0.1
    assert abs(error.mean()) < 0.01 * noise
    assert np.all(again.data[5, 6:9] == 0)
    assert np.abs(again.uncertainty.array - ccd.uncertainty.array).max() < 0.6 * 0.5 / quantize
    np.testing.assert_array_equal(again.flags, ccd.flags)
    assert again.header["QUANTIZE"] == quantize
    theirs = CCDData.read(path, hdu=1)
    np.testing.assert_array_equal(theirs.data, again.data)
    np.testing.assert_array_equal(theirs.uncertainty.array, again.uncertainty.array)
    raw = [fits.getheader(path, i, disable_image_compression=True) for i in (1, 2, 3)]
    assert [header["ZCMPTYPE"] for header in raw] == ["RICE_1"] * 3
    assert [header.get("ZQUANTIZ") for header in raw[:2]] == ["SUBTRACTIVE_DITHER_2"] * 2


def test_a_compressed_product_is_the_same_each_time(tmp_path, ccd):
    one = read_frame(write_frame(ccd, tmp_path / "a.fits.fz", quantize=4))
    two = read_frame(write_frame(ccd, tmp_path / "b.fits.fz", quantize=4))
    np.testing.assert_array_equal(one.data, two.data)


@pytest.mark.parametrize(("name", "quantize"), [("a.fits", 16), ("a.fits.fz", 0), ("a.fz", -1)])
def test_quantize_is_for_compressed_files(tmp_path, ccd, name, quantize):
    with pytest.raises(ValueError, match="quantize"):
        write_frame(ccd, tmp_path / name, quantize=quantize)
    assert left_in(tmp_path) == []

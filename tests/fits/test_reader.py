import gzip
import logging
import os
import subprocess
import sys
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmp_astro.fits import is_fits_name, is_product, read_frame, read_header


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def write(path, *hdus):
    fits.HDUList(list(hdus)).writeto(path)
    return path


@pytest.mark.parametrize(
    "zero", ["32768", "32768.000000000000", "+3.276800000000E+004", "'32768 '"]
)
def test_unsigned_integers_stay_integers(fits_file, zero):
    stored = np.array([[-32768, 0, 32767]], dtype=">i2")
    ccd = read_frame(fits_file([f"BZERO   = {zero}", "BSCALE  = 1"], stored))
    assert ccd.data.dtype == np.uint16
    np.testing.assert_array_equal(ccd.data, [[0, 32768, 65535]])
    assert ccd.unit == u.adu
    assert ccd.mask is None


encodings = st.sampled_from([">u1", ">i2", ">i4", ">i8", ">f4", ">f8"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
)
scalings = st.sampled_from(
    [(1, 0), (1, 2**15), (1, 2**31), (1, 2**63), (1, -128), (0.5, 7), (2, 0)]
)


@settings(max_examples=150, deadline=None)
@given(encodings, scalings)
def test_pixels_are_those_that_astropy_reads(tmp_path_factory, fits_bytes, stored, scaling):
    path = tmp_path_factory.mktemp("pixels") / "frame.fits"
    scale, zero = scaling
    path.write_bytes(fits_bytes([f"BSCALE  = {scale}", f"BZERO   = {zero}"], stored))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fits.getdata(path)
    ccd = read_frame(path)
    assert ccd.data.dtype.isnative
    assert ccd.data.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(ccd.data, expected)
    assert read_header(path).dtype == ccd.data.dtype
    if stored.dtype.kind == "f":
        lacking = ~np.isfinite(expected)
        assert (ccd.flags is not None) == lacking.any()
        if ccd.flags is not None:
            np.testing.assert_array_equal(ccd.flags, np.where(lacking, 32, 0))


@pytest.mark.parametrize("scale", [1, 0.25])
def test_blank_pixels_are_flagged_and_finite(fits_file, scale):
    stored = np.array([[5, -99, 7]], dtype=">i2")
    path = fits_file(["BLANK   = -99", f"BSCALE  = {scale}", "BZERO   = 0"], stored)
    ccd = read_frame(path)
    np.testing.assert_array_equal(ccd.flags, [[0, 32, 0]])
    assert np.isfinite(ccd.data).all()
    assert ccd.data[0, 2] == 7 * scale


@pytest.mark.parametrize(
    ("bunit", "unit"),
    [
        (None, u.adu),
        ("", u.adu),
        ("count", u.adu),
        ("counts", u.adu),
        ("ADU", u.adu),
        ("DU/PIXEL", u.adu),
        ("electrons", u.electron),
        ("e-", u.electron),
        ("1", u.dimensionless_unscaled),
        ("electron/s", u.electron / u.s),
        ("parrots", u.adu),
    ],
)
def test_the_unit_of_the_pixels(fits_file, bunit, unit):
    path = fits_file([] if bunit is None else [f"BUNIT   = '{bunit}'"])
    assert read_frame(path).unit == unit
    assert read_frame(path, unit="electron").unit == u.electron


def test_the_header_has_every_card_and_the_file_name(fits_file):
    ccd = read_frame(fits_file(["OBJECT  = 'M 1'", "FILENAME= 'old.fit'"], name="a 'b'.fit"))
    assert ccd.header["OBJECT"] == "M 1"
    assert ccd.header["FILENAME"] == "a 'b'.fit"
    assert ccd.header["NAXIS1"] == 4
    assert read_header(fits_file(name="c.fits")).header["FILENAME"] == "c.fits"


def test_nul_bytes_after_end_and_long_headers(fits_file):
    path = fits_file(["OBJECT  = 'x'"], junk=b"\0" * 500)
    assert read_frame(path).header["OBJECT"] == "x"
    many = [f"KEY{i:05d}= {i}" for i in range(200)]
    assert read_frame(fits_file(many)).header["KEY00199"] == 199


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"this is not a FITS file" * 200, "is not a FITS file"),
        (b"SIMPLE  =", "no END card"),
        (b"\x1f\x8b broken gzip", "cannot be unpacked"),
        (b"SIMPLE  = T".ljust(80) + b"END".ljust(2800), "BITPIX is None"),
    ],
)
def test_files_that_are_not_fits(tmp_path, content, message):
    path = tmp_path / "bad.fits"
    path.write_bytes(content)
    for read in (read_frame, read_header):
        with pytest.raises(OSError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_a_header_without_end(fits_file):
    with pytest.raises(OSError, match="no END card"):
        read_frame(fits_file(end=False))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_missing_pixels_are_counted(tmp_path, fits_bytes, suffix):
    pixels = np.zeros((100, 100), dtype=">i2")
    whole = fits_bytes([], pixels)
    path = tmp_path / f"short.fits{suffix}"
    short = whole[: 2880 + 20000 - 123]
    path.write_bytes(gzip.compress(short) if suffix else short)
    for read in (read_frame, read_header):
        with pytest.raises(OSError, match=r"truncated: 123 bytes of pixels are missing.*20000"):
            read(path)


def test_missing_padding_is_a_note(tmp_path, fits_bytes, caplog):
    pixels = np.arange(10000, dtype=">i2").reshape(100, 100)
    path = tmp_path / "short.fits"
    path.write_bytes(fits_bytes([], pixels)[: 2880 + 20000 + 5])
    np.testing.assert_array_equal(read_frame(path).data, pixels)
    assert warnings_of(caplog) == [f"{path}: the last block lacks {20160 - 20005} bytes of padding"]


def test_a_truncated_gzip_keeps_what_it_has(tmp_path, fits_bytes):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 9999, (300, 300)).astype(">i2")
    packed = gzip.compress(fits_bytes([], pixels))
    path = tmp_path / "short.fits.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(OSError, match="truncated"):
        read_frame(path)


def test_the_header_of_a_truncated_file_can_be_had(fits_file):
    path = fits_file(["OBJECT  = 'M 1'"], np.zeros((60, 80), ">i2"))
    os.truncate(path, 2880 + 1000)
    with pytest.raises(OSError, match="truncated"):
        read_header(path)
    found = read_header(path, missing_ok=True)
    assert (found.header["OBJECT"], found.shape) == ("M 1", (60, 80))
    os.truncate(path, 200)
    with pytest.raises(OSError, match=r"truncated|damaged"):
        read_header(path, missing_ok=True)


def test_a_file_that_may_not_be_read(fits_file):
    path = fits_file()
    path.chmod(0)
    script = """if True:
        import os, sys
        from bmp_astro.fits import read_frame
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            read_frame(sys.argv[1])
        except PermissionError as error:
            print("refused", error.filename)
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"refused {path}\n", done.stderr


def test_a_directory_and_a_missing_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a directory: expected a FITS"):
        read_frame(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_frame(tmp_path / "none.fits")


def test_a_pipe_with_a_fits_name_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(OSError, match="seek"):
        read_frame(tmp_path / "pipe.fits")


def test_the_first_image_is_found_behind_an_empty_primary(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 30.0
    primary.header["GAIN"] = 0.0
    image = fits.ImageHDU(np.ones((3, 4), np.float32), name="SCI")
    image.header["GAIN"] = 6.42
    found = read_header(write(tmp_path / "mef.fits", primary, image))
    assert (found.hdu, found.shape) == (1, (3, 4))
    assert found.header["EXPTIME"] == 30.0
    assert found.header["GAIN"] == 6.42
    assert found.header["EXTNAME"] == "SCI"


def test_a_primary_of_size_zero(tmp_path, fits_bytes):
    path = tmp_path / "zero.fits"
    extension = fits.ImageHDU(np.ones((3, 4), np.int16))
    head = fits_bytes(["EXTEND  = T"], np.zeros((0, 0), ">i2"))
    write(tmp_path / "extension.fits", fits.PrimaryHDU(), extension)
    path.write_bytes(head + (tmp_path / "extension.fits").read_bytes()[2880:])
    assert read_frame(path).shape == (3, 4)


def test_extensions_by_number_name_and_version(tmp_path):
    images = [fits.ImageHDU(np.full((2, 2), i, np.int16), name="SCI", ver=i) for i in (1, 2)]
    path = write(tmp_path / "mef.fits", fits.PrimaryHDU(), *images)
    assert read_frame(path).data[0, 0] == 1
    assert read_frame(path, hdu="sci").data[0, 0] == 1
    assert read_frame(path, hdu=2).data[0, 0] == 2
    assert read_frame(path, hdu=-1).data[0, 0] == 2
    assert read_frame(path, hdu=("SCI", 2)).data[0, 0] == 2
    with pytest.raises(ValueError, match=r"no unit 'FOO': it has unit 0 PRIMARY empty; unit 1 SCI"):
        read_frame(path, hdu="FOO")
    with pytest.raises(ValueError, match="no unit 7"):
        read_frame(path, hdu=7)


def test_a_damaged_extension_does_not_cost_the_image(tmp_path, caplog):
    path = write(tmp_path / "mef.fits", fits.PrimaryHDU(np.ones((3, 4), np.int16)), fits.ImageHDU())
    path.write_bytes(path.read_bytes().replace(b"PCOUNT  = ", b"PCOUNT  = x"))
    assert read_frame(path).shape == (3, 4)
    assert "what follows unit 0 is ignored" in caplog.text


def test_an_extension_that_does_not_inherit(tmp_path):
    primary, image = fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 4), np.int16))
    primary.header["OBJECT"], image.header["INHERIT"] = "M 1", False
    path = write(tmp_path / "mef.fits", primary, image)
    assert "OBJECT" not in read_header(path).header


def test_a_mosaics_primary_does_not_place_its_extensions(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header.update({"TRIMSEC": "[1:4,1:4]", "CRPIX1": 2.0, "OBJECT": "M 1"})
    images = [fits.ImageHDU(np.zeros((2, 2), np.int16)) for _ in range(2)]
    header = read_header(write(tmp_path / "mosaic.fits", primary, *images)).header
    assert header["OBJECT"] == "M 1"
    assert "TRIMSEC" not in header
    assert "CRPIX1" not in header


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_only_two_dimensions_are_an_image(tmp_path, shape):
    path = write(tmp_path / "cube.fits", fits.PrimaryHDU(np.zeros(shape, np.float32)))
    with pytest.raises(ValueError, match=rf"no 2-D image: .*{len(shape)}-D"):
        read_frame(path)
    with pytest.raises(ValueError, match="not a 2-D image"):
        read_frame(path, hdu=0)


def test_a_table_is_no_image(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1, 2])])
    path = write(tmp_path / "table.fits", fits.PrimaryHDU(), table)
    with pytest.raises(ValueError, match="a bintable"):
        read_frame(path)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_tile_compression(tmp_path, dtype):
    rng = np.random.default_rng(1)
    data = rng.integers(0, 200, (40, 30)).astype(dtype)
    image = fits.CompImageHDU(
        data,
        compression_type="GZIP_2" if dtype == "float32" else "RICE_1",
        quantize_level=0,
        header=fits.Header({"OBJECT": "M 1", "EXPTIME": 3.0}),
    )
    ccd = read_frame(write(tmp_path / "a.fits.fz", fits.PrimaryHDU(), image))
    assert ccd.data.dtype == dtype
    np.testing.assert_array_equal(ccd.data, data)
    assert ccd.header["OBJECT"] == "M 1"
    assert ccd.header["NAXIS2"] == 40
    assert not {"ZIMAGE", "TFIELDS", "XTENSION"} & set(ccd.header)


def test_damaged_tiles_are_an_error(tmp_path):
    rng = np.random.default_rng(1)
    image = fits.CompImageHDU(rng.integers(0, 9999, (40, 30)).astype("int16"), quantize_level=0)
    path = write(tmp_path / "a.fits.fz", fits.PrimaryHDU(), image)
    content = bytearray(path.read_bytes())
    header = content.index(b"ZTILE1")
    content[header + 10 : header + 30] = b"7".rjust(20)
    path.write_bytes(content)
    with pytest.raises(OSError, match="tiles"):
        read_frame(path)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("a.fits", True),
        ("a.FIT", True),
        ("a b.Fts", True),
        ("a.fit.gz", True),
        ("a.fits.fz", True),
        ("a.fits.bz2", False),
        (".fits", False),
        ("fits", False),
        ("a.txt", False),
    ],
)
def test_names(name, answer):
    assert is_fits_name(name) is answer


def test_products_are_known_by_their_card():
    assert is_product({"BMPVERS": "1"})
    assert not is_product(fits.Header())


WCS_CARDS = [
    "CTYPE1  = 'RA---TAN'",
    "CTYPE2  = 'DEC--TAN'",
    "CRVAL1  = 10.0",
    "CRVAL2  = 20.0",
    "CRPIX1  = 2.0",
    "CRPIX2  = 1.5",
    "CD1_1   = -0.0001",
    "CD2_2   = 0.0001",
]


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["RADECSYS= 'FK5'", "EPOCH   = 2000.0"],
        ["EQUINOX = 'J2000'"],
        ["DATE-OBS= '08/05/10'", "MJD-OBS = 'soon'"],
        ["WCSAXES = 3"],
        ["PC1_1   = 1.0"],
    ],
)
def test_a_wcs_is_set_and_its_cards_stay(fits_file, extra, caplog):
    ccd = read_frame(fits_file(WCS_CARDS + extra))
    sky = ccd.wcs.pixel_to_world(1.0, 0.5)
    assert sky.ra.deg == pytest.approx(10.0)
    assert sky.dec.deg == pytest.approx(20.0)
    assert ccd.header["CD1_1"] == -0.0001
    assert not warnings_of(caplog)
    for card in extra:
        assert card[:8].strip() in ccd.header


@pytest.mark.parametrize(
    "cards",
    [
        ["CRVAL1  = 10.0", "CRVAL2  = 20.0"],
        ["CTYPE1  = 'RA---NIX'", "CTYPE2  = 'DEC--NIX'", *WCS_CARDS[2:]],
        [*WCS_CARDS[:6], "CD1_1   = 0.0", "CD2_2   = 0.0"],
        [*WCS_CARDS[:2], "CRVAL1  = 'none'", *WCS_CARDS[3:]],
        ["CTYPE1  = 'LINEAR'", "CTYPE2  = 'LINEAR'", "CRVAL1  = 1.0"],
    ],
)
def test_a_wcs_that_cannot_be_used_is_a_note(fits_file, cards, caplog):
    ccd = read_frame(fits_file(cards))
    assert ccd.wcs is None
    (note,) = warnings_of(caplog)
    assert "WCS is not usable" in note
    assert ccd.header["CRVAL1"] is not None


def test_no_wcs_is_no_note(fits_file, caplog):
    assert read_frame(fits_file()).wcs is None
    assert not caplog.records


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 899), st.integers(0, 255)), max_size=6),
    st.integers(0, 6000),
)
def test_damaged_files_are_read_or_refused(tmp_path_factory, fits_bytes, changes, length):
    cards = ["BZERO   = 32768", "BUNIT   = 'adu'", "EXTEND  = T", *WCS_CARDS[:3]]
    content = bytearray(fits_bytes(cards, np.arange(1500, dtype=">i2").reshape(30, 50)))
    for at, byte in changes:
        content[at] = byte
    path = tmp_path_factory.mktemp("fuzz") / "frame.fits"
    path.write_bytes(content[: max(length, 1)] if length < 3000 else content)
    try:
        ccd = read_frame(path)
    except (OSError, ValueError):
        return
    assert ccd.data.ndim == 2
    assert ccd.header.tostring()

"""Real raw frames, each with the facts that a person reads in its header."""

import logging
import re
import shutil
import subprocess
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import StdDevUncertainty

from bmp_astro.fits import (
    GENERIC,
    Keyword,
    calibrated_already,
    find_instrument,
    parse_section,
    read_frame,
    read_header,
    with_flags,
    write_frame,
)

FRAMES = [
    "ngc520_g/calibration/calib-001-bi.fit",
    "ic310_j/bias_1.fits",
    "quirks/a8280271.fits",
    "quirks/flat-mef.fits",
    "quirks/lco_sinistro_raw_mef.fits",
    "quirks/noheader.fits",
    "quirks/science-mef.fits",
    "quirks/sip-wcs.fit",
    "quirks/solved.fits.fz",
    "quirks/unsolved.fits",
]


@pytest.mark.parametrize("name", FRAMES)
def test_pixels_and_cards_are_those_that_astropy_reads(real_data, name, caplog):
    hdu = 1 if "sinistro" in name else None  # as a whole it is a frame of four amplifiers
    ccd = read_frame(real_data / name, hdu=hdu)
    found = read_header(real_data / name, hdu=hdu)
    assert found.shape == ccd.shape
    assert found.header == ccd.header
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(real_data / name) as hdus:
            expected, header = hdus[found.hdu].data, hdus[found.hdu].header
    assert ccd.data.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(ccd.data, expected)
    of_the_file = {"XTENSION", "EXTEND", "CHECKSUM", "DATASUM", "FILENAME"}
    for keyword in set(header) - of_the_file - {"COMMENT", "HISTORY", ""}:
        assert ccd.header[keyword] == header[keyword], keyword
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("suffix", [".fits", ".fits.fz"])
def test_a_product_of_each_comes_back_and_is_legal(real_data, tmp_path, name, suffix):
    ccd = read_frame(real_data / name)
    ccd.uncertainty = StdDevUncertainty(np.sqrt(np.abs(ccd.data, dtype=np.float32)))
    with_flags(ccd, (ccd.data % 2 == 0).astype(np.uint8) * np.uint8(2))
    path = write_frame(ccd, tmp_path / f"product{suffix}", checksum=True)
    again = read_frame(path)
    np.testing.assert_array_equal(again.data, ccd.data)
    np.testing.assert_array_equal(again.uncertainty.array, ccd.uncertainty.array)
    np.testing.assert_array_equal(again.flags, ccd.flags)
    theirs = {"BITPIX", "BZERO", "BSCALE", "FILENAME", "DATE", "BUNIT", "EXTEND", "CHECKSUM"}
    theirs |= {"DATASUM", "XTENSION", "PCOUNT", "GCOUNT", "COMMENT", "HISTORY", "", "BMPVERS"}
    for keyword in set(ccd.header) - theirs:
        if not re.match(r"PC\d_\d", keyword):
            assert again.header[keyword] == ccd.header[keyword], keyword
    program = shutil.which("fitsverify")
    if program is None:
        pytest.skip("fitsverify is not installed")
    done = subprocess.run([program, "-e", str(path)], capture_output=True, text=True, check=False)
    assert " 0 error(s)" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "kind", "seconds", "filter_name", "start"),
    [
        ("calibration/calib-001-bi.fit", "bias", 0, None, "2018-10-14T04:49:22"),
        ("calibration/calib-005-d.fit", "dark", 300, None, "2018-10-14T05:05:10"),
        ("calibration/flat-005-g.fit", "flat", 10, "Sloan g'", "2018-10-14T05:39:38"),
        ("raw/NGC520-007-g.fit", "light", 300, "Sloan g'", "2018-10-14T03:37:37"),
    ],
)
@pytest.mark.parametrize("spec", [None, GENERIC])
def test_facts_of_a_maxim_night(real_data, name, kind, seconds, filter_name, start, spec):
    header = read_header(real_data / "ngc520_g" / name).header
    camera = find_instrument(spec, header)
    assert camera.name == ("MaxIm DL" if spec is None else "generic")
    facts = {
        "exptime": seconds * u.s,
        "filter": filter_name,
        "xbinning": 1,
        "ybinning": 1,
        "x_origin": 0,
        "y_origin": 0,
        "gain_setting": None,
        "read_noise": None,
        "set_temperature": -10 * u.deg_C,
        "camera": "SBIG ST-8 3 CCD Camera",
        "readout_mode": "Normal",
        "date_obs": start,
        "object": None,
        "overscan_section": None,
    }
    assert {fact: camera.value(fact, header) for fact in facts} == facts
    assert camera.frame_type_of(header) == kind
    assert camera.value("gain", header).to_value(u.electron / u.adu) == pytest.approx(2.6)
    assert camera.value("temperature", header).to_value(u.deg_C) == pytest.approx(-10, abs=0.25)
    assert calibrated_already(header) == ""


def test_every_frame_of_the_night_has_its_type(real_data):
    kinds = {}
    for path in sorted((real_data / "ngc520_g").rglob("*.fit")):
        found = read_header(path)
        assert found.shape == (1020, 1530)
        kind = find_instrument(None, found.header).frame_type_of(found.header, path)
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds == {"bias": 7, "dark": 7, "flat": 7, "light": 7}


def test_an_infrared_camera_that_names_no_type(real_data):
    for path in sorted((real_data / "ic310_j").glob("*.fits")):
        header = read_header(path).header
        assert find_instrument(None, header).frame_type_of(header, path) == ""
        assert GENERIC.value("filter", header) == (None if "bias" in path.name else "J")
        seconds = {"I": 40, "b": 0, "f": 6}[path.name[0]]
        assert GENERIC.value("exptime", header) == seconds * u.s
        assert Keyword("AIRMASS", kind=float).read(header) is None


def test_an_amplifier_of_a_mosaic(real_data):
    path = real_data / "quirks/lco_sinistro_raw_mef.fits"
    gains = []
    for hdu in range(1, 5):
        header = read_header(path, hdu=hdu).header
        gains.append(GENERIC.value("gain", header).value)
        assert GENERIC.value("exptime", header).value == 94.975
        assert GENERIC.value("xbinning", header) == 2
        assert parse_section(GENERIC.value("trim_section", header)) == (slice(0, 512),) * 2
    assert len(set(gains)) > 1
    assert min(gains) > 1
    assert GENERIC.value("overscan_section", read_header(path, hdu=1).header) == "[520:540,1:512]"
    assert "CRPIX1" not in read_header(path, hdu=1).header


def test_sections_and_kelvin(real_data):
    header = read_header(real_data / "quirks/a8280271.fits").header
    assert parse_section(GENERIC.value("trim_section", header)) == (slice(0, 520), slice(16, 528))
    assert GENERIC.value("temperature", header).to_value(u.deg_C) == pytest.approx(-92.95)
    assert GENERIC.value("date_obs", header) == "2013-07-13T00:57:33"


YAML_FACTS = {
    "decam-0160496": {"kind": "bias", "filter": "Y DECam c0005 10095.0 1130.0", "exptime": 0},
    "hsc-HSCA04090107": {"kind": "light", "exptime": 150},
    "suprimecam-CORR40535770": {"kind": "light", "filter": "r", "celsius": -106.89},
    "megaprime": {"kind": "light", "gain": 1.62, "read_noise": 4, "exptime": 615.037},
    "sdss-fpC-006377-g4-0399": {"kind": ""},
}


@pytest.mark.parametrize("name", YAML_FACTS)
def test_headers_of_large_cameras(real_data, name):
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!<lsst.daf.base.PropertyList>", Loader.construct_sequence)
    Loader.add_constructor("lsst.daf.base.PropertyList", Loader.construct_sequence)
    text = (real_data / f"quirks/headers/fitsheader-{name}.yaml").read_text()
    rows = yaml.load(text, Loader)
    header = {row[0]: row[2] for row in rows if not isinstance(row[2], list)}
    said = YAML_FACTS[name]
    assert GENERIC.frame_type_of(header) == said["kind"]
    for fact in ("filter", "exptime", "gain", "read_noise"):
        if fact in said:
            found = GENERIC.value(fact, header)
            assert getattr(found, "value", found) == said[fact]
    if "celsius" in said:
        assert GENERIC.value("temperature", header).value == pytest.approx(said["celsius"])

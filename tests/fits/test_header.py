import pytest
from astropy.io.fits import Header
from hypothesis import given
from hypothesis import strategies as st

from bmp_astro.fits import (
    GENERIC,
    add_calstat,
    add_history,
    calibrated_already,
    clean_product_header,
    follow_limits,
    mark_electron,
    set_frame_type,
    shift_wcs,
)


def test_everything_that_counts_pixels_moves():
    header = Header(
        {"CRPIX1": 512, "CRPIX2": 500.5, "CRPIX1A": 1.0, "CRPIX2A": 1.0, "XORGSUBF": 10}
        | {"YORGSUBF": 0, "LTV1": -4.0, "LTM1_1": 0.5, "CRVAL1": 10.0, "OBJECT": "M 1"}
    )
    assert shift_wcs(header, 16, 3) is header
    assert dict(header) == {
        "CRPIX1": 496,
        "CRPIX2": 497.5,
        "CRPIX1A": -15.0,
        "CRPIX2A": -2.0,
        "XORGSUBF": 26,
        "YORGSUBF": 3,
        "LTV1": -20.0,
        "LTV2": -3.0,
        "LTM1_1": 0.5,
        "LTM2_2": 1.0,
        "CRVAL1": 10.0,
        "OBJECT": "M 1",
    }


def test_no_shift_changes_nothing():
    header = Header({"CRPIX1": 5.0})
    assert dict(shift_wcs(header, 0, 0)) == {"CRPIX1": 5.0}


shifts = st.integers(0, 500)


@given(shifts, shifts, shifts, shifts)
def test_two_shifts_are_one(x1, y1, x2, y2):
    start = {"CRPIX1": 1000.5, "CRPIX2": 2, "BAYERPAT": "RGGB", "XBAYROFF": 1, "YBAYROFF": 0}
    twice = shift_wcs(shift_wcs(Header(start), x1, y1), x2, y2)
    assert dict(twice) == dict(shift_wcs(Header(start), x1 + x2, y1 + y2))


@pytest.mark.parametrize(
    ("dx", "dy", "color"), [(0, 0, "R"), (1, 0, "G"), (0, 1, "G"), (1, 1, "B")]
)
def test_a_bayer_pattern_begins_at_the_new_corner(dx, dy, color):
    header = shift_wcs(Header({"BAYERPAT": "RGGB"}), 4 + dx, 2 + dy)
    x, y = header.get("XBAYROFF", 0), header.get("YBAYROFF", 0)
    assert header["BAYERPAT"][2 * y + x] == color


def test_a_product_forgets_the_raw_files_storage():
    cards = ["BZERO", "BSCALE", "BLANK", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX", "CBLACK"]
    header = Header(dict.fromkeys([*cards, "CWHITE", "BIASSEC", "OBJECT", "CRPIX1"], 1))
    assert list(clean_product_header(header, applied=["BIASSEC"])) == ["OBJECT", "CRPIX1"]
    assert list(clean_product_header(Header({"TRIMSEC": "[1:2,1:2]"}))) == ["TRIMSEC"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"GAIN": 1.9}, {"GAIN": 1.0, "RAWGAIN": 1.9}),
        ({"EGAIN": 1.9}, {"GAIN": 1.0, "EGAIN": 1.0, "RAWGAIN": 1.9}),
        (
            {"GAIN": 139, "EGAIN": 1.9},
            {"GAIN": 1.0, "EGAIN": 1.0, "RAWGAIN": 1.9, "GAINSET": 139.0},
        ),
        ({"GAIN": 300}, {"GAIN": 1.0, "RAWGAIN": 1.9, "GAINSET": 300.0}),
        ({}, {"GAIN": 1.0, "RAWGAIN": 1.9}),
    ],
)
def test_pixels_in_electron_have_gain_one(before, after):
    header = mark_electron(Header(before), 1.9)
    assert dict(header) == after | {"BUNIT": "electron"}
    assert GENERIC.value("gain_setting", header) == after.get("GAINSET")
    assert dict(mark_electron(header.copy(), 1.0)) == dict(header)
    assert mark_electron(header, 1.9, 5.0)["RDNOISE"] == 5.0


def test_limits_follow_the_pixels():
    header = Header({"SATURATE": 65535, "MAXLIN": "60000", "SATLEVEL": 1000.0})
    follow_limits(header, subtract=535, multiply=2)
    assert dict(header) == {"SATURATE": 130000.0, "MAXLIN": "60000", "SATLEVEL": 930.0}


@pytest.mark.parametrize(
    ("said", "letters", "now"),
    [(None, "B", "B"), ("B", "B", "B"), ("F", "BD", "BDF"), ("BDM", "F", "BDFM"), ("  ", "D", "D")],
)
def test_calstat(said, letters, now):
    header = Header({} if said is None else {"CALSTAT": said})
    assert add_calstat(header, letters)["CALSTAT"] == now


def test_type_and_history():
    header = set_frame_type(Header({"IMAGETYP": "Bias Frame"}), "Master Bias")
    add_history(header, "made of b\xefas frames", "x" * 200)
    assert header["IMAGETYP"] == "Master Bias"
    assert header["HISTORY"][0] == "made of b?as frames"
    assert "".join(line.strip() for line in header["HISTORY"][1:]) == "x" * 200


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"TRIM": "Jul 13 Trim data section is [1:2,1:2]"}, "TRIM"),
        ({"ZEROCOR": "Zero level correction image is Zero"}, "ZEROCOR"),
        ({"DARKCOR": True}, "DARKCOR"),
        ({"CALSTAT": "BDF"}, "CALSTAT"),
        ({"BUNIT": "electron"}, "electron"),
        ({"BMPVERS": "1"}, "product"),
        ({"CALSTAT": "", "TRIM": "", "BUNIT": "adu", "TRIMSEC": "[1:2,1:2]"}, ""),
        ({"FLATCOR": False, "CALSTAT": "M"}, ""),
        ({}, ""),
    ],
)
def test_frames_that_were_calibrated_before(header, said):
    reason = calibrated_already(header)
    assert bool(reason) == bool(said)
    assert said in reason

"""Several amplifiers: found in headers and by instruments, and read as one raw frame."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from bmp_astro.fits import (
    GENERIC,
    Amplifier,
    Corners,
    Instrument,
    Keyword,
    amplifiers_of,
    find_instrument,
    open_frame,
    read_frame,
    read_header,
    starting_toml,
    understand,
)
from bmp_astro.fits.readouts import cut_readouts, parse_sections, readouts_in, write_readouts
from bmp_astro.fits.wcs import turn_wcs

NX, NY, OVERSCAN = 12, 10, 4
CORNERS = {
    "[1:24,1:20]": "lower left",
    "[48:25,1:20]": "lower right",
    "[1:24,40:21]": "upper left",
    "[48:25,40:21]": "upper right",
}


@pytest.fixture
def mosaic(tmp_path):
    """A function that writes a binned frame with four amplifiers, and returns path and image.

    The image is a ramp, so that every pixel shows where it belongs.
    """

    def make(sections=tuple(CORNERS), binning="2 2", **cards):
        image = np.arange(2 * NY * 2 * NX, dtype=np.uint16).reshape(2 * NY, 2 * NX) + 500
        units = [fits.PrimaryHDU(header=fits.Header({"IMAGETYP": "OBJECT", "GAIN": 0.0}))]
        for number, section in enumerate(sections, start=1):
            x1, x2, y1, y2 = (int(n) for n in re.findall(r"\d+", section))
            columns = np.arange(x1, x2, 2 if x2 > x1 else -2) // 2 - (x2 < x1)
            rows = np.arange(y1, y2, 2 if y2 > y1 else -2) // 2 - (y2 < y1)
            raw = np.full((NY + 2, NX + OVERSCAN + 1), 60_000, np.uint16)
            raw[:NY, :NX] = image[np.ix_(rows, columns)]
            raw[:NY, NX : NX + OVERSCAN] = 100 * number
            header = fits.Header(
                {
                    "DETSEC": section,
                    "DATASEC": f"[1:{NX},1:{NY}]",
                    "BIASSEC": f"[{NX + 1}:{NX + OVERSCAN},1:{NY}]",
                    "CCDSUM": binning,
                    "GAIN": 1.0 + number / 10,
                }
            )
            header.update(cards)
            units.append(fits.ImageHDU(raw, header))
        path = tmp_path / "mosaic.fits"
        fits.HDUList(units).writeto(path, overwrite=True)
        return path, image

    return make


def test_extensions_are_read_as_one_raw_frame_that_says_where_each_one_belongs(mosaic):
    path, image = mosaic()
    ccd = read_frame(path)
    assert ccd.shape == (4 * (NY + 2), NX + OVERSCAN + 1) == read_header(path).shape
    readouts = amplifiers_of(ccd.header, GENERIC)
    assembled = np.zeros_like(image)
    for number, readout in enumerate(readouts, start=1):
        assembled[readout.target] = ccd.data[readout.raw]
        assert readout.gain == pytest.approx(1 + number / 10)
        assert (ccd.data[readout.overscan[0]] == 100 * number).all()
    np.testing.assert_array_equal(assembled, image)
    assert (ccd.header["XORGSUBF"], ccd.header["YORGSUBF"]) == (0, 0)
    assert ccd.header["GAIN"] == pytest.approx(1.25)


def test_one_extension_can_be_asked_for(mosaic):
    path, _ = mosaic()
    ccd = read_frame(path, hdu=2)
    assert ccd.shape == (NY + 2, NX + OVERSCAN + 1)
    assert "AMPSEC1" not in ccd.header


def test_bands_and_windows_are_those_of_the_whole(mosaic):
    path, _ = mosaic()
    whole = read_frame(path).data
    with open_frame(path) as frame:
        for y0, y1 in ((0, 48), (3, 9), (11, 13), (10, 40), (24, 24)):
            np.testing.assert_array_equal(frame.rows(y0, y1), whole[y0:y1])
        window = frame.window(slice(8, 30), slice(2, 7))
        with open_frame(path, summed=True) as other:
            other.rows(0, 48)
            assert other.checksum() == frame.checksum()
        with pytest.raises(ValueError, match="rows 40:49 are not within the 48"):
            frame.rows(40, 49)
    np.testing.assert_array_equal(window, whole[8:30, 2:7])


def test_a_place_on_the_detector_may_be_in_binned_pixels_already(mosaic):
    path, image = mosaic()
    with fits.open(path, mode="update") as hdus:
        for hdu, text in zip(
            hdus[1:],
            ("[1:12,1:10]", "[24:13,1:10]", "[1:12,20:11]", "[24:13,20:11]"),
            strict=True,
        ):
            hdu.header["DETSEC"] = text
    ccd = read_frame(path)
    assembled = np.zeros_like(image)
    for readout in amplifiers_of(ccd.header, GENERIC):
        assembled[readout.target] = ccd.data[readout.raw]
    np.testing.assert_array_equal(assembled, image)


@pytest.mark.parametrize(
    "sections",
    [
        ("[1:24,1:20]", "[61:84,1:20]"),  # chips with a gap between them
        ("[1:24,1:20]", "[1:24,1:20]"),  # one upon the other
        ("[1:24,1:20]", "[25:40,1:20]"),  # not of the size of the data
    ],
)
def test_extensions_that_make_no_rectangle_are_frames_of_their_own(mosaic, tmp_path, sections):
    path, _ = mosaic(tuple(CORNERS)[:2])
    with fits.open(path, mode="update") as hdus:
        for hdu, text in zip(hdus[1:], sections, strict=True):
            hdu.header["DETSEC"] = text
    assert read_frame(path).shape == (NY + 2, NX + OVERSCAN + 1)


def test_a_window_of_the_detector_has_its_corner_in_the_header(mosaic):
    path, _ = mosaic(tuple(CORNERS)[2:])
    header = read_header(path).header
    assert (header["XORGSUBF"], header["YORGSUBF"]) == (0, 10)
    assert header["AMPSEC1"] == "[1:12,10:1]"


def test_twelve_amplifiers_side_by_side_as_gmos_has_them(tmp_path):
    units = [fits.PrimaryHDU(header=fits.Header({"INSTRUME": "GMOS-S", "OBJECT": "Bias"}))]
    for n in range(12):
        header = fits.Header({"CCDSUM": "4 4", "GAIN": 1.5 + n / 10, "RDNOISE": 4.0})
        header["DETSEC"] = f"[{64 * n + 1}:{64 * n + 64},1:32]"
        left = n % 2  # every other one has its overscan at the left
        header["DATASEC"] = "[9:24,1:8]" if left else "[1:16,1:8]"
        header["BIASSEC"] = "[1:8,1:8]" if left else "[17:24,1:8]"
        units.append(fits.ImageHDU(np.full((8, 24), n, np.uint16), header))
    path = tmp_path / "gmos.fits"
    fits.HDUList(units).writeto(path)
    ccd = read_frame(path)
    camera = find_instrument(None, ccd.header)
    assert (camera.name, camera.frame_type_of(ccd.header)) == ("GMOS", "bias")
    readouts = amplifiers_of(ccd.header, camera)
    assert [r.target[1] for r in readouts] == [slice(16 * n, 16 * n + 16) for n in range(12)]
    assert [r.gain for r in readouts] == pytest.approx([1.5 + n / 10 for n in range(12)])
    assert all((ccd.data[r.raw] == n).all() for n, r in enumerate(readouts))


def test_a_truncated_extension_is_an_error_that_says_so(mosaic):
    path, _ = mosaic()
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(OSError, match=r"truncated: .* missing from unit 4"):
        read_frame(path)


def test_the_sinistro_frame_says_where_its_amplifiers_are(real_data):
    path = real_data / "quirks/lco_sinistro_raw_mef.fits"
    found = read_header(path)
    assert found.shape == (4 * 522, 544)
    readouts = amplifiers_of(found.header, find_instrument(None, found.header))
    assert [readout.gain for readout in readouts] == [6.42, 6.23, 6.27, 6.26]
    assert {readout.read_noise for readout in readouts} == {7.0}
    assert {readout.saturation for readout in readouts} == {40_000.0}
    assert found.header["AMPSEC1"] == "[1:512,1024:513]"
    assert found.header["AMPOVS2"] == "[520:540,523:1034]"


TWO = (
    Amplifier("[1:50,1:80]", "[51:60,1:80]", gain=1.4 * u.electron / u.adu),
    Amplifier(
        Keyword("DATASECB", kind=str),
        Corners("X1", "X2", "Y1", "Y2"),
        "[51:100,1:80]",
        gain=Keyword("GAINB", unit="electron / adu"),
        read_noise=5 * u.electron,
        saturation=60_000 * u.adu,
    ),
)
HEADER = {"DATASECB": "[71:120,1:80]", "X1": 61, "X2": 70, "Y1": 1, "Y2": 80, "GAINB": 1.6}


def test_amplifiers_may_be_constants_keywords_and_corners():
    one, other = amplifiers_of(HEADER, Instrument("two", amplifiers=TWO))
    assert (one.gain, other.gain) == (1.4, 1.6)
    assert (one.read_noise, other.read_noise, other.saturation) == (None, 5.0, 60_000.0)
    assert other.raw == (slice(0, 80), slice(70, 120))
    assert other.target == (slice(0, 80), slice(50, 100))
    assert other.overscan == ((slice(0, 80), slice(60, 70)),)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({**HEADER, "DATASECB": "UNKNOWN"}, "no data section for amplifier 2 of 2"),
        ({**HEADER, "DATASECB": "[71:110,1:80]"}, "does not fit the data section"),
    ],
)
def test_what_does_not_fit_is_said(header, message):
    with pytest.raises(ValueError, match=message):
        amplifiers_of(header, Instrument("two", amplifiers=TWO))


def test_gaps_and_overlaps_are_said():
    parts = (Amplifier("[1:50,1:80]"), Amplifier("[61:110,1:80]"))
    with pytest.raises(ValueError, match="leave gaps"):
        amplifiers_of({}, Instrument("gap", amplifiers=parts))
    parts = (Amplifier("[1:50,1:80]"), Amplifier("[41:90,1:80]"))
    with pytest.raises(ValueError, match="overlap"):
        amplifiers_of({}, Instrument("double", amplifiers=parts))


def test_a_header_without_any_of_them_is_of_a_piece():
    amplifiers = (Amplifier(Keyword("DATASECA", kind=str)), Amplifier(Keyword("DATASECB")))
    assert amplifiers_of({}, Instrument("two", amplifiers=amplifiers)) == ()


def test_extensions_may_be_named_by_the_instrument(mosaic):
    path, _ = mosaic(DETSEC="UNKNOWN")
    places = ("[1:12,1:10]", "[24:13,1:10]")
    camera = Instrument(
        "two of four",
        amplifiers=tuple(
            Amplifier("[1:12,1:10]", None, place, hdu=hdu)
            for hdu, place in zip((1, 2), places, strict=True)
        ),
    )
    assert read_header(path).shape == (NY + 2, NX + OVERSCAN + 1)
    found = read_header(path, instrument=camera)
    assert found.shape == (2 * (NY + 2), NX + OVERSCAN + 1)
    assert found.header["AMPSEC2"] == "[24:13,1:10]"
    missing = Instrument("five", amplifiers=(Amplifier("[1:12,1:10]", hdu=5),))
    with pytest.raises(ValueError, match=r"an amplifier in unit 5, but .* units \[1, 2, 3, 4\]"):
        read_header(path, instrument=missing)


TOML = """
name = "two"
crosstalk = [[0.0, 0.001], [0.002, 0.0]]

[[amplifiers]]
data_section = "[1:50,1:80]"
overscan_section = "[51:60,1:80]"
gain = "1.4 electron / adu"

[[amplifiers]]
data_section = {keyword = "DATASECB", kind = "str"}
overscan_section = {corners = ["X1", "X2", "Y1", "Y2"]}
detector_section = "[51:100,1:80]"
gain = {keyword = "GAINB", unit = "electron / adu"}
read_noise = "5 electron"
saturation = "60000 adu"
"""


def test_toml_says_what_python_says_and_is_written_so(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(TOML)
    camera = Instrument.from_toml(path)
    assert camera == Instrument("two", amplifiers=TWO, crosstalk=((0.0, 0.001), (0.002, 0.0)))
    path.write_text(starting_toml(camera, HEADER))
    assert Instrument.from_toml(path).amplifiers == TWO


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('data_section = "[1', 'data = "[1', "unknown entry 'data' of an amplifier"),
        ('data_section = "[1:50,1:80]"', "", "has no data_section"),
        ("[0.0, 0.001]", '["a", 1]', "expected a list of numbers"),
    ],
)
def test_what_is_wrong_in_toml_is_said(tmp_path, old, new, message):
    path = tmp_path / "two.toml"
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        Instrument.from_toml(path)


def test_what_is_understood_of_amplifiers_is_shown(mosaic):
    path, _ = mosaic()
    facts = understand(path).facts
    shown = dict(zip(facts["fact"], facts["value"], strict=True))
    assert shown["amplifier 2"] == (
        "[1:12,13:22] to [24:13,1:10], overscan [13:16,13:22], gain 1.2 electron/adu"
    )


def test_several_sections_stand_in_one_text():
    assert parse_sections("[1:4,1:9] [5:8, 1:2]; [9:9,1:9]") == (
        (slice(0, 9), slice(0, 4)),
        (slice(0, 2), slice(4, 8)),
        (slice(0, 9), slice(8, 9)),
    )


def test_amplifiers_follow_a_window_of_their_image():
    header = fits.Header()
    camera = Instrument("two", amplifiers=TWO)
    write_readouts(header, [r._replace(raw=None) for r in amplifiers_of(HEADER, camera)])
    cut_readouts(header, (slice(10, 30), slice(40, 60)))
    assert (header["AMPSEC1"], header["AMPSEC2"]) == ("[1:10,1:20]", "[11:20,1:20]")
    cut_readouts(header, (slice(0, 20), slice(10, 20)))
    (one,) = readouts_in(header)
    assert (one.target, one.gain) == ((slice(0, 20), slice(0, 10)), 1.6)


def test_a_wcs_is_turned_with_its_pixels():
    header = fits.Header({"CRPIX1": 3.0, "CRPIX2": 4.0, "CDELT1": 0.1, "CDELT2": 0.2})
    raw = (slice(2, 12), slice(1, 11))
    turned = turn_wcs(header.copy(), raw, (slice(10, 20), slice(29, 19, -1)))
    # column 3 of the raw frame is the second of the section, and so the second from the end
    assert (turned["CRPIX1"], turned["CDELT1"]) == (29.0, -0.1)
    assert (turned["CRPIX2"], turned["CDELT2"]) == (12.0, 0.2)
    back = turn_wcs(turned, (slice(10, 20), slice(29, 19, -1)), raw)
    assert dict(back) == pytest.approx(dict(header))


def test_amplifiers_that_do_not_fit_are_a_note_of_what_is_understood(mosaic):
    path, _ = mosaic(DETSEC="UNKNOWN")
    camera = Instrument("gap", amplifiers=(Amplifier("[1:5,1:9]"), Amplifier("[7:9,1:9]")))
    found = understand(path, instrument=camera)
    assert any("leave gaps between them" in note for note in found.notes)
    assert "amplifier 1" not in found.facts["fact"].tolist()

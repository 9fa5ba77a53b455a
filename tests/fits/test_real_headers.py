"""Headers of large cameras as their archives have them, each read by the instrument it chooses."""

import pytest

from bmp_astro.fits import (
    GENERIC,
    amplifiers_of,
    find_instrument,
    format_section,
    implausible,
    read_header,
)
from bmp_astro.fits.common import FACTS

FACTS_IN_YAML = {
    "decam-0160496": {
        "instrument": "DECam",
        "kind": "bias",
        "exptime": 0,
        "filter": "Y DECam c0005 10095.0 1130.0",
        "serial": "S3-111_107419-8-3",
        "xbinning": 1,
        "trim_section": "[57:2104,51:4146]",
        "gain": None,
        "date_obs": "2012-12-11T22:06:32.859252",
    },
    "decam-calexp-0412037_10": {
        "instrument": "DECam",
        "kind": "light",
        "exptime": 86,
        "filter": "g",
        "saturation": 38652,
        "object": "Blind15A_03",
        "date_obs": "2015-02-20T00:47:21.127",
    },
    "decam-instcal-c4d_190402_050618_ooi_VR_v1": {
        "instrument": "DECam",
        "kind": "light",
        "exptime": 120,
        "filter": "VR DECam c0007 6300.0 2600.0",
        "object": None,
        "ybinning": 1,
    },
    "decam-raw_dec050441_25": {
        "instrument": "DECam",
        "kind": "light",
        "exptime": 30,
        "filter": "g DECam SDSS c0001 4720.0 1520.0",
        "object": "Trifid and Lagoon",
        "read_noise": None,
    },
    "decam": {"instrument": "DECam", "kind": "light"},
    "hsc-HSCA04090107": {
        "instrument": "HSC",
        "kind": "light",
        "camera": "Hyper Suprime-Cam",
        "exptime": 150,
        "filter": "HSC-r",
        "serial": "061",
        "temperature": -99.775,
        "gain": None,
        "date_obs": "2015-10-10T08:20:06.598",
    },
    "hsc": {
        "instrument": "HSC",
        "kind": "light",
        "camera": "Hyper Suprime-Cam",
        "exptime": 30,
        "filter": "HSC-i",
        "serial": "120",
        "temperature": -101.158,
        "date_obs": "2013-11-02T06:15:55.908",
    },
    "megaprime-calexp-849375-14": {
        "instrument": "MegaPrime",
        "kind": "light",
        "exptime": 300.202,
        "filter": "r",
        "gain": None,
        "read_noise": 4,
        "saturation": 68779,
        "temperature": -133.06667175293,
        "overscan_section": None,
    },
    "megaprime": {
        "instrument": "MegaPrime",
        "kind": "light",
        "exptime": 615.037,
        "filter": "i.MP9702",
        "gain": 1.62,
        "read_noise": 4,
        "saturation": 65535,
        "temperature": -133.13,
        "overscan_section": None,
        "trim_section": "[33:2080,1:4612]",
        "object": "w2.+2+2",
        "date_obs": "2008-11-01T14:33:32.40",
    },
    "sdss-fpC-006377-g4-0399": {
        "instrument": "SDSS",
        "kind": "light",
        "exptime": 53.907456,
        "filter": "g",
        "serial": "54",
        "readout_mode": "DRIFT",
        "date_obs": "2006-09-20T06:01:22.73",
    },
    "suprimecam-CORR40535770": {
        "instrument": "generic",
        "kind": "light",
        "exptime": 200,
        "filter": "r",
        "xbinning": 1,
        "temperature": -106.89,
    },
}


def header_of(path):
    """The cards of an archive's listing: a mapping, or rows of keyword, type, value and comment."""
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        pass

    for tag in ("!<lsst.daf.base.PropertyList>", "lsst.daf.base.PropertyList"):
        Loader.add_constructor(tag, Loader.construct_sequence)
    cards = yaml.load(path.read_text(), Loader)
    rows = cards.items() if isinstance(cards, dict) else ((row[0], row[2]) for row in cards)
    return {name: value for name, value in rows if not isinstance(value, list)}


def test_all_of_them_are_here(real_data):
    folder = real_data / "quirks/headers"
    names = {path.stem.removeprefix("fitsheader-") for path in folder.glob("*.yaml")}
    assert names == set(FACTS_IN_YAML)


@pytest.mark.parametrize("name", FACTS_IN_YAML)
def test_headers_of_large_cameras(real_data, name):
    header = header_of(real_data / f"quirks/headers/fitsheader-{name}.yaml")
    expected = dict(FACTS_IN_YAML[name])
    camera = find_instrument(None, header)
    assert camera.name == expected.pop("instrument")
    assert camera.frame_type_of(header) == expected.pop("kind")
    found = {fact: camera.value(fact, header) for fact in expected}
    assert {k: getattr(v, "value", v) for k, v in found.items()} == pytest.approx(expected)


AMPLIFIERS = {
    "decam-raw_dec050441_25": [
        ("[1081:2104,51:4146]", "[1025:2048,1:4096]", "[2105:2154,51:4146]", 4.59347726229),
        ("[57:1080,51:4146]", "[1:1024,1:4096]", "[7:56,51:4146]", 4.4014084507),
    ],
    "megaprime": [
        ("[33:1056,1:4612]", "[1:1024,1:4612]", "[1:32,1:4644]", 1.57),
        ("[1057:2080,1:4612]", "[1025:2048,1:4612]", "[2081:2112,1:4644]", 1.67),
    ],
    "hsc-HSCA04090107": [
        ("[9:520,50:4225]", "[1:512,1:4176]", "[521:536,50:4225]", 3.18),
        ("[553:1064,50:4225]", "[513:1024,1:4176]", "[537:552,50:4225]", 3.19),
        ("[1081:1592,50:4225]", "[1025:1536,1:4176]", "[1593:1608,50:4225]", 3.35),
        ("[1625:2136,50:4225]", "[1537:2048,1:4176]", "[1609:1624,50:4225]", 3.45),
    ],
    "decam-instcal-c4d_190402_050618_ooi_VR_v1": [],
}


@pytest.mark.parametrize("name", AMPLIFIERS)
def test_amplifiers_of_large_cameras(real_data, name):
    header = header_of(real_data / f"quirks/headers/fitsheader-{name}.yaml")
    found = amplifiers_of(header, find_instrument(None, header))
    sections = [(r.raw, r.target, *r.overscan) for r in found]
    said = [(*map(format_section, each), r.gain) for each, r in zip(sections, found, strict=True)]
    assert said == AMPLIFIERS[name]


def test_what_is_told_of_a_header_without_one_gain(real_data):
    header = header_of(real_data / "quirks/headers/fitsheader-megaprime-calexp-849375-14.yaml")
    told = "GAINA is the gain of one amplifier: the frame as a whole has none"
    assert told in implausible(GENERIC, header)
    assert told not in implausible(find_instrument(None, header), header)  # which knows both


FRAMES = {
    "quirks/a8280271.fits": ("generic", "light", ["CCD-TEMP = 180.2: it is taken to be in K"]),
    "quirks/flat-mef.fits": ("generic", "flat", ["the exposure time is unknown"]),
    "quirks/science-mef.fits": ("generic", "light", []),
    "quirks/sip-wcs.fit": ("MaxIm DL", "light", []),
    "quirks/lco_sinistro_raw_mef.fits": ("LCO", "light", ["placeholders, which count as missing"]),
    "quirks/noheader.fits": ("generic", "", ["the frame type is unknown"]),
    "quirks/solved.fits.fz": ("generic", "", ["the frame type is unknown"]),
    "quirks/unsolved.fits": ("generic", "", ["the frame type is unknown"]),
    "ic310_j/bias_2.fits": ("generic", "", ["placeholders, which count as missing: SIDETIME"]),
    "ngc520_g/raw/NGC520-003-g.fit": ("MaxIm DL", "light", []),
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_told_of_a_frame(real_data, name):
    header = read_header(real_data / name).header
    instrument, kind, beginnings = FRAMES[name]
    camera = find_instrument(None, header)
    assert camera.name == instrument
    assert camera.frame_type_of(header, real_data / name) == kind
    notes = implausible(camera, header, real_data / name)
    for beginning in beginnings:
        assert any(note.startswith(beginning) for note in notes), notes
    if not beginnings:
        assert notes == []
    for fact in FACTS:
        value, source = camera.fact(fact, header)
        assert (value is None) == (source == "")

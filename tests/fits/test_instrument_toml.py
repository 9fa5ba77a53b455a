from dataclasses import replace

import astropy.units as u
import pytest

from bmp_astro.fits import Instrument, Keyword, find_instrument, starting_toml

TEXT = """
name = "SX694"
camera = "Starlight"
gain = "0.3 electron / adu"
exptime = {keyword = ["ITIME", "EXPTIME"], unit = "ms", valid = [0, 1e9]}
temperature = "-10 deg_C"
xbinning = 2
filter = false
overscan_section = "[1:40,1:2200]"
dark_scaling = false
wcs_frame = "trimmed"
saturation = [{keyword = "SATLEVEL", unit = "adu"}, {keyword = "FULLWELL", unit = "adu"}]

[frame_types]
"Shot" = "light"

[file_types]
"bias_*" = "bias"

[keys]
rotator = {keyword = "ROTANG", unit = "deg"}

[match.dark]
temperature = "2 K"
filter = "equal"
"""


def read(tmp_path, text):
    path = tmp_path / "camera.toml"
    path.write_text(text)
    return Instrument.from_toml(path)


def test_a_file_says_what_python_says(tmp_path):
    assert read(tmp_path, TEXT) == Instrument(
        "SX694",
        camera="Starlight",
        gain=0.3 * u.electron / u.adu,
        exptime=Keyword("ITIME", "EXPTIME", unit=u.ms, valid=(0, 1e9)),
        temperature=-10 * u.deg_C,
        xbinning=2,
        filter=None,
        overscan_section="[1:40,1:2200]",
        dark_scaling=False,
        wcs_frame="trimmed",
        saturation=(Keyword("SATLEVEL", unit=u.adu), Keyword("FULLWELL", unit=u.adu)),
        frame_types={"Shot": "light"},
        file_types={"bias_*": "bias"},
        keys={"rotator": Keyword("ROTANG", unit=u.deg)},
        match={"dark": {"temperature": 2 * u.K, "filter": None}},
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exptme = 'x'", "did you mean 'exptime'"),
        ("gain = 0.3", r"gain: expected a quantity as text such as '1.5 electron / adu'"),
        ("gain = '0.3 s'", "is not in electron / adu"),
        ("gain = 'much'", "gain:"),
        ("exptime = {keywrd = 'A'}", "did you mean 'keyword'"),
        ("exptime = {unit = 's'}", "expected a table such as"),
        ("exptime = {keyword = 'A', kind = 'list'}", "unknown kind 'list'"),
        ("exptime = {keyword = 'A', unit = 'parrots'}", "exptime: .*parrots"),
        ("dark_scaling = 'no'", "expected true or false"),
        ("keys = 3", "expected a table"),
        ("xbinning = 'two'", "expected a number"),
        ("camera = 3", "expected text"),
        ("fix_header = 'f'", "unknown entry 'fix_header'"),
        ("= 3", "not a TOML file"),
        ("base = 'ninna'", "base: there is no built-in instrument 'ninna': did you mean 'NINA'"),
        ("bias_exptime = '0 m'", "bias_exptime: '0 m' is not in s"),
        ("gain = [{keyword = 'GAIN'}, 3]", "gain: expected a quantity"),
        ("recognized_by = {INSTRUME = 3}", "recognized_by: expected text"),
    ],
)
def test_mistakes_name_the_entry(tmp_path, line, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, f"name = 'x'\n{line}\n")
    assert "camera.toml" in str(caught.value)


def test_a_name_is_needed(tmp_path):
    with pytest.raises(ValueError, match="has no name"):
        read(tmp_path, "camera = 'x'")


def test_a_default_and_what_only_this_camera_has(tmp_path):
    text = """
name = "mine"
gain = [{keyword = "CCDGAIN", unit = "electron / adu"}, "1.4 electron / adu"]
bias_exptime = "10 ms"
recognized_by = {SWCREATE = ["one", "two"], DETECTOR = ""}
"""
    assert read(tmp_path, text) == Instrument(
        "mine",
        gain=(Keyword("CCDGAIN", unit="electron / adu"), 1.4 * u.electron / u.adu),
        bias_exptime=10 * u.ms,
        recognized_by={"SWCREATE": ("one", "two"), "DETECTOR": ""},
    )


def test_a_built_in_instrument_may_be_the_base(tmp_path):
    nina = find_instrument("NINA", {})
    text = 'base = "nina"\nname = "mine"\ngain = "2 electron / adu"'
    assert read(tmp_path, text) == replace(nina, name="mine", gain=2 * u.electron / u.adu)


def test_a_file_is_read_again_when_it_was_changed(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text("name = 'one'")
    assert find_instrument(path, {}) is find_instrument(path, {})
    path.write_text("name = 'another'")
    assert find_instrument(path, {}).name == "another"
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        find_instrument(tmp_path / "none.toml", {})


def test_what_is_written_is_read_as_the_same(tmp_path):
    camera = read(tmp_path, TEXT)
    again = read(tmp_path, starting_toml(camera, {}))
    assert again == camera

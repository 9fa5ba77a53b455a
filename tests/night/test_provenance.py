"""From a product down to the raw files, and what of it no longer matches."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from bmp_astro import CCDMultiPipe, combine, provenance, read_frame, reduce_night, write_frame
from bmp_astro.cli import main
from bmp_astro.simulate import simulate_night


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("provenance")
    few = {"n_bias": 4, "n_dark": 3, "n_flat": 3, "n_light": 1, "filters": ["V"]}
    simulate_night(folder / "raw", shape=(30, 41), overscan=7, **few)
    bad = np.zeros((30, 41), np.uint8)
    bad[3, 4] = 1
    mask = write_frame(CCDData(bad, unit=""), folder / "bad.fits", dtype="uint8")
    for compress in (False, True):
        out = folder / ("packed" if compress else "out")
        options = {"bad_pixel_mask": mask, "compress": compress}
        reduce_night(folder / "raw", out, num_processes=1, **options)
    return folder


@pytest.fixture
def night(reduced, tmp_path):
    """The night in another place, of which the tables know nothing."""
    shutil.copytree(reduced, tmp_path / "moved")
    return tmp_path / "moved"


def light_of(night):
    return next((night / "out" / "lights").glob("*.fits"))


def problems(night, **how):
    tree = provenance(light_of(night), search=night, **how)
    return {one.name: one.problems for one in tree.files() if one.problems}


def alter(path, plane=0):
    """Change a pixel as a damaged disk does, and not as astropy, which sums up anew."""
    with fits.open(path) as hdus:
        place = hdus[plane].fileinfo()["datLoc"] + 200
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("out", ["out", "packed"])
def test_all_is_traced_to_the_raw_files_which_the_table_of_the_night_knows(reduced, out):
    light = next((reduced / out / "lights").iterdir())
    tree = provenance(light)
    assert [one.name for one in tree.files() if one.problems] == ["bad.fits"]  # in no table
    raw = {one.path for one in tree.files() if "raw" in str(one.path)}
    used = {str(path) for path in (reduced / "raw").iterdir()}
    unused = {path for path in used - raw if "flat" not in path and "cluster" not in path}
    assert not {path for path in unused if "notes" not in path}
    refused = [one.name for one in tree.files() if one.role == "not used"]
    assert "bias-005.fit" in refused
    assert [one.role for one in tree.sources] == [
        "input",
        "master bias",
        "master dark",
        "master flat",
        "bad pixel mask",
    ]


def test_cards_and_steps_can_be_read(reduced):
    header = fits.getheader(light_of(reduced))
    assert header["INPUT"] == "cluster-V-001.fit"
    raw = fits.open(reduced / "raw" / header["INPUT"])
    raw[0].add_datasum()
    raw[0].header["DATASUM"] = raw[0]._calculate_datasum()
    assert header["INPUTSUM"].split()[0] == str(raw[0].header["DATASUM"])
    raw.close()
    assert (header["NPYVERS"], header["MMASK"]) == (np.__version__, "bad.fits")
    text = "\n".join(header["HISTORY"])
    for words in ("polynomial of order 2", "read noise", "times 1", "gain: 1.5", "0.1 or more"):
        assert words in text
    master = fits.getheader(reduced / "out" / "masters" / "master_bias.fits")
    assert [master[f"IMCMB00{i}"] for i in (1, 4)] == ["bias-001.fit", "bias-004.fit"]
    assert master["IMREJ001"] == "bias-005.fit"
    assert len(master["IMRSM001"].split()) == 2
    assert any("not used: bias-005.fit: light leak" in line for line in master["HISTORY"])


def test_a_night_that_was_moved_is_found_where_it_is_looked_for(night, reduced, monkeypatch):
    assert problems(night) == {}
    monkeypatch.setattr("bmp_astro.night.whereabouts._TABLES", {})
    lost = {one.name for one in provenance(light_of(night)).files() if one.problems}
    assert "cluster-V-001.fit" in lost
    assert "master_bias.fits" not in lost


@pytest.mark.parametrize(
    ("name", "plane", "said"),
    [
        ("raw/cluster-V-001.fit", 0, "its pixels have changed"),
        ("raw/bias-002.fit", 0, "its pixels have changed"),
        ("raw/bias-005.fit", 0, "its pixels have changed"),
        ("bad.fits", 0, "its pixels have changed"),
        ("out/masters/master_dark_120s.fits", "UNCERT", "its UNCERT has changed since it was"),
        ("out/masters/master_dark_120s.fits", 0, "its pixels have changed"),
    ],
)
def test_what_has_changed_is_named(night, name, plane, said):
    alter(night / name, plane)
    if "master_dark" in name:
        shutil.rmtree(night / "packed")  # it has the same one
    found = problems(night)
    assert list(found) == [name.rpartition("/")[2]]
    assert found[name.rpartition("/")[2]][0].startswith(said)


def test_a_raw_header_that_was_edited_is_told_from_its_pixels(night):
    fits.setval(night / "raw" / "dark-001.fit", "EXPTIME", value=7.0)
    assert problems(night) == {"dark-001.fit": ["its header has changed"]}


def test_what_is_gone_or_cannot_be_read_is_named(night):
    shutil.rmtree(night / "packed")
    (night / "out" / "masters" / "master_dark_120s.fits").unlink()
    (night / "raw" / "bias-001.fit").write_bytes(b"SIMPLE")
    found = problems(night)
    assert found["master_dark_120s.fits"] == ["it is not found"]
    assert "cannot be read" in found["bias-001.fit"][0]
    assert len(found) == 2


def test_another_version_is_named(night):
    shutil.rmtree(night / "packed")
    light = light_of(night)
    fits.setval(light, "BMPVERS", value="0.0.9")
    fits.setval(light, "NPYVERS", value="1.26.0")
    tree = provenance(light, search=night)
    assert tree.problems[0].startswith("made with bmp_astro 0.0.9, this is ")
    assert tree.notes[0].startswith("made with numpy 1.26.0, this is ")
    assert not tree.matches


def test_a_product_of_a_product_and_of_the_same_name(night):
    light = light_of(night)
    again = CCDMultiPipe(
        outdir=night / "again", create_outdir=True, outname_append="", num_processes=1
    )
    table = again.pipeline([light])
    tree = provenance(table["outname"][0], search=night / "out")
    assert tree.sources[0].path == str(light)
    assert tree.sources[0].sources[0].name == "cluster-V-001.fit"


def test_frames_that_were_combined_by_hand(night):
    names = sorted((night / "raw").glob("flat-V-00*.fit"))
    once = write_frame(combine(names), night / "once.fits")
    twice = write_frame(combine([once, once]), night / "twice.fits")
    tree = provenance(twice, search=night)
    assert tree.matches
    assert [one.name for one in tree.sources] == ["once.fits", "once.fits"]
    assert [one.name for one in tree.sources[0].sources] == [path.name for path in names]
    assert "IMSUM001" not in combine([read_frame(name) for name in names]).header


SINISTRO = """
name = "mine"
base = "LCO"

[[amplifiers]]
hdu = 3
data_section = "[1:512,1:512]"

[[amplifiers]]
hdu = 2
data_section = "[1:512,1:512]"
detector_section = "[513:1024,1:512]"
"""


def test_amplifiers_that_a_toml_file_chose_are_as_they_were(real_data, tmp_path):
    (tmp_path / "mine.toml").write_text(SINISTRO)
    camera = tmp_path / "mine.toml"
    raw = tmp_path / "raw.fits"
    shutil.copy(real_data / "quirks/lco_sinistro_raw_mef.fits", raw)
    light = write_frame(
        read_frame(raw, instrument=camera, record_input=True), tmp_path / "light.fits"
    )
    assert fits.getheader(light)["INPUTSUM"].split()[2] == "3,2"
    assert provenance(light).matches
    alter(raw, plane=1)  # of which nothing was used
    assert provenance(light).matches
    alter(raw, plane=3)
    assert provenance(light).sources[0].problems == ["its pixels have changed"]
    with fits.open(raw) as hdus:
        hdus[:3].writeto(raw, overwrite=True)
    (problem,) = provenance(light).sources[0].problems
    assert "has no unit 3: it has 3 units" in problem


def test_an_extension_that_was_asked_for_is_as_it_was(tmp_path):
    names = [tmp_path / f"{i}.fits" for i in range(2)]
    for name in names:
        images = [fits.ImageHDU(np.full((8, 9), i, np.float32)) for i in range(3)]
        fits.HDUList([fits.PrimaryHDU(), *images]).writeto(name)
    light = write_frame(read_frame(names[0], hdu=2, record_input=True), tmp_path / "light.fits")
    assert fits.getheader(light)["INPUTHDU"] == 2
    assert provenance(light).matches
    alter(names[0], plane=1)
    assert provenance(light).matches
    alter(names[0], plane=2)
    assert not provenance(light).matches


def test_what_is_no_product_and_where_nothing_can_be_looked_for(night):
    with pytest.raises(ValueError, match="is not a product of this package"):
        provenance(night / "raw" / "bias-001.fit")
    with pytest.raises(FileNotFoundError, match="nowhere is not a directory"):
        provenance(light_of(night), search="nowhere")


def test_the_command_prints_the_tree_and_ends_with_1_where_something_does_not_match(night, capsys):
    light = str(light_of(night))
    assert main(["provenance", light, "--search", str(night)]) == 0
    said = capsys.readouterr().out
    assert "    input: " in said
    assert "master bias: " in said
    assert ": see above" in said
    assert "files are there and as they were" in said
    alter(night / "raw" / "flat-V-002.fit")
    assert main(["provenance", light, "--search", str(night)]) == 1
    said = capsys.readouterr().out
    assert "1 of " in said
    assert "flat-V-002.fit (input): its pixels have changed" in said
    assert main(["provenance", str(night / "raw" / "bias-001.fit")]) == 2
    assert "not a product" in capsys.readouterr().err

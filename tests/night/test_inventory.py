import os
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table

from bmp_astro import Instrument, Keyword, inventory
from bmp_astro.fits import write_frame
from bmp_astro.simulate import simulate_night


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    simulate_night(folder, shape=(32, 48), n_bias=2, n_dark=2, n_flat=1, n_light=2)
    return folder


def test_each_file_has_a_row_in_order_of_its_name(raw):
    table = inventory(raw)
    names = [os.path.basename(name) for name in table["in_name"]]
    assert names == sorted(path.name for path in raw.iterdir())


def test_facts_are_typed_and_have_units(raw):
    table = inventory(raw)
    dark = table[table["frame_type"] == "dark"][0]
    assert dark["exptime"] == 120
    assert table["exptime"].unit == u.s
    assert table["temperature"].unit == u.deg_C
    assert dark["temperature"] == pytest.approx(-10, abs=1)
    assert dark["gain"] == pytest.approx(1.5)
    assert (dark["ny"], dark["nx"]) == (32, 80)
    assert table["gain_setting"].mask.all()
    light = table[table["frame_type"] == "light"][0]
    assert (light["object"], light["filter"]) == ("Simulated cluster", "R")


def test_a_file_that_cannot_be_read_says_why(raw):
    table = inventory(raw)
    row = table[[name.endswith("notes.fits") for name in table["in_name"]]][0]
    assert row["frame_type"] == ""
    assert row["message"].startswith("not a FITS file")


def test_it_survives_ecsv(raw, tmp_path):
    table = inventory(raw)
    table.write(tmp_path / "inventory.ecsv")
    again = Table.read(tmp_path / "inventory.ecsv")
    assert again.pformat(max_lines=-1, max_width=-1) == table.pformat(max_lines=-1, max_width=-1)


def test_an_instruments_own_keys_are_columns(raw):
    camera = Instrument("mine", keys={"scale": Keyword("XPIXSZ", unit=u.um)})
    table = inventory(raw, instrument=camera)
    assert table["scale"].unit == u.um
    assert table["scale"][0] == 9


def test_names_are_as_given(raw, monkeypatch):
    monkeypatch.chdir(raw.parent)
    table = inventory([raw.name, raw / "bias-001.fit"])
    assert os.path.join(raw.name, "bias-001.fit") in table["in_name"]
    assert str(raw / "bias-001.fit") in table["in_name"]


def test_other_files_hidden_ones_and_products_are_no_raw_frames(raw, tmp_path):
    frame = fits.getdata(raw / "bias-001.fit").astype("float32")
    write_frame(CCDData(frame, unit="adu"), tmp_path / "p.fits")
    (tmp_path / "notes.txt").write_text("clear")
    (tmp_path / ".hidden.fits").write_text("")
    table = inventory(tmp_path)
    assert [os.path.basename(name) for name in table["in_name"]] == ["p.fits"]
    assert "bmp_astro" in table["message"][0]


def test_a_name_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inventory(tmp_path / "nowhere")


def test_an_empty_directory_has_an_empty_inventory(tmp_path):
    table = inventory(tmp_path)
    assert len(table) == 0
    assert "message" in table.colnames


def test_a_type_that_is_not_known_is_named(tmp_path):
    header = fits.Header({"IMAGETYP": "Sausage"})
    fits.PrimaryHDU(np.zeros((4, 4), "uint16"), header).writeto(tmp_path / "a.fits")
    assert "'Sausage' is no frame type" in inventory(tmp_path)["message"][0]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can drop root")
def test_a_file_without_permission_has_a_row(raw, public_folder):
    """A child process without root's privileges looks at a file that it may not read."""
    path = public_folder / "secret.fits"
    (public_folder / "closed").mkdir(mode=0o700)
    path.write_bytes((raw / "bias-001.fit").read_bytes())
    path.chmod(0o000)
    code = (
        "import os, sys\n"
        "from bmp_astro import inventory\n"
        "inventory(sys.argv[1])  # imports what root alone may read\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(*inventory(sys.argv[1])['message'], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, public_folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "Permission denied",
        "a directory that cannot be looked into: permission denied",
    ]


def test_a_file_with_two_names_counts_once(tmp_path):
    simulate_night(tmp_path, shape=(16, 24), n_bias=2, n_dark=1, n_flat=1, n_light=1)
    (tmp_path / "x-link.fit").symlink_to("bias-001.fit")
    os.link(tmp_path / "bias-002.fit", tmp_path / "x-hard.fit")
    said = dict(inventory(tmp_path)["in_name", "message"].iterrows())
    assert said[f"{tmp_path}/bias-001.fit"] == said[f"{tmp_path}/bias-002.fit"] == ""
    assert said[f"{tmp_path}/x-link.fit"] == f"the same file as {tmp_path}/bias-001.fit"
    assert said[f"{tmp_path}/x-hard.fit"] == f"the same file as {tmp_path}/bias-002.fit"


def test_a_link_to_nothing_says_so(tmp_path):
    (tmp_path / "gone.fits").symlink_to("nowhere.fits")
    [message] = inventory(tmp_path)["message"]
    assert message == "a link to nowhere.fits, which does not exist"

"""The page says what the table says, holds its pictures, and lets nothing through unescaped."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from bmp_astro.report import write_report

NASTY = """<script>alert("x")<img src=x onerror='y'> it's & 'so'.fits"""


def assert_harmless(page):
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attrs for _, attrs in page.tags)


def test_the_page_lies_beside_the_table(outdir):
    assert write_report(outdir) == outdir / "report.html"
    assert {path.name for path in outdir.iterdir()} == {
        "lights",
        "masters",
        "night.ecsv",
        "report.html",
    }


def test_it_says_how_the_night_went_and_what_failed(outdir, parse):
    page = parse(write_report(outdir))
    assert "1 of 2 lights was reduced. 2 files of 4 could not be used." in page.text
    assert "1 file raised an alarm." in page.text
    for row in QTable.read(outdir / "night.ecsv"):
        assert row["in_name"].removeprefix("raw/") in page.text
        if row["status"] != "done":
            assert row["message"] in page.text
    assert "it was warm" in page.text
    assert page.text.index("it is saturated") < page.text.index("Masters")
    assert page.text.index("truncated") < page.text.index("it is saturated")


def test_units_stand_once_above_the_numbers(outdir, parse):
    page = parse(write_report(outdir))
    assert "Background e⁻" in page.text
    assert "361.2" in page.text
    assert "Exposure s" in page.text


def test_pictures_are_embedded_and_described(outdir, parse):
    page = parse(write_report(outdir))
    images = page.all("img")
    assert len(images) == 3
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert all(image["alt"] for image in images)
    plots = page.all("svg")
    assert plots
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)


def test_nothing_is_fetched_and_no_script_runs(outdir, parse):
    page = parse(write_report(outdir))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    addresses = [
        value
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in ("src", "href", "xlink:href", "srcset", "action")
    ]
    assert addresses
    assert all(address.startswith(("data:image/png;", "#")) for address in addresses)
    assert "@import" not in page.source
    assert set(re.findall(r"url\((.)", page.source)) <= {"#"}


def test_ids_are_unique_and_every_link_has_its_target(outdir, parse):
    page = parse(write_report(outdir))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {
        attrs[name][1:]
        for _, attrs in page.tags
        for name in ("href", "xlink:href")
        if name in attrs
    }
    targets |= set(re.findall(r"url\(#([^)]+)\)", page.source))
    assert targets <= set(ids)
    assert "master-0" in targets


def test_the_same_night_gives_the_same_page(outdir):
    first = write_report(outdir).read_bytes()
    assert write_report(outdir).read_bytes() == first


@pytest.mark.parametrize(
    "column", ["in_name", "message", "step", "alarms", "warnings", "OBJECT", "FILTER", "MBIAS"]
)
def test_text_from_files_is_escaped(outdir, parse, column):
    table = QTable.read(outdir / "night.ecsv")
    table[column] = [NASTY] * len(table)
    table["background"] = [1.0, 2.0, 3.0, 4.0]
    page = parse(write_report(outdir, table))
    assert NASTY in page.text
    assert_harmless(page)


def test_status_and_type_are_escaped_too(tmp_path, parse):
    table = QTable({"in_name": ["a", "b"], "status": [NASTY, "done"], "frame_type": [NASTY, ""]})
    page = parse(write_report(tmp_path, table))
    assert NASTY in page.text
    assert_harmless(page)


def test_names_of_masters_are_escaped(outdir, parse):
    (outdir / "masters" / "master_bias.fits").rename(outdir / "masters" / "<b onx='1'>\".fits")
    page = parse(write_report(outdir))
    assert "<b onx='1'>\".fits" in page.text
    assert "b" not in {tag for tag, _ in page.tags}


def test_a_filter_with_a_dollar_or_strange_letters_is_no_formula(outdir, parse):
    table = QTable.read(outdir / "night.ecsv")
    table["FILTER"] = ["$\\frac$", "濾", "Sloan g'", "V"]
    table["background"] = [1.0, 2.0, 3.0, 4.0]
    page = parse(write_report(outdir, table))
    assert "$\\frac$" in page.text
    assert "濾" in page.text


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are always Unicode there")
def test_a_name_that_is_not_utf8_does_not_stop_the_page(tmp_path):
    name = os.fsdecode(b"raw/\xff.fits")
    page = write_report(tmp_path, QTable({"in_name": [name], "status": ["failed"]}))
    assert "udcff.fits" in page.read_text(encoding="utf-8")


def test_a_table_of_names_and_statuses_is_enough(tmp_path, parse):
    table = QTable({"in_name": ["a.fits", "b.fits", "c.fits"], "status": ["done"] * 3})
    page = parse(write_report(tmp_path, table))
    assert "All 3 files were done." in page.text
    assert "Needs attention" not in page.text
    assert not page.all("svg")


@pytest.mark.parametrize(
    ("statuses", "sentence", "mood"),
    [
        (["done"], "The only light was reduced.", "all"),
        (["failed"], "The only light was not reduced. 1 file of 1 could not", "none"),
        (["done", "skipped"], "All 2 lights were reduced.", "all"),
        (["failed", "not_run"], "None of the 2 lights was reduced. 2 files of 2 could not", "none"),
        (["done", "rejected"], "1 of 2 lights was reduced. 1 file of 2 could not", "some"),
    ],
)
def test_verdicts(tmp_path, parse, statuses, sentence, mood):
    names = [f"{i}.fits" for i in range(len(statuses))]
    table = QTable({"in_name": names, "status": statuses, "frame_type": ["light"] * len(statuses)})
    page = parse(write_report(tmp_path, table))
    assert sentence in page.text
    assert f"verdict {mood}" in [attrs.get("class") for attrs in page.all("p")]


def test_a_night_of_nothing(tmp_path, parse):
    page = parse(write_report(tmp_path, QTable(names=["in_name", "status"], dtype=[str, str])))
    assert "there was nothing to reduce" in page.text


def test_trends_are_drawn_only_of_what_was_measured_twice(outdir, parse):
    page = parse(write_report(outdir))
    labels = [plot["aria-label"] for plot in page.all("svg")]
    assert len(labels) == 1
    assert labels[0].startswith("Detector temperature over time, 3 frames")
    assert "to -9.9" in labels[0]


def test_trends_of_frames_without_dates_follow_the_table(outdir, parse):
    table = QTable.read(outdir / "night.ecsv")
    table["overscan_level"] = [1000.0, 1001.0, 1002.0, 1003.0]
    del table["DATE-OBS"]
    page = parse(write_report(outdir, table))
    labels = [plot["aria-label"] for plot in page.all("svg")]
    assert labels[0] == "Overscan level over time, 4 frames, from 1000 to 1003"


def test_a_product_that_is_gone_or_broken_is_said(outdir, parse):
    product = outdir / "lights" / "light-1_reduced.fits"
    product.unlink()
    fits.HDUList([fits.PrimaryHDU()]).writeto(product)
    (outdir / "masters" / "master_bias.fits").unlink()
    (outdir / "masters" / "master_flat_V.fits").write_text("nonsense")
    page = parse(write_report(outdir))
    assert page.text.lower().count("no picture:") == 2
    assert not page.all("img")


def test_products_are_found_when_the_directory_has_moved(outdir, parse):
    table = QTable.read(outdir / "night.ecsv")
    table["outname"] = ["elsewhere/lights/light-1_reduced.fits", "", "", ""]
    page = parse(write_report(outdir, table))
    assert len(page.all("img")) == 3


def test_a_directory_without_a_night_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no night\.ecsv in"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_infinite_and_undefined_numbers_are_left_out(outdir, parse):
    table = QTable.read(outdir / "night.ecsv")
    table["background"] = [np.nan, np.inf, 1.0, 2.0]
    page = parse(write_report(outdir, table))
    assert not re.search(r"\b(nan|inf)\b", page.text)


def test_compressed_products_have_pictures(outdir, parse):
    image = fits.getdata(outdir / "lights" / "light-1_reduced.fits")
    path = outdir / "lights" / "light-1_reduced.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(image)]).writeto(path)
    table = QTable.read(outdir / "night.ecsv")
    table["outname"] = [str(path), "", "", ""]
    page = parse(write_report(outdir, table))
    assert len(page.all("img")) == 3


def test_without_matplotlib_the_error_says_what_to_install(outdir):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from bmp_astro.report import write_report\n"
        f"write_report({str(outdir)!r})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImportError" in run.stderr
    assert "pip install bmp_astro[report]" in run.stderr


def test_importing_the_report_imports_no_matplotlib():
    code = "import sys, bmp_astro.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Several nights in one run: which frame is of which, what is borrowed, and where it all lies."""

import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bmp_astro import inventory, plan_night, provenance, reduce_night
from bmp_astro.cli import main
from bmp_astro.night import summary
from bmp_astro.night.inventory import Frame
from bmp_astro.night.nights import by_directory, by_time
from bmp_astro.simulate import simulate_night

SMALL = {"shape": (48, 64), "n_bias": 3, "n_dark": 3, "n_light": 2, "bad_files": False}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two nights with files of the same names; the second has no flats."""
    folder = tmp_path_factory.mktemp("nights") / "tree"
    simulate_night(folder / "first", n_flat=3, seed=1, **SMALL)
    simulate_night(folder / "second", n_flat=0, seed=2, day=1, **SMALL)
    return folder


@pytest.fixture(scope="module")
def reduced(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("nights") / "out"
    return out, reduce_night([tree / "first", tree / "second"], out, executor="thread")


def dated(*times, folder="raw", **keywords):
    return [
        Frame(f"{folder}/{i}.fits", "light", {"date_obs": time}, **keywords)
        for i, time in enumerate(times)
    ]


def test_each_directory_has_masters_and_lights_of_its_own(reduced):
    out, table = reduced
    assert set(table["status"]) == {"done"}
    names = ["cluster-R-002_reduced.fits", "cluster-V-001_reduced.fits"]
    for night in ("first", "second"):
        assert sorted(path.name for path in (out / night / "lights").iterdir()) == names
        header = fits.getheader(out / night / "masters/master_bias.fits")
        assert header["NCOMBINE"] == 3
        own = Table.read(out / night / "night.ecsv")
        assert set(own["night"]) == {night}
    assert not (out / "masters").exists()
    assert len(Table.read(out / "night.ecsv")) == len(table) == 22
    first, second = (fits.getdata(out / n / "lights" / names[0]) for n in ("first", "second"))
    assert not np.array_equal(first, second)


def test_what_a_night_lacks_is_borrowed_and_the_row_says_how_old_it_is(reduced, tree):
    out, table = reduced
    lights = table[table["frame_type"] == "light"]
    ages = {night: lights["flat_age"][lights["night"] == night].to_value(u.day) for night in
            ("first", "second")}  # fmt: skip
    assert np.max(ages["first"]) < 0.01
    np.testing.assert_allclose(ages["second"], 1, atol=0.01)
    assert np.max(lights["bias_age"].to_value(u.day)) < 0.02
    assert np.max(lights["dark_age"].to_value(u.day)) < 0.02
    plan = Table.read(out / "plan.ecsv")
    row = plan[(plan["frame_type"] == "light") & (plan["night"] == "second")][0]
    assert row["master_bias"] == "second/masters/master_bias.fits"
    assert row["master_flat"] == "first/masters/master_flat_R.fits"
    assert "flat: first/masters/master_flat_R.fits, 24.0 h away" in row["why"]


def test_a_product_of_borrowed_masters_can_be_traced(reduced):
    out, _ = reduced
    tree = provenance(out / "second/lights/cluster-R-002_reduced.fits")
    assert tree.matches
    flat = next(source for source in tree.sources if source.role == "master flat")
    assert flat.path == str(out / "first/masters/master_flat_R.fits")


def test_masters_of_several_reduced_nights_serve_another(reduced, tree):
    out, _ = reduced
    [light, *_] = sorted((tree / "second").glob("cluster-R*"))
    plan = plan_night(light, masters=out)
    assert plan["master_bias"][0] == str(out / "second/masters/master_bias.fits")
    assert plan["master_flat"][0] == str(out / "first/masters/master_flat_R.fits")
    assert "rather than" in plan["why"][0]


def test_a_night_alone_gives_the_same_light(tree, reduced, tmp_path):
    out, _ = reduced
    reduce_night(tree / "first", tmp_path, executor="thread")
    name = "lights/cluster-R-002_reduced.fits"
    np.testing.assert_array_equal(fits.getdata(out / "first" / name), fits.getdata(tmp_path / name))


def test_each_night_is_summed_up(reduced):
    counts = summary(reduced[1])
    assert list(counts["night"]) == ["first"] * 4 + ["second"] * 3
    assert counts["done"].tolist() == [3, 3, 6, 2, 3, 3, 2]


def test_a_second_run_makes_nothing_again_and_one_of_another_night_only_that(tree, tmp_path):
    out, raw = tmp_path / "out", tmp_path / "raw"
    shutil.copytree(tree / "first", raw / "first")
    shutil.copytree(tree / "second", raw / "second")
    both = [raw / "first", raw / "second"]
    reduce_night(both, out, executor="thread")
    again = reduce_night(both, out, executor="thread")
    assert set(again["status"]) == {"skipped"}
    (raw / "second" / "bias-003.fit").unlink()
    third = reduce_night(both, out, executor="thread")
    is_first = third["night"] == "first"
    assert set(third["status"][is_first]) == {"skipped"}
    changed = third[~is_first]
    assert set(changed["status"][changed["frame_type"] != "flat"]) == {"done"}


def test_a_tree_is_split_from_noon_to_noon(tree):
    table = inventory(tree, split_nights=True)
    assert table.colnames[:3] == ["in_name", "night", "frame_type"]
    for row in table:
        day = "2026-03-14" if "/first/" in row["in_name"] else "2026-03-15"
        assert row["night"] == day
    plan = plan_night(tree, split_nights=True)
    assert set(plan["night"]) == {"2026-03-14", "2026-03-15"}
    assert plan["product"][-1] == "2026-03-15/masters/master_dark_120s.fits"


def test_a_plan_of_several_nights_is_followed(tree, tmp_path):
    plan = plan_night([tree / "first", tree / "second"])
    is_light = plan["frame_type"] == "light"
    plan["product"][is_light & (plan["night"] == "first")] = ""
    names = [str(name) for name in plan["in_name"]]
    table = reduce_night(names, tmp_path / "out", plan=plan, executor="thread")
    assert not (tmp_path / "out/first/lights").exists()
    assert len(list((tmp_path / "out/second/lights").iterdir())) == 2
    left_out = table[(table["night"] == "first") & is_light]
    assert set(left_out["status"]) == {"rejected"}
    assert set(left_out["message"]) == {"the plan gives it no product"}


def test_a_night_can_be_selected(tree, tmp_path):
    wanted = {"night": "2026-03-14", "filter": "V"}
    table = reduce_night(tree, tmp_path, split_nights=True, select=wanted, executor="thread")
    lights = table[table["frame_type"] == "light"]
    assert lights["status"].tolist() == ["rejected", "done", "rejected", "rejected"]
    assert set(lights["message"]) == {"", "not selected"}


@pytest.mark.parametrize(
    ("longitude", "nights"),
    [
        (0.0, ["2026-03-14", "2026-03-14", "2026-03-15", "2026-03-15"]),
        (-111.6 * u.deg, ["2026-03-13", "2026-03-14", "2026-03-14", "2026-03-15"]),
        (180.0, ["2026-03-14", "2026-03-15", "2026-03-15", "2026-03-16"]),
    ],
)
def test_a_night_goes_from_local_noon_to_noon(longitude, nights):
    times = ["2026-03-14T18:00:00", "2026-03-15T10:00:00"]
    times += ["2026-03-15T15:00:00", "2026-03-16T07:00:00"]
    if not isinstance(longitude, float):  # noon in Arizona is 19:26 UTC
        times = ["2026-03-14T19:00:00", "2026-03-14T20:00:00"]
        times += ["2026-03-15T19:00:00", "2026-03-15T20:00:00"]
    assert [frame.night for frame in by_time(dated(*times), longitude)] == nights


def test_without_a_longitude_gaps_of_six_hours_part_nights():
    times = ["2026-03-14T18:00:00", "2026-03-14T23:59:00", "2026-03-15T06:00:00"]
    nights = [frame.night for frame in by_time(dated(*times, readable=False))]
    assert nights == ["2026-03-14", "2026-03-14", "2026-03-15"]
    times = ["2026-03-15T01:00:00", "2026-03-15T20:00:00"]
    nights = [frame.night for frame in by_time(dated(*times, readable=False))]
    assert nights == ["2026-03-15", "2026-03-15_2"]


def test_a_longitude_of_a_header_is_used(tree):
    [path, *_] = sorted((tree / "first").iterdir())
    frames = [Frame(str(path), "bias", {"date_obs": "2026-03-14T19:00:00"})]
    longitude = fits.getheader(path).get("SITELONG")
    assert longitude is not None
    assert by_time(frames)[0].night == "2026-03-13"


def test_frames_without_a_date_go_with_their_neighbors():
    frames = [*dated(None, "2026-03-14T22:00:00", None), *dated(None, folder="elsewhere")]
    nights = [frame.night for frame in by_time(frames, 0.0)]
    assert nights == ["2026-03-14", "2026-03-14", "2026-03-14", "undated"]


def test_directories_of_one_name_are_told_apart(tmp_path):
    tops = [str(tmp_path / site / "2026-03-14") for site in ("east", "west")]
    for top in tops:
        (tmp_path / top).mkdir(parents=True)
    frames = [*dated(None, folder=tops[0]), *dated(None, folder=f"{tops[1]}/raw")]
    frames += dated(None, folder=str(tmp_path / "flats"))
    nights = [frame.night for frame in by_directory(frames, tops)]
    assert nights == ["east_2026-03-14", "west_2026-03-14", f"{tmp_path.name}_flats"]
    assert {frame.night for frame in by_directory(frames, tops[:1])} == {""}


def test_directories_of_lights_and_of_calibration_frames_are_one_night(tmp_path):
    tops = [str(tmp_path / kind) for kind in ("lights", "flats")]
    for top in tops:
        (tmp_path / top).mkdir()
    frames = [*dated(None, folder=tops[0]), Frame(f"{tops[1]}/a.fits", "flat")]
    assert by_directory(frames, tops) == frames


def test_lights_of_two_nights_in_one_directory_are_remarked_upon(caplog):
    by_directory(dated("2026-03-14T22:00:00", "2026-03-16T22:00:00"), ["raw"])
    assert "span 48 hours" in caplog.text
    assert "--split-nights" in caplog.text


def test_the_command_and_the_page_know_nights(tree, tmp_path, capsys):
    out = tmp_path / "out"
    nights = [str(tree / "first"), str(tree / "second")]
    assert main(["reduce", *nights, "--outdir", str(out), "--executor", "thread"]) == 0
    said = capsys.readouterr().out
    assert "second bias       3" in said
    page = (out / "report.html").read_text()
    assert "2 nights in out" in page
    assert '<a href="second/report.html">second</a>' in page
    assert "master_flat_R.fits" in (out / "first/report.html").read_text()
    (out / "second/report.html").unlink()
    assert main(["report", str(out / "second")]) == 0
    assert (out / "second/report.html").exists()
    assert main(["inventory", str(tree), "--split-nights", "--longitude", "179"]) == 0
    assert "2026-03-15" in capsys.readouterr().out


def test_the_command_limits_the_age_of_masters(tree, capsys):
    nights = [str(tree / "first"), str(tree / "second")]
    assert main(["plan", *nights, "--max-age", "3d", "--max-age", "flat=2h"]) == 0
    said = capsys.readouterr().out
    assert "first/masters/master_flat_R.fits: it is 24.0 h away, and max_age is 2.0 h" in said
    assert main(["plan", *nights, "--max-age", "2 parsec"]) == 2
    assert "expected a time such as '12 h' or '30 d'" in capsys.readouterr().err
    for wrong in ("fringe=2d", "flat="):
        with pytest.raises(SystemExit):
            main(["plan", *nights, "--max-age", wrong])
        assert f"'{wrong}' is not AGE" in capsys.readouterr().err


def test_flats_of_the_next_evening_are_borrowed(real_data):
    """The flats of these frames were taken 16 hours after the lights, and no header has a site."""
    folder = real_data / "ic310_j"
    if not folder.is_dir():
        pytest.skip("the IC 310 frames are not there")
    from bmp_astro import Instrument

    types = {"bias*": "bias", "flat*": "flat", "*": "light"}
    camera = Instrument("TIRCAM2", file_types=types, match={"bias": {"filter": None}})
    plan = plan_night(folder, instrument=camera, split_nights=True)
    lights, flats = (plan[plan["frame_type"] == kind] for kind in ("light", "flat"))
    assert not set(lights["night"]) & set(flats["night"])
    assert set(lights["master_flat"]) == set(flats["product"])
    assert all("h away" in why for why in lights["why"])
    together = plan_night(folder, instrument=camera)
    assert "night" not in together.colnames
    assert set(together["master_flat"][together["frame_type"] == "light"]) == {
        "masters/master_flat_J.fits"
    }

"""A night whose sky is subtracted: products, rows, resuming, and lights without neighbors."""

import os
import signal
from datetime import datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from bmp_astro import provenance, read_frame, reduce_night
from bmp_astro.cli import main
from bmp_astro.core import PipelineInterrupted
from bmp_astro.night import sky
from bmp_astro.night.names import without_sky
from bmp_astro.night.sky import _neighbors
from bmp_astro.simulate import simulate_night

SHAPE = (128, 160)
FEW = {"n_bias": 3, "n_dark": 3, "n_flat": 3, "bad_files": False, "shape": SHAPE}


@pytest.fixture(scope="module")
def dithered(tmp_path_factory):
    """Six lights in J, and one in H, under a sky with structure."""
    raw = tmp_path_factory.mktemp("dithered") / "raw"
    night = simulate_night(raw, n_light=6, filters=["J"], dither=25.0, **FEW)
    rng, gain = np.random.default_rng(3), night.detector.gain
    sky = np.broadcast_to(gain * (200 + 150 * np.sin(np.arange(SHAPE[1]) / 9)), SHAPE)
    for path in night.paths("light"):
        with fits.open(path, mode="update") as file:
            file[0].data[:, : SHAPE[1]] += np.rint(rng.poisson(sky) / gain).astype(np.uint16)
    with fits.open(night.paths("light")[0]) as file:
        file[0].header["EXPTIME"] = 60.0
        file[0].header["EXPOSURE"] = 60.0
        file.writeto(raw / "alone.fit")
    return night


@pytest.fixture(scope="module")
def reduced(dithered, tmp_path_factory):
    out = tmp_path_factory.mktemp("reduced")
    table = reduce_night(dithered.folder, out, num_processes=1, sky="dithers")
    return out, table[table["frame_type"] == "light"]


def test_the_product_of_each_light_is_free_of_sky_to_the_noise(dithered, reduced):
    _, lights = reduced
    assert set(lights["status"]) == {"done"}
    with_sky = lights[~lights["n_sky"].mask]
    assert (len(with_sky), set(with_sky["n_sky"])) == (6, {5})
    for row in with_sky:
        ccd = read_frame(row["outname"])
        assert row["outname"].endswith("_skysub.fits")
        truth = dithered.frame(row["in_name"])
        stars = dithered.scene(row["in_name"]) - truth.illumination
        pull = ((ccd.data - stars) / ccd.uncertainty.array)[ccd.flags == 0]
        assert np.median(pull) == pytest.approx(0, abs=0.2)
        assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1, abs=0.15)
        assert np.isfinite(ccd.data).all()
        columns = np.median(ccd.data - stars, axis=0)
        assert np.std(columns) < 0.3 * np.median(ccd.uncertainty.array)
        assert row["sky_level"].unmasked.value == pytest.approx(ccd.header["SKYLEV"])
        assert row["background"].unmasked.value == pytest.approx(ccd.header["SKYLEV"], rel=0.1)


def test_a_light_with_too_few_neighbors_keeps_its_sky_and_says_so(reduced):
    _, lights = reduced
    [alone] = [row for row in lights if row["in_name"].endswith("alone.fit")]
    assert "the sky is not subtracted: 0 other lights" in alone["alarms"]
    assert alone["outname"].endswith("alone_reduced.fits")
    assert alone["n_sky"] is np.ma.masked


def test_what_the_sky_was_made_of_can_be_traced(dithered, reduced):
    _, lights = reduced
    row = lights[~lights["n_sky"].mask][0]
    tree = provenance(row["outname"], search=dithered.folder)
    assert tree.matches
    skies = [source for source in tree.sources if source.role == "sky"]
    assert len(skies) == 5
    assert all(source.name.endswith("_reduced.fits") for source in skies)


def test_a_run_that_is_repeated_makes_nothing_again_and_another_recipe_does(dithered, reduced):
    out, lights = reduced
    again = reduce_night(dithered.folder, out, num_processes=1, sky="dithers")
    again = again[again["frame_type"] == "light"]
    assert set(again["status"]) == {"skipped"}
    assert again["outname"].tolist() == lights["outname"].tolist()
    assert again["n_sky"].tolist() == lights["n_sky"].tolist()
    fewer = reduce_night(dithered.folder, out, num_processes=1, sky="dithers", n_sky=3)
    fewer = fewer[fewer["frame_type"] == "light"]
    assert set(fewer["n_sky"].tolist()) == {3, None}
    assert set(fewer[~fewer["n_sky"].mask]["status"]) == {"done"}


def test_the_command_does_it_and_shows_which_light_keeps_its_sky(dithered, reduced, capsys):
    out, _ = reduced
    options = ["--sky", "dithers", "--num-processes", "1"]
    assert main(["reduce", str(dithered.folder), "--outdir", str(out), *options]) == 0
    assert "the sky is not subtracted: 0 other lights" in capsys.readouterr().out
    names = QTable.read(out / "night.ecsv")["outname"].filled("")
    assert sum("skysub" in name for name in names) == 6


def test_compressed_lights_and_a_recipe_of_ones_own(dithered, reduced, tmp_path):
    out, _ = reduced
    given = {"masters": out / "masters", "compress": True, "num_processes": 1, "mem_limit": 1e6}
    recipe = {"sky": {"method": "mean", "clip": "minmax", "n_high": 1}}
    lights = dithered.paths("light")[:4]
    table = reduce_night(lights, tmp_path / "out", sky="dithers", combine=recipe, **given)
    assert all(name.endswith("_skysub.fits.fz") for name in table["outname"])
    assert abs(np.median(read_frame(table["outname"][0]).data)) < 5


def test_the_nearest_in_time_are_taken_and_none_too_far_away(frame):
    start = datetime(2026, 3, 14, 22)
    times = {0: "a", 2: "b", 4: "c", 6: "d", 30: "e"}
    frames = [
        frame(name, date_obs=(start + timedelta(minutes=minutes)).isoformat())
        for minutes, name in times.items()
    ]
    frames += [frame("h", filter="H"), frame("undated", date_obs=None)]
    near = _neighbors(frames, 3, 600)
    assert near["a"] == ["b", "c", "d"]
    assert near["b"] == ["a", "c", "d"]
    assert near["e"] == near["h"] == near["undated"] == []
    assert _neighbors(frames, 2, 3600)["e"] == ["c", "d"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_reduced.fits", "a_skysub.fits"),
        ("a_reduced_2.fits.fz", "a_skysub_2.fits.fz"),
        ("own.fits", "own_skysub.fits"),
    ],
)
def test_names_of_lights_without_sky(name, expected):
    assert without_sky(name) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sky": "offsets"}, "sky is 'offsets': expected 'dithers'"),
        ({"sky": "dithers", "n_sky": 2}, "n_sky is 2: a sky is made of 3 frames or more"),
        ({"sky": "dithers", "sky_span": "5 m"}, "sky_span is '5 m': expected a time"),
        ({"sky": "dithers", "extra_steps": ["background"]}, "would be subtracted twice"),
        ({"combine": {"skies": {}}}, r"combine has \['skies'\]: expected some of .*'sky'"),
        ({"gates": {"sky": {}}}, r"gates has \['sky'\]: expected some of"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(dithered, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        reduce_night(dithered.folder, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_stop_while_skies_are_subtracted_leaves_a_table_and_goes_on(
    dithered, reduced, tmp_path, monkeypatch
):
    subtract, seen = sky.subtract_dithered_sky, []

    def stopping(ccd, **kwargs):
        seen.append(ccd.header["FILENAME"])
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return subtract(ccd, **kwargs)

    options = {"num_processes": 1, "sky": "dithers"}
    with monkeypatch.context() as patch:
        patch.setattr(sky, "subtract_dithered_sky", stopping)
        with pytest.raises(PipelineInterrupted) as stopped:
            reduce_night(dithered.folder, tmp_path, **options)
    table = stopped.value.pout
    lights = table[table["frame_type"] == "light"]
    done = lights[lights["status"] == "done"]
    assert set(lights["status"]) == {"done", "not_run"}
    assert 3 <= len(done) < len(lights)
    assert all(read_frame(name).header["BMPVERS"] for name in done["outname"])
    assert list(QTable.read(tmp_path / "night.ecsv")["status"]) == list(table["status"])

    table = reduce_night(dithered.folder, tmp_path, **options)
    again = table[table["frame_type"] == "light"]
    assert set(again["status"]) <= {"done", "skipped"}
    for row, whole in zip(again, reduced[1], strict=True):
        assert os.path.basename(row["outname"]) == os.path.basename(whole["outname"])
        np.testing.assert_array_equal(
            read_frame(row["outname"]).data, read_frame(whole["outname"]).data
        )

"""Pipes of FITS frames: what they read, write and return, with every executor."""

import shutil
from itertools import combinations
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import QTable

from bmp_astro import (
    CalibrationPipe,
    CCDMultiPipe,
    Instrument,
    PipelineError,
    prune_pout,
    write_frame,
)
from bmp_astro.ccdmultipipe import frame_size, masters_size
from bmp_astro.simulate import simulate_night
from bmp_astro.steps import (
    as_single,
    header_to_meta,
    image_statistics,
    subtract_bias,
    subtract_overscan,
    trim,
)
from bmp_astro.steps.master import load_master


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night") / "raw"
    return simulate_night(folder, shape=(40, 60), n_bias=2, n_dark=1, n_flat=1, n_light=3)


@pytest.fixture
def lights(night):
    return [str(path) for path in night.paths("light")]


def add_one(ccd, **kwargs):
    ccd = ccd.copy()
    ccd.data = ccd.data + np.float32(1)
    return ccd


@pytest.mark.parametrize("executor", ["process", "thread", "serial", "auto"])
def test_frames_go_through_the_steps_with_every_executor(lights, tmp_path, executor):
    pipe = CCDMultiPipe(
        pre_process_list=[trim, add_one],
        post_process_list=[header_to_meta, image_statistics],
        header_keys=["OBJECT", ("EXPTIME", "s"), "NOTTHERE"],
        outdir=tmp_path / "out",
        create_outdir=True,
        executor=executor,
        num_processes=2,
    )
    table = pipe.pipeline(lights)
    assert isinstance(table, QTable)
    assert list(table["in_name"]) == lights
    assert set(table["status"]) == {"done"}
    assert list(table["OBJECT"]) == ["Simulated cluster"] * 3
    assert (table["EXPTIME"] == 120 * u.s).all()
    assert "NOTTHERE" not in table.colnames
    for name, row in zip(lights, table, strict=True):
        assert Path(row["outname"]).name == Path(name).stem + "_bmp.fit"
        expected = fits.getdata(name)[:, :60].astype(float) + 1
        np.testing.assert_array_equal(fits.getdata(row["outname"]), expected)
        assert row["median"].to_value(u.adu) == np.median(expected)


def test_the_table_survives_ecsv(lights, tmp_path):
    pipe = CCDMultiPipe(post_process_list=[image_statistics], outdir=tmp_path, executor="serial")
    table = pipe.pipeline([*lights, tmp_path / "missing.fits"])
    table.write(tmp_path / "pout.ecsv")
    again = QTable.read(tmp_path / "pout.ecsv")
    whole = {"max_lines": -1, "max_width": -1}
    assert again.pformat(**whole) == table.pformat(**whole)
    assert again["outname"].mask.tolist() == [False] * 3 + [True]


def test_one_bad_file_is_recorded_and_pruned(night, lights, tmp_path):
    bad = next(path for path, problem in night.bad_files.items() if problem == "truncated")
    pipe = CCDMultiPipe(outdir=tmp_path, executor="thread")
    table = pipe.pipeline([lights[0], str(bad), lights[1]])
    assert list(table["status"]) == ["done", "failed", "done"]
    assert "truncated" in table["message"][1]
    assert table["step"][1] == "file_read"
    assert list(prune_pout(table)["in_name"]) == lights[:2]


def test_raising_carries_the_table(lights, tmp_path):
    pipe = CCDMultiPipe(outdir=tmp_path, executor="serial", on_error="raise")
    with pytest.raises(PipelineError, match=r"missing\.fits") as error:
        pipe.pipeline([lights[0], str(tmp_path / "missing.fits")])
    assert isinstance(error.value.pout, QTable)
    assert list(error.value.pout["status"]) == ["done", "failed"]


@pytest.mark.parametrize("suffix", [".gz", ".fz"])
def test_the_output_of_a_compressed_input_is_plain(lights, tmp_path, suffix):
    name = tmp_path / f"frame.fits{suffix}"
    data = fits.getdata(lights[0])
    if suffix == ".fz":
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(name)
    else:
        fits.PrimaryHDU(data).writeto(name)
    table = CCDMultiPipe(outdir=tmp_path, executor="serial").pipeline([name])
    assert Path(table["outname"][0]).name == "frame_bmp.fits"
    np.testing.assert_array_equal(fits.getdata(table["outname"][0]), data)


def test_an_outname_that_was_given_is_kept(lights, tmp_path):
    pipe = CCDMultiPipe(
        outdir=tmp_path, executor="serial", file_keywords={lights[1]: {"outname": "mine.fits.gz"}}
    )
    table = pipe.pipeline(lights[:2])
    assert [Path(name).name for name in table["outname"]] == [
        "cluster-V-001_bmp.fit",
        "mine.fits.gz",
    ]


def test_keywords_of_single_files_win_and_those_of_steps_win_over_them(lights, tmp_path):
    def choose(ccd, level=0, forced=None, **kwargs):
        changed = {} if forced is None else {"level": forced}
        return {"bmp_data": ccd, "bmp_kwargs": changed}

    def add_level(ccd, bmp_meta=None, level=0, **kwargs):
        bmp_meta["level"] = level
        return ccd

    pipe = CCDMultiPipe(
        pre_process_list=[choose],
        post_process_list=[add_level],
        outdir=tmp_path,
        executor="serial",
        level=1,
        file_keywords={lights[1]: {"level": 2}, lights[2]: {"level": 3, "forced": 4}},
    )
    assert list(pipe.pipeline(lights)["level"]) == [1, 2, 4]
    again = pipe.pipeline(lights, file_keywords={lights[0]: {"level": 5}}, overwrite=True)
    assert list(again["level"]) == [5, 1, 1]


def test_a_misspelt_keyword_of_a_single_file_is_reported(lights, tmp_path, caplog):
    pipe = CalibrationPipe(
        outdir=tmp_path, executor="serial", file_keywords={lights[0]: {"master_bais": "b.fits"}}
    )
    pipe.pipeline(lights[:1])
    assert "was 'master_bias' meant?" in caplog.text


def test_a_pipe_of_a_team_has_its_instrument(lights, tmp_path):
    class Mine(CalibrationPipe):
        instrument = Instrument(
            "mine",
            gain=2 * u.electron / u.adu,
            read_noise=5 * u.electron,
            trim_section="[1:50,1:90]",
        )

    with pytest.raises(PipelineError, match=r"\[1:50,1:90\] does not fit"):
        Mine(outdir=tmp_path, executor="serial", on_error="raise").pipeline(lights[:1])

    class Right(CalibrationPipe):
        instrument = Instrument("right", gain=2 * u.electron / u.adu, read_noise=5 * u.electron)

    table = Right(outdir=tmp_path, executor="thread").pipeline(lights[:1])
    product = CCDData.read(table["outname"][0])
    assert product.unit == u.electron
    assert product.header["RAWGAIN"] == 2
    assert product.shape == (40, 60)


def test_calibration_takes_masters_in_the_control_stream(night, lights, tmp_path):
    def master_of(path):
        return trim(subtract_overscan(as_single(CCDData.read(path, unit="adu"))))

    bias = master_of(night.paths("bias")[0])
    expected = subtract_bias(master_of(lights[0]), bias).data * 1.5
    table = CalibrationPipe(outdir=tmp_path, executor="process").pipeline(
        lights[:1], master_bias=bias, gain=1.5 * u.electron / u.adu
    )
    np.testing.assert_allclose(fits.getdata(table["outname"][0]), expected, rtol=0, atol=2e-3)


def test_the_memory_of_a_file_is_told_from_its_header(lights, tmp_path):
    one = frame_size(lights[0])
    fits.writeto(tmp_path / "large.fits", np.zeros((1000, 1000), "uint16"))
    large = frame_size(tmp_path / "large.fits")
    # At least data and variance in float32, a mask and the raw frame.
    assert large - one > 10 * 990_000
    assert frame_size([lights[0], tmp_path / "large.fits"]) == one + large
    assert 0 < frame_size(tmp_path / "nowhere.fits") <= one
    shutil.copyfile(lights[0], tmp_path / "large.fits")
    assert frame_size(tmp_path / "large.fits") == one


def test_the_memory_that_masters_take_in_a_process_is_told(tmp_path):
    """As much as the planes of the largest four that can be kept, each file once."""
    for number in range(6):
        shape = (10 + number, 100)
        ccd = CCDData(np.ones(shape, "float32"), unit="adu")
        ccd.uncertainty = StdDevUncertainty(np.ones(shape, "float32"))
        ccd.mask = np.eye(*shape, dtype=bool)
        write_frame(ccd, tmp_path / f"{number}.fits")
    paths = [str(tmp_path / f"{number}.fits") for number in range(6)]
    single = {
        str(n): {"master_fringe": path, "master_flat": paths[5]} for n, path in enumerate(paths)
    }
    loaded = [load_master(path) for path in paths[2:]]
    planes = [
        plane.nbytes
        for master in loaded
        for plane in (master.data, master.uncertainty.array, master.flags)
    ]
    control = {"master_bias": paths[5], "gain": 2.0, "file_keywords": single}
    assert masters_size(control) == sum(planes) == 9 * 100 * (12 + 13 + 14 + 15)
    assert masters_size({"master_bias": tmp_path / "nowhere.fits", "master_dark": loaded[0]}) == 0
    assert masters_size({"file_keywords": None}) == 0


def test_a_list_of_files_makes_one_output(lights, tmp_path):
    class Sum(CCDMultiPipe):
        def file_read(self, in_name, **kwargs):
            if isinstance(in_name, list):
                return [self.file_read(name, **kwargs) for name in in_name]
            return super().file_read(in_name, **kwargs)

        def data_process(self, data, **kwargs):
            total = as_single(data[0])
            total.data = sum(ccd.data.astype("float32") for ccd in data)
            return total

    table = Sum(outdir=tmp_path, executor="serial").pipeline([lights[:2], [lights[2]]])
    assert list(table["in_name"]) == [", ".join(lights[:2]), lights[2]]
    expected = fits.getdata(lights[0]).astype(float) + fits.getdata(lights[1])
    np.testing.assert_array_equal(fits.getdata(table["outname"][0]), expected)


def test_what_is_no_frame_is_named(lights, tmp_path):
    class Pixels(CCDMultiPipe):
        def data_process(self, data, **kwargs):
            return data.data

    pipe = Pixels(post_process_list=[header_to_meta], outdir=tmp_path, executor="serial")
    (row,) = pipe.pipeline(lights[:1])
    assert row["status"] == "failed"
    assert "what data_process returned is ndarray but must be a CCDData" in row["message"]

    class Total(Pixels):
        def file_write(self, data, outname, **kwargs):
            np.savetxt(outname, data)
            return outname

    (row,) = Total(outdir=tmp_path, executor="serial").pipeline(lights[:1])
    assert row["status"] == "done"
    with pytest.raises(TypeError, match="the image is ndarray but must be a CCDData"):
        write_frame(np.zeros((2, 3)), tmp_path / "a.fits")


@pytest.mark.parametrize("how", ["pipeline", "iter_pipeline"])
def test_frames_that_a_step_keeps_stay_what_they_are(tmp_path, how):
    kept = {}

    def keep(ccd, bmp_meta=None, **kwargs):
        kept[ccd.header["FILENAME"]] = (ccd, ccd.data.copy(), ccd.uncertainty.array.copy())
        return ccd

    for number in range(5):
        pixels = np.full((1000, 1100), 500 + 100 * number, np.uint16)  # 4.4 MB of float32
        fits.writeto(tmp_path / f"{number}.fits", pixels)
    pipe = CalibrationPipe(
        outdir=tmp_path,
        executor="thread",
        num_processes=2,
        gain=2.0,
        read_noise=5.0,
        saturation=60_000,
        post_process_list=[keep],
    )
    pout = getattr(pipe, how)([tmp_path / f"{number}.fits" for number in range(5)])
    assert len(list(pout)) == len(kept) == 5
    for ccd, data, sigma in kept.values():
        np.testing.assert_array_equal(ccd.data, data)
        np.testing.assert_array_equal(ccd.uncertainty.array, sigma)
    planes = [plane for ccd, *_ in kept.values() for plane in (ccd.data, ccd.uncertainty.array)]
    assert not any(np.shares_memory(*pair) for pair in combinations(planes, 2))

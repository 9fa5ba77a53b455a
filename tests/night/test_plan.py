import astropy.units as u
import pytest
from astropy.table import Table

from bmp_astro.fits import Instrument
from bmp_astro.night.inventory import Frame
from bmp_astro.night.plan import make_plan
from bmp_astro.night.planfile import read_plan


def rows_of(plan):
    return {str(row["in_name"]): row for row in plan}


@pytest.fixture
def night(frame):
    """Frames of a whole night: 60 s lights in V and R, 60 s darks, 5 s flats."""
    return [
        *(frame(f"b{i}", "bias", exptime=0 * u.s, filter=None) for i in range(3)),
        *(frame(f"d{i}", "dark", filter=None) for i in range(3)),
        *(frame(f"fv{i}", "flat", exptime=5 * u.s) for i in range(3)),
        *(frame(f"fr{i}", "flat", exptime=5 * u.s, filter="R") for i in range(3)),
        frame("lv", "light"),
        frame("lr", "light", filter="R"),
    ]


def without(night, kind):
    return [frame for frame in night if frame.kind != kind]


def test_every_frame_has_a_row_in_order(night):
    plan = make_plan(night)
    assert list(plan["in_name"]) == [frame.path for frame in night]
    assert list(plan["frame_type"]) == [frame.kind for frame in night]


def test_a_whole_night_goes_together(night):
    rows = rows_of(make_plan(night))
    assert rows["b0"]["product"] == "masters/master_bias.fits"
    assert rows["d1"]["product"] == "masters/master_dark_60s.fits"
    assert rows["d1"]["master_bias"] == "masters/master_bias.fits"
    assert rows["fv2"]["product"] == "masters/master_flat_V.fits"
    assert rows["fv2"]["master_dark"] == "masters/master_dark_60s.fits"  # scaled down to 5 s
    light = rows["lr"]
    assert light["product"] == "lights/lr_reduced.fits"
    assert light["master_flat"] == "masters/master_flat_R.fits"
    assert light["master_bias"] == "masters/master_bias.fits"
    assert light["master_dark"] == "masters/master_dark_60s.fits"
    assert not any(plan_row["message"] for plan_row in rows.values())


def test_a_light_without_its_flat_is_left_out_and_told_why(night):
    frames = [frame for frame in night if not frame.path.startswith("fr")]
    rows = rows_of(make_plan(frames))
    assert rows["lr"]["product"] == ""
    assert "no master flat fits" in rows["lr"]["message"]
    assert "filter is 'V', not 'R'" in rows["lr"]["message"]
    assert rows["lv"]["product"]


def test_what_is_required_can_be_chosen(night):
    frames = without(night, "flat")
    assert not any(make_plan(frames, require=("bias", "flat"))["product"][-2:])
    plan = make_plan(frames, require=("bias",))
    assert all(plan["product"][-2:])
    assert plan["message"][-1] == "there is no master flat"
    with pytest.raises(ValueError, match="require names fringe"):
        make_plan(frames, require=("fringe",))


def test_without_darks_a_light_is_reduced_and_it_is_said(night):
    rows = rows_of(make_plan(without(night, "dark")))
    assert rows["lv"]["product"]
    assert rows["lv"]["master_dark"] == ""
    assert rows["lv"]["message"] == "there is no master dark"
    required = rows_of(make_plan(without(night, "dark"), require=("bias", "dark", "flat")))
    assert required["lv"]["product"] == ""


def test_a_dark_shorter_than_the_light_is_refused(night, frame):
    frames = [*night, frame("long", "light", exptime=300 * u.s)]
    row = rows_of(make_plan(frames))["long"]
    assert row["master_dark"] == ""
    assert "its 60 s are shorter than 300 s" in row["message"]


def test_of_longer_darks_the_shortest_is_scaled(night, frame):
    frames = [
        *(frame(f"{t}s-{i}", "dark", exptime=t * u.s) for t in (300, 900) for i in range(2)),
        *(f for f in night if f.kind in ("bias", "flat")),
        frame("lv", "light", exptime=120 * u.s),
    ]
    assert rows_of(make_plan(frames))["lv"]["master_dark"] == "masters/master_dark_300s.fits"


def test_a_camera_whose_darks_do_not_scale_is_believed(night, frame):
    camera = Instrument(name="cmos", dark_scaling=False)
    frames = [Frame(f.path, f.kind, f.facts, camera) for f in night]
    rows = rows_of(make_plan(frames))
    assert rows["fv0"]["master_dark"] == ""
    assert "this camera's darks do not scale" in rows["fv0"]["message"]
    assert rows["lv"]["master_dark"] == "masters/master_dark_60s.fits"


def test_without_bias_frames_an_equal_dark_serves_and_no_bias_is_needed(night, frame):
    frames = [
        *without(night, "bias"),
        *(frame(f"fd{i}", "dark", exptime=5 * u.s, filter=None) for i in range(3)),
    ]
    rows = rows_of(make_plan(frames))
    assert rows["d0"]["master_bias"] == ""
    assert rows["lv"]["product"]
    assert rows["lv"]["master_bias"] == ""
    assert rows["lv"]["master_dark"] == "masters/master_dark_60s.fits"
    assert rows["fv0"]["master_dark"] == "masters/master_dark_5s.fits"


def test_without_bias_frames_a_dark_is_never_scaled(night, frame):
    frames = [*without(night, "bias"), frame("short", "light", exptime=30 * u.s)]
    row = rows_of(make_plan(frames))["short"]
    assert row["product"] == ""
    assert "there is no master bias" in row["message"]


def test_a_flat_without_bias_and_dark_says_so(night):
    plan = make_plan([f for f in night if f.kind in ("flat", "light")], require=())
    messages = {row["message"] for row in plan if row["frame_type"] == "flat"}
    assert messages == {"there is no master bias; there is no master dark"}


def test_a_night_may_need_two_masters_of_a_kind(night, frame):
    frames = [
        *night,
        *(frame(f"bb{i}", "bias", xbinning=2, ybinning=2, exptime=0 * u.s) for i in range(3)),
    ]
    rows = rows_of(make_plan(frames))
    assert rows["bb0"]["product"] == "masters/master_bias_2.fits"
    assert rows["lv"]["master_bias"] == "masters/master_bias.fits"


def test_filters_that_differ_by_a_quote_have_two_masters(frame):
    frames = [frame("1", "flat", filter="g"), frame("2", "flat", filter="g'")]
    products = list(make_plan(frames)["product"])
    assert products == ["masters/master_flat_g.fits", "masters/master_flat_g_2.fits"]


def test_lights_of_one_name_have_two_products(night, frame):
    frames = [*night[:-2], frame("east/m31.fit"), frame("west/M31.fits.gz"), frame("m33.fits.fz")]
    assert list(make_plan(frames)["product"][-3:]) == [
        "lights/east_m31_reduced.fits",
        "lights/west_M31_reduced.fits",
        "lights/m33_reduced.fits",
    ]


def test_lights_can_be_selected(night):
    by_value = make_plan(night, select={"filter": ["R", "I"]})
    by_function = make_plan(night, select=lambda row: row["filter"] == "R")
    for plan in (by_value, by_function):
        rows = rows_of(plan)
        assert rows["lr"]["product"]
        assert (rows["lv"]["product"], rows["lv"]["message"]) == ("", "not selected")


def test_a_frame_with_a_message_is_left_out(night):
    frames = [*night, Frame("odd", "light", night[-1].facts, None, "already reduced")]
    row = rows_of(make_plan(frames))["odd"]
    assert (row["product"], row["message"]) == ("", "already reduced")


def test_each_choice_is_explained(night):
    rows = rows_of(make_plan(night))
    assert rows["lv"]["why"] == (
        "bias: masters/master_bias.fits, 0 min away. "
        "dark: masters/master_dark_60s.fits, 60 s, 0 min away. "
        "flat: masters/master_flat_V.fits, 0 min away; "
        "refused masters/master_flat_R.fits: filter is 'R', not 'V'"
    )
    assert "dark: masters/master_dark_60s.fits, 60 s, scaled to 5 s" in rows["fv0"]["why"]


def test_a_plan_can_be_kept_edited_and_followed(night, tmp_path):
    plan = make_plan(night)
    plan["product"] = plan["product"].astype(object)
    plan["product"][0] = ""
    plan["product"] = plan["product"].astype(str)
    path = tmp_path / "plan.ecsv"
    plan.write(path, format="ascii.ecsv")
    again = read_plan(path, night)
    assert again["product"][0] == ""
    for name in plan.colnames:
        assert list(again[name]) == list(plan[name])


def test_a_plan_that_does_not_fit_is_refused(night):
    plan = make_plan(night)
    with pytest.raises(ValueError, match="names lr, which is not among the raw files"):
        read_plan(plan, night[:-1])
    with pytest.raises(ValueError, match="no column product"):
        read_plan(Table({name: plan[name] for name in plan.colnames if name != "product"}), night)
    plan["master_flat"][-1] = "masters/other.fits"
    with pytest.raises(ValueError, match=r"master flat masters/other.fits, which is neither"):
        read_plan(plan, night)


def test_frames_that_a_plan_does_not_name_are_left_out(night):
    again = read_plan(make_plan(night[:-1]), night)
    assert again["product"][-1] == ""
    assert again["message"][-1] == "not in the plan"

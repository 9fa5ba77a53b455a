"""Times, airmass and sources, against astropy and simulated stars."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.nddata import CCDData
from astropy.time import Time
from astropy.utils import iers

from bmp_astro.fits import read_frame, with_flags
from bmp_astro.simulate import make_stars, star_image
from bmp_astro.steps import find_sources, image_statistics, observation_facts

SITE = {"SITELAT": "+31 57 30", "SITELONG": "-111 35 48", "SITEELEV": 2096.0}
TARGET = {"OBJCTRA": "08 51 24", "OBJCTDEC": "+11 48 36"}


def facts(**cards):
    header = {"DATE-OBS": "2026-03-15T03:00:00", "EXPTIME": 120.0, **cards}
    meta = {}
    ccd = CCDData(np.zeros((4, 6)), unit="adu", meta=header)
    assert observation_facts(ccd, bmp_meta=meta) is ccd
    return meta


@pytest.mark.parametrize("day", ["2019-07-02T23:10:00", "2024-01-01T04:00:00"])
@pytest.mark.parametrize("target", [("08 51 24", "+11 48 36"), ("20:30:00", "-62:10:00")])
@pytest.mark.parametrize("south", [False, True])
def test_as_astropy(day, target, south):
    site = SITE if not south else {"SITELAT": -30.17, "SITELONG": -70.8, "SITEELEV": 2200}
    found = facts(**{"DATE-OBS": day}, **site, OBJCTRA=target[0], OBJCTDEC=target[1])
    where = (
        EarthLocation.from_geodetic(-70.8, -30.17, 2200)
        if south
        else EarthLocation.from_geodetic("-111d35m48s", "31d57m30s", 2096)
    )
    star = SkyCoord(*target, unit=("hourangle", "deg"))
    time = Time(day, scale="utc", location=where) + 60 * u.s
    with iers.conf.set_temp("auto_download", False):
        want = time.tdb + time.light_travel_time(star)
        altitude = star.transform_to(AltAz(obstime=time, location=where)).alt.deg
    assert found["jd_mid"].to_value(u.d) == time.jd
    assert abs(found["bjd_tdb"].to_value(u.d) - want.jd) * 86400 < 1e-4
    if altitude < 0:
        assert "airmass" not in found
    else:
        height = np.radians(altitude)
        kasten = 1 / (np.sin(height) + 0.50572 * (altitude + 6.07995) ** -1.6364)
        assert found["airmass"] == pytest.approx(kasten, rel=1e-3)


def test_what_is_not_known_is_left_out():
    assert set(facts()) == {"jd_mid"}
    assert set(facts(**TARGET)) == {"jd_mid", "bjd_tdb"}
    assert set(facts(**SITE)) == {"jd_mid"}
    assert facts(AIRMASS="1.5")["airmass"] == 1.5
    assert facts(AIRMASS=1.5, **SITE, **TARGET)["airmass"] < 1.2
    assert facts(EXPTIME="unknown", **SITE, **TARGET) == {}
    assert set(facts(OBJCTRA="8h51", OBJCTDEC="north", **SITE)) == {"jd_mid"}
    geocenter, place = facts(**TARGET)["bjd_tdb"], facts(**TARGET, **SITE)["bjd_tdb"]
    assert 0 < abs(geocenter - place) < 0.0215 * u.s


def test_degrees_hours_and_equinox():
    degrees = facts(RA=132.85, DEC=11.81)["bjd_tdb"]
    assert abs(degrees - facts(**TARGET)["bjd_tdb"]) < 1e-4 * u.s
    star = SkyCoord("08h51m24s", "+11d48m36s").transform_to("fk5")
    of_date = star.transform_to("fk5").transform_to(
        SkyCoord(0 * u.deg, 0 * u.deg, frame="fk5", equinox="J2026.2").frame
    )
    moved = facts(RA=of_date.ra.deg, DEC=of_date.dec.deg, EQUINOX=2026.2)["bjd_tdb"]
    assert abs(moved - degrees) < 1e-3 * u.s


def test_the_world_coordinates_win_over_the_pointing(tmp_path):
    from bmp_astro.simulate import simulate_night

    night = simulate_night(tmp_path, shape=(40, 60), bad_files=False, n_light=1, filters=["V"])
    ccd = read_frame(night.paths("light")[0])
    meta, other = {}, {}
    observation_facts(ccd, bmp_meta=meta)
    ccd.header["OBJCTDEC"] = "-70 00 00"
    observation_facts(ccd, bmp_meta=other)
    assert meta == other
    observation_facts(ccd, bmp_meta=other, target=SkyCoord(0 * u.deg, 0 * u.deg))
    assert meta["bjd_tdb"] != other["bjd_tdb"]


def test_a_real_frame_has_the_heliocentric_date_of_its_header(real_data):
    ccd = read_frame(real_data / "ngc520_g" / "raw" / "NGC520-001-g.fit")
    meta = {}
    observation_facts(ccd, bmp_meta=meta)
    # heliocentric in UTC there: the Sun is up to 4 s from the barycenter, TDB 69 s from UTC
    off = meta["bjd_tdb"].to_value(u.d) - ccd.header["JD-HELIO"]
    assert off * 86400 == pytest.approx(69.184, abs=5)


@pytest.mark.parametrize("fwhm", [2.5, 4.0])
def test_simulated_stars(fwhm):
    pytest.importorskip("sep")
    rng = np.random.default_rng(4)
    shape = (400, 600)
    y, x = np.mgrid[40:400:60, 40:600:60]
    x = x.ravel() + rng.uniform(-5, 5, x.size)
    y = y.ravel() + rng.uniform(-5, 5, y.size)
    stars = star_image(shape, x, y, rng.uniform(5e3, 1e5, x.size), fwhm)
    ccd = CCDData(rng.poisson(stars + 200.0) + rng.normal(0, 5, shape), unit="electron")
    ccd.data[7:400:50, 9:600:40] += 20_000  # hot pixels
    meta = {}
    assert find_sources(ccd, bmp_meta=meta) is ccd
    assert meta["n_sources"] == x.size
    assert meta["fwhm"].to_value(u.pix) == pytest.approx(fwhm, rel=0.08)
    assert meta["ellipticity"] < 0.06
    assert meta["background"].to_value(u.electron) == pytest.approx(200, abs=1)
    assert meta["background_sigma"].to_value(u.electron) == pytest.approx(15, abs=0.5)


def test_masked_pixels_are_no_sources():
    pytest.importorskip("sep")
    rng = np.random.default_rng(4)
    pixels = rng.normal(100, 5, (200, 200)).astype(">f4")
    pixels[50:60, 50:60] = 1e5
    pixels[0, 0] = np.nan
    flags = np.zeros(pixels.shape, np.uint8)
    flags[49:61, 49:61] = 2
    meta = {}
    ccd = with_flags(CCDData(pixels, unit="adu"), flags)
    find_sources(image_statistics(ccd, bmp_meta=meta), bmp_meta=meta)
    assert meta["n_sources"] == 0
    assert "fwhm" not in meta
    nothing = {}
    find_sources(with_flags(ccd, np.full(pixels.shape, 1, np.uint8)), bmp_meta=nothing)
    assert nothing == {}


def test_make_stars_are_found_by_their_brightness():
    pytest.importorskip("sep")
    rng = np.random.default_rng(8)
    stars = make_stars(rng, (300, 400), ["V"])
    flux = 100 * np.asarray(stars["flux_V"])
    image = star_image((300, 400), stars["x"], stars["y"], flux, 3.0)
    ccd = CCDData(rng.poisson(image + 300.0).astype(float), unit="electron")
    few, many = {}, {}
    find_sources(ccd, bmp_meta=few, source_sigma=50.0)
    find_sources(ccd, bmp_meta=many)
    assert 0 < few["n_sources"] < many["n_sources"] <= len(stars) + 2

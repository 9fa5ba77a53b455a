"""What others' programs make of products: sky, gain, saturation, units, mask and uncertainty."""

import shutil
import subprocess

import numpy as np
import pytest
import sep
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.wcs import WCS

from bmp_astro import read_frame
from bmp_astro.steps import trim

GAIN, SATURATION, SKY = 1.6, 40_000, 250.0
PIXEL = 1.1 * u.arcsec


def found_on_sky(pixels, header):
    """Return where the bright stars of an image are in the sky."""
    data = np.ascontiguousarray(pixels, dtype=np.float32)
    data = data - np.float32(sep.Background(data).globalback)
    objects = sep.extract(data, 8.0, err=float(sep.Background(data).globalrms))
    objects = objects[(objects["npix"] > 9) & (objects["peak"] < 0.9 * data.max())]
    x, y, _ = sep.winpos(data, objects["x"], objects["y"], 1.4)
    return WCS(header).pixel_to_world(x, y)


def separations(found, truth):
    index, distance, _ = found.match_to_catalog_sky(truth)
    near = distance < 3 * PIXEL
    assert len(set(index[near])) > 0.8 * len(truth)
    return (distance[near] / PIXEL).to_value(u.one)


def test_stars_are_in_the_same_place_of_the_sky_in_raw_and_product(starry):
    raw = fits.getdata(starry.raw).astype(float)
    raw[:, :24] = np.median(raw)  # the overscan is darker than the sky
    raw[:6] = np.median(raw)
    header = fits.getheader(starry.raw)
    assert np.median(separations(found_on_sky(raw, header), starry.sky)) < 0.1
    with fits.open(starry.packed) as hdus:
        pairs = [(fits.getdata(starry.light), fits.getheader(starry.light))]
        pairs.append((hdus[1].data, hdus[1].header))
        for pixels, cards in pairs:
            distances = separations(found_on_sky(pixels, cards), starry.sky)
            assert np.median(distances) < 0.1
            assert distances.max() < 0.5
            with_cards_of_raw = found_on_sky(pixels, header).match_to_catalog_sky(starry.sky)[1]
            assert np.median(with_cards_of_raw) > 3 * PIXEL


def test_a_frame_in_memory_and_its_wcs_agree_with_its_cards(starry):
    frame = trim(read_frame(starry.raw))
    for wcs in (frame.wcs, WCS(frame.header), WCS(fits.getheader(starry.light))):
        x, y = wcs.world_to_pixel(starry.sky)
        np.testing.assert_allclose([x, y], [starry.x, starry.y], atol=1e-4)


@pytest.fixture
def extracted(starry, tmp_path):
    """The catalog that SExtractor makes of the light, as it comes: gain and saturation by cards."""
    program = shutil.which("source-extractor") or shutil.which("sex")
    if program is None:
        pytest.skip("SExtractor is not installed (Debian: source-extractor)")
    columns = (
        "XWIN_IMAGE YWIN_IMAGE ALPHA_J2000 DELTA_J2000 FLUX_APER FLUXERR_APER BACKGROUND FLAGS"
    )
    (tmp_path / "default.param").write_text(columns.replace(" ", "\n") + "\n")
    options = (
        "-CATALOG_TYPE FITS_1.0 -FILTER N -PHOT_APERTURES 14 -STARNNW_NAME none -DETECT_THRESH 8"
    )
    done = subprocess.run(
        [program, f"{starry.light}[0]", "-c", "/dev/null", *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Table.read(tmp_path / "test.cat")


def test_sextractor_knows_the_sky_the_gain_and_the_saturation(starry, extracted):
    catalog = extracted
    sky = SkyCoord(catalog["ALPHA_J2000"], catalog["DELTA_J2000"], unit="deg")
    assert np.median(separations(sky, starry.sky)) < 0.1
    saturated = (catalog["FLAGS"] & 4) != 0
    brightest = np.argmax(catalog["FLUX_APER"])
    assert np.flatnonzero(saturated).tolist() == [brightest]
    index = sky.match_to_catalog_sky(starry.sky)[0]
    whole = catalog["FLAGS"] == 0
    ratio = catalog["FLUX_APER"][whole] / starry.flux[index][whole]
    assert np.median(ratio) == pytest.approx(1, abs=0.02)  # electron
    area = np.pi * 7**2
    of_sky = np.median(catalog["FLUXERR_APER"][whole] ** 2 - catalog["FLUX_APER"][whole])
    assert of_sky == pytest.approx(area * (SKY + 36), rel=0.15)  # photon noise at a gain of 1


def test_photutils_measures_electrons_with_their_uncertainty(starry):
    aperture = pytest.importorskip("photutils.aperture")
    ccd = CCDData.read(starry.light)
    good = ccd.uncertainty.array[~ccd.mask]
    assert np.median(good) == pytest.approx((SKY + 36) ** 0.5, rel=0.05)
    circles = aperture.SkyCircularAperture(starry.sky[1:], r=7 * PIXEL)
    sky = np.median(ccd.data) * ccd.unit
    table = aperture.aperture_photometry(
        ccd.data * ccd.unit - sky,
        circles,
        error=ccd.uncertainty.array * ccd.unit,
        mask=ccd.mask,
        wcs=ccd.wcs,
    )
    assert table["aperture_sum"].unit == u.electron
    pull = (table["aperture_sum"].value - starry.flux[1:]) / table["aperture_sum_err"].value
    assert np.median(np.abs(pull)) < 2.5
    ratio = table["aperture_sum"].value / starry.flux[1:]
    assert np.median(ratio) == pytest.approx(1, abs=0.02)


def test_ccddata_opens_every_product(starry):
    kinds = set()
    for path in starry.products:
        ccd = CCDData.read(path, hdu=1 if path.suffix == ".fz" else 0)
        ours = read_frame(path)
        kinds.add(ours.header["IMAGETYP"])
        assert ccd.unit == ours.unit, path
        np.testing.assert_array_equal(ccd.data, ours.data)
        if ours.uncertainty is not None:
            assert ccd.uncertainty.uncertainty_type == "std"
            np.testing.assert_array_equal(ccd.uncertainty.array, ours.uncertainty.array)
        if ours.mask is not None:
            np.testing.assert_array_equal(ccd.mask.astype(bool), ours.mask)
    assert {"Master Bias", "Master Dark", "Master Flat", "Light Frame"} <= kinds


def test_the_cards_of_a_light_say_what_its_pixels_are(starry):
    header, flags = fits.getheader(starry.light), fits.getdata(starry.light, "MASK")
    assert (header["GAIN"], header["RAWGAIN"], header["BUNIT"]) == (1, GAIN, "electron")
    data = fits.getdata(starry.light)
    saturated = (flags & 2) != 0
    assert saturated.any()
    response = fits.getdata(starry.folder / "out" / "masters" / "master_flat_V.fits")
    levels = (data * response)[saturated]
    np.testing.assert_allclose(levels, header["SATURATE"], rtol=0.01)


def test_fitsverify_finds_no_fault_in_any_product(starry):
    program = shutil.which("fitsverify")
    if program is None:
        pytest.skip("fitsverify is not installed")
    names = [str(path) for path in starry.products]
    done = subprocess.run([program, "-e", *names], capture_output=True, text=True)
    assert done.stdout.count("0 error(s)") == len(names) >= 8, done.stdout

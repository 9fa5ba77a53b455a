"""Header cards and statistics into the metadata."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import mad_std, sigma_clipped_stats
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_astro.fits import MaskBit, with_flags
from bmp_astro.steps import header_to_meta, image_statistics
from bmp_astro.steps.statistics import clipped_background


def meta_of(header, keys):
    meta = {"kept": 1}
    ccd = CCDData([[1.0]], unit="adu", header=header)
    assert header_to_meta(ccd, bmp_meta=meta, header_keys=keys) is ccd
    assert meta.pop("kept") == 1
    return meta


@given(
    seed=st.integers(0, 99),
    kind=st.sampled_from(["positive", "signed", "not finite", "integers"]),
    with_bits=st.booleans(),
    turned=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_fractions_are_exact(seed, kind, with_bits, turned):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(100 if kind == "positive" else 0, 5, (90, 40)).astype(np.float32)
    if kind == "not finite":
        pixels[rng.random(pixels.shape) < 0.01] = rng.choice([np.nan, np.inf, -np.inf])
    if kind == "integers":
        pixels = pixels.astype(np.int16)
    bits = (rng.random(pixels.shape) < 0.1) * rng.integers(0, 256, pixels.shape)
    bits = bits.astype(np.uint8) * with_bits
    pixels, bits = (pixels.T, bits.T) if turned else (pixels, bits)
    ccd = CCDData(pixels, unit="adu")
    meta = {}
    image_statistics(with_flags(ccd, bits if with_bits else None), bmp_meta=meta)
    good = np.isfinite(pixels) & (bits == 0)
    assert meta["negative_fraction"] == (pixels < 0)[good].sum() / good.sum()
    assert meta["masked_fraction"] == (~good).sum() / good.size
    assert meta["saturated_fraction"] == (bits & MaskBit.SATURATED != 0).sum() / bits.size


def test_cards_as_they_are_and_with_units():
    header = fits.Header(
        {"OBJECT": "NGC 520  ", "EXPTIME": "40      ", "CCD-TEMP": -20.5, "NCOMBINE": 3}
    )
    header["HIERARCH ESO DPR TYPE"] = "OBJECT"
    keys = ["object", ("EXPTIME", "s"), ("CCD-TEMP", u.deg_C), "NCOMBINE", "ESO DPR TYPE"]
    assert meta_of(header, keys) == {
        "OBJECT": "NGC 520",
        "EXPTIME": 40 * u.s,
        "CCD-TEMP": -20.5 * u.deg_C,
        "NCOMBINE": 3,
        "ESO DPR TYPE": "OBJECT",
    }


def test_what_is_missing_is_left_out_and_blank_text_stays():
    header = fits.Header({"FILTER": "", "EXPTIME": "unknown", "AIRMASS": None})
    assert meta_of(header, ["FILTER", ("EXPTIME", "s"), "AIRMASS", "OBJECT"]) == {"FILTER": ""}


def test_one_name_is_one_name():
    assert meta_of(fits.Header({"OBJECT": "M 1"}), "OBJECT") == {"OBJECT": "M 1"}


def test_history_is_text():
    header = fits.Header()
    header.add_history("one")
    assert meta_of(header, ["HISTORY"]) == {"HISTORY": "one"}


def test_without_metadata_nothing_happens():
    ccd = CCDData([[1.0]], unit="adu")
    assert header_to_meta(ccd, header_keys=["OBJECT"]) is ccd
    assert image_statistics(ccd) is ccd


def statistics_of(ccd):
    meta = {}
    assert image_statistics(ccd, bmp_meta=meta) is ccd
    return meta


def test_statistics_against_astropy(unchanged):
    rng = np.random.default_rng(9)
    pixels = rng.normal(100, 10, (300, 400))
    pixels[rng.random(pixels.shape) < 0.02] += 5000
    ccd = CCDData(pixels, unit="electron")
    with unchanged(ccd):
        meta = statistics_of(ccd)
    _, median, sigma = sigma_clipped_stats(pixels, sigma=3, maxiters=None, stdfunc="mad_std")
    assert meta["background"].unit == meta["background_sigma"].unit == u.electron
    assert meta["background"].value == pytest.approx(median, abs=0.05)
    assert meta["background_sigma"].value == pytest.approx(10, rel=0.03)
    assert meta["background_sigma"].value == pytest.approx(sigma, rel=0.03)
    assert meta["median"].value == np.median(pixels)


def test_fractions_and_masked_pixels():
    pixels = np.full((4, 5), 10.0)
    pixels[0, 0], pixels[0, 1], pixels[1, 1], pixels[2, 2] = -1, -1e9, 1e9, np.nan
    flags = np.zeros((4, 5), np.uint8)
    flags[0, 1], flags[1, 1], flags[2, 2] = 1, 2, 32
    meta = statistics_of(with_flags(CCDData(pixels, unit="adu"), flags))
    assert meta["masked_fraction"] == pytest.approx(3 / 20)
    assert meta["saturated_fraction"] == 1 / 20
    assert meta["negative_fraction"] == pytest.approx(1 / 17)
    assert meta["median"] == 10 * u.adu


def test_all_masked():
    ccd = with_flags(CCDData(np.ones((2, 2)), unit="adu"), np.ones((2, 2)))
    assert statistics_of(ccd) == {"saturated_fraction": 0, "masked_fraction": 1}


def test_integers_of_which_most_are_equal():
    pixels = np.full(1000, 50)
    pixels[:300] = 51
    pixels[-3:] = 4000
    meta = statistics_of(CCDData(pixels.reshape(20, 50), unit="adu"))
    assert meta["background"].value == 50
    assert meta["background_sigma"].value == pytest.approx(np.std(pixels[:-3]), rel=1e-6)


def test_a_large_frame_is_sampled_over_all_its_columns():
    columns = np.arange(1024) % 2  # a step that is even would see one half of them only
    pixels = np.zeros((1024, 1024), np.float32) + columns
    meta = statistics_of(CCDData(pixels, unit="adu"))
    assert meta["background_sigma"].value == pytest.approx(0.5, abs=0.001)


@settings(max_examples=100)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=12))
def test_the_background_is_clipped_by_the_median_absolute_deviation(values):
    kept = np.array(values, dtype=float)
    while True:
        center, sigma = np.median(kept), mad_std(kept)
        sigma = sigma if sigma > 0 else np.std(kept)
        left = kept[np.abs(kept - center) <= 3 * sigma]
        if left.size == kept.size:
            break
        kept = left
    background, scatter = clipped_background(np.array(values, dtype=np.float32))
    assert background == center
    assert scatter == pytest.approx(np.std(kept), rel=1e-12)

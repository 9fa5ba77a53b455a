import astropy.units as u
import pytest

from bmp_astro.fits import format_unit, parse_unit


@pytest.mark.parametrize(
    "text", ["adu", "ADU", "ADUs", "count", "counts", "DN", "DU/PIXEL", " adu "]
)
def test_what_cameras_call_adu(text):
    assert parse_unit(text) == u.adu


@pytest.mark.parametrize("text", ["electron", "electrons", "e-", "photoelectrons"])
def test_what_pipelines_call_electron(text):
    assert parse_unit(text) == u.electron


@pytest.mark.parametrize("text", ["", "   ", None, "parrots", True, 3.5])
def test_what_is_no_unit(text):
    assert parse_unit(text) is None


@pytest.mark.parametrize(
    "unit", [u.adu, u.electron, u.electron / u.s, u.Jy, u.dimensionless_unscaled]
)
def test_a_unit_comes_back(unit):
    assert parse_unit(format_unit(unit)) == unit


def test_no_unit_is_no_text():
    assert format_unit(None) is None

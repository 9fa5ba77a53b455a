"""Cells of a table become plain values, or nothing."""

from datetime import datetime

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable
from astropy.time import Time
from astropy.utils.masked import Masked

from bmp_astro.report.rows import as_rows, shown, start_time, unit_text


def test_what_is_masked_empty_or_not_a_number_is_absent():
    table = QTable(
        {
            "text": MaskedColumn(["a", "b", " "], mask=[False, True, False]),
            "number": [1.5, np.nan, np.inf],
            "quantity": Masked([1, 2, np.nan] * u.s, mask=[True, False, False]),
            "flag": [True, False, True],
        }
    )
    assert as_rows(table) == [
        {"text": "a", "number": 1.5, "flag": True},
        {"quantity": 2 * u.s, "flag": False},
        {"flag": True},
    ]


def test_times_and_lists_become_text():
    table = QTable({"time": Time(["2026-03-15T01:02:03"])})
    table["list"] = np.empty(1, dtype=object)
    table["list"][0] = ["one", "two"]
    assert as_rows(table) == [{"time": "2026-03-15T01:02:03.000", "list": "one; two"}]


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (None, "", ""),
        (-3.14159, ".2f", "\N{MINUS SIGN}3.14"),
        (12 * u.s, ".4g", "12"),
        (0.0012, ".2%", "0.12%"),
        ("a-b", ".2f", "a-b"),
        (True, ".2f", "True"),
        (7, "", "7"),
    ],
)
def test_text_of_a_cell(value, style, text):
    assert shown(value, style) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([None, 2 * u.s], "s"),
        ([2.0], ""),
        ([1 * u.electron], "e⁻"),
        ([1 * u.deg_C], "°C"),
        ([1 * u.electron / u.s], "e⁻ s⁻¹"),
        ([u.Quantity(1.0)], ""),
    ],
)
def test_units_as_one_writes_them(values, text):
    assert unit_text(values) == text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-15T01:02:03.5", datetime(2026, 3, 15, 1, 2, 3, 500_000)),
        ("2026-03-14T20:00:00-0700", datetime(2026, 3, 15, 3)),
        ("2026-03-15", datetime(2026, 3, 15)),
        ("08/05/10", None),
        ("hh:mm:ss.ss", None),
    ],
)
def test_start_of_an_exposure(text, time):
    assert start_time({"DATE-OBS": text}) == time


def test_no_start_without_a_date():
    assert start_time({}) is None

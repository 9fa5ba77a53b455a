"""Which keyword goes to which function, and which is told of as unknown."""

import functools

import numpy as np
import pytest

from bmp_astro.core.control import (
    NOT_GIVEN,
    given,
    is_thread_safe,
    matching,
    report_unknown,
    step_name,
)

STREAM = {"a": 1, "b": 2, "c": 3}


def named(a, b=0):
    return a, b


def everything(data, b=0, **kwargs):
    return data, b, kwargs


def positional_only(data, a, /, b=0):
    return data, a, b


class Callable:
    def __call__(self, data, c=0):
        return data, c


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (named, {"b": 2}),
        (everything, STREAM),
        (positional_only, {"b": 2}),
        (Callable(), {"c": 3}),
        (functools.partial(named, b=9), {}),
        (functools.partial(everything, a=9), {"b": 2, "c": 3}),
        (functools.partial(functools.partial(everything, a=9), c=9), {"b": 2}),
        (lambda *args: args, {}),
        (lambda *args, c: args, {"c": 3}),
        (dict.fromkeys, {}),
        (min, {}),
    ],
)
def test_matching(function, expected):
    assert matching(function, STREAM) == expected


def test_given_keeps_every_value_but_the_sentinel():
    assert given(a=None, b=0, c="", d=False, e=NOT_GIVEN) == {
        "a": None,
        "b": 0,
        "c": "",
        "d": False,
    }
    assert not NOT_GIVEN


def test_step_names():
    assert step_name(functools.partial(named, b=1)) == "named"
    assert step_name(Callable()) == "Callable"
    assert step_name(np.sqrt) == "sqrt"


def closed(data, level=0):
    return data


def test_every_unknown_keyword_is_told_of_when_no_function_is_open(caplog):
    messages = report_unknown(["level", "levle", "other"], [closed])
    assert messages == [
        "no step names the keyword 'levle': was 'level' meant?",
        "no step names the keyword 'other': it has no effect",
    ]
    assert [r.getMessage() for r in caplog.records] == messages


def test_only_misspellings_when_a_users_function_is_open():
    def mine(data, level=0, **kwargs):
        return data

    assert report_unknown(["level", "levle", "other"], [mine]) == [
        "no step names the keyword 'levle': was 'level' meant?"
    ]


def test_thread_safety_is_told_by_an_attribute():
    def mine(data):
        return data

    assert not is_thread_safe(mine)
    assert not is_thread_safe(functools.partial(mine))
    mine.thread_safe = True
    assert is_thread_safe(functools.partial(mine))
    assert is_thread_safe(report_unknown)
    assert not is_thread_safe(Callable())

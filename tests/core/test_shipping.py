"""Control data travel once: mapped where the file can be seen, with each task where it cannot."""

import importlib.util
import os
import sys
import threading
from functools import partial

import numpy as np
import pytest

from bmp_astro.core.shipping import NotVisible, Shipped, importable, inline, receive, ship
from bmp_astro.core.task import Job


def job(**control):
    return Job(pipe=None, control=control)


def test_arrays_are_mapped_read_only_and_unpacked_once(tmp_path):
    master = np.arange(100_000.0).reshape(100, 1000)
    shipped = ship(job(master=master, order=np.asfortranarray(master)), str(tmp_path))
    assert shipped.main is None
    assert os.path.getsize(shipped.path) < 2.1 * master.nbytes
    got = receive(shipped)
    assert np.array_equal(got.control["master"], master)
    assert np.array_equal(got.control["order"], master)
    assert not got.control["master"].flags.writeable
    assert receive(shipped) is got


def test_small_control_data_travel_with_the_task(tmp_path):
    shipped = ship(job(level=3), str(tmp_path))
    assert shipped.path is None
    assert os.listdir(tmp_path) == []
    assert receive(shipped).control == {"level": 3}


def test_where_the_file_cannot_be_seen_or_is_another(tmp_path):
    shipped = ship(job(master=np.zeros(50_000)), str(tmp_path))
    travelling = inline(shipped)
    os.rename(shipped.path, shipped.path + "-away")
    with pytest.raises(NotVisible):
        receive(shipped)
    with open(shipped.path, "wb") as file:
        file.write(b"something else" * 100_000)
    with pytest.raises(NotVisible, match="another file"):
        receive(shipped)
    assert np.array_equal(receive(travelling).control["master"], np.zeros(50_000))


def test_where_no_file_can_be_written(tmp_path):
    shipped = ship(job(master=np.ones(50_000)), str(tmp_path / "missing"))
    assert isinstance(shipped, Shipped)
    assert shipped.path is None
    assert receive(shipped).control["master"].sum() == 50_000


def test_what_cannot_be_sent_is_named(tmp_path):
    with pytest.raises(TypeError, match="'guard'"):
        ship(job(guard=threading.Lock()), str(tmp_path))


def test_a_module_from_an_odd_place_is_not_importable(tmp_path):
    path = tmp_path / "odd_module.py"
    path.write_text("def double(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("odd_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not importable(module)
    assert importable(np)
    assert importable(os.path)
    assert importable(__import__("bmp_astro.core.task").core.task)


def test_a_partial_of_a_function_from_an_odd_place_travels_with_its_module(tmp_path):
    path = tmp_path / "odd_steps.py"
    path.write_text("FACTOR = 3\n\n\ndef times(number, data):\n    return FACTOR * number * data\n")
    spec = importlib.util.spec_from_file_location("odd_steps", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["odd_steps"] = module
    spec.loader.exec_module(module)
    step = partial(module.times, 2)
    shipped = ship(job(step=step), str(tmp_path), parts=[step])
    del sys.modules["odd_steps"]
    assert receive(shipped).control["step"](7) == 42

"""Executors to inject faults into, and a look for what is left behind afterwards."""

import functools
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

OURS = ("process", "thread", "serial")
FOREIGN = ("ProcessPoolExecutor", "loky", "dask")


@pytest.fixture(scope="module")
def dask_client(dask_cluster):
    """A client of the dask cluster."""
    with dask_cluster.get_client() as client:
        yield client


@pytest.fixture(scope="module")
def lasting_pools():
    """Pools of others, made once for all faults of a module that break none of them."""
    pools = {}
    yield pools
    for pool in pools.values():
        pool.shutdown()


@pytest.fixture
def executor_of(request):
    """Return the executor= of a name; a function that makes one for those that may break."""

    def find(name, lasting=False):
        if name in OURS:
            return name
        if lasting and name != "dask":
            pools = request.getfixturevalue("lasting_pools")
            return pools[name] if name in pools else pools.setdefault(name, find(name)())
        if name == "ProcessPoolExecutor":
            spawn = multiprocessing.get_context("spawn")
            return functools.partial(ProcessPoolExecutor, 2, mp_context=spawn)
        if name == "loky":
            loky = pytest.importorskip("loky", reason="loky is not installed")
            return functools.partial(loky.ProcessPoolExecutor, 2)
        return request.getfixturevalue("dask_client").get_executor(pure=False, retries=0)

    return find


def our_processes():
    """The worker processes of our pools that this process has."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if any("bmp_astro" in word for word in child.cmdline()):
                found.append(child.pid)
        except psutil.Error:
            continue
    return found


def our_temporaries(folders=()):
    """What runs leave while they run: scratch directories, temporary outputs, locks."""
    left = [n for n in os.listdir(tempfile.gettempdir()) if n.startswith("bmp_astro-")]
    for folder in folders:
        for _, _, names in os.walk(folder):
            left += [n for n in names if ".bmptmp" in n or n == ".bmp_astro.lock"]
    return left


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """After the test no worker process, scratch directory or temporary output may be left."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    yield
    deadline = time.monotonic() + 10
    while our_processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert our_processes() == []
    assert our_temporaries([tmp_path]) == []

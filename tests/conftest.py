"""Fixtures for all tests."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import settings

# Machines are noisy: an example that is slow once is not a failure.
settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("default")


@pytest.fixture(scope="session")
def real_data():
    """The directory of real raw frames, or a skip with the reason."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BMP_ASTRO_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no real raw frames: set BMP_ASTRO_TEST_DATA to their directory")
    return folder


@pytest.fixture
def run_sanitized(tmp_path):
    """A function that compiles a part's C with sanitizers, and runs a script with the module."""
    root = Path(__file__).resolve().parents[1]

    def run(part, script):
        sources = sorted((root / "bmp_astro" / part).glob("*.c"))
        compiler = shutil.which("gcc")
        if compiler is None or not sources:
            pytest.skip("no gcc, or no sources to compile")
        runtime = subprocess.run(
            [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if not Path(runtime).is_absolute():
            pytest.skip("gcc has no runtime of the address sanitizer")
        module = tmp_path / "sanitized.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-std=c11", "-ffp-contract=off"]
        command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        command += [f"-I{sysconfig.get_path('include')}", "-o", str(module)]
        subprocess.run([*command, *map(str, sources)], check=True)
        done = subprocess.run(
            [sys.executable, str(script), str(module)],
            capture_output=True,
            text=True,
            cwd=root,
            env={
                **os.environ,
                "LD_PRELOAD": runtime,
                "ASAN_OPTIONS": "detect_leaks=0",
                "PYTHONMALLOC": "malloc",
                "PYTHONPATH": str(root),
            },
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip() == "clean"

    return run


@pytest.fixture(scope="module")
def dask_cluster():
    """A dask cluster of two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    import dask

    with (
        dask.config.set(
            {
                # A cluster on one machine would else give up workers that are being restarted.
                "distributed.deploy.lost-worker-timeout": "1h",
                # Two tries instead of four, each of which costs a new worker.
                "distributed.scheduler.allowed-failures": 1,
            }
        ),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster

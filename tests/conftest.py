"""Fixtures for all tests."""

import os
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

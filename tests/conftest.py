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

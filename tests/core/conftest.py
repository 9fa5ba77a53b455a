"""Fixtures for the engine's tests."""

import pytest


@pytest.fixture
def make_files(tmp_path):
    """Make small text files and return their names."""

    def make(n, folder="in", suffix=".txt"):
        (tmp_path / folder).mkdir(exist_ok=True)
        names = []
        for i in range(n):
            path = tmp_path / folder / f"file_{i}{suffix}"
            path.write_text(str(i))
            names.append(str(path))
        return names

    return make


@pytest.fixture
def outdir(tmp_path):
    """An empty directory for output files."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder

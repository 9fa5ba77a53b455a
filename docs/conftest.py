"""The examples of a page run in a directory of their own."""

import pytest


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    """Let a page write files with short names."""
    monkeypatch.chdir(tmp_path)

"""The examples of a page run in a directory of their own."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

TOML = re.compile(r"^\.\. code-block:: toml\n\n((?:(?: {3}.*)?\n)+)", re.MULTILINE)


@pytest.fixture(autouse=True)
def own_directory(request, tmp_path, monkeypatch):
    """Let a page write files with short names; the TOML files that it shows are there."""
    monkeypatch.chdir(tmp_path)
    for name, text in toml_files(request.path):
        Path(name).write_text(text)


def toml_files(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the TOML files of a page; each is named in its first line, a comment."""
    for block in TOML.findall(page.read_text() if page.suffix == ".rst" else ""):
        text = dedent(block)
        yield text.splitlines()[0].removeprefix("# "), text

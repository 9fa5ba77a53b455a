"""What the pages say of names and commands is true."""

import re
import shlex
from pathlib import Path

import pytest

import bmp_astro
from bmp_astro.cli import command_parser

DOCS = Path(__file__).parent
PAGES = [*sorted(DOCS.glob("*.rst")), DOCS.parent / "README.rst"]


def commands(page: Path) -> list[str]:
    """Return the commands that a page shows, without the remarks beside them."""
    shown = re.findall(r"^ {3}(bmp-astro .*)$", page.read_text(), re.MULTILINE)
    return [line.split("   ")[0] for line in shown]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda p: p.name)
def test_commands_are_understood(page, capsys):
    for command in commands(page):
        arguments = shlex.split(command)[1:]
        if arguments != ["--version"]:
            assert callable(command_parser().parse_args(arguments).run), command


def test_every_public_name_is_on_the_api_page():
    text = (DOCS / "api.rst").read_text()
    listed = {name.rpartition(".")[2] for name in re.findall(r"`~bmp_astro\.([\w.]+)`", text)}
    assert listed == set(bmp_astro.__all__)

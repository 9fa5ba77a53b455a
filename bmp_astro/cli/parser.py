"""A parser of command lines that says in two lines what is wrong, and what may be meant."""

import argparse
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors name the nearest option or command."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", partial(argparse.HelpFormatter, max_help_position=26))
        super().__init__(allow_abbrev=False, **kwargs)
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; what is unknown to a command is its own error, and not the program's."""
        self._given = sys.argv[1:] if args is None else list(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unknown: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """End with status 2, the message, the nearest names and where help is."""
        hints = "".join(f"; did you mean {name}?" for name in self._near())
        self.exit(2, f"{self.prog}: {message}{hints}\nsee {self.prog} --help\n")

    def _near(self) -> list[str]:
        """The known names that are near to unknown ones."""
        text = self.format_help()
        options = re.findall(r"--[a-z][a-z-]*", text)
        commands = re.findall(r"^    ([a-z]+)", text, re.MULTILINE)
        given = [word.partition("=")[0] for word in self._given]
        wrong = {name: options for name in given if name.startswith("--")}
        if commands and given and not given[0].startswith("-"):
            wrong[given[0]] = commands
        found = [
            get_close_matches(name, known, 1) for name, known in wrong.items() if name not in known
        ]
        return [name for names in found for name in names]

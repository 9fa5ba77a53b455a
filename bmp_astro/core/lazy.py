"""Public names of a package that are loaded when they are first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return what a package needs to load its names late (PEP 562).

    Parameters
    ----------
    package : str
        The package, as its ``__name__``.
    homes : mapping of str to tuple of str
        Its modules, and the public names that each defines.

    Returns
    -------
    (__all__, __getattr__, __dir__) : tuple

    Examples
    --------
    >>> names, find, listed = lazy_names("concurrent", {"futures": ("Future",)})
    >>> names, find("Future").__name__, listed()
    (['Future'], 'Future', ['Future'])
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{home_of[name]}", package), name)

    def listed() -> list[str]:
        return sorted(home_of)

    return listed(), find, listed

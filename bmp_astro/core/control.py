"""The control stream: which keyword goes to which function.

Keywords are matched by name. A function gets those that it names, and all of them when it takes
``**kwargs``. Its leading positional parameters are never matched, and what `functools.partial`
has bound stays bound.
"""

import difflib
import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .context import in_step
from .files import leaves

logger = logging.getLogger(__name__)


class _Sentinel(Enum):
    """A value that nobody can give by accident."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "<not given>"

    def __bool__(self) -> bool:
        return False


NOT_GIVEN: Final = _Sentinel.NOT_GIVEN


@dataclass(frozen=True)
class Accepted:
    """What a callable takes: leading positional names, names, bound names, and ``**kwargs``."""

    positional: tuple[str, ...]
    names: frozenset[str]
    bound: frozenset[str]
    everything: bool


def given(**keywords: Any) -> dict[str, Any]:
    """Return those keywords that were given, `None`, 0, '' and False among them.

    Examples
    --------
    >>> given(outdir=None, gain=0, read_noise=NOT_GIVEN)
    {'outdir': None, 'gain': 0}
    """
    return {key: value for key, value in keywords.items() if value is not NOT_GIVEN}


def step_name(function: Callable[..., Any]) -> str:
    """Return the name by which a row tells of a step."""
    if isinstance(function, functools.partial):
        return step_name(function.func)
    name = getattr(function, "__name__", None)
    return type(function).__name__ if name is None else str(name)


def accepted(function: Callable[..., Any]) -> Accepted | None:
    """Return what ``function`` takes, or `None` for a callable without a signature."""
    try:
        return _accepted(function)
    except TypeError:  # it cannot be hashed
        return _accepted.__wrapped__(function)


@functools.lru_cache(maxsize=1024)
def _accepted(function: Callable[..., Any]) -> Accepted | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    bound: set[str] = set()
    inner = function
    while isinstance(inner, functools.partial):
        bound |= set(inner.keywords)
        inner = inner.func
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return Accepted(
        positional=tuple(p.name for p in parameters if p.kind in by_position),
        names=frozenset(p.name for p in parameters if p.kind in by_name),
        bound=frozenset(bound),
        everything=any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    )


def matching(
    function: Callable[..., Any], keywords: Mapping[str, Any], n_positional: int = 1
) -> dict[str, Any]:
    """Return the part of the control stream that a function is to get.

    Parameters
    ----------
    function : callable
        The function that will be called.
    keywords : mapping
        The whole control stream.
    n_positional : int
        How many arguments it will get by position; their names are never matched.

    Returns
    -------
    dict
        The keywords to call it with.

    Examples
    --------
    >>> def subtract(data, level=0.0):
    ...     return data - level
    >>> matching(subtract, {"data": "no", "level": 2.0, "other": 1})
    {'level': 2.0}
    """
    takes = accepted(function)
    if takes is None:
        return {}
    taken = takes.bound.union(takes.positional[:n_positional])
    return {
        key: value
        for key, value in keywords.items()
        if key not in taken and (takes.everything or key in takes.names)
    }


def of_file(file_keywords: Mapping[str, Mapping[str, Any]] | None, in_name: Any) -> dict[str, Any]:
    """Return the keywords that were given for one input alone, a list by its first file."""
    if not file_keywords:
        return {}
    return dict(file_keywords.get(next(leaves(in_name), ""), {}))


def call(function: Callable[..., Any], *args: Any, keywords: Mapping[str, Any]) -> Any:
    """Call a step or method with the keywords that it names, noting which step runs."""
    with in_step(step_name(function)):
        return function(*args, **matching(function, keywords, len(args)))


def is_ours(function: Any) -> bool:
    """Tell whether a function, method or object comes from this package."""
    module = getattr(function, "__module__", None)
    return isinstance(module, str) and (module == "bmp_astro" or module.startswith("bmp_astro."))


def is_thread_safe(function: Any) -> bool:
    """Tell whether a step may run in several threads at once.

    Those of this package may; any other says so by an attribute, ``thread_safe = True``.

    Parameters
    ----------
    function : callable
        A function, a `functools.partial`, a bound method, or an object with ``__call__``.

    Returns
    -------
    bool
        False when nothing is known.

    Examples
    --------
    >>> is_thread_safe(print), is_thread_safe(is_thread_safe)
    (False, True)
    """
    if isinstance(function, functools.partial):
        return is_thread_safe(function.func)
    said = getattr(function, "thread_safe", None)
    if said is not None:
        return bool(said)
    if inspect.isroutine(function) or inspect.isclass(function):
        return is_ours(function)
    return is_ours(type(function))


def methods_of(kind: type) -> list[Any]:
    """Return every method of a class, overridden ones included."""
    return [
        member
        for base in kind.__mro__
        if base is not object
        for member in vars(base).values()
        if inspect.isfunction(member)
    ]


def overridden_methods(kind: type) -> list[Any]:
    """Return the methods of a class that do not come from this package and do not vouch for it.

    A class that carries ``thread_safe = True`` in its own body vouches for its methods.
    """
    return [
        member
        for base in kind.__mro__
        if base is not object and not is_ours(base) and not vars(base).get("thread_safe", False)
        for member in vars(base).values()
        if inspect.isfunction(member) or isinstance(member, functools.partial)
    ]


def report_unknown(keywords: Iterable[str], functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Log the control keywords that no function names.

    When a function that is not ours takes ``**kwargs`` it may use any name, so then only near
    misspellings of known names are reported.

    Parameters
    ----------
    keywords : iterable of str
        The control keywords that were given.
    functions : iterable of callable
        Every step and method that may get them.

    Returns
    -------
    list of str
        What was logged, one message for each keyword.
    """
    functions = list(functions)
    takes = [(function, accepted(function)) for function in functions]
    known = {name for _, what in takes if what is not None for name in what.names | what.bound}
    open_ended = any(
        what is not None and what.everything and not is_ours(_innermost(function))
        for function, what in takes
    )
    messages = []
    for keyword in keywords:
        if keyword in known:
            continue
        near = difflib.get_close_matches(keyword, sorted(known - {"self"}), n=1, cutoff=0.8)
        if near:
            messages.append(f"no step names the keyword {keyword!r}: was {near[0]!r} meant?")
        elif not open_ended:
            messages.append(f"no step names the keyword {keyword!r}: it has no effect")
    for message in messages:
        logger.warning("%s", message)
    return messages


def _innermost(function: Any) -> Any:
    """Return what a partial wraps, or the type of an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function)

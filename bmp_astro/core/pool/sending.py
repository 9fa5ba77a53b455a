"""Calls as bytes, for a worker process that has none of this one's objects."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cloudpickle

_DEPTH = 4


def packed(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return a call as bytes.

    Parameters
    ----------
    function : callable
        What to call: any function, also a lambda or one defined in a script or a notebook.
    args, kwargs : tuple, dict
        Its arguments.

    Returns
    -------
    body : bytes
        What ``pickle.loads`` turns into ``(function, args, kwargs)``.

    Raises
    ------
    TypeError
        When something of it cannot be sent; the message says what, and why.

    Examples
    --------
    >>> import pickle
    >>> function, args, kwargs = pickle.loads(packed(max, (1, 2), {}))
    >>> function(*args, **kwargs)
    2
    """
    try:
        return bytes(cloudpickle.dumps((function, args, kwargs)))
    except Exception as error:
        culprit = _culprit(function, args, kwargs)
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{name} cannot be sent to a worker process because of {culprit}: {error}. "
            "Make such an object inside the function, or use executor='thread'."
        ) from error


def _culprit(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Name the innermost part of a call that cannot be pickled."""
    parts = [("the function itself", function)]
    parts += [(f"argument {number}", arg) for number, arg in enumerate(args, start=1)]
    parts += [(f"argument {name!r}", arg) for name, arg in kwargs.items()]
    for where, part in parts:
        if not _can_be_pickled(part):
            return _innermost(where, part, _DEPTH)
    return "its arguments together"


def _innermost(where: str, part: Any, depth: int) -> str:
    """Follow what cannot be pickled inwards."""
    if depth > 0:
        for name, inner in _parts(part):
            if not _can_be_pickled(inner):
                return _innermost(f"{name} of {where}", inner, depth - 1)
    return f"{where}, a {type(part).__qualname__}"


def _parts(whole: Any) -> Iterator[tuple[str, Any]]:
    """Yield what something refers to, with a name for each."""
    if inspect.ismethod(whole):
        yield "the object", whole.__self__
    elif inspect.isfunction(whole):
        variables = inspect.getclosurevars(whole)
        for name, value in {**variables.globals, **variables.nonlocals}.items():
            yield f"variable {name!r}", value
        for number, value in enumerate(whole.__defaults__ or ()):
            yield f"default value {number + 1}", value
    elif isinstance(whole, Mapping):
        for key, value in whole.items():
            yield f"item {key!r}", value
    elif isinstance(whole, list | tuple | set | frozenset):
        for number, value in enumerate(whole):
            yield f"item {number}", value
    else:
        for name, value in getattr(whole, "__dict__", {}).items():
            yield f"attribute {name!r}", value


def _can_be_pickled(part: Any) -> bool:
    try:
        cloudpickle.dumps(part)
    except Exception:
        return False
    return True

"""What a result was made from, as a text that is the same from run to run.

Code that is installed is known by module, qualified name and version; other code by its code
objects, defaults and the values it closes over. Functions that it calls are not looked into.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import os
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import CodeType, ModuleType
from typing import Any

_DEPTH = 12
FileIdentity = Callable[[str], str]


class Unidentifiable(Exception):
    """There is no telling whether this is the same as in an earlier run."""


def identity(value: Any, file_identity: FileIdentity | None = None) -> str:
    """Return a hash that is equal for equal things, from run to run.

    Parameters
    ----------
    value : any
        Numbers, strings, lists, mappings, arrays, quantities, functions, classes, and objects
        made of these.
    file_identity : callable, optional
        Called for a string or path that names a file; tells its content from any other.

    Returns
    -------
    str

    Raises
    ------
    Unidentifiable
        When something in it cannot be told from others.

    Examples
    --------
    >>> identity({"a": 1, "b": [2.5, None]}) == identity({"b": [2.5, None], "a": 1})
    True
    >>> identity(1) == identity(1.0)
    False
    """
    return hashlib.sha256(_told(value, file_identity, _DEPTH).encode()).hexdigest()


def file_digest(path: str) -> str:
    """Return the sha256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told(value: Any, files: FileIdentity | None, depth: int) -> str:
    """Return a text that tells a value from any other."""
    if depth == 0:
        raise Unidentifiable("it is nested too deeply")
    if isinstance(value, str | PurePath):
        return _told_name(value, files)
    if value is None or isinstance(value, bool | int | float | complex | bytes):
        return f"{type(value).__name__} {value!r}"
    told = functools.partial(_told, files=files, depth=depth - 1)
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{told(k)}: {told(v)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[" + ", ".join(map(told, value)) + "]"
    if isinstance(value, set | frozenset):
        return "set[" + ", ".join(sorted(map(told, value))) + "]"
    if isinstance(value, Enum):
        return f"{_name(type(value))}.{value.name}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if callable(value):
        return _told_callable(value, told)
    return _told_object(value, told)


def _told_name(value: str | PurePath, files: FileIdentity | None) -> str:
    """Return a string as it is, and what a file of that name contains."""
    text = f"str {str(value)!r}"
    if files is None or not 0 < len(str(value)) < 4096:
        return text
    try:
        there = os.path.isfile(value)
    except ValueError:  # a NUL in it
        return text
    return f"{text} = {files(os.fspath(value))}" if there else text


def _told_object(value: Any, told: Callable[[Any], str]) -> str:
    """Return what an object is made of: its array, its fields, or its attributes."""
    name = _name(type(value))
    if hasattr(value, "unit") and hasattr(value, "value"):  # a Quantity
        return f"{name} {told(value.value)} {value.unit}"
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        if getattr(value.dtype, "hasobject", False):
            return f"{name} {told(value.tolist())}"
        content = hashlib.sha256(value.tobytes()).hexdigest()
        return f"{name} {value.dtype} {value.shape} {content}"
    if is_dataclass(value):
        return f"{name} " + told({f.name: getattr(value, f.name) for f in fields(value)})
    if hasattr(value, "tostring"):  # a FITS header
        return f"{name} {value.tostring()!r}"
    if _is_plain(value):
        return f"{name} {value!s}"
    state = getattr(value, "__dict__", None)
    if state is None:
        raise Unidentifiable(f"a {name} cannot be told from another one")
    return f"{name} {told(state)}"


def _is_plain(value: Any) -> bool:
    """Tell whether the text of an object says all: units, times and dates."""
    top = type(value).__module__.partition(".")[0]
    return top in ("datetime", "decimal", "fractions") or (
        type(value).__module__.startswith("astropy.units")
    )


def _told_callable(value: Any, told: Callable[[Any], str]) -> str:
    """Return what tells a function, method, class or object with ``__call__``."""
    if isinstance(value, functools.partial):
        return f"partial {told(value.func)} {told(value.args)} {told(value.keywords)}"
    if inspect.ismethod(value):
        return f"method {told(value.__func__)} of {_told_object(value.__self__, told)}"
    if inspect.isclass(value):
        return _told_class(value, told)
    if inspect.isfunction(value):
        known = installed_version(value)
        return f"{_name(value)} {known}" if known else _told_function(value, told)
    if inspect.isroutine(value) or type(value).__name__ == "ufunc":
        return f"{_name(value)} {installed_version(value)}"
    return f"{_told_class(type(value), told)} {_told_object(value, told)}"


def _told_function(function: Any, told: Callable[[Any], str]) -> str:
    """Return the code of a function, its defaults, and the values it closes over."""
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError as error:
        raise Unidentifiable(f"{_name(function)} closes over something not yet there") from error
    parts = [function.__defaults__, function.__kwdefaults__, cells]
    return f"{_name(function)} {_code(function.__code__)} {told(parts)}"


def _told_class(kind: type, told: Callable[[Any], str]) -> str:
    """Return a class: by its version where it is installed, else by all that its bodies define."""
    known = installed_version(kind)
    if known:
        return f"{_name(kind)} {known}"
    parts = []
    for base in kind.__mro__:
        version = installed_version(base)
        if version:
            parts.append(f"{_name(base)} {version}")
            continue
        for key, member in sorted(vars(base).items()):
            if isinstance(member, staticmethod | classmethod):
                member = member.__func__
            if isinstance(member, property):
                parts.append(f"{key}: {told([member.fget, member.fset])}")
            elif inspect.isfunction(member):
                parts.append(f"{key}: {_told_function(member, told)}")
            elif not (key.startswith("__") or inspect.isdatadescriptor(member)):
                parts.append(f"{key}: {told(member)}")
    return f"{_name(kind)} " + "; ".join(parts)


def _code(code: CodeType) -> str:
    """Return a hash of a code object, and of those within it, without places in files."""
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames), str(code.co_flags)]
    parts += [repr(code.co_freevars), repr(code.co_argcount), repr(code.co_kwonlyargcount)]
    parts += [_constant(value) for value in code.co_consts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _constant(value: Any) -> str:
    """Return a constant of a code object as text; the order within a set is chance."""
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):
        return "frozenset " + repr(sorted(map(_constant, value)))
    if isinstance(value, tuple):
        return "tuple " + repr(list(map(_constant, value)))
    return repr(value)


def _name(value: Any) -> str:
    """Return module and qualified name."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None)
    return f"{module}.{type(value).__qualname__ if name is None else name}"


def installed_version(value: Any) -> str:
    """Return the version of the distribution that a function or class comes from, or ""."""
    if "<locals>" in getattr(value, "__qualname__", "") or "<lambda>" in _name(value):
        return ""
    return _module_version(getattr(value, "__module__", None))


@functools.lru_cache(maxsize=512)
def _module_version(module: str | None) -> str:
    """Return distribution and version of an installed module, or ""."""
    if module is None or module == "__main__":
        return ""
    top = module.partition(".")[0]
    if top == "bmp_astro":
        return f"bmp_astro {importlib.metadata.version('bmp_astro')}"
    try:
        loaded = importlib.import_module(module)
    except Exception:
        return ""
    file = getattr(loaded, "__file__", None)
    paths = sysconfig.get_paths()
    if file is None or (file.startswith(paths["stdlib"]) and "site-packages" not in file):
        return f"python {sysconfig.get_python_version()}"
    if not file.startswith((paths["purelib"], paths["platlib"])):
        return ""
    names = importlib.metadata.packages_distributions().get(top, [])
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))

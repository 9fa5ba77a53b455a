"""Output names before anything runs: what can be foretold, and what must be refused."""

import functools
import inspect
import os
from collections.abc import Mapping
from types import CodeType
from typing import Any

from .control import call, is_ours, of_file
from .filepipe import all_steps
from .files import leaves, real, refused_input
from .helpers import no_outfile

_NAMING = frozenset({"outname", "outname_append", "outdir"})


class Foreteller:
    """Foretells the output name of an input, where that can be done.

    It cannot when the pipe processes files in its own way, when nothing is to be written, or when
    a step speaks of "outname" or its like, and so may choose another name once it has the data.

    Parameters
    ----------
    pipe : BigMultiPipe
        The pipe.
    control : mapping
        The control stream.
    """

    def __init__(self, pipe: Any, control: Mapping[str, Any]) -> None:
        self.pipe = pipe
        self.control = {**pipe.kwargs_merge(**control), "meta": {}, "data": None}
        self.file_keywords = self.control.pop("file_keywords", pipe.file_keywords)
        steps = all_steps(pipe, control)
        names = ("pre_process", "data_process", "data_process_meta_create", "post_process")
        methods = [getattr(type(pipe), name) for name in names]
        own_way = not is_ours(type(pipe).file_process)
        may_rename = any(speaks_of(step, _NAMING) for step in (*steps, *methods))
        self.able = not (own_way or may_rename or no_outfile in steps)

    def __call__(self, in_name: Any) -> str | None:
        """Return the output name, or `None` when it cannot be known yet."""
        if not self.able:
            return None
        try:
            keywords = {**self.control, **of_file(self.file_keywords, in_name)}
            name = call(self.pipe.outname_create, in_name, keywords=keywords)
        except Exception:  # it needs the data, or the input is at fault: its own row will say
            return None
        return None if name is None else str(name)


def speaks_of(function: Any, words: frozenset[str]) -> bool:
    """Tell whether a function that is not ours has one of some words among its constants."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if is_ours(function):
        return False
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return isinstance(code, CodeType) and not words.isdisjoint(_words(code.co_consts))


def _words(constants: Any) -> set[str]:
    """Return every string among the constants of a code object, those within it included."""
    found: set[str] = set()
    for value in constants:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, tuple):
            found |= _words(value)
        elif isinstance(value, CodeType):
            found |= _words(value.co_consts)
    return found


class NameBook:
    """The names of a run: which input makes which output, so that none is written twice."""

    def __init__(self) -> None:
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}

    def add(self, in_name: Any, outname: str | None) -> None:
        """Enter an input and the output it will make, or refuse.

        Raises
        ------
        ValueError
            If the output is an input of the run, or another input makes it too.
        """
        for leaf in leaves(in_name):
            path = real(leaf)
            if path in self._outputs:
                raise refused_input(self._outputs[path], leaf)
            self._inputs[path] = in_name
        if outname is None:
            return
        path = real(outname)
        if path in self._inputs:
            raise refused_input(in_name, outname)
        if path in self._outputs:
            raise ValueError(
                f"{self._outputs[path]} and {in_name} would both be written to {outname}: give "
                "them different names (meta['outname']) or directories, or run them apart"
            )
        self._outputs[path] = in_name

    @property
    def directories(self) -> frozenset[str]:
        """The directories of the outputs entered so far."""
        return frozenset(map(os.path.dirname, self._outputs))

    @property
    def inputs(self) -> frozenset[str]:
        """The real paths of the inputs entered so far."""
        return frozenset(self._inputs)

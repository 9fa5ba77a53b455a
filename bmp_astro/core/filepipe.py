"""FilePipe: one input, from file to file, by way of methods and steps."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from .atomic import write_beside
from .context import current_task, decide
from .control import call, of_file, step_name
from .files import (
    OUTNAME_APPEND,
    claim,
    is_there,
    outname_creator,
    refuse_inputs,
)
from .helpers import assure_list, bmp_cleanup
from .outcome import Rejected

Meta = dict[str, Any]


class FilePipe:
    """What is done with one input. `BigMultiPipe` does it with many.

    Parameters
    ----------
    outdir : str or path, optional
        Where output files go; `None` is the current directory.
    create_outdir : bool
        Create ``outdir`` and its parents if need be.
    outname_append : str
        Put between an input's name and its suffix to make the output's name.
    pre_process_list, post_process_list : callable or list of callable, optional
        Steps before and after `data_process`.
    overwrite : bool
        Replace output files that exist; else they are kept, and the input is "skipped".
    atomic : bool
        Hand ``file_write`` a temporary name and rename it when that name comes back; else hand it
        the final name, for one that makes files beside it.
    file_keywords : mapping of str to mapping, optional
        Control keywords for single inputs, by input name (of a list, the name of its first
        file). They win over those that hold for all; ``outname`` may be among them.
    **kwargs
        The control stream.
    """

    def __init__(
        self,
        outdir: str | os.PathLike[str] | None = None,
        create_outdir: bool = False,
        outname_append: str = OUTNAME_APPEND,
        pre_process_list: Any = None,
        post_process_list: Any = None,
        *,
        overwrite: bool = False,
        atomic: bool = True,
        file_keywords: Mapping[str, Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.outdir = outdir
        self.create_outdir = create_outdir
        self.outname_append = outname_append
        self.pre_process_list = pre_process_list
        self.post_process_list = post_process_list
        self.overwrite = overwrite
        self.atomic = atomic
        self.file_keywords = file_keywords
        self.kwargs = kwargs

    @property
    def pre_process_list(self) -> list[Callable[..., Any]]:
        """The steps before `data_process`; set it to `None` to empty it."""
        return self._pre_process_list

    @pre_process_list.setter
    def pre_process_list(self, value: Any) -> None:
        self._pre_process_list = step_list("pre_process_list", value)

    @property
    def post_process_list(self) -> list[Callable[..., Any]]:
        """The steps after `data_process`; set it to `None` to empty it."""
        return self._post_process_list

    @post_process_list.setter
    def post_process_list(self, value: Any) -> None:
        self._post_process_list = step_list("post_process_list", value)

    def kwargs_merge(self, **kwargs: Any) -> dict[str, Any]:
        """Return the control stream: the object's keywords, and ``kwargs`` winning over them.

        Parameters
        ----------
        **kwargs
            Keywords given to `pipeline` or to a method.

        Returns
        -------
        dict
        """
        own = {
            "outdir": self.outdir,
            "create_outdir": self.create_outdir,
            "outname_append": self.outname_append,
            "overwrite": self.overwrite,
            "atomic": self.atomic,
        }
        return {**own, **self.kwargs, **kwargs}

    def file_process(self, in_name: Any, **kwargs: Any) -> tuple[str | None, Meta]:
        """Process one input: read, pre-process, process, post-process, write.

        Parameters
        ----------
        in_name : str, path or (nested) list of them
            The input.
        **kwargs
            The control stream.

        Returns
        -------
        (outname, meta) : tuple
            The name written, or `None`; the metadata.
        """
        own = of_file(kwargs.pop("file_keywords", self.file_keywords), in_name)
        kwargs = {**self.kwargs_merge(**kwargs), **own}
        data = _step(self.file_read, in_name, keywords=kwargs)
        if data is None:
            decide("rejected", step="file_read")
            return (None, {})
        pre = _step(self.pre_process, data, keywords={**kwargs, "in_name": in_name})
        if pre is None or pre[0] is None:
            decide("rejected", step="pre_process")
            return (None, {})
        data, added = pre
        del pre  # it holds what was read, which nobody needs any more once that is processed
        kwargs.update({k: v for k, v in added.items() if k != "in_name"})
        made = _step(self.data_process_meta_create, data, keywords={**kwargs, "in_name": in_name})
        data, meta = (None, {}) if made is None else made
        if data is None:
            decide("rejected", step="data_process_meta_create")
            return (None, meta)
        return self._write(data, in_name, meta, kwargs)

    def _write(self, data: Any, in_name: Any, meta: Meta, kwargs: Meta) -> tuple[str | None, Meta]:
        """Name the output and have it written, whole or not at all."""
        told = {**kwargs, "meta": meta, "data": data}
        outname = _step(self.outname_create, in_name, keywords=told)
        if outname is None:
            decide("done", step="")
            return (None, meta)
        final = os.fspath(outname)
        task = current_task()
        refuse_inputs(in_name, final, frozenset() if task is None else task.protected)
        if task is not None and task.claims is not None:
            claim(task.claims, in_name, final)
        since = None if task is None else task.since
        if not kwargs["overwrite"] and is_there(final, but_not_since=since):
            decide("skipped", f"{final} exists: give overwrite=True to replace it", step="")
            return (final, meta)
        directory = os.path.dirname(final)
        if directory and meta.get("create_outdir", kwargs["create_outdir"]):
            os.makedirs(directory, exist_ok=True)

        kwargs.pop("outname", None)  # the name to write to goes by position

        def write(name: str) -> Any:
            told = {**kwargs, "meta": meta, "in_name": in_name}
            return _step(self.file_write, data, name, keywords=told)

        owner = "" if task is None else task.owner
        written = write_beside(write, final, owner) if kwargs["atomic"] else write(final)
        decide("done", step="")
        return (None if written is None else os.fspath(written), meta)

    def file_read(self, in_name: Any, **kwargs: Any) -> Any:
        """Read an input. Meant to be overridden; this one reads bytes.

        Parameters
        ----------
        in_name : str, path or (nested) list of them
            Of a list each file is read, and the data are a list nested in the same way.
        **kwargs
            The control stream.

        Returns
        -------
        any
            The data; `None` rejects the input.
        """
        if isinstance(in_name, list | tuple):
            return [self.file_read(name, **kwargs) for name in in_name]
        with open(in_name, "rb") as file:
            return file.read()

    def pre_process(
        self, data: Any, pre_process_list: Any = None, **kwargs: Any
    ) -> tuple[Any, Meta]:
        """Run the steps before `data_process`.

        Parameters
        ----------
        data : any
            What `file_read` returned.
        pre_process_list : list of callable, optional
            Steps that follow those of the object.
        **kwargs
            The control stream.

        Returns
        -------
        (data, kwargs) : tuple
            The data, `None` if a step rejected them; the control stream as the steps left it.
        """
        kwargs = self.kwargs_merge(**kwargs)
        for step in self.pre_process_list + step_list("pre_process_list", pre_process_list):
            told = _step(step, data, keywords=kwargs)
            if isinstance(told, dict) and "bmp_data" in told:
                data = told["bmp_data"]
                changed = told.get("bmp_kwargs")
                kwargs.update({} if changed is None else changed)
            else:
                data = told
            if data is None:
                decide("rejected", step=step_name(step))
                return (None, {})
        return (data, kwargs)

    def data_process_meta_create(self, data: Any, **kwargs: Any) -> tuple[Any, Meta]:
        """Process the data and create the metadata: `data_process`, then `post_process`.

        Parameters
        ----------
        data : any
            What `pre_process` returned.
        **kwargs
            The control stream.

        Returns
        -------
        (data, meta) : tuple
            The data, `None` to write nothing; the metadata.
        """
        kwargs = self.kwargs_merge(**kwargs)
        data = _step(self.data_process, data, keywords=kwargs)
        if data is None:
            decide("rejected", step="data_process")
            return (None, {})
        done: tuple[Any, Meta] = call(self.post_process, data, keywords=kwargs)
        return done

    def data_process(self, data: Any, **kwargs: Any) -> Any:
        """Process the data. Meant to be overridden; this one returns them as they are.

        Parameters
        ----------
        data : any
            What `pre_process` returned.
        **kwargs
            The control stream.

        Returns
        -------
        any
            The data; `None` rejects the input.
        """
        return data

    def post_process(
        self,
        data: Any,
        post_process_list: Any = None,
        no_bmp_cleanup: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, Meta]:
        """Run the steps after `data_process`, which create the metadata.

        Parameters
        ----------
        data : any
            What `data_process` returned.
        post_process_list : list of callable, optional
            Steps that follow those of the object.
        no_bmp_cleanup : bool
            Keep the metadata that `bmp_cleanup` marked for removal.
        **kwargs
            The control stream.

        Returns
        -------
        (data, meta) : tuple
            The data, `None` if a step ended the processing; the metadata so far.
        """
        kwargs = self.kwargs_merge(**kwargs)
        meta: Meta = {}
        for step in self.post_process_list + step_list("post_process_list", post_process_list):
            data = _step(step, data, keywords={**kwargs, "bmp_meta": meta})
            if data is None:
                decide("rejected", step=step_name(step))
                break
        if not no_bmp_cleanup:
            bmp_cleanup(data, bmp_meta=meta)
        return (data, meta)

    def outname_create(self, in_name: Any, **kwargs: Any) -> str:
        """Make the output name; see `outname_creator`.

        Parameters
        ----------
        in_name : str, path or (nested) list of them
            The input.
        **kwargs
            ``data``, ``meta`` and the control stream.

        Returns
        -------
        str
        """
        return outname_creator(in_name, **self.kwargs_merge(**kwargs))

    def file_write(
        self,
        data: Any,
        outname: str,
        meta: Meta | None = None,
        create_outdir: bool = False,
        **kwargs: Any,
    ) -> str | None:
        """Write the data. Meant to be overridden; this one only sees to the directory.

        Parameters
        ----------
        data : any
            What is to be written.
        outname : str
            The name to write to: a temporary one beside the final name, with the same suffixes,
            unless the pipe has ``atomic=False``.
        meta : dict, optional
            The metadata; its ``create_outdir`` wins over the parameter.
        create_outdir : bool
            Create the directory if need be.
        **kwargs
            The control stream.

        Returns
        -------
        str or None
            ``outname``, to say that the file is complete; `None` when nothing was written.
        """
        directory = os.path.dirname(outname)
        if directory and ({} if meta is None else meta).get("create_outdir", create_outdir):
            os.makedirs(directory, exist_ok=True)
        return outname


def all_steps(pipe: FilePipe, control: Mapping[str, Any]) -> list[Callable[..., Any]]:
    """Return every step that a run may take: those of the pipe, then those of the call."""
    return [
        *pipe.pre_process_list,
        *pipe.post_process_list,
        *(
            step
            for name in ("pre_process_list", "post_process_list")
            for step in step_list(name, control.get(name))
        ),
    ]


def step_list(name: str, value: Any) -> list[Callable[..., Any]]:
    """Return step functions as a list, whatever way they were given; `name` is the keyword's."""
    steps = list(value) if isinstance(value, tuple) else assure_list(value)
    for step in steps:
        if not callable(step):
            raise TypeError(f"{name} has {step!r}, which is no step: expected functions")
    return steps


def _step(function: Callable[..., Any], *args: Any, keywords: dict[str, Any]) -> Any:
    """Call a step or method; one that raises Rejected counts as returning None, with a reason."""
    try:
        return call(function, *args, keywords=keywords)
    except Rejected as reason:
        decide("rejected", str(reason))
        return None

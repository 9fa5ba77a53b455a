"""BigMultiPipe: data from file to file, control by keywords, metadata back to the caller."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from .control import methods_of
from .filepipe import FilePipe
from .files import OUTNAME_APPEND, outname_creator
from .outcome import Outcome
from .settings import Settings, split_keywords


class BigMultiPipe(FilePipe):
    """Run the same steps over many files, in parallel, inside the memory there is.

    A subclass says how a file is read, processed and written. Data go from disk to disk; keyword
    arguments control the steps; a small dictionary of metadata comes back for each file.

    Parameters
    ----------
    num_processes : int or float, optional
        Files at a time; below 1, that fraction of the cores. `None` or 0: as many as the cores
        and the memory allow. 1 runs in this process.
    mem_available : float, optional
        Bytes that all files together may take; `None` asks the machine.
    mem_frac : float
        The fraction of the available memory to use when ``mem_available`` is `None`.
    process_size : float or callable, optional
        Bytes that one file takes while it is processed, or a function of its name. For an input
        that is a list of files they add up.
    outdir : str or path, optional
        Where output files go; `None` is the current directory.
    create_outdir : bool
        Create ``outdir`` and its parents if need be.
    outname_append : str
        Put between an input's name and its suffix to make the output's name.
    pre_process_list : callable or list of callable, optional
        Steps before `data_process`. Each gets the data and the keywords that it names, and returns
        the data, `None` to reject the file, or ``{'bmp_data': data, 'bmp_kwargs': {...}}`` to
        change the keywords for what follows.
    post_process_list : callable or list of callable, optional
        Steps after `data_process`. Each gets the data, ``bmp_meta`` (the dictionary to write
        metadata into) and the keywords that it names, and returns the data, or `None` to reject.
    PoolClass : type, optional
        A `multiprocessing.pool.Pool` class to use instead of an executor.
    executor : str, `concurrent.futures.Executor`, or callable
        "process", "thread", "serial", "auto", "dask:ADDRESS", an executor, or a function that
        makes one.
    on_error : str
        "raise": after an error what is running finishes, then `PipelineError` is raised;
        "record": the outcome says "failed" and the run goes on.
    progress : bool, optional
        Show a progress bar; `None` shows one on a terminal only.
    **kwargs
        ``overwrite``, ``atomic`` and ``file_keywords`` (see `FilePipe`), further settings of the
        engine (see `Settings`), and the control stream: keywords for the methods and steps.

    Notes
    -----
    Every parameter can be given again to `pipeline`, and wins there, whatever its value. Step
    lists given there are added to those of the object. Over both win the ``file_keywords`` of an
    input, and over these the ``bmp_kwargs`` of a pre-processing step.

    Examples
    --------
    >>> from pathlib import Path
    >>> class Shout(BigMultiPipe):
    ...     def file_read(self, in_name, **kwargs):
    ...         return Path(in_name).read_text()
    ...     def data_process(self, data, end="!", **kwargs):
    ...         return data.upper() + end
    ...     def file_write(self, data, outname, **kwargs):
    ...         Path(outname).write_text(data)
    ...         return outname
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     a = Path(folder) / "a.txt"
    ...     _ = a.write_text("stars")
    ...     pout = Shout(outdir=folder, num_processes=1).pipeline([a], end="?")
    ...     [(Path(outname).name, Path(outname).read_text()) for outname, meta in pout]
    [('a_bmp.txt', 'STARS?')]
    """

    def __init__(
        self,
        num_processes: float | None = None,
        mem_available: float | None = None,
        mem_frac: float = 0.8,
        process_size: float | Callable[[Any], float] | None = None,
        outdir: str | os.PathLike[str] | None = None,
        create_outdir: bool = False,
        outname_append: str = OUTNAME_APPEND,
        pre_process_list: Any = None,
        post_process_list: Any = None,
        PoolClass: Any = None,
        *,
        executor: Any = "process",
        on_error: str = "raise",
        progress: bool | None = None,
        **kwargs: Any,
    ) -> None:
        further, control = split_keywords(kwargs)
        super().__init__(
            outdir, create_outdir, outname_append, pre_process_list, post_process_list, **control
        )
        self.num_processes = num_processes
        self.mem_available = mem_available
        self.mem_frac = mem_frac
        self.process_size = process_size
        self.PoolClass = PoolClass
        self.executor = executor
        self.on_error = on_error
        self.progress = progress
        self.further_settings = further
        self.settings()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what only the parent needs and could not be sent to a worker."""
        parent_only = {"executor": None, "PoolClass": None, "process_size": None}
        return {**self.__dict__, **parent_only, "further_settings": {}}

    def settings(self, **given: Any) -> Settings:
        """Return how a run is carried out, with ``given`` winning over the object's settings."""
        own = {
            "num_processes": self.num_processes,
            "mem_available": self.mem_available,
            "mem_frac": self.mem_frac,
            "process_size": self.process_size,
            "PoolClass": self.PoolClass,
            "executor": self.executor,
            "on_error": self.on_error,
            "progress": self.progress,
        }
        return Settings(**{**own, **self.further_settings, **given})

    def pipeline(self, in_names: Any, **kwargs: Any) -> Any:
        """Process many files.

        Parameters
        ----------
        in_names : iterable of str, path, or (nested) list of them
            The inputs. A list among them is one input made of several files.
        **kwargs
            Any parameter of `BigMultiPipe`, and control keywords; they win over the object's.

        Returns
        -------
        pout : list of Outcome
            One ``(outname, meta)`` pair for each input, in the order of the inputs.

        Raises
        ------
        PipelineError
            With ``on_error="raise"``, when an input failed; ``.pout`` has a row for every input.
        PipelineInterrupted
            When the run was stopped; ``.pout`` has a row for every input.
        ValueError
            Before anything runs, when an output would overwrite an input or another output.
        """
        from .run import collect

        settings, control = split_keywords(kwargs)
        return collect(self, in_names, self.settings(**settings), control)

    def iter_pipeline(self, in_names: Any, **kwargs: Any) -> Iterator[Outcome]:
        """Process many files, yielding each `Outcome` as it comes, in no fixed order.

        Parameters
        ----------
        in_names : iterable
            As for `pipeline`; a generator is drawn from only as fast as files are processed.
        **kwargs
            As for `pipeline`.

        Yields
        ------
        Outcome
            Its ``in_name`` says which input it belongs to.
        """
        from .run import stream

        settings, control = split_keywords(kwargs)
        return stream(self, in_names, self.settings(**settings), control)

    def control_functions(self) -> list[Callable[..., Any]]:
        """Return whatever names control keywords beside the steps: all methods of the class.

        A subclass whose methods hand their ``**kwargs`` on to a function adds that function, so
        that its keywords are known when misspelt ones are looked for.
        """
        return [*methods_of(type(self)), outname_creator]

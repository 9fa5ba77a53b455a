"""The settings of a run: how it is carried out, never what it computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

ON_ERROR = ("raise", "record")
DASK = "dask:"
EXECUTORS = ("process", "thread", "serial", "auto", f"{DASK}ADDRESS")


@dataclass(frozen=True)
class Settings:
    """How a run is carried out. None of these are control keywords.

    Parameters
    ----------
    num_processes : int or float, optional
        Tasks at a time; below 1, that fraction of the cores; `None` or 0, as many as fit.
    mem_available : float, optional
        Bytes for all tasks together; `None` asks the machine.
    mem_frac : float
        The fraction of the available memory to use when ``mem_available`` is `None`.
    process_size : float or callable, optional
        Bytes that one file needs, or a function of its name; for a list input they add up.
    worker_size : float or callable, optional
        Bytes that stay in each worker process from file to file (in threads: once), or a function
        of the control stream, in which ``file_keywords`` are one entry. They are taken off the
        memory for files, of which workers may take half at the most: else there are fewer.
    output_size : float or callable, optional
        Bytes that one output takes on the disk, or a function of the input. When the outputs
        that are not there yet would not fit, an OSError says so before anything runs.
    executor : str, Executor, or callable
        "process", "thread", "serial", "auto", "dask:ADDRESS", an object with ``submit``, or a
        function that makes one.
    PoolClass : type, optional
        A `multiprocessing.pool.Pool` class to use instead.
    on_error : str
        "raise": what runs finishes, then `PipelineError`; "record": the run goes on.
    progress : bool, optional
        Show a progress bar; `None` shows one on a terminal only.
    timeout : float, optional
        Seconds after which a task is ended (worker processes only).
    max_memory : float, optional
        Bytes beyond which a task is ended (worker processes only).
    retries : int
        How often a task that failed with an error is tried again.
    resume : bool
        Skip what an earlier run has made from the same things.
    verify : bool
        When resuming, compare contents, not sizes and times only.
    journal : str or path, optional
        The file to which each outcome is appended as it happens; when resuming and not given, it
        lies in the output directory.
    grace : float
        Seconds that running tasks have to finish after the first Ctrl-C or SIGTERM.
    """

    num_processes: float | None = None
    mem_available: float | None = None
    mem_frac: float = 0.8
    process_size: float | Callable[[Any], float] | None = None
    worker_size: float | Callable[[Mapping[str, Any]], float] | None = None
    output_size: float | Callable[[Any], float] | None = None
    executor: Any = "process"
    PoolClass: Any = None
    on_error: str = "raise"
    progress: bool | None = None
    timeout: float | None = None
    max_memory: float | None = None
    retries: int = 0
    resume: bool = False
    verify: bool = False
    journal: Any = None
    grace: float = 10.0

    def __post_init__(self) -> None:
        if self.on_error not in ON_ERROR:
            raise ValueError(f"on_error is {self.on_error!r}: expected 'raise' or 'record'")
        name = self.executor
        if isinstance(name, str) and name not in EXECUTORS[:-1] and not name.startswith(DASK):
            raise ValueError(f"executor is {name!r}: expected one of {', '.join(EXECUTORS)}")


ENGINE_KEYWORDS = frozenset(setting.name for setting in fields(Settings))


def split_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keywords into settings of the engine and the control stream."""
    engine = {key: value for key, value in keywords.items() if key in ENGINE_KEYWORDS}
    control = {key: value for key, value in keywords.items() if key not in ENGINE_KEYWORDS}
    return engine, control

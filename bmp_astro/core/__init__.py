"""The generic engine: functions over many files, in parallel, losing nothing.

Names are loaded when they are first used: a worker process needs few of them, and its start is
part of every run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bigmultipipe import BigMultiPipe as BigMultiPipe
    from .control import NOT_GIVEN as NOT_GIVEN
    from .control import given as given
    from .control import is_thread_safe as is_thread_safe
    from .filepipe import FilePipe as FilePipe
    from .files import outname_creator as outname_creator
    from .helpers import WorkerWithKwargs as WorkerWithKwargs
    from .helpers import assure_list as assure_list
    from .helpers import bmp_cleanup as bmp_cleanup
    from .helpers import multi_logging as multi_logging
    from .helpers import multi_proc as multi_proc
    from .helpers import no_outfile as no_outfile
    from .localexecutors import NoDaemonPool as NoDaemonPool
    from .outcome import Outcome as Outcome
    from .outcome import PipelineError as PipelineError
    from .outcome import PipelineInterrupted as PipelineInterrupted
    from .outcome import Rejected as Rejected
    from .outcome import prune_pout as prune_pout
    from .pool import SupervisedPool as SupervisedPool
    from .resources import available_cores as available_cores
    from .resources import available_memory as available_memory
    from .resources import num_can_process as num_can_process
    from .settings import Settings as Settings
    from .table import cached_pout as cached_pout
    from .table import pout_to_table as pout_to_table

_HOMES = {
    "bigmultipipe": ("BigMultiPipe",),
    "control": ("NOT_GIVEN", "given", "is_thread_safe"),
    "filepipe": ("FilePipe",),
    "files": ("outname_creator",),
    "helpers": (
        "WorkerWithKwargs",
        "assure_list",
        "bmp_cleanup",
        "multi_logging",
        "multi_proc",
        "no_outfile",
    ),
    "localexecutors": ("NoDaemonPool",),
    "outcome": ("Outcome", "PipelineError", "PipelineInterrupted", "Rejected", "prune_pout"),
    "pool": ("SupervisedPool",),
    "resources": ("available_cores", "available_memory", "num_can_process"),
    "settings": ("Settings",),
    "table": ("cached_pout", "pout_to_table"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

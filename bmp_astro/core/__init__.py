"""The generic engine: functions over many files, in parallel, losing nothing.

Names are loaded when they are first used: a worker process needs few of them, and its start is
part of every run.
"""

from typing import TYPE_CHECKING

from .lazy import lazy_names

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
    from .journal import read_journal as read_journal
    from .localexecutors import NoDaemonPool as NoDaemonPool
    from .locks import DirectoryInUse as DirectoryInUse
    from .machine.resources import available_cores as available_cores
    from .machine.resources import available_memory as available_memory
    from .machine.resources import num_can_process as num_can_process
    from .outcome import Outcome as Outcome
    from .outcome import PipelineError as PipelineError
    from .outcome import PipelineInterrupted as PipelineInterrupted
    from .outcome import Rejected as Rejected
    from .outcome import prune_pout as prune_pout
    from .pool.errors import PoolError as PoolError
    from .pool.errors import TaskMemoryExceeded as TaskMemoryExceeded
    from .pool.errors import TaskTimeout as TaskTimeout
    from .pool.errors import WorkerDied as WorkerDied
    from .pool.errors import WorkerStartError as WorkerStartError
    from .pool.supervised import SupervisedPool as SupervisedPool
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
    "journal": ("read_journal",),
    "localexecutors": ("NoDaemonPool",),
    "locks": ("DirectoryInUse",),
    "machine.resources": ("available_cores", "available_memory", "num_can_process"),
    "outcome": ("Outcome", "PipelineError", "PipelineInterrupted", "Rejected", "prune_pout"),
    "pool.errors": (
        "PoolError",
        "TaskMemoryExceeded",
        "TaskTimeout",
        "WorkerDied",
        "WorkerStartError",
    ),
    "pool.supervised": ("SupervisedPool",),
    "settings": ("Settings",),
    "table": ("cached_pout", "pout_to_table"),
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _HOMES)

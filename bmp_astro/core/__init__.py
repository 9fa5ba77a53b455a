"""The generic engine: functions over many files, in parallel, losing nothing."""

from .bigmultipipe import BigMultiPipe
from .control import NOT_GIVEN, given, is_thread_safe
from .filepipe import FilePipe
from .files import outname_creator
from .helpers import (
    WorkerWithKwargs,
    assure_list,
    bmp_cleanup,
    multi_logging,
    multi_proc,
    no_outfile,
)
from .outcome import Outcome, PipelineError, PipelineInterrupted, Rejected, prune_pout
from .pool import NoDaemonPool, SupervisedPool
from .resources import available_cores, available_memory, num_can_process
from .settings import Settings
from .table import cached_pout, pout_to_table

__all__ = [
    "NOT_GIVEN",
    "BigMultiPipe",
    "FilePipe",
    "NoDaemonPool",
    "Outcome",
    "PipelineError",
    "PipelineInterrupted",
    "Rejected",
    "Settings",
    "SupervisedPool",
    "WorkerWithKwargs",
    "assure_list",
    "available_cores",
    "available_memory",
    "bmp_cleanup",
    "cached_pout",
    "given",
    "is_thread_safe",
    "multi_logging",
    "multi_proc",
    "no_outfile",
    "num_can_process",
    "outname_creator",
    "pout_to_table",
    "prune_pout",
]

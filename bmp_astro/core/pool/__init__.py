"""Worker processes that can die alone: `SupervisedPool`, and what may go wrong with a worker.

`supervised` is the executor that callers see, `supervisor` the thread behind it, `process` a
worker seen from there, and `worker` what runs in it; `wire` is what they say to each other. A
worker imports this package too, and so its names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .errors import PoolError as PoolError
    from .errors import RemoteError as RemoteError
    from .errors import RemoteTraceback as RemoteTraceback
    from .errors import TaskMemoryExceeded as TaskMemoryExceeded
    from .errors import TaskTimeout as TaskTimeout
    from .errors import WorkerDied as WorkerDied
    from .errors import WorkerStartError as WorkerStartError
    from .supervised import SupervisedPool as SupervisedPool

_HOMES = {
    "errors": (
        "PoolError",
        "RemoteError",
        "RemoteTraceback",
        "TaskMemoryExceeded",
        "TaskTimeout",
        "WorkerDied",
        "WorkerStartError",
    ),
    "supervised": ("SupervisedPool",),
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _HOMES)

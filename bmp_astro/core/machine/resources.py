"""The cores and the memory that this process may really use."""

import math
import os
import re
import sys
from pathlib import Path

import psutil

from .cgroups import cpu_quota, memory_left

_ROOT = Path("/")
_MIB = 2**20

WORKER_SIZE = 65 * _MIB
"""Memory of a worker process before it has done anything, in bytes."""


def available_cores(*, root: Path = _ROOT) -> int:
    """Return how many cores this process may use.

    The least of: the physical cores among the processors that the process is bound to, the CPU
    quota of its cgroup (version 1 or 2) and of every ancestor, rounded up, and what SLURM granted
    (``SLURM_CPUS_PER_TASK``, else ``SLURM_CPUS_ON_NODE``, else ``SLURM_JOB_CPUS_PER_NODE``).

    Parameters
    ----------
    root : pathlib.Path, optional
        Root of the file system that describes the machine.

    Returns
    -------
    cores : int
        At least 1.

    Examples
    --------
    >>> available_cores() >= 1
    True
    """
    limits = [_physical_cores(root)]
    quota = cpu_quota(root)
    if quota is not None:
        limits.append(math.ceil(quota))
    granted = _slurm_cores()
    if granted is not None:
        limits.append(granted)
    return max(min(limits), 1)


def available_memory(
    *, mem_frac: float = 0.8, mem_available: float | None = None, root: Path = _ROOT
) -> int:
    """Return how much memory all tasks together may use.

    What the machine has available, or what is left of the limit of any cgroup (version 1 or 2, this
    process's and every ancestor's) or of SLURM's, whichever is least. Pages of files that the
    kernel can drop at any time count as available.

    Parameters
    ----------
    mem_frac : float, optional
        The fraction of that to use; above 0, at most 1.
    mem_available : float, optional
        Bytes to use instead of a fraction; never more than there is.
    root : pathlib.Path, optional
        Root of the file system that describes the cgroups.

    Returns
    -------
    size : int
        Bytes.

    Raises
    ------
    ValueError, TypeError
        When an argument is not a number in its range.

    Examples
    --------
    >>> available_memory(mem_available=1000)
    1000
    """
    check_number("mem_frac", mem_frac)
    if mem_frac > 1:
        raise ValueError(f"mem_frac is {mem_frac!r}, expected a fraction of at most 1")
    limits = [psutil.virtual_memory().available, memory_left(root), _slurm_memory_left()]
    there = min(limit for limit in limits if limit is not None)
    if mem_available is None:
        return int(there * mem_frac)
    check_number("mem_available", mem_available)
    return int(min(mem_available, there))


def num_can_process(
    num_to_process: int | None = None,
    num_processes: float | None = None,
    mem_available: float | None = None,
    mem_frac: float = 0.8,
    process_size: float | None = None,
    *,
    worker_size: float = 0,
    root: Path = _ROOT,
) -> int:
    """Return how many processes can run at the same time.

    Parameters
    ----------
    num_to_process : int, optional
        How many items there are; None sets no limit.
    num_processes : float, optional
        How many processes are wanted; a number below 1 is that fraction of the cores. None: as many
        as `available_cores` says.
    mem_available, mem_frac : float, optional
        The memory of all processes together, in bytes, or the fraction of what is available: see
        `available_memory`.
    process_size : float, optional
        The memory that one item needs, in bytes; None: memory sets no limit.
    worker_size : float, optional
        What a process needs beside its item, in bytes: `WORKER_SIZE` for one of our workers.
    root : pathlib.Path, optional
        Root of the file system that describes the machine.

    Returns
    -------
    number : int
        At least 1: an item larger than the memory is processed alone.

    Raises
    ------
    ValueError, TypeError
        When an argument is not a number in its range.

    Examples
    --------
    >>> num_can_process(num_to_process=10, num_processes=4)
    4
    >>> num_can_process(num_processes=4, mem_available=1000, process_size=400)
    2
    """
    if num_processes is None:
        limits = [available_cores(root=root)]
    else:
        check_number("num_processes", num_processes)
        limits = [_wanted(num_processes, root)]
    if num_to_process is not None:
        check_number("num_to_process", num_to_process, zero=True)
        limits.append(int(num_to_process))
    if process_size is not None:
        check_number("process_size", process_size)
        check_number("worker_size", worker_size, zero=True)
        memory = available_memory(mem_frac=mem_frac, mem_available=mem_available, root=root)
        limits.append(int(memory // (process_size + worker_size)))
    return max(min(limits), 1)


def peak_memory() -> int:
    """Return the largest resident memory that this process has had.

    On Linux the peak can be started anew by `reset_peak_memory`.

    Returns
    -------
    size : int
        Bytes.

    Examples
    --------
    >>> peak_memory() > 1_000_000
    True
    """
    try:
        # Not getrusage, which on Linux starts with the peak of the program that exec replaced.
        with open("/proc/self/status", "rb", buffering=0) as file:
            status = file.read()
    except OSError:
        return _peak_without_proc()
    found = status.partition(b"VmHWM:")[2].split(maxsplit=1)
    return int(found[0]) * 1024 if found else _peak_without_proc()


def reset_peak_memory() -> bool:
    """Let `peak_memory` start from the present resident memory.

    Returns
    -------
    done : bool
        False where the system has no means for it.

    Examples
    --------
    >>> reset_peak_memory() in (True, False)
    True
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def check_number(name: str, value: object, zero: bool = False) -> None:
    """Raise unless a setting is a finite number above 0.

    Parameters
    ----------
    name : str
        The setting, for the message.
    value : object
        What was given for it.
    zero : bool, optional
        Whether 0 will do as well.

    Raises
    ------
    TypeError
        When it is not a number.
    ValueError
        When it is negative, 0, infinite or not a number.
    """
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {value!r}, expected a number; leave it out or give None")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(
            f"{name} is {value!r}, expected a number above 0; leave it out or give None"
        )


def _peak_without_proc() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _wanted(num_processes: float, root: Path) -> int:
    """Return a wanted number of processes, given as such or as a fraction of the cores."""
    if num_processes < 1:
        return round(num_processes * available_cores(root=root))
    return int(num_processes)


def _physical_cores(root: Path) -> int:
    """Return the number of physical cores among the processors that this process is bound to."""
    if not hasattr(os, "sched_getaffinity"):
        cores = psutil.cpu_count(logical=False)
        return 1 if cores is None else cores
    return len({_siblings(root, processor) for processor in os.sched_getaffinity(0)})


def _siblings(root: Path, processor: int) -> str:
    """Name the core that a processor belongs to: by its hardware threads."""
    topology = root / f"sys/devices/system/cpu/cpu{processor}/topology"
    try:
        return (topology / "thread_siblings_list").read_text().strip()
    except OSError:
        return f"only {processor}"


def _slurm_cores() -> int | None:
    """Return the processors that SLURM granted on this node, None outside of SLURM."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE"):
        # "16(x2),8": 16 on each of two nodes, 8 on the third; which is ours is not said.
        counts = re.findall(r"(?:^|,)(\d+)", os.environ.get(name, ""))
        if counts:
            return min(map(int, counts))
    return None


def _slurm_memory_left() -> int | None:
    """Return SLURM's limit (written in MiB) less what this process uses; None without one."""
    per_node = os.environ.get("SLURM_MEM_PER_NODE", "")
    per_core = os.environ.get("SLURM_MEM_PER_CPU", "")
    if per_node.isdigit() and int(per_node) > 0:
        limit = int(per_node)
    elif per_core.isdigit() and int(per_core) > 0:
        cores = _slurm_cores()
        limit = int(per_core) * (1 if cores is None else cores)
    else:
        return None
    return max(limit * _MIB - psutil.Process().memory_info().rss, 0)

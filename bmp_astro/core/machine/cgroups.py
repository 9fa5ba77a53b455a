"""What Linux control groups, version 1 and 2, grant this process.

Every function takes the root of the file system to look at, so that a made-up tree can be read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Version 1 writes "no limit" as the largest multiple of the page size.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class _Mount:
    """Where one hierarchy is mounted, and which of its directories is mounted there."""

    version: int
    point: str
    root: str
    controllers: frozenset[str]


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many cores' time the cgroups grant.

    Parameters
    ----------
    root : pathlib.Path, optional
        Root of the file system.

    Returns
    -------
    cores : float or None
        The smallest quota of this process's cgroup and all its ancestors; None without one.
    """
    quotas = []
    for version, folder in _own_groups(root, "cpu"):
        if version == 2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_left(root: Path = Path("/")) -> int | None:
    """Return how much memory the cgroups still grant.

    Pages of files that the kernel can drop at any time are not counted as used.

    Parameters
    ----------
    root : pathlib.Path, optional
        Root of the file system.

    Returns
    -------
    size : int or None
        Bytes: the smallest difference of limit and use, never negative, over this process's cgroup
        and all its ancestors; None without a limit.
    """
    left = []
    for version, folder in _own_groups(root, "memory"):
        if version == 2:
            use, prefix = "memory.current", ""
            limit = min(_bytes(folder / "memory.max"), _bytes(folder / "memory.high"))
        else:
            use, prefix = "memory.usage_in_bytes", "total_"
            limit = _bytes(folder / "memory.limit_in_bytes")
        if limit < _NO_LIMIT:
            used = _bytes(folder / use, missing=0)
            left.append(max(limit - max(used - _page_cache(folder, prefix), 0), 0))
    return min(left, default=None)


def _page_cache(folder: Path, prefix: str) -> int:
    """Return the bytes that the kernel can drop, from ``memory.stat``."""
    fields = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.MULTILINE))
    names = ("inactive_file", "active_file", "slab_reclaimable")
    return sum(int(fields.get(prefix + name, 0)) for name in names)


def _own_groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield (version, directory) of this process's cgroup and of each ancestor that is visible."""
    own = _own_paths(root)
    for mount in _mounts(root):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = own.get("" if mount.version == 2 else controller)
        if path is None:
            continue
        top = root / mount.point.lstrip("/")
        inside = _inside(path, mount.root)
        for depth in range(len(inside), -1, -1):
            yield mount.version, top.joinpath(*inside[:depth])


def _inside(path: str, mounted: str) -> tuple[str, ...]:
    """Return the parts of a cgroup's path below the directory that is mounted.

    In a container the path may be one outside of what is mounted: then only the top is ours.
    """
    parts = Path(path).parts[1:]
    above = Path(mounted).parts[1:]
    if parts[: len(above)] != above or ".." in parts:
        return ()
    return parts[len(above) :]


def _own_paths(root: Path) -> dict[str, str]:
    """Return this process's cgroup for each controller; version 2 is under ``""``."""
    paths = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    """Yield the mounted cgroup hierarchies (the format is in proc_pid_mountinfo(5))."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = [*rest.split(" ", 2), "", ""][:3]
        if kind in ("cgroup", "cgroup2"):
            _, _, _, mounted, point = fields.split(" ")[:5]
            version = 2 if kind == "cgroup2" else 1
            yield _Mount(version, _unescaped(point), mounted, frozenset(options.split(",")))


def _unescaped(path: str) -> str:
    r"""Return a path of mountinfo with its octal escapes (``\040`` for a blank) resolved."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _text(path: Path) -> str:
    """Return what a small file says, nothing if it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _bytes(path: Path, missing: int = _NO_LIMIT) -> int:
    """Return the number in a file; `missing` for ``max`` and for no file."""
    text = _text(path)
    return int(text) if text.isdigit() else missing

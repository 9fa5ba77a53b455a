"""One JSON line for each outcome, written as it happens; what resume reads."""

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)


class Journal:
    """A file to which records are appended, one JSON line each.

    A record is written by a single ``write`` to a file opened for appending, so that it survives
    the end of this process in any way, SIGKILL included, and lines of two writers do not mix. A
    line that an earlier run left unfinished is closed before the next record.

    Kept as they are: strings, numbers, booleans, None, mappings and lists (tuples become lists).
    A value with a unit (an astropy Quantity) becomes ``{"value": ..., "unit": ...}``, which
    `read_journal` turns back; numpy scalars and arrays become numbers and lists; anything else,
    paths for instance, is kept as its ``str``.

    Parameters
    ----------
    path : str or path-like
        The file; made if it does not exist. Its directory must exist.
    fsync : bool, optional
        Wait after each record until it is on the disk: needed to survive a power cut, not to
        survive the end of the process.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "night.jsonl")
    >>> with Journal(path) as journal:
    ...     journal.append({"in_name": "a.fits", "status": "failed"})
    ...     journal.append({"in_name": "a.fits", "status": "done"})
    >>> latest(read_journal(path))
    {'a.fits': {'in_name': 'a.fits', 'status': 'done'}}
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str], *, fsync: bool = False) -> None:
        self.path = Path(path)
        self._fsync = fsync
        self._lock = threading.Lock()
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        self._torn = _ends_torn(self._fd)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record.

        Parameters
        ----------
        record : mapping
            What to keep; keys become strings.

        Raises
        ------
        OSError
            When the line cannot be written in full (a full disk, for instance).
        ValueError
            When the journal is closed.
        """
        line = (json.dumps(_plain(record)) + "\n").encode()
        with self._lock:
            if self._fd < 0:
                raise ValueError(f"the journal {self.path} is closed")
            if self._torn:
                line = b"\n" + line
            self._torn = True
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
            self._torn = False
            if self._fsync:
                os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()


def read_journal(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read all records of a journal.

    A line that is not a whole record (the last one, when its writer was killed in the middle of
    it) is left out, with a warning by logging.

    Parameters
    ----------
    path : str or path-like
        The journal. One that does not exist has no records.

    Returns
    -------
    records : list of dict
        In the order in which they were written.
    """
    records = []
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_hook=_revived)
            if not isinstance(record, dict):
                raise ValueError("it is not a record")
        except ValueError as error:
            logger.warning("line %d of %s is not whole and is left out: %s", number, path, error)
        else:
            records.append(record)
    return records


def latest(records: Iterable[Mapping[str, Any]], key: str = "in_name") -> dict[Any, Any]:
    """Return the last record for each input.

    Parameters
    ----------
    records : iterable of mapping
        Records in the order in which they were written; those without `key` are left out.
    key : str, optional
        The entry that names the input. A list of names becomes a tuple.

    Returns
    -------
    last : dict
        From the input's name to its last record, in the order of first appearance.
    """
    return {_hashable(record[key]): record for record in records if key in record}


def _hashable(name: Any) -> Any:
    """Return (nested) lists as tuples."""
    return tuple(map(_hashable, name)) if isinstance(name, list | tuple) else name


def _ends_torn(fd: int) -> bool:
    """Tell whether the last byte of a file is something else than the end of a line."""
    size = os.fstat(fd).st_size
    return size > 0 and os.pread(fd, 1, size - 1) != b"\n"


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # Known by what they offer, not by their class: importing numpy or astropy is not for us.
    if getattr(value, "unit", None) is not None and hasattr(value, "value"):
        return {"value": _plain(value.value), "unit": str(value.unit)}
    if callable(getattr(value, "tolist", None)):
        listed = value.tolist()
        return _plain(listed) if isinstance(listed, list) else _number_or_text(listed)
    return _number_or_text(value)


def _number_or_text(value: Any) -> Any:
    """Return numbers, booleans and None as they are, anything else as text."""
    return value if value is None or isinstance(value, int | float) else str(value)


def _revived(item: dict[str, Any]) -> Any:
    """Return what was kept as value and unit as the Quantity that it was."""
    if item.keys() != {"value", "unit"} or not isinstance(item["unit"], str):
        return item
    try:
        # Only a program that had astropy can have written this, so it is there.
        from astropy.units import Quantity

        return Quantity(item["value"], item["unit"])
    except (ImportError, TypeError, ValueError):
        return item

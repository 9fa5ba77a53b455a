"""The file that `cached_pout` keeps: a table, and what it was made from."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from .control import step_name
from .files import leaves
from .journal import _plain, _revived
from .outcome import Outcome
from .table import pout_to_table, write_table

logger = logging.getLogger(__name__)

_KEY = "cached_pout"
_ATTRIBUTES = ("in_name", "status", "step", "message", "traceback", "worker", "warnings")
_NUMBERS = ("seconds", "peak_memory")


def write(
    path: str | os.PathLike[str],
    pout: Any,
    pipe_code: Callable[..., Any],
    keywords: Mapping[str, Any],
) -> None:
    """Write a pout or a table, and what it was made from, whole or not at all."""
    is_table = hasattr(pout, "colnames")
    table = pout.copy() if is_table else pout_to_table(pout)
    names = [leaf for name in table["in_name"] for leaf in str(name).split(", ")]
    made_from = {
        "fingerprint": fingerprint(pipe_code, keywords),
        "inputs": {name: _state(name) for name in names},
        "is_table": is_table,
    }
    table.meta[_KEY] = json.dumps(made_from)
    if not is_table:
        table["pout_json"] = [json.dumps(_record(pair)) for pair in pout]
    write_table(table, path)


def read(
    path: str | os.PathLike[str], pipe_code: Callable[..., Any], keywords: Mapping[str, Any]
) -> Any:
    """Return what `write` kept, or `None` when it cannot be used."""
    from astropy.table import QTable

    try:
        table = QTable.read(path, format="ascii.ecsv")
        made_from = json.loads(table.meta.pop(_KEY))
    except FileNotFoundError:
        return None
    except Exception as error:
        logger.warning("%s is not a cached pout and is made again: %s", path, error)
        return None
    if made_from["fingerprint"] != fingerprint(pipe_code, keywords):
        logger.info("%s is made again: the keywords changed", path)
        return None
    changed = [name for name, state in made_from["inputs"].items() if state != _state(name)]
    if changed:
        logger.info("%s is made again: %s changed", path, ", ".join(changed[:5]))
        return None
    if made_from["is_table"]:
        return table
    return [_outcome(json.loads(text, object_hook=_revived)) for text in table["pout_json"]]


def fingerprint(pipe_code: Callable[..., Any], keywords: Mapping[str, Any]) -> str:
    """Return a hash of what a pipeline is called with, the same from run to run."""
    told = [step_name(pipe_code), *(f"{key}={_told(keywords[key])}" for key in sorted(keywords))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _told(value: Any) -> str:
    """Return a text that tells a value from any other, without addresses in memory."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_told(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_told, value)) + "]"
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{step_name(value)}"
    if hasattr(value, "tobytes"):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return re.sub(r" at 0x[0-9a-f]+", "", f"{type(value).__name__} {value!r}")


def _state(name: str) -> list[int] | None:
    """Return size and time of a file, or `None` where there is none."""
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _record(pair: Any) -> Any:
    """Return an outcome, or a bare pair, as JSON can hold it."""
    outcome = pair if isinstance(pair, Outcome) else Outcome(*pair)
    told = {name: getattr(outcome, name) for name in _ATTRIBUTES + _NUMBERS}
    told["in_name"] = _names(outcome.in_name)
    return _plain({"outname": outcome.outname, "meta": outcome.meta, **told})


def _names(in_name: Any) -> Any:
    """Return the names of an input as text, nested as they are."""
    if isinstance(in_name, list | tuple):
        return [_names(name) for name in in_name]
    return None if in_name is None else next(leaves(in_name))


def _outcome(record: dict[str, Any]) -> Outcome:
    """Return the outcome that `_record` told of."""
    return Outcome(record.pop("outname"), record.pop("meta"), **record)

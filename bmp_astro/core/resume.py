"""What a run keeps of its outcomes, and what need not be made as an earlier run has made it."""

import functools
import importlib.metadata
import logging
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from .control import of_file
from .files import leaves
from .identity import Unidentifiable, file_digest, identity
from .journal import Journal, latest, read_journal
from .outcome import Outcome
from .settings import Settings

logger = logging.getLogger(__name__)

JOURNAL_NAME = ".bmp_astro.jsonl"
_NO_MATTER = frozenset({"create_outdir", "overwrite", "atomic", "file_keywords"})
_ENGINE = frozenset(
    {
        "num_processes",
        "mem_available",
        "mem_frac",
        "process_size",
        "PoolClass",
        "executor",
        "on_error",
        "progress",
        "further_settings",
        "create_outdir",
        "overwrite",
        "atomic",
        "kwargs",
        "file_keywords",
    }
)


class Keeper:
    """Keeps outcomes in a journal, and knows what need not be made.

    Parameters
    ----------
    pipe : BigMultiPipe
        The pipe.
    merged : dict
        The control stream.
    settings : Settings
        The settings of the run.
    """

    def __init__(self, pipe: Any, merged: dict[str, Any], settings: Settings) -> None:
        self._overwrite = merged["overwrite"]
        path = settings.journal
        if path is None and settings.resume:
            outdir = merged["outdir"]
            path = os.path.join(os.curdir if outdir is None else outdir, JOURNAL_NAME)
        self._provenance = None if path is None else Provenance(pipe, merged, settings.verify)
        self._resumption = None
        if settings.resume and path is not None and self._provenance is not None:
            self._resumption = Resumption(path, self._provenance)
        self._journal = None if path is None else Journal(path)
        self._unwritten: deque[dict[str, Any]] = deque()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._journal is None:
            return
        self._write_down(self._journal)
        if self._unwritten:
            names = ", ".join(record["in_name"] for record in self._unwritten)
            logger.error(
                "the journal %s lacks %d rows, as the disk took no more; a run that resumes makes "
                "these again: %s",
                self._journal.path,
                len(self._unwritten),
                names,
            )
        self._journal.close()

    def known(self, in_name: Any, foretold: str | None) -> Outcome | None:
        """Return the outcome of an input that need not be run."""
        if self._overwrite:
            return None
        if self._resumption is not None:
            return self._resumption.find(in_name)
        if foretold is not None and os.path.lexists(foretold):
            message = f"{foretold} exists: give overwrite=True to replace it"
            return Outcome(foretold, in_name=in_name, status="skipped", message=message)
        return None

    def keep(self, outcome: Outcome) -> None:
        """Append an outcome to the journal; one that a full disk does not take waits for room."""
        if self._journal is None or outcome.status == "not_run":
            return
        self._unwritten.append(journal_record(outcome, self._provenance))
        self._write_down(self._journal)

    def _write_down(self, journal: Journal) -> None:
        """Append what is not in the journal yet, in its order."""
        try:
            while self._unwritten:
                journal.append(self._unwritten[0])
                self._unwritten.popleft()
        except OSError as error:
            if len(self._unwritten) == 1:  # said once, not for each that waits behind it
                logger.warning("rows wait for room in the journal %s: %s", journal.path, error)


class Provenance:
    """What each output of a run is made from.

    Parameters
    ----------
    pipe : BigMultiPipe
        The pipe; its ``file_identity(path)``, if it has one, tells the content of a file named in
        the control stream from any other.
    control : mapping
        The control stream, merged.
    verify : bool
        Tell inputs and outputs by their content, not by size and time alone.
    """

    def __init__(self, pipe: Any, control: Mapping[str, Any], verify: bool) -> None:
        self._verify = verify
        told = getattr(pipe, "file_identity", file_digest)
        self._by_content = by_content = functools.lru_cache(maxsize=None)(told)
        self._file_keywords = control.get("file_keywords", pipe.file_keywords)
        own = {key: value for key, value in vars(pipe).items() if key not in _ENGINE}
        steers = {key: value for key, value in control.items() if key not in _NO_MATTER}
        if steers.get("outdir") is not None:
            steers["outdir"] = os.path.realpath(steers["outdir"])
        self.shared: str | None
        try:
            self.shared = identity([type(pipe), own, steers, _version()], by_content)
        except (Unidentifiable, OSError) as error:
            logger.warning("everything is made anew, as not all steps can be told: %s", error)
            self.shared = None

    def of(self, in_name: Any) -> dict[str, Any] | None:
        """Return what an input's output is made from, or `None` when that cannot be told."""
        if self.shared is None:
            return None
        try:
            files = [self._state(leaf) for leaf in leaves(in_name)]
            own = identity(of_file(self._file_keywords, in_name), self._by_content)
        except (Unidentifiable, OSError):
            return None
        return {"shared": self.shared, "own": own, "inputs": files}

    def of_output(self, outname: str | None) -> list[Any] | None:
        """Return what tells an output from one that was changed since."""
        return None if outname is None else self._state(outname, timed=False)

    def _state(self, path: str, timed: bool = True) -> list[Any]:
        """Return size, time and, when verifying, content of a file."""
        found = os.stat(path)
        content = file_digest(path) if self._verify and os.path.isfile(path) else None
        return [found.st_size, found.st_mtime_ns if timed else None, content]


class Resumption:
    """Finds what an earlier run has made and need not be made again.

    Parameters
    ----------
    path : str or path
        The journal of the earlier runs.
    provenance : Provenance
        What things would be made from now.
    """

    def __init__(self, path: str | os.PathLike[str], provenance: Provenance) -> None:
        self._provenance = provenance
        self._records = latest(read_journal(path), key="key")

    def find(self, in_name: Any) -> Outcome | None:
        """Return the recorded outcome of an input as "skipped", or `None` to make it again."""
        record = self._records.get(input_key(in_name))
        if record is None or record.get("status") not in ("done", "skipped"):
            return None
        made_from = self._provenance.of(in_name)
        if made_from is None or not _same(record.get("made_from"), made_from):
            return None
        outname = record.get("outname")
        try:
            now = self._provenance.of_output(outname)
        except OSError:
            return None
        if not _same_state(record.get("output"), now):
            return None
        return Outcome(
            outname,
            record["meta"],
            in_name=in_name,
            status="skipped",
            message="it was made already",
            warnings=record.get("warnings", ()),
        )


def journal_record(outcome: Outcome, provenance: Provenance | None) -> dict[str, Any]:
    """Return an outcome as a line of the journal, with what it was made from."""
    record: dict[str, Any] = {"key": input_key(outcome.in_name), **vars(outcome)}
    record["in_name"] = ", ".join(leaves(outcome.in_name))
    record |= {"outname": outcome.outname, "meta": outcome.meta}
    if provenance is not None and outcome.status in ("done", "skipped"):
        try:
            record["output"] = provenance.of_output(outcome.outname)
            record["made_from"] = provenance.of(outcome.in_name)
        except OSError as error:
            logger.debug("%s cannot be resumed: %s", outcome.in_name, error)
    return record


def input_key(in_name: Any) -> str:
    """Return what an input is found by in a journal, wherever a run was started."""
    return "\n".join(os.path.abspath(leaf) for leaf in leaves(in_name))


def _same(recorded: Any, now: dict[str, Any]) -> bool:
    """Tell whether a recorded provenance is the present one."""
    if not isinstance(recorded, dict):
        return False
    if any(recorded.get(key) != now[key] for key in ("shared", "own")):
        return False
    before = recorded.get("inputs", [])
    return len(before) == len(now["inputs"]) and all(
        _same_state(old, new) for old, new in zip(before, now["inputs"], strict=True)
    )


def _same_state(recorded: Any, now: list[Any] | None) -> bool:
    """Tell whether a file is as recorded; content counts where it is asked for now."""
    if recorded is None or now is None:
        return recorded is None and now is None
    if now[2] is None:
        return bool(recorded[:2] == now[:2])
    return bool(recorded[0] == now[0] and recorded[2] == now[2])


@functools.cache
def _version() -> str:
    return importlib.metadata.version("bmp_astro")

"""What a run keeps of its outcomes, and what it need not make because it is there."""

import logging
import os
from typing import Any

from .journal import Journal
from .outcome import Outcome
from .resume import JOURNAL_NAME, Provenance, Resumption, journal_record
from .settings import Settings

logger = logging.getLogger(__name__)


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

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._journal is not None:
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
        """Append an outcome to the journal."""
        if self._journal is None or outcome.status == "not_run":
            return
        try:
            self._journal.append(journal_record(outcome, self._provenance))
        except OSError as error:
            logger.error("%s cannot be entered in the journal: %s", outcome.in_name, error)

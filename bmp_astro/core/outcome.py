"""One outcome for each input: the pair ``(outname, meta)`` and what is known besides."""

from collections.abc import Iterable, Sequence
from typing import Any

STATUSES = ("done", "rejected", "failed", "skipped", "not_run")


class Outcome(tuple[str | None, dict[str, Any]]):
    """What became of one input: a pair ``(outname, meta)`` that knows more.

    Parameters
    ----------
    outname : str or None
        The file written, or `None`.
    meta : dict
        The metadata.
    in_name : str, path or (nested) list of them
        The input.
    status : str
        "done", "rejected" (a step said no), "failed" (an error), "skipped" (it was there already)
        or "not_run" (the run was stopped first).
    step : str
        The step that rejected the input or failed.
    message : str
        Why.
    traceback : str
        The traceback of an error, as text.
    seconds : float or None
        How long it took.
    peak_memory : int or None
        The most memory that the task held, in bytes, where a worker process could tell.
    worker : str
        Host and process id of the worker.
    warnings : tuple of str
        What the task logged at WARNING and above.

    Examples
    --------
    >>> outcome = Outcome("a_bmp.fits", {"median": 3.0}, in_name="a.fits", status="done")
    >>> outname, meta = outcome
    >>> outname, meta["median"], outcome.status
    ('a_bmp.fits', 3.0, 'done')
    """

    in_name: Any
    status: str
    step: str
    message: str
    traceback: str
    seconds: float | None
    peak_memory: int | None
    worker: str
    warnings: tuple[str, ...]

    def __new__(  # noqa: D102 - the class says it
        cls,
        outname: str | None = None,
        meta: dict[str, Any] | None = None,
        *,
        in_name: Any = None,
        status: str = "done",
        step: str = "",
        message: str = "",
        traceback: str = "",
        seconds: float | None = None,
        peak_memory: int | None = None,
        worker: str = "",
        warnings: Iterable[str] = (),
    ) -> "Outcome":
        if status not in STATUSES:
            raise ValueError(f"status is {status!r}: expected one of {', '.join(STATUSES)}")
        pair = (outname, {} if meta is None else meta)
        self = super().__new__(cls, pair)
        self.in_name = in_name
        self.status = status
        self.step = step
        self.message = message
        self.traceback = traceback
        self.seconds = seconds
        self.peak_memory = peak_memory
        self.worker = worker
        self.warnings = tuple(warnings)
        return self

    def __getnewargs__(self) -> tuple[str | None, dict[str, Any]]:
        return (self.outname, self.meta)

    @property
    def outname(self) -> str | None:
        """The file written, or `None`."""
        return self[0]

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata."""
        return self[1]


class Rejected(Exception):
    """Raised by a step to reject the file, with the reason.

    Examples
    --------
    >>> def needs_stars(data, n_stars=0, **kwargs):
    ...     if n_stars == 0:
    ...         raise Rejected("the dome was closed")
    ...     return data
    """


class PipelineError(RuntimeError):
    """Some inputs failed.

    Parameters
    ----------
    message : str
        Which inputs, and why.
    pout : sequence of `Outcome`
        One outcome for each input.
    """

    def __init__(self, message: str, pout: Sequence[Outcome] = ()) -> None:
        super().__init__(message, pout)
        self.pout = pout

    def __str__(self) -> str:
        return str(self.args[0])


class PipelineInterrupted(KeyboardInterrupt):
    """The run was stopped by Ctrl-C or SIGTERM before every input was done.

    Parameters
    ----------
    message : str
        How far it came.
    pout : sequence of `Outcome`
        One outcome for each input; ``status`` is "not_run" for those that were not reached.
    """

    def __init__(self, message: str, pout: Sequence[Outcome] = ()) -> None:
        super().__init__(message, pout)
        self.pout = pout

    def __str__(self) -> str:
        return str(self.args[0])


def failure_message(outcomes: Sequence[Outcome]) -> str:
    """Say which inputs failed, and why, naming at most five."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    lines = [f"{len(failed)} of {len(outcomes)} inputs failed"]
    for outcome in failed[:5]:
        where = f" (in {outcome.step})" if outcome.step else ""
        lines.append(f"{outcome.in_name}{where}: {outcome.message}")
    if len(failed) > 5:
        lines.append(f"... and {len(failed) - 5} more")
    return "\n  ".join(lines)


def prune_pout(pout: Any, in_names: Sequence[Any] | None = None) -> Any:
    """Remove the rows that have neither an output name nor metadata.

    Parameters
    ----------
    pout : list of (outname, meta), or astropy Table
        What `BigMultiPipe.pipeline` returned, or the table that `CCDMultiPipe.pipeline` returns.
    in_names : list, optional
        The inputs, one for each pair. Not used with a table, which has them in a column.

    Returns
    -------
    (pruned_pout, pruned_in_names) : tuple of lists
        The same without those pairs that are ``(None, {})``; for a table, the table without the
        rows that are masked in ``outname`` and in every metadata column.

    Examples
    --------
    >>> prune_pout([("a_bmp", {}), (None, {}), (None, {"n": 1})], ["a", "b", "c"])
    ([('a_bmp', {}), (None, {'n': 1})], ['a', 'c'])
    """
    if hasattr(pout, "colnames"):
        from .table import prune_table

        return prune_table(pout)
    if in_names is None:
        in_names = [outcome.in_name for outcome in pout]
    if len(pout) != len(in_names):
        raise ValueError(
            f"pout has {len(pout)} entries but there are {len(in_names)} in_names: give the list "
            "that pipeline() was called with"
        )
    kept = [
        (pair, name)
        for pair, name in zip(pout, in_names, strict=True)
        if pair[0] is not None or len(pair[1]) > 0
    ]
    return [pair for pair, _ in kept], [name for _, name in kept]

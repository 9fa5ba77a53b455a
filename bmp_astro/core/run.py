"""One run of a pipe over its inputs: prepared, carried out, and put away."""

import logging
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from .context import capturing_logs
from .control import overridden_methods, report_unknown
from .executors import Engine, choose_engine
from .files import leaves
from .helpers import assure_list
from .naming import Foreteller, NameBook
from .outcome import Outcome, PipelineError, failure_message
from .scheduler import Scheduler, Task
from .settings import Settings
from .shipping import Shipped, ship
from .task import Job, here, run_task

logger = logging.getLogger(__name__)


def collect(pipe: Any, in_names: Any, settings: Settings, control: dict[str, Any]) -> list[Outcome]:
    """Run a pipe and return one outcome for each input, in their order; see `BigMultiPipe`."""
    run = Run(pipe, in_names, settings, control)
    by_index: dict[int, Outcome] = {}
    for task, outcome in run.outcomes():
        by_index[task.index] = outcome
    pout = [by_index[index] for index in sorted(by_index)]
    run.raise_failure(pout)
    return pout


def stream(
    pipe: Any, in_names: Any, settings: Settings, control: dict[str, Any]
) -> Iterator[Outcome]:
    """Run a pipe and yield each outcome as it comes; see `BigMultiPipe`."""
    run = Run(pipe, in_names, settings, control)

    def outcomes() -> Iterator[Outcome]:
        failed = []
        for _, outcome in run.outcomes():
            if outcome.status == "failed":
                failed.append(outcome)
            yield outcome
        run.raise_failure(failed)

    return outcomes()


class Run:
    """One run: everything that can be refused is refused when it is made.

    Parameters
    ----------
    pipe : BigMultiPipe
        The pipe.
    in_names : iterable
        The inputs.
    settings : Settings
        How the run is carried out.
    control : dict
        The control stream given to `BigMultiPipe.pipeline`.
    """

    def __init__(
        self, pipe: Any, in_names: Any, settings: Settings, control: dict[str, Any]
    ) -> None:
        self.pipe = pipe
        self.settings = settings
        self.control = control
        self.merged = pipe.kwargs_merge(**control)
        self.names, self.n_inputs = _inputs(in_names)
        self.steps = [
            *pipe.pre_process_list,
            *pipe.post_process_list,
            *assure_list(control.get("pre_process_list")),
            *assure_list(control.get("post_process_list")),
        ]
        self.book = NameBook()
        self.foretell = Foreteller(pipe, control)
        self._first_error: bytes | None = None
        if self.n_inputs is not None:
            self.names = list(self.names)
            self._foretold = [self._enter(name) for name in self.names]
        given = {**pipe.kwargs, **control}
        report_unknown(given, [*self.steps, *pipe.control_functions()])

    def _enter(self, in_name: Any) -> str | None:
        """Note an input and its foretold output; raise when they cannot be."""
        outname = self.foretell(in_name)
        self.book.add(in_name, outname)
        return outname

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        """Carry the run out, yielding each task with its outcome."""
        if self.n_inputs == 0:
            return
        with ExitStack() as stack:
            stack.enter_context(capturing_logs())
            folder = tempfile.mkdtemp(prefix="bmp_astro-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            functions = [*self.steps, *overridden_methods(type(self.pipe))]
            engine = choose_engine(self.settings, functions, self.n_inputs)
            stack.callback(engine.close)
            job = self._job(engine, folder)
            scheduler = Scheduler(
                self._tasks(),
                engine,
                lambda task: engine.submit(run_task, job, task.in_name),
                retries=self.settings.retries,
                stop_on_failure=self.settings.on_error == "raise",
            )
            advance = stack.enter_context(_Progress(self.settings.progress, self.n_inputs)).advance
            for task, outcome in scheduler.outcomes():
                advance()
                if self._first_error is None:
                    self._first_error = task.error
                yield task, outcome
            if self.n_inputs is not None:
                for task in self._rest:
                    yield task, Outcome(in_name=task.in_name, status="not_run")

    def _job(self, engine: Engine, folder: str) -> Job | Shipped:
        """Return what all tasks share, in the form that they get it."""
        job = Job(
            self.pipe,
            self.control,
            protected=self.book.inputs,
            home=here(),
            log_level=logging.getLogger().getEffectiveLevel(),
        )
        if engine.in_process:
            return job
        return ship(job, folder, [*type(self.pipe).__mro__, *self.steps])

    def _tasks(self) -> Iterator[Task]:
        """Yield a task for each input; a generator's inputs are entered as they are drawn."""
        self._rest = self._all_tasks()
        return self._rest

    def _all_tasks(self) -> Iterator[Task]:
        for index, in_name in enumerate(self.names):
            task = Task(index, in_name)
            try:
                foretold = self._enter(in_name) if self.n_inputs is None else self._foretold[index]
            except ValueError as error:
                task.outcome = Outcome(in_name=in_name, status="failed", message=str(error))
                yield task
                continue
            if foretold is not None and not self.merged["overwrite"] and os.path.lexists(foretold):
                message = f"{foretold} exists: give overwrite=True to replace it"
                task.outcome = Outcome(
                    foretold, {}, in_name=in_name, status="skipped", message=message
                )
            else:
                task.size = estimated_size(in_name, self.settings.process_size)
            yield task

    def raise_failure(self, pout: list[Outcome]) -> None:
        """Raise what has to be raised at the end of a run."""
        failed = any(outcome.status == "failed" for outcome in pout)
        if failed and self.settings.on_error == "raise":
            raise PipelineError(failure_message(pout), pout) from _revived(self._first_error)


def _inputs(in_names: Any) -> tuple[Any, int | None]:
    """Return the inputs and, unless they are drawn one by one, their number."""
    if isinstance(in_names, str | os.PathLike):
        raise TypeError(f"in_names is the single name {in_names!r}: give a list of names")
    if hasattr(in_names, "__len__"):
        names = list(in_names)
        return names, len(names)
    return iter(in_names), None


def estimated_size(in_name: Any, process_size: Any) -> float:
    """Return the bytes that an input is thought to need; those of a list add up.

    Parameters
    ----------
    in_name : str, path or (nested) list of them
        The input.
    process_size : float, callable or None
        Bytes for one file, or a function of its name.

    Returns
    -------
    float
        0 when nothing is known, also when the function fails: then the task itself will say why.
    """
    if process_size is None:
        return 0.0
    if not callable(process_size):
        return float(process_size) * sum(1 for _ in leaves(in_name))
    try:
        return float(sum(process_size(leaf) for leaf in leaves(in_name)))
    except Exception as error:
        logger.debug("the size of %s cannot be estimated: %s", in_name, error)
        return 0.0


def _revived(error: bytes | None) -> BaseException | None:
    """Return an exception from a worker, if it can be had."""
    if error is None:
        return None
    try:
        revived = pickle.loads(error)
    except Exception:
        return None
    return revived if isinstance(revived, BaseException) else None


class _Progress:
    """A progress bar, or nothing."""

    def __init__(self, wanted: bool | None, total: int | None) -> None:
        self._wanted = sys.stderr.isatty() if wanted is None else wanted
        self._total = total
        self._bar: Any = None

    def __enter__(self) -> "_Progress":
        if self._wanted:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self._total, unit="file")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """Count one input."""
        if self._bar is not None:
            self._bar.update()

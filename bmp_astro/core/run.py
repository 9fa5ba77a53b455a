"""One run of a pipe over its inputs: prepared, carried out, and put away."""

import logging
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from .admission import Task
from .atomic import ABANDONED, new_owner, sweep
from .context import capturing_logs, current_task
from .control import overridden_methods, report_unknown
from .executors import Engine, choose_engine
from .filepipe import all_steps
from .files import leaves
from .locks import locked, scratch
from .machine.brake import memory_is_short
from .machine.disk import refuse_without_room
from .machine.resources import available_cores
from .machine.threads import limited_call, limited_here
from .naming import Foreteller, NameBook
from .outcome import Outcome, PipelineError, PipelineInterrupted, failure_message
from .progress import Progress
from .resume import Keeper
from .scheduler import Policy, Scheduler
from .settings import Settings
from .shipping import Shipped, inline, ship
from .signals import OrderlyStop
from .task import Job, StopNow, here, run_task

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
        self.steps = all_steps(pipe, control)
        self.book = NameBook()
        self.foretell = Foreteller(pipe, control)
        self.interrupted = False
        self._owner = new_owner()
        self._first_error: bytes | None = None
        self._foretold = (
            None if self.n_inputs is None else [self._enter(name) for name in self.names]
        )
        if self._foretold is not None:
            names = zip(self.names, self._foretold, strict=True)
            refuse_without_room(self.merged["outdir"], names, settings.output_size)
        single = self.foretell.file_keywords
        of_files = [] if single is None else [key for own in single.values() for key in own]
        keywords = dict.fromkeys([*pipe.kwargs, *control, *of_files])
        report_unknown(keywords, [*self.steps, *pipe.control_functions()])

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
            functions = [*self.steps, *overridden_methods(type(self.pipe))]
            engine = choose_engine(self.settings, functions, self.n_inputs, self._worker_size())
            stack.callback(engine.close)
            run_one: Callable[..., Any] = run_task
            if engine.in_process and engine.window > 1:
                threads = max(available_cores() // engine.window, 1)
                stack.enter_context(limited_here(threads))
                run_one = partial(limited_call, threads, run_task)
            folder = stack.enter_context(scratch())
            self._take_outdir(stack)
            keeper = stack.enter_context(Keeper(self.pipe, self.merged, self.settings))
            carrier = Carrier(self._job(folder), engine, run_one, folder, self._parts())
            self._tasks_left = self._tasks(keeper)
            scheduler = Scheduler(
                self._tasks_left, engine, carrier.submit, _policy(self.settings), carrier.resend
            )
            stack.enter_context(OrderlyStop(_stopper(scheduler, engine)))
            advance = stack.enter_context(Progress(self.settings.progress, self.n_inputs)).advance
            for task, outcome in scheduler.outcomes():
                keeper.keep(outcome)
                advance()
                if self._first_error is None:
                    self._first_error = task.error
                yield task, outcome
            self.interrupted = scheduler.interrupted
            yield from self._not_run(scheduler)

    def _worker_size(self) -> float:
        """Return the bytes that stay in each worker, as far as they can be told."""
        size = self.settings.worker_size
        if not callable(size):
            return 0.0 if size is None else float(size)
        control = {**self.merged, "file_keywords": self.foretell.file_keywords}
        try:
            return float(size(control))
        except Exception as error:
            logger.debug("what stays in a worker cannot be estimated: %s", error)
            return 0.0

    def _take_outdir(self, stack: ExitStack) -> None:
        """Lock the output directory, and sweep what dead runs and dead workers leave."""
        outdir = self.merged["outdir"]
        if outdir is not None and self.merged["create_outdir"]:
            os.makedirs(outdir, exist_ok=True)
        if outdir is not None and os.path.isdir(outdir) and stack.enter_context(locked(outdir)):
            sweep(outdir)
            stack.callback(sweep, outdir)
        # Where there is no lock other runs may write too, and theirs must stay.
        for folder in self.book.directories:
            sweep(folder, idle=ABANDONED)
        stack.callback(self._sweep_own)

    def _sweep_own(self) -> None:
        """Remove what workers of this run that died left beside their outputs."""
        for folder in self.book.directories:
            sweep(folder, owner=self._owner)

    def _not_run(self, scheduler: Scheduler) -> Iterator[tuple[Task, Outcome]]:
        """Yield the inputs that were never drawn, where there is an end to them."""
        if self.n_inputs is not None:
            for task in self._tasks_left:
                known = task.outcome
                yield task, scheduler.not_run(task) if known is None else known

    def _parts(self) -> list[Any]:
        """Return what may come from modules that a worker cannot import."""
        values = [*self.pipe.kwargs.values(), *self.control.values()]
        return [*type(self.pipe).__mro__, *self.steps, *filter(callable, values)]

    def _job(self, folder: str) -> Job:
        """Return what all tasks share."""
        control = {**self.control, "overwrite": True} if self.settings.resume else self.control
        claims = None
        if not self.foretell.able:  # names that can be foretold are compared here, once
            claims = os.path.join(folder, "claims")
            os.mkdir(claims)
        return Job(
            self.pipe,
            control,
            protected=self.book.inputs,
            claims=claims,
            home=here(),
            log_level=logging.getLogger().getEffectiveLevel(),
            owner=self._owner,
        )

    def _tasks(self, keeper: Keeper) -> Iterator[Task]:
        """Yield a task for each input; a generator's inputs are entered as they are drawn."""
        for index, in_name in enumerate(self.names):
            task = Task(index, in_name)
            try:
                foretold = self._enter(in_name) if self._foretold is None else self._foretold[index]
            except ValueError as error:
                task.outcome = Outcome(in_name=in_name, status="failed", message=str(error))
            else:
                task.outcome = keeper.known(in_name, foretold)
                if task.outcome is None:
                    task.size = estimated_size(in_name, self.settings.process_size)
            yield task

    def raise_failure(self, pout: list[Outcome]) -> None:
        """Raise what has to be raised at the end of a run."""
        if self.interrupted:
            done = sum(outcome.status != "not_run" for outcome in pout)
            raise PipelineInterrupted(f"the run was stopped after {done} of {len(pout)}", pout)
        failed = any(outcome.status == "failed" for outcome in pout)
        if failed and self.settings.on_error == "raise":
            raise PipelineError(failure_message(pout), pout) from _revived(self._first_error)


class Carrier:
    """Hands tasks to an engine, with what they share in the form that it needs.

    Parameters
    ----------
    job : Job
        What all tasks share.
    engine : Engine
        Where they run.
    run_one : callable
        `run_task`, or what calls it in a setting of its own.
    folder : str
        Where control data for workers may be kept.
    parts : list
        Classes and functions whose modules a worker may not have.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        run_one: Callable[..., Any],
        folder: str,
        parts: list[Any],
    ) -> None:
        self._engine = engine
        self._started = time.time()
        self._shared = job if engine.in_process else ship(job, folder, parts)
        self._run_one = run_one

    def submit(self, task: Task) -> Any:
        """Submit a task; return its future."""
        again = task.attempts > 0 or task.alone or self._engine.reruns
        since = self._started if again else None
        return self._engine.submit(self._run_one, self._shared, task.in_name, since)

    def resend(self) -> None:
        """From now on send the control data with each task."""
        if isinstance(self._shared, Shipped):
            self._shared = inline(self._shared)


def _policy(settings: Settings) -> Policy:
    """Return what the scheduler does when something goes wrong."""
    return Policy(
        retries=settings.retries,
        stop_on_failure=settings.on_error == "raise",
        grace=settings.grace,
        memory_is_short=memory_is_short,
    )


def _stopper(scheduler: Scheduler, engine: Engine) -> Callable[[int], None]:
    """Return what Ctrl-C and SIGTERM do during a run; it runs within the signal handler."""

    def stop(level: int) -> None:
        scheduler.request_stop(level)
        if level > 1 and engine.in_process and current_task() is not None:
            raise StopNow  # the task runs right here

    return stop


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

"""The reduction of a night: masters are built, lights calibrated, every file accounted for."""

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from astropy.table import QTable, Row, Table

from ..ccdmultipipe import CalibrationPipe
from ..core import Outcome, PipelineInterrupted
from ..core.filepipe import step_list
from ..core.locks import locked
from ..core.resume import JOURNAL_NAME
from ..core.table import write_table
from .checks import PerKind, check_apart, check_kinds, check_run, check_usable, with_guesses
from .dates import Age, MaxAge
from .inventory import Frame, Raw, Spec, survey
from .lights import chosen_steps, reduce_lights
from .log import LOG_NAME, night_log
from .masters import build_masters, light_keywords, master_keywords
from .nights import Longitude, nights_of
from .plan import KINDS, NOT_IN_PLAN, NOT_SELECTED, REQUIRED, Masters, Select, make_plan
from .planfile import read_plan
from .rows import failed, night_table, rejected, summary
from .sky import chosen_sky

logger = logging.getLogger(__name__)

QUANTIZE = 16.0


def reduce_night(
    raw: Raw,
    outdir: str | os.PathLike,
    *,
    instrument: Spec = None,
    pipe: type[CalibrationPipe] = CalibrationPipe,
    masters: Masters | None = None,
    plan: str | os.PathLike | Table | None = None,
    select: Select | None = None,
    require: Collection[str] = REQUIRED,
    use: Mapping[str, str | os.PathLike] | None = None,
    max_age: MaxAge = None,
    classification: str = "warn",
    split_nights: bool = False,
    longitude: Longitude = None,
    combine: PerKind | None = None,
    gates: PerKind | None = None,
    executor: Any = "auto",
    num_processes: float | None = None,
    mem_available: float | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool | None = None,
    compress: bool = False,
    extra_steps: Collection[str] = (),
    sky: str | None = None,
    n_sky: int = 8,
    sky_span: Age = "1 h",
    **kwargs: Any,
) -> QTable:
    """Reduce a night, or several: masters are built, lights calibrated, every file accounted for.

    Parameters
    ----------
    raw : str, path or iterable of them
        Directories of raw frames (with their subdirectories), and raw frames. Nothing in them is
        changed. Each of several directories with lights is a night.
    outdir : str or path
        Where the products go: ``masters/*.fits``, ``lights/<stem>_reduced.fits``, ``night.ecsv``
        (the returned table), ``plan.ecsv`` and ``bmp_astro.log``. Made if it does not exist; it
        may be inside ``raw``, where it is not looked into. Of several nights each has a directory
        in it, with masters, lights and a ``night.ecsv`` of its own.
    instrument : Instrument or str, optional
        The camera: an `~bmp_astro.Instrument`, the name of a built-in one or a TOML file. By
        default the pipe's own, and else each header chooses.
    pipe : type
        The `~bmp_astro.CalibrationPipe` that reduces the lights, or a subclass of it.
    masters : path or iterable of paths, optional
        Existing masters, or directories of them, for what the night itself cannot provide.
    plan : path or `~astropy.table.Table`, optional
        What `plan_night` returned or ``plan.ecsv`` holds, edited or not; by default a new plan.
    select : callable or mapping, optional
        Which light frames to reduce; see `plan_night`.
    require : collection of str
        The kinds of master without which a light frame is not reduced.
    use : mapping of str to path, optional
        Masters that all lights are to use whatever their facts: ``{"dark": "dark.fits"}``.
    max_age : `~astropy.units.Quantity`, str or mapping, optional
        How far in time a master may be from what it is used for: ``"2 d"`` for all kinds, or a
        limit for some of them: ``{"bias": "12 h", "flat": "30 d"}``.
    classification : {"strict", "warn", "trust"}
        What to do with a frame that does not look like what it is said to be (a light that is a
        flat, a bias with light in it, a dark with stars): refuse it, raise an alarm, or do not
        look. ``"trust"`` also takes frames whose header says that they were calibrated already.
    split_nights : bool
        Divide the frames into nights from local noon to noon.
    longitude : float or `~astropy.units.Quantity`, optional
        Of the site, degrees to the east; by default what the headers say, else nights are told by
        gaps of more than 6 hours.
    combine : mapping, optional
        Keywords of `~bmp_astro.combine` for each kind of master, over the defaults:
        ``{"bias": {"method": "median"}}``; those of ``"sky"`` see `~bmp_astro.masters.make_sky`.
    gates : mapping, optional
        Limits of what goes into a master, for each kind (see `~bmp_astro.masters.Limits`):
        ``{"flat": {"max_flat_level": 0.8}}``.
    executor : str, Executor or callable
        ``"auto"``: threads when all steps are the package's own, else processes. For others see
        `~bmp_astro.core.BigMultiPipe`.
    num_processes : int or float, optional
        How many files at a time; by default as many as cores and memory allow.
    mem_available : float, optional
        Bytes that the run may take; by default what the machine has.
    resume : bool
        Keep what an earlier run into ``outdir`` made from the same things.
    overwrite : bool
        Make every product again.
    progress : bool, optional
        Show a progress bar; None shows one on a terminal only.
    compress : bool
        Write the lights tile-compressed, as ``.fits.fz``: pixels and uncertainty rounded to a
        sixteenth of their noise, with a dither (see `~bmp_astro.write_frame`, ``quantize``), the
        mask without loss.
    extra_steps : collection of str
        What is done with the lights besides, in this order: ``"cosmic_rays"``, ``"trails"``,
        ``"fringes"`` (with ``master_fringe``), ``"background"``, ``"sources"``; see
        `~bmp_astro.steps.remove_cosmic_rays`, `~bmp_astro.steps.mask_trails`,
        `~bmp_astro.steps.subtract_fringe`, `~bmp_astro.steps.subtract_background` and
        `~bmp_astro.steps.find_sources`, whose keywords may be given too.
    sky : {None, "dithers"}
        How the sky is subtracted from the lights when all are calibrated. ``"dithers"``: that of
        each is made of the lights beside it in time, of the same filter and exposure time, between
        which the telescope was moved. The product is then ``lights/<stem>_skysub.fits``; that with
        its sky stays beside it. A light with fewer than three others keeps its sky, and has an
        alarm that says so.
    n_sky : int
        Of how many other lights each sky is made, at most.
    sky_span : `~astropy.units.Quantity` or str
        How far in time they may be.
    **kwargs
        Control keywords for the steps, and what ``pipe`` takes: ``pre_process_list`` for example.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each input file, calibration frames included. ``status`` is ``"done"``,
        ``"rejected"``, ``"failed"``, ``"skipped"`` or ``"not_run"``, ``message`` says why;
        ``used_in`` is the master that a calibration frame went into, ``alarms`` what somebody
        should look at; ``outname`` is the reduced frame of a light. Headers' facts have FITS
        names (``OBJECT``, ``FILTER``, ``EXPTIME``), measured ones lower case.

    Raises
    ------
    FileNotFoundError
        If one of the names does not exist.
    ValueError
        If there is nothing that can be reduced, or ``outdir`` is ``raw`` itself.
    DirectoryInUse
        If another run is writing into ``outdir``.
    PipelineInterrupted
        If the run was stopped by Ctrl-C or SIGTERM. ``night.ecsv`` is written all the same, and
        ``.pout`` is the table; files that were not reached are ``"not_run"``. Started again, the
        run goes on from there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bmp_astro import reduce_night
    >>> from bmp_astro.simulate import simulate_night
    >>> with TemporaryDirectory() as folder:
    ...     night = simulate_night(f"{folder}/raw", shape=(64, 96), bad_files=False)
    ...     table = reduce_night(f"{folder}/raw", f"{folder}/reduced", num_processes=1)
    >>> lights = table[table["frame_type"] == "light"]
    >>> set(lights["status"].tolist())
    {'done'}
    >>> lights["EXPTIME"][0]
    <Quantity 120. s>
    """
    check_run(pipe, executor, num_processes, kwargs)
    out = Path(outdir)
    extra = chosen_steps(pipe, extra_steps, kwargs)
    camera = pipe.instrument if instrument is None else instrument
    check_kinds(combine=combine, gates=gates)
    without_sky = chosen_sky(sky, n_sky, sky_span, extra_steps, _of_kind("sky", combine))
    check_apart(raw, out)
    frames = survey(
        raw,
        instrument=camera,
        exclude=out,
        cache=out / ".inventory.json",
        classification=classification,
        split_nights=split_nights,
        longitude=longitude,
    )
    if classification != "trust":
        frames = with_guesses(frames, camera)
    check_usable(frames, raw)
    if plan is None:
        chosen = {"masters": masters, "select": select, "require": require, "use": use}
        plan = make_plan(frames, instrument=camera, max_age=max_age, **chosen)
    else:
        plan = read_plan(plan, frames)
    if "night" in plan.colnames:  # as an edited plan has it
        frames = [replace(f, night=str(n)) for f, n in zip(frames, plan["night"], strict=True)]
    engine = {
        "instrument": camera,
        "classification": classification,
        "overwrite": overwrite,
        "resume": resume,
        "journal": out / JOURNAL_NAME,
        "progress": progress,
        "mem_available": mem_available,
        "num_processes": num_processes,
    }
    outcomes = {frame.path: _before(frame, row) for frame, row in zip(frames, plan, strict=True)}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out), night_log(out / LOG_NAME) as log:
        log.info("reducing %s into %s: %d files", raw, out, len(frames))
        write_table(plan, out / "plan.ecsv")
        try:
            lost: dict[str, str] = {}
            for kind in KINDS:
                own = {"combine": _of_kind(kind, combine), "gates": _of_kind(kind, gates)}
                keywords = {**engine, **master_keywords(kwargs), **own}
                for outcome in build_masters(kind, plan, out, lost, keywords):
                    outcomes[outcome.in_name] = outcome
            after = "post_process_list"
            keywords = {
                **engine,
                **({"quantize": QUANTIZE} if compress else {}),
                "executor": executor,
                **light_keywords(kwargs),
                "post_process_list": [*extra, *step_list(after, kwargs.get(after))],
            }
            for outcome in without_sky(
                reduce_lights(plan, out, pipe, lost, keywords), frames, {**kwargs, **keywords}
            ):
                outcomes[outcome.in_name] = outcome
        except PipelineInterrupted as stop:
            raise _stopped(night_table(frames, outcomes)) from stop
        finally:
            table = night_table(frames, outcomes)
            _write_tables(table, frames, out)
            _write_log(log, outcomes.values(), table)
    return table


def _stopped(table: QTable) -> PipelineInterrupted:
    left = int((table["status"] == "not_run").sum())
    return PipelineInterrupted(f"the run was stopped before {left} of {len(table)} files", table)


def _of_kind(kind: str, given: PerKind | None) -> Mapping[str, Any]:
    return {} if given is None else given.get(kind, {})


def _write_tables(table: QTable, frames: Iterable[Frame], out: Path) -> None:
    """Write the table, and of several nights each one's rows beside its products.

    A disk that takes no more costs the files, not what they tell.
    """
    nights = {out / night: table[table["night"] == night] for night in nights_of(frames)}
    for folder, rows in {out: table, **nights}.items():
        try:
            folder.mkdir(exist_ok=True)
            write_table(rows, folder / "night.ecsv")
        except OSError as error:
            path = folder / "night.ecsv"
            logger.error("%s cannot be written: %s; make room, and run again", path, error)


def _before(frame: Frame, row: Row) -> Outcome:
    """What a frame comes to as long as nothing was done with it."""
    if row["product"]:
        return Outcome(in_name=frame.path, status="not_run")
    message = frame.message if frame.message else str(row["message"])
    if not message:
        message = "the plan gives it no product"
    elif not frame.readable or (frame.kind == "light" and _is_lacking(frame, message)):
        return failed(frame.path, message)
    return rejected(frame.path, message)


def _is_lacking(frame: Frame, message: str) -> bool:
    """Whether a light that could be reduced is not, though nobody said that it should not be."""
    return not frame.message and message not in (NOT_SELECTED, NOT_IN_PLAN)


def _write_log(log: logging.Logger, outcomes: Iterable[Outcome], table: QTable) -> None:
    """Tell the log what the table and the terminal are told, and the tracebacks besides."""
    for outcome in outcomes:
        level = logging.ERROR if outcome.status == "failed" else logging.INFO
        text = f"{outcome.status}: {outcome.in_name}"
        if outcome.outname is not None:
            text += f" -> {outcome.outname}"
        if outcome.message:
            text += (
                f" ({outcome.step}): {outcome.message}" if outcome.step else f": {outcome.message}"
            )
        log.log(level, "%s", "\n".join(filter(None, [text, outcome.traceback])))
        if outcome.meta.get("alarms"):
            log.warning("%s: %s", outcome.in_name, outcome.meta["alarms"])
    for line in summary(table).pformat(max_lines=-1, max_width=-1, align="<"):
        log.info("%s", line)

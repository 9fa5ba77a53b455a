"""Reduce nights of observatory images: masters, calibration, one table for every file.

The public names are loaded when they are first used, so that the generic engine in
`bmp_astro.core` and the command's help need neither numpy nor astropy.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "bmp_astro.core": (
        "BigMultiPipe",
        "NoDaemonPool",
        "Outcome",
        "PipelineError",
        "Rejected",
        "WorkerWithKwargs",
        "assure_list",
        "bmp_cleanup",
        "cached_pout",
        "multi_logging",
        "multi_proc",
        "no_outfile",
        "num_can_process",
        "outname_creator",
        "prune_pout",
    ),
    "bmp_astro.ccdmultipipe": ("CCDMultiPipe", "CalibrationPipe"),
    "bmp_astro.fits": ("Instrument", "Keyword", "read_frame", "write_frame"),
    "bmp_astro.masters": ("combine",),
    "bmp_astro.night": ("inventory", "plan_night", "provenance", "reduce_night"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bmp_astro")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})

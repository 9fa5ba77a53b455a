"""``combine``: one frame out of several."""

import argparse
import os
from typing import Any

from .options import DONE, add_camera, add_command, positive, size

_CLIPS = ("minmax", "sigma", "noise", "percentile")
_DEVIATIONS = ("mad", "winsorized", "std")


def add_combine(commands: Any) -> None:
    """Frames in, one frame out."""
    parser = add_command(commands, "combine", "combine frames into one", _combine)
    add = parser.add_argument
    add("frames", metavar="FILE", nargs="+")
    add_camera(parser)
    add("-o", "--output", metavar="MASTER", required=True, help="the file to write")
    add("--method", default="mean", choices=("mean", "median", "sum"), help="(%(default)s)")
    add("--clip", choices=_CLIPS, help="reject values (default: none)")
    add("--n-low", type=int, default=0, help="minmax: lowest values to drop (%(default)s)")
    add("--n-high", type=int, default=0, help="minmax: highest values to drop (%(default)s)")
    add("--sigma-low", type=float, default=3.0, metavar="S", help="(%(default)s)")
    add("--sigma-high", type=float, default=3.0, metavar="S", help="(%(default)s)")
    add(
        "--percentile-low", type=float, default=0.2, metavar="F", help="of the center (%(default)s)"
    )
    add(
        "--percentile-high",
        type=float,
        default=0.1,
        metavar="F",
        help="of the center (%(default)s)",
    )
    add("--deviation", default="mad", choices=_DEVIATIONS, help="sigma: scatter (%(default)s)")
    add("--gain", type=positive, metavar="G", help="electron/adu")
    add("--read-noise", type=positive, metavar="R", help="electron")
    add("--scale", choices=("median", "mean"), help="bring the frames to one level first")
    add("--mem-limit", type=size, metavar="SIZE", help="memory to use, such as 500M")
    add("--overwrite", action="store_true", help="replace an existing file")


def _combine(options: argparse.Namespace) -> int:
    import astropy.units as u

    from ..fits import write_frame
    from ..masters import combine

    gain = None if options.gain is None else options.gain * u.electron / u.adu
    noise = None if options.read_noise is None else options.read_noise * u.electron
    names = (
        "instrument",
        "method",
        "clip",
        "n_low",
        "n_high",
        "sigma_low",
        "sigma_high",
        "percentile_low",
    )
    names += ("percentile_high", "deviation", "scale", "mem_limit")
    keywords = {name: getattr(options, name) for name in names}
    _check_output(options)
    master = combine(options.frames, gain=gain, read_noise=noise, **keywords)
    write_frame(master, options.output, overwrite=options.overwrite, checksum=True)
    print(f"{len(options.frames)} frames combined into {options.output}")
    return DONE


def _check_output(options: argparse.Namespace) -> None:
    """Refuse, before any work, to replace a frame or what may not be replaced."""
    output = options.output
    folder = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{output}: there is no directory {folder}: make it first")
    if not os.path.exists(output):
        return
    if any(os.path.samefile(name, output) for name in options.frames if os.path.exists(name)):
        raise ValueError(f"{output} is one of the frames: give the master another name")
    if not options.overwrite:
        raise FileExistsError(f"{output} exists: give another name, or --overwrite")

"""The sky from the frames themselves: what dithered frames have in common is no star."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from astropy.nddata import CCDData

from ..steps import subtract_sky
from ..steps.stars import count_stars
from .combine import Frame
from .combine import combine as combine_frames
from .recipe import Recipe

FEWEST_FOR_SKY = 3  # the median of fewer frames has their stars in it
_SKY = Recipe(method="median", clip="sigma", scale="median")
_TELLING, _SHARE = 5, 0.2  # so many stars, and of those of a frame that part: they did not move


def make_sky(
    frames: Sequence[Frame],
    *,
    combine: Mapping[str, Any] | None = None,
    mem_limit: float | None = None,
    num_threads: int | None = None,
) -> CCDData:
    """Make a frame of the sky alone from frames whose stars are not in the same places.

    Parameters
    ----------
    frames : sequence of path or `~astropy.nddata.CCDData`
        Three or more calibrated frames, ``(ny, nx)``, of one filter and exposure time, moved from
        one to the next by more than the size of what is in them.
    combine : mapping, optional
        Parameters of `combine`, over the defaults: the median after clipping at 3 sigma of frames
        that are scaled to the mean of their medians.
    mem_limit : float, optional
        As for `combine`.
    num_threads : int, optional
        As for `combine`.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The sky with its uncertainty, mask and header, as `combine` makes them.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If there are fewer than three frames, or they do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.masters import make_sky
    >>> frames = [CCDData(np.full((20, 30), level), unit="electron") for level in (90.0, 100, 110)]
    >>> for number, frame in enumerate(frames):
    ...     frame.data[10, 7 * number] += 5000  # a star, each time elsewhere
    >>> sky = make_sky(frames)
    >>> print(sky.data.min(), sky.data.max(), sky.header["NCOMBINE"])
    100.0 100.0 3
    """
    frames = [frames] if isinstance(frames, str | os.PathLike | CCDData) else list(frames)
    if len(frames) < FEWEST_FOR_SKY:
        raise ValueError(
            f"{len(frames)} frame(s) to make a sky of: expected {FEWEST_FOR_SKY} or more, whose "
            "stars are not in the same places"
        )
    recipe = vars(_SKY.changed(combine))
    return combine_frames(frames, mem_limit=mem_limit, num_threads=num_threads, **recipe)


def subtract_dithered_sky(
    ccd: CCDData,
    sky_inputs: Sequence[Frame] = (),
    bmp_meta: dict[str, Any] | None = None,
    combine: Mapping[str, Any] | None = None,
    mem_limit: float | None = None,
    num_threads: int | None = None,
    **kwargs: Any,
) -> CCDData:
    """Post-processing step: subtract the sky that other frames show, its neighbors in time.

    Parameters
    ----------
    ccd : `~astropy.nddata.CCDData`
        The calibrated frame, ``(ny, nx)``. It is not changed.
    sky_inputs : sequence of path or `~astropy.nddata.CCDData`
        The other frames; see `make_sky`.
    bmp_meta : dict, optional
        The frame's metadata. It gets ``sky_level``, ``n_sky``, how many frames the sky is of, and
        an alarm if the sky has stars in it as if the telescope had not been moved.
    combine, mem_limit, num_threads
        As for `make_sky`.
    **kwargs
        Not used.

    Returns
    -------
    `~astropy.nddata.CCDData`
        The frame less the sky; see `~bmp_astro.steps.subtract_sky`.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from bmp_astro.masters import subtract_dithered_sky
    >>> rng, meta = np.random.default_rng(1), {}
    >>> lights = [CCDData(rng.normal(400, 20, (50, 60)), unit="electron") for _ in range(5)]
    >>> ccd = subtract_dithered_sky(lights[2], lights[:2] + lights[3:], bmp_meta=meta)
    >>> meta["n_sky"], bool(abs(np.median(ccd.data)) < 1)
    (4, True)
    """
    sky = make_sky(sky_inputs, combine=combine, mem_limit=mem_limit, num_threads=num_threads)
    frame = subtract_sky(ccd, sky, bmp_meta=bmp_meta)
    if bmp_meta is not None:
        bmp_meta["n_sky"] = len(sky_inputs)
        left, all_stars = count_stars(sky.data), count_stars(ccd.data)
        if left >= max(_TELLING, _SHARE * all_stars):
            bmp_meta["alarms"] = (
                f"the sky of {len(sky_inputs)} other frames has {left} stars in it: was the "
                "telescope not moved between them?"
            )
    return frame

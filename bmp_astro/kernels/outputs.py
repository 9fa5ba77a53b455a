"""The arrays that a kernel fills: new ones, or those that the caller gives."""

from collections.abc import Mapping, Sequence

import numpy as np

from bmp_astro.memory import empty

Plane = np.ndarray | None


def outputs(
    out: Sequence[Plane] | None,
    wanted: Mapping[str, type | None],
    shape: tuple[int, ...],
    inputs: Sequence[Plane],
) -> list[Plane]:
    """Return an array for each of the dtypes, None where there is none.

    Parameters
    ----------
    out : sequence of `~numpy.ndarray` or None, optional
        The arrays to fill, in the order of `wanted`; without it new ones are made.
    wanted : mapping
        Dtypes by the names that messages give.
    shape : tuple of int
        Their shape, ``(ny, nx)``.
    inputs : sequence of `~numpy.ndarray` or None
        What the arrays must not share memory with.

    Raises
    ------
    ValueError
        When an array has another shape or dtype, or shares memory.

    Examples
    --------
    >>> made = outputs(None, {"data": np.float32, "flags": None}, (2, 3), [])
    >>> made[0].shape, made[1]
    ((2, 3), None)
    """
    if out is None:
        return [None if dtype is None else empty(shape, dtype) for dtype in wanted.values()]
    for array, (name, dtype) in zip(out, wanted.items(), strict=True):
        have = None if array is None else (array.shape, array.dtype)
        want = None if dtype is None else (shape, np.dtype(dtype))
        if have != want:
            raise ValueError(f"out.{name} is {have}: expected {want}")
    others = [plane for plane in inputs if plane is not None]
    for plane in out:
        if plane is not None:
            if any(np.may_share_memory(plane, other) for other in others):
                raise ValueError("out shares memory with an input or with another output")
            others.append(plane)
    return list(out)

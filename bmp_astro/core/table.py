"""Outcomes as an astropy table, and as a file. Astropy is imported when these are called."""

import os
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from .atomic import write_beside
from .files import leaves
from .outcome import Outcome

FIXED_COLUMNS = (
    "in_name",
    "outname",
    "status",
    "step",
    "message",
    "seconds",
    "peak_memory",
    "warnings",
)


def pout_to_table(pout: Iterable[Any], in_names: Sequence[Any] | None = None) -> Any:
    """Return outcomes as a table with one row for each input.

    Parameters
    ----------
    pout : iterable of Outcome
        What `BigMultiPipe.pipeline` returned; bare ``(outname, meta)`` pairs will do.
    in_names : list, optional
        The inputs, where the pairs do not know them.

    Returns
    -------
    astropy.table.QTable
        The columns ``in_name`` (a list input joined by ", "), ``outname``, ``status``, ``step``,
        ``message``, ``seconds``, ``peak_memory`` (bytes) and ``warnings`` (joined by "; "), then
        one for each metadata key, with units where the values have them, masked where a file has
        no value. A key that clashes gets the prefix ``meta_``; values of one key that fit no
        common column type become text.

    Examples
    --------
    >>> pout = [Outcome("a_bmp", {"median": 3}, in_name="a"),
    ...         Outcome(None, {}, in_name="b", status="rejected", message="too faint")]
    >>> table = pout_to_table(pout)
    >>> table["in_name", "outname", "status", "median", "message"].pprint(show_dtype=False)
    in_name outname  status  median  message
    ------- ------- -------- ------ ---------
          a   a_bmp     done      3
          b      -- rejected     -- too faint
    """
    from astropy.table import QTable

    outcomes = [_as_outcome(pair) for pair in pout]
    names = [o.in_name for o in outcomes] if in_names is None else list(in_names)
    columns: dict[str, Any] = {}
    columns["in_name"] = text_column([", ".join(leaves(n)) if n is not None else "" for n in names])
    columns["outname"] = text_column([o.outname for o in outcomes])
    for name in ("status", "step", "message"):
        columns[name] = text_column([getattr(o, name) for o in outcomes])
    columns["seconds"] = _masked([o.seconds for o in outcomes], float)
    columns["peak_memory"] = _masked([o.peak_memory for o in outcomes], int)
    columns["warnings"] = text_column(["; ".join(o.warnings) for o in outcomes])
    keys = dict.fromkeys(key for o in outcomes for key in o.meta)
    for key in keys:
        columns[_column_name(str(key), columns)] = column([o.meta.get(key) for o in outcomes])
    return QTable(columns, copy=False)


def column(values: Sequence[Any]) -> Any:
    """Return values as a table column, `None` being masked.

    Parameters
    ----------
    values : sequence
        Scalars, quantities, strings, arrays of one shape; `None` where there is no value.

    Returns
    -------
    `~astropy.table.MaskedColumn` or `~astropy.units.Quantity`
        Of the type that fits every value; of their texts when none does.
    """
    values = [_scalar(value) for value in values]
    there = [value for value in values if value is not None]
    kinds = {type(value) for value in there}
    try:
        if there and all(hasattr(value, "unit") and hasattr(value, "to") for value in there):
            return _quantity(values, there)
        if kinds and kinds in ({bool}, {int}):
            return _masked(values, kinds.pop())
        if kinds and kinds <= {int, float}:
            return _masked(values, float)
        if kinds and not kinds & {str, list, tuple, dict} and _one_shape(there):
            return _masked(values, type(there[0].flat[0].item()))
    except (TypeError, ValueError, OverflowError, AttributeError):
        pass  # no common type after all
    return text_column(values)


def text_column(values: Sequence[Any]) -> Any:
    """Return the texts of values as a table column, `None` being masked.

    Parameters
    ----------
    values : sequence
        Anything that `str` takes; `None` where there is no value.

    Returns
    -------
    `~astropy.table.MaskedColumn`
        Of strings; ECSV keeps its empty ones apart from the masked.
    """
    import numpy as np
    from astropy.table import MaskedColumn

    mask = np.array([value is None for value in values], dtype=bool)
    if mask.any():
        values = ["" if value is None else value for value in values]
    made = MaskedColumn(np.array(list(map(str, values)), dtype=str), mask=mask)
    return _keeping_empty(made)


def write_table(table: Any, path: str | os.PathLike[str]) -> str:
    """Write a table as ECSV, whole or not at all, keeping empty strings apart from masked ones.

    Parameters
    ----------
    table : astropy.table.Table
        The table. Its string columns are marked so that ECSV keeps their masks.
    path : str or path
        The file; replaced if it exists.

    Returns
    -------
    str
        ``path``.
    """
    from astropy.io.ascii import Ecsv, get_writer

    table = table.copy()
    for name in table.colnames:
        values = table[name]
        if getattr(values, "dtype", None) is not None and values.dtype.kind == "U":
            kept = _keeping_empty(values)
            if kept is not values:
                table[name] = kept
    # not by the table's own method, which copies it twice more
    lines = get_writer(Ecsv).write(table)

    def write(name: str) -> str:
        with open(name, "w", newline="") as file:
            file.writelines(f"{line}\n" for line in lines)
        return name

    return str(write_beside(write, os.fspath(path)))


def prune_table(table: Any) -> Any:
    """Return the table without rows that have neither an output name nor metadata."""
    import numpy as np

    empty = np.array(_mask(table["outname"]))
    for name in table.colnames:
        if name not in FIXED_COLUMNS:
            empty &= _mask(table[name])
    return table[~empty]


def cached_pout(
    pipe_code: Callable[..., Any],
    poutname: str | os.PathLike[str] | None = None,
    read_pout: bool = False,
    write_pout: bool = False,
    create_outdir: bool = False,
    **kwargs: Any,
) -> Any:
    """Run a pipeline, or take its result from a file that an earlier run left.

    The file is a table (ECSV). It is not used when the keywords, or the size or time of an input,
    have changed since it was written.

    Parameters
    ----------
    pipe_code : callable
        Called with ``create_outdir`` and ``**kwargs``; returns a pout or a table.
    poutname : str or path, optional
        The file.
    read_pout : bool
        Take the result from the file if that can be done.
    write_pout : bool
        Write the result to the file.
    create_outdir : bool
        Create the directory of ``poutname`` if need be; also handed to ``pipe_code``.
    **kwargs
        For ``pipe_code``.

    Returns
    -------
    list of Outcome, or astropy.table.QTable
        The same kind as ``pipe_code`` returned.

    Raises
    ------
    ValueError
        If a file is to be read or written but ``poutname`` is `None`.
    """
    from . import cache

    if (read_pout or write_pout) and poutname is None:
        raise ValueError("read_pout and write_pout need poutname, the name of the file")
    if read_pout:
        assert poutname is not None
        found = cache.read(poutname, pipe_code, kwargs)
        if found is not None:
            return found
    pout = pipe_code(create_outdir=create_outdir, **kwargs)
    if write_pout:
        assert poutname is not None
        directory = os.path.dirname(os.fspath(poutname))
        if create_outdir and directory:
            os.makedirs(directory, exist_ok=True)
        cache.write(poutname, pout, pipe_code, kwargs)
    return pout


def _as_outcome(pair: Any) -> Outcome:
    return pair if isinstance(pair, Outcome) else Outcome(*pair)


def _column_name(key: str, taken: Container[str]) -> str:
    """Return the name of a metadata column, with a prefix where it would clash."""
    while key in taken:
        key = f"meta_{key}"
    return key


def _scalar(value: Any) -> Any:
    """Return numpy scalars and arrays without dimensions as Python's; keep anything else."""
    if hasattr(value, "unit") or isinstance(value, str):
        return str(value) if isinstance(value, str) else value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _one_shape(values: Sequence[Any]) -> bool:
    """Tell whether all are arrays of numbers of one shape, with elements."""
    shapes = {getattr(value, "shape", None) for value in values}
    numbers = all(getattr(getattr(v, "dtype", None), "kind", "O") in "biuf" for v in values)
    return len(shapes) == 1 and numbers and all(value.size > 0 for value in values)


def _quantity(values: Sequence[Any], there: Sequence[Any]) -> Any:
    """Return a Quantity column in the unit of the first value, masked where there is none."""
    import numpy as np
    from astropy.units import Quantity
    from astropy.utils.masked import Masked

    unit = there[0].unit
    plain = [Quantity(there[0] if v is None else v, unit, dtype=float).value for v in values]
    mask = np.array([value is None for value in values])
    column = Quantity(np.array(plain), unit)
    if not mask.any():
        return column
    full = np.broadcast_to(mask.reshape(-1, *[1] * (column.ndim - 1)), column.shape)
    return Masked(column, mask=full.copy())


def _masked(values: Sequence[Any], kind: type) -> Any:
    """Return a column of numbers, masked where there is none."""
    import numpy as np
    from astropy.table import MaskedColumn

    there = [value for value in values if value is not None]
    blank = np.zeros_like(np.asarray(there[0])) if there else kind()
    mask = np.array([value is None for value in values], dtype=bool)
    data: Any = np.array([blank if value is None else value for value in values], dtype=kind)
    if data.ndim > 1:
        mask = np.broadcast_to(mask.reshape(-1, *[1] * (data.ndim - 1)), data.shape).copy()
    return MaskedColumn(data, mask=mask)


def _keeping_empty(values: Any) -> Any:
    """Have ECSV write the mask beside the strings: it cannot tell empty from masked otherwise."""
    from astropy.table import MaskedColumn

    made = values if isinstance(values, MaskedColumn) else MaskedColumn(values)
    made.info.serialize_method["ecsv"] = "data_mask"
    return made


def _mask(values: Any) -> Any:
    """Return which rows of a column are masked throughout."""
    import numpy as np

    mask = np.array(getattr(values, "mask", np.zeros(np.shape(values), dtype=bool)))
    mask = np.broadcast_to(mask, np.shape(values))
    return mask.reshape(len(mask), -1).all(axis=1) if mask.ndim > 1 else mask

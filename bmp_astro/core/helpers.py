"""Small functions for steps: lists, logging into metadata, cleaning it up."""

from collections.abc import Callable
from typing import Any

from .context import decide


def assure_list(x: Any) -> list[Any]:
    """Return ``x`` as a list: `None` is an empty one, anything but a list the one element.

    Parameters
    ----------
    x : any
        A list is returned as it is.

    Returns
    -------
    list

    Examples
    --------
    >>> assure_list(None), assure_list("a.fits"), assure_list([1, 2])
    ([], ['a.fits'], [1, 2])
    """
    if x is None:
        return []
    if isinstance(x, list):
        return x
    return [x]


class WorkerWithKwargs:
    """A function together with keyword arguments for it, for `multiprocessing.pool.Pool.map`.

    Parameters
    ----------
    function : callable
        The function that `worker` calls.
    **kwargs
        The keyword arguments that it gets each time.

    Examples
    --------
    >>> def add_multiply(a, to_add=0, to_multiply=1):
    ...     return (a + to_add) * to_multiply
    >>> WorkerWithKwargs(add_multiply, to_add=3, to_multiply=10).worker(3)
    60
    """

    def __init__(self, function: Callable[..., Any], **kwargs: Any) -> None:
        self.function = function
        self.kwargs = kwargs

    def worker(self, *args: Any) -> Any:
        """Call the function with these arguments and the keyword arguments kept."""
        return self.function(*args, **self.kwargs)


def multi_logging(level: str, meta: dict[str, Any], message: str) -> None:
    """Append a message to the list of that level in a file's metadata.

    Parameters
    ----------
    level : str
        The key of the list: "debug", "info", "warning", "error".
    meta : dict
        The metadata, changed in place.
    message : str
        The message.

    Examples
    --------
    >>> meta = {}
    >>> multi_logging("warning", meta, "few stars")
    >>> meta
    {'warning': ['few stars']}
    """
    meta.setdefault(level, []).append(message)


def bmp_cleanup(data: Any, bmp_meta: dict[str, Any], add: Any = None) -> Any:
    """Mark metadata for removal once the last post-processing step is through, or remove it.

    Parameters
    ----------
    data : any
        Returned as it is.
    bmp_meta : dict
        The metadata, changed in place.
    add : str or list of str, optional
        Keys to mark. Without it, what was marked is removed.

    Returns
    -------
    any
        ``data``.

    Examples
    --------
    >>> meta = {"big": [0] * 1000, "median": 3}
    >>> data = bmp_cleanup("data", bmp_meta=meta, add="big")
    >>> bmp_cleanup(data, bmp_meta=meta), meta
    ('data', {'median': 3})
    """
    marked = "bmp_cleanup_list"
    if add is not None:
        bmp_meta[marked] = assure_list(bmp_meta.get(marked)) + assure_list(add)
        return data
    for key in assure_list(bmp_meta.pop(marked, None)):
        bmp_meta.pop(key, None)
    return data


class multi_proc:
    """Make a function of one item into one of a (nested) list of items.

    Parameters
    ----------
    func : callable
        Called for each item, with the keyword arguments of the call.
    element_type : type, optional
        The type of an item. Without it the list is taken to be flat; with it, whatever is not of
        this type is taken to be a list of items.
    **kwargs
        Keyword arguments for ``func``; those of the call win.

    Examples
    --------
    >>> def add_one(data, **kwargs):
    ...     return data + 1
    >>> multi_proc(add_one)([1, 2])
    [2, 3]
    >>> multi_proc(add_one, element_type=int)([1, [2, [3]]])
    [2, [3, [4]]]
    """

    def __init__(
        self, func: Callable[..., Any], element_type: type | None = None, **kwargs: Any
    ) -> None:
        self.func = func
        self.element_type = element_type
        self.kwargs = kwargs
        self.__name__ = getattr(func, "__name__", type(func).__name__)
        self.thread_safe = _vouched(func)

    def __call__(self, data_list: Any, **kwargs: Any) -> list[Any]:
        """Return the list of the results, nested as ``data_list`` is."""
        kwargs = {**self.kwargs, **kwargs}
        if self.element_type is None:
            return [self.func(data, **kwargs) for data in data_list]
        return [
            self.func(data, **kwargs)
            if isinstance(data, self.element_type)
            else self(data, **kwargs)
            for data in data_list
        ]


def _vouched(function: Callable[..., Any]) -> bool:
    """Tell whether the function that `multi_proc` repeats may run in threads."""
    from .control import is_thread_safe

    return is_thread_safe(function)


def no_outfile(data: Any, **kwargs: Any) -> None:
    """End a file's processing with its metadata and without an output file: status "done".

    Put it last in ``post_process_list``.

    Parameters
    ----------
    data : any
        Not used.
    **kwargs
        Not used.

    Returns
    -------
    None
    """
    decide("done", step="")

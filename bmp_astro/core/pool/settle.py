"""From what a worker sent, or how it ended, to the future that waits for it."""

import contextlib
import pickle
from concurrent.futures import Future, InvalidStateError
from typing import Any

from .errors import PoolError, RemoteError, RemoteTraceback
from .wire import Kind


def settle(future: Future[Any], kind: Kind, body: bytearray) -> None:
    """Give a future the value or the exception that a frame holds.

    Parameters
    ----------
    future : concurrent.futures.Future
        One that is running.
    kind : Kind
        ``Kind.VALUE`` or ``Kind.ERROR``.
    body : bytearray
        The body of the frame.
    """
    try:
        if kind is Kind.VALUE:
            value = pickle.loads(body)
        else:
            fail(future, _arrived(*pickle.loads(body)))
            return
    except BaseException as error:
        # Whatever a value does while it is unpickled, it must not end the thread that does it.
        fail(future, error if isinstance(error, Exception) else _as_text(error))
        return
    with contextlib.suppress(InvalidStateError):
        future.set_result(value)


def fail(future: Future[Any], error: BaseException) -> None:
    """Give a future an exception.

    Parameters
    ----------
    future : concurrent.futures.Future
        One that is running; one that has a result by now keeps it.
    error : BaseException
        The exception.
    """
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)


def again(error: PoolError) -> PoolError:
    """Return an equal exception: one that several futures raise would collect tracebacks.

    Parameters
    ----------
    error : PoolError
        An exception whose arguments make it.

    Returns
    -------
    copy : PoolError
        A new one.
    """
    return type(error)(*error.args)


def _arrived(sent: bytes | None, name: str, message: str, text: str) -> BaseException:
    """Return the exception that a task raised, with its traceback there as the cause."""
    error: BaseException = RemoteError(name, message, text)
    if sent is not None:
        # A class that the worker could import may be unknown here: then the text has to do.
        with contextlib.suppress(Exception):
            error = pickle.loads(sent)
    error.__cause__ = RemoteTraceback(text)
    return error


def _as_text(error: BaseException) -> RemoteError:
    return RemoteError(type(error).__qualname__, str(error))

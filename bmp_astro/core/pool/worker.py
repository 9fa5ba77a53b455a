"""A worker process of `bmp_astro.core.pool.SupervisedPool`: what runs on the far side of its pipe.

It imports as little as it can: its start is part of every run.
"""

import contextlib
import faulthandler
import functools
import io
import os
import pickle
import select
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import cloudpickle

from .wire import FrameReader, Kind, framed

# Windows has no such signal; there this module can be imported, but not used.
DUMP_SIGNAL: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""Makes a worker write where each of its threads is to its standard error."""

_PARENT_CHECK_MS = 1000
_OOM_SCORE = 300


def main(fd: int, parent: int) -> None:
    """Serve one pool until its pipe closes.

    Parameters
    ----------
    fd : int
        The inherited end of the pipe.
    parent : int
        Process id of the pool's process.
    """
    # Not SIG_IGN, which the programs that a task starts would inherit.
    signal.signal(signal.SIGINT, _nothing)
    signal.signal(signal.SIGTERM, _nothing)
    pipe = socket.socket(fileno=fd)
    pipe.set_inheritable(False)
    _offer_to_oom_killer()
    os.register_at_fork(after_in_child=functools.partial(_forked, pipe))
    surroundings = _Surroundings(pipe)
    threading.Thread(target=_leave_with_parent, args=(pipe, parent), daemon=True).start()
    # The pool may end in the middle of a frame: there is nobody left to tell.
    with contextlib.suppress(EOFError, ConnectionError):
        _serve(pipe, surroundings)


def _offer_to_oom_killer() -> None:
    """Let Linux, when it runs out of memory, end a worker rather than the program."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        raised = min(int(file.read()) + _OOM_SCORE, 1000)
        file.seek(0)
        file.write(str(raised))


def _forked(pipe: socket.socket) -> None:
    """Make a process that a task forks an ordinary one, which signals can end."""
    pipe.close()
    with contextlib.suppress(ValueError):  # forked by another thread than the main one
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _nothing(number: int, frame: object) -> None:
    """Take notice of a signal without doing anything."""


def _serve(pipe: socket.socket, surroundings: "_Surroundings") -> None:
    """Do what each frame asks, until there are no more."""
    reader = FrameReader(pipe)
    own = os.getpid()
    while True:
        kind, body = reader.read()
        if kind is Kind.CONTEXT:
            surroundings.enter(*pickle.loads(body))
            continue
        if kind is Kind.INITIALIZE:
            if body:
                _call(body)
            answer = framed(Kind.READY)
        else:
            answer = _result(body)
        if os.getpid() != own:
            _flush()
            os._exit(0)  # a process that the task forked has come back from the task
        surroundings.restore()
        pipe.sendall(answer)
        del body, answer


def _call(body: bytearray) -> Any:
    function, args, kwargs = pickle.loads(body)
    body.clear()  # it may be large
    return function(*args, **kwargs)


def _result(body: bytearray) -> bytes:
    """Make the call, and frame what it returned or raised."""
    try:
        value = _call(body)
        try:
            return framed(Kind.VALUE, _dumps(value))
        except Exception as error:
            raise TypeError(
                f"the task's result, a {type(value).__qualname__}, cannot be sent back: {error}"
            ) from error
    except BaseException as error:
        return framed(Kind.ERROR, _described(error))


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:
        # A class or function that was sent here by value can only go back in the same way.
        return bytes(cloudpickle.dumps(value))


def _described(error: BaseException) -> bytes:
    """Return (exception or None, type, message, traceback), pickled."""
    # Without our own two frames, when it came from the task.
    trace = error.__traceback__
    for _ in range(2):
        trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    text = "".join(traceback.format_exception(type(error), error, trace))
    name = type(error).__qualname__
    try:
        message = str(error)
    except Exception as second:
        message = f"(its text cannot be had: {second})"
    return pickle.dumps((_sendable(error), name, message, text))


def _sendable(error: BaseException) -> bytes | None:
    """Return the exception pickled, or None if it would not arrive as it is."""
    # SystemExit and KeyboardInterrupt would, raised again in the parent, stop the program.
    if not isinstance(error, Exception):
        return None
    try:
        sent = _dumps(error)
        return sent if type(pickle.loads(sent)) is type(error) else None
    except Exception:
        return None


def _leave_with_parent(pipe: socket.socket, parent: int) -> None:
    """End this process, and those that it started, as soon as its parent is gone."""
    poll = select.poll()
    poll.register(pipe.fileno(), 0)  # a hang-up is always reported
    while os.getppid() == parent:
        for _, event in poll.poll(_PARENT_CHECK_MS):
            if event & select.POLLNVAL:
                poll.unregister(pipe.fileno())  # closed by a task, which will be told
            elif event & (select.POLLHUP | select.POLLERR):
                _end_group()
    _end_group()


def _end_group() -> None:
    """End this process and every process of its group, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


class _Surroundings:
    """What a task finds and must not leave changed for the next one.

    That is the working directory, the standard streams, the handlers of the stop signals and a
    timer that may be running.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._pipe_identity = _identity(pipe.fileno())
        self._folder: str | None = None
        # Copies above the numbers that are given anew when a task closes its streams.
        self._copies = {number: os.dup(number) for number in range(3)}
        self._identities = {number: _identity(number) for number in range(3)}
        self._streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
        faulthandler.enable(self._copies[2])
        faulthandler.register(DUMP_SIGNAL, self._copies[2], all_threads=True)

    def enter(self, folder: str | None, path: list[str]) -> None:
        """Take over the parent's working directory and search path for modules."""
        sys.path[:] = path
        self._folder = folder
        self._return_to_folder()

    def restore(self) -> None:
        """Undo what a task may have changed."""
        signal.signal(signal.SIGINT, _nothing)
        signal.signal(signal.SIGTERM, _nothing)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._return_to_folder()
        _flush()
        for number, copy in self._copies.items():
            if _identity(number) != self._identities[number]:
                os.dup2(copy, number)
        for number, name in enumerate(self._streams):
            stream = self._streams[name]
            if stream is None or stream.closed:
                stream = self._streams[name] = _opened(number)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        self._check_pipe()

    def _check_pipe(self) -> None:
        """End this process if its pipe is closed, or the number means another file by now."""
        if _identity(self._pipe.fileno()) != self._pipe_identity:
            print("the task closed the pipe of its worker process", file=sys.stderr, flush=True)
            os._exit(1)

    def _return_to_folder(self) -> None:
        if self._folder is not None:
            # It may have been removed meanwhile: the next task will find that out for itself.
            with contextlib.suppress(OSError):
                os.chdir(self._folder)


def _identity(number: int) -> tuple[int, int] | None:
    """Return what tells one open file from another, None when it is closed."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _opened(number: int) -> io.TextIOWrapper:
    """Return a text stream on a standard file descriptor."""
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, errors="backslashreplace", line_buffering=number == 2)

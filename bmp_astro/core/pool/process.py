"""One worker process and its pipe, seen from the pool."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .errors import PoolError, WorkerDied
from .wire import FrameReader, Kind, framed
from .worker import DUMP_SIGNAL

_BOOT = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n');"
    "from bmp_astro.core.pool.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
_TAIL = 8000
_DYING_TIME = 1.0


@dataclass
class Work:
    """A call to make, its limits, and the future that waits for it."""

    future: Future[Any]
    body: bytes
    context: bytes
    timeout: float | None
    max_memory: float | None


class WorkerProcess:
    """A worker process, its pipe, and the end of its standard error.

    Nothing here waits, except for a process that is ending already.

    Parameters
    ----------
    environment : mapping
        The environment variables of the process.
    context, initializer : bytes
        Bodies of the first two frames that it gets.
    start_timeout : float
        How long its start may take, in seconds.

    Attributes
    ----------
    pipe : socket.socket
        Our end of the pipe, to select for reading and, while `unsent`, for writing.
    errors : int
        Our end of the standard error, to select for reading.
    ready : bool
        Whether it has started.
    leaving : bool
        Whether it was told to end when it has nothing more to do.
    work : Work or None
        What it is doing.
    verdict : PoolError or None
        Why it is being ended.
    deadline : float or None
        When (``time.monotonic``) what it is doing must have come to an end.

    Raises
    ------
    OSError
        When the system cannot make the process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        context: bytes,
        initializer: bytes,
        start_timeout: float,
    ) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self.pipe, their_pipe = socket.socketpair()
            ours.callback(self.pipe.close)
            theirs.callback(their_pipe.close)
            self.errors, their_errors = os.pipe()
            ours.callback(os.close, self.errors)
            theirs.callback(os.close, their_errors)
            passed = their_pipe.fileno()
            while passed < 3:
                # If we have no standard streams, it would be taken for one of them.
                passed = os.dup(passed)
                theirs.callback(os.close, passed)
            self._process = _started(passed, their_errors, environment)
            ours.pop_all()
        self.pipe.setblocking(False)
        os.set_blocking(self.errors, False)
        self._reader = FrameReader(self.pipe)
        self._outgoing = bytearray()
        self._context = context
        self._tail = b""
        self._baseline = 0
        self._fresh: int | None = None
        self.ready = False
        self.leaving = False
        self.work: Work | None = None
        self.verdict: PoolError | None = None
        self.deadline: float | None = time.monotonic() + start_timeout
        self._send(framed(Kind.CONTEXT, context) + framed(Kind.INITIALIZE, initializer))

    @property
    def idle(self) -> bool:
        """Whether it can be given work."""
        return self.ready and self.work is None and not self.leaving

    @property
    def unsent(self) -> bool:
        """Whether there is more to send."""
        return bool(self._outgoing)

    @property
    def time_limit(self) -> float | None:
        """The longest time that its present work may take, in seconds."""
        return None if self.work is None else self.work.timeout

    @property
    def memory_limit(self) -> float | None:
        """The most memory that its present work may take, in bytes."""
        return None if self.work is None else self.work.max_memory

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def begin(self, work: Work) -> None:
        """Send work to an idle worker."""
        self.read_errors()
        self._tail = b""
        self.work = work
        self.deadline = None if work.timeout is None else time.monotonic() + work.timeout
        if work.max_memory is not None:
            self._baseline = self._own_memory()
            if self._fresh is None:
                self._fresh = self._baseline
        if work.context != self._context:
            self._context = work.context
            self._send(framed(Kind.CONTEXT, work.context))
        self._send(framed(Kind.TASK, work.body))
        work.body = b""  # it may be large

    def started(self) -> None:
        """Note that it is ready for work."""
        self.ready = True
        self.deadline = None

    def finish(self) -> Work | None:
        """Return the work that has come to an end, and be idle again."""
        work, self.work = self.work, None
        self.deadline = None
        return work

    def read(self) -> tuple[Kind, bytearray]:
        """Return the next frame; BlockingIOError when there is none yet, EOFError at the end."""
        return self._reader.read()

    def send_more(self) -> None:
        """Send as much of what is unsent as the pipe takes."""
        try:
            with memoryview(self._outgoing) as view:
                count = self.pipe.send(view)
            del self._outgoing[:count]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()  # it has gone: reading will say so

    def read_errors(self) -> bytes:
        """Return what it has newly written to its standard error, and keep the end of it."""
        written = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.errors, 65536):
                written += chunk
        self._tail = (self._tail + written)[-_TAIL:]
        return written

    def used_memory(self) -> int:
        """Return the bytes that it has above what it had when its work began."""
        return self._own_memory() - self._baseline

    def kept_memory(self) -> int:
        """Return the bytes that it has above what it had before its first work with a limit."""
        return 0 if self._fresh is None else self._own_memory() - self._fresh

    def dump(self) -> None:
        """Make it write where each of its threads is."""
        if self.alive:
            self._process.send_signal(DUMP_SIGNAL)

    def leave(self) -> None:
        """Tell it to end when it has done what was sent."""
        self.leaving = True
        with contextlib.suppress(OSError):
            self.pipe.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """End it at once, with the processes that it started and that stayed in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def bury(self) -> tuple[WorkerDied, bytes]:
        """Close everything of a process that is ending; return how, and its last unread errors."""
        closed_only = False
        try:
            self._process.wait(_DYING_TIME)
        except subprocess.TimeoutExpired:
            closed_only = True
        # Also when it ended by itself: nothing of its group may be left behind.
        self.end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_TIME)
        written = self.read_errors()
        if closed_only:
            self._tail += b"\nit had closed its pipe without ending, and was ended"
        self.pipe.close()
        os.close(self.errors)
        code = self._process.returncode
        if code is not None and code >= 0:
            return WorkerDied(None, code, self._last_words()), written
        return WorkerDied(_signal_name(code), None, self._last_words()), written

    def _last_words(self) -> str:
        return self._tail.decode(errors="replace")

    def _send(self, data: bytes) -> None:
        self._outgoing += data
        self.send_more()

    def _own_memory(self) -> int:
        """Return its resident memory in bytes, where possible without pages of files."""
        try:
            fields = Path(f"/proc/{self._process.pid}/statm").read_text().split()
            return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0


def _started(pipe: int, errors: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the interpreter anew, with one end of a pipe and nothing else of ours."""
    if not sys.executable:
        raise OSError("sys.executable does not name a Python interpreter")
    return subprocess.Popen(
        [
            sys.executable,
            *(f"-W{option}" for option in sys.warnoptions),
            "-P",
            "-c",
            _BOOT,
            str(pipe),
            str(os.getpid()),
            "\n".join(search_path()),
        ],
        stdin=subprocess.DEVNULL,
        stdout=None if _is_open(1) else subprocess.DEVNULL,
        stderr=errors,
        pass_fds=(pipe,),
        env=environment,
        # Its own group: Ctrl-C in a terminal does not reach the programs that a task starts, and
        # they can be ended together with it.
        process_group=0,
    )


def search_path() -> list[str]:
    """Return where this process looks for modules, as another directory would see it."""
    return [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _signal_name(code: int | None) -> str:
    if code is None:
        return "SIGKILL"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

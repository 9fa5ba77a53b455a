"""What can go wrong with a worker process and the task in it."""


class PoolError(RuntimeError):
    """A task has no result because of its worker; the base of the errors of a pool."""


class WorkerDied(PoolError):
    """The worker process ended while it ran the task.

    Parameters
    ----------
    signal : str or None
        Name of the signal that ended it, such as ``'SIGSEGV'``.
    exit_code : int or None
        Its exit code, when it was not a signal.
    stderr : str, optional
        The end of what it wrote to its standard error during the task.
    """

    def __init__(self, signal: str | None, exit_code: int | None, stderr: str = "") -> None:
        super().__init__(signal, exit_code, stderr)
        self.signal = signal
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self) -> str:
        if self.signal is None:
            text = f"the worker process ended with exit code {self.exit_code}"
        else:
            text = f"the worker process was ended by {self.signal}"
        if self.signal == "SIGKILL":
            text += " (perhaps by the system, for want of memory)"
        return _with_last_words(text, self.stderr)


class WorkerStartError(PoolError):
    """No worker process could be started.

    Parameters
    ----------
    reason : str
        How it ended.
    stderr : str, optional
        The end of what it wrote to its standard error.
    """

    def __init__(self, reason: str, stderr: str = "") -> None:
        super().__init__(reason, stderr)
        self.reason = reason
        self.stderr = stderr

    def __str__(self) -> str:
        return _with_last_words(f"a worker process cannot start: {self.reason}", self.stderr)


class TaskTimeout(PoolError):
    """The task ran longer than it was allowed, and was ended with its worker.

    Parameters
    ----------
    limit : float
        The time limit, in seconds.
    stderr : str, optional
        The end of the worker's standard error, with the place where each thread was.
    """

    def __init__(self, limit: float, stderr: str = "") -> None:
        super().__init__(limit, stderr)
        self.limit = limit
        self.stderr = stderr

    def __str__(self) -> str:
        text = f"the task was ended after its time limit of {self.limit:g} s"
        return _with_last_words(text, self.stderr)


class TaskMemoryExceeded(PoolError):
    """The task took more memory than it was allowed, and was ended with its worker.

    Parameters
    ----------
    limit : float
        The limit, in bytes.
    used : float
        What it had when this was noticed, in bytes above what its worker had before.
    """

    def __init__(self, limit: float, used: float) -> None:
        super().__init__(limit, used)
        self.limit = limit
        self.used = used

    def __str__(self) -> str:
        return (
            f"the task was ended because it used {self.used / 2**20:.0f} MiB, "
            f"more than its limit of {self.limit / 2**20:.0f} MiB"
        )


class RemoteError(PoolError):
    """An exception of the task that cannot be sent, or would stop the program, as text.

    Parameters
    ----------
    type_name, message : str
        Its type and its text.
    remote_traceback : str, optional
        Its traceback in the worker.
    """

    def __init__(self, type_name: str, message: str, remote_traceback: str = "") -> None:
        super().__init__(type_name, message, remote_traceback)
        self.type_name = type_name
        self.message = message
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        return f"the task raised {self.type_name}: {self.message}"


class RemoteTraceback(Exception):
    """The traceback of an exception in its worker: the cause of the one that arrives."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _with_last_words(text: str, stderr: str) -> str:
    return f"{text}; its standard error ended with:\n{stderr.rstrip()}" if stderr.strip() else text

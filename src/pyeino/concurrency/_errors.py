"""What goes wrong with a pool or a limiter itself, not with what runs in it."""

from __future__ import annotations

from pyeino.errors import PyeinoError


class ClosedError(PyeinoError):
    """A limiter or pool was used, or was being waited for, when it was closed."""

    default_code = "CLOSED"


class JobCancelledError(PyeinoError):
    """The error of a result whose job was cancelled before it had ended."""

    default_code = "JOB_CANCELLED"

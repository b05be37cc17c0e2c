"""How a command ends: exit codes, and the error that a wrong call of a command is."""

from __future__ import annotations

from enum import IntEnum

from pyeino.errors import PyeinoError


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    INTERRUPTED = 130


class UsageError(PyeinoError):
    """The command was called with something it cannot work with."""

    default_code = "USAGE_ERROR"

"""Logger: what every room logs through."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NoReturn, Protocol, runtime_checkable

from pyeino.errors import PyeinoError


class LogLevel(IntEnum):
    """How grave a line is; the numbers are those of the standard library's `logging`."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50

    @classmethod
    def parse(cls, text: str) -> LogLevel:
        """The level called `text` (any case; "warning" and "critical" too), else ValueError."""
        name = text.strip().upper()
        name = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(name, name)
        try:
            return cls[name]
        except KeyError:
            names = ", ".join(level.name.lower() for level in cls)
            raise ValueError(f"unknown log level {text!r}; known levels: {names}") from None


class FatalError(PyeinoError):
    """`Logger.fatal` was called: the process cannot go on. Only the command line exits."""

    default_code = "FATAL"


@runtime_checkable
class Logger(Protocol):
    """Structured logging: a message that never varies, and what varies in fields.

    Durations are seconds as numbers, sizes are bytes. The ids of the current request are added
    by the logger. Field names may be anything; those a line uses itself are prefixed.
    """

    def debug(self, message: str, /, **fields: Any) -> None:
        """Detail that is wanted only while looking for something."""
        ...

    def info(self, message: str, /, **fields: Any) -> None:
        """A step of normal work."""
        ...

    def warn(self, message: str, /, **fields: Any) -> None:
        """Something went wrong and the work went on."""
        ...

    def error(self, message: str, /, **fields: Any) -> None:
        """Something went wrong and work was lost."""
        ...

    def fatal(self, message: str, /, **fields: Any) -> NoReturn:
        """Log, flush and raise FatalError."""
        ...

    def with_context(self) -> Logger:
        """A logger that keeps the ids of the current request, wherever it is used later."""
        ...

    def with_fields(self, **fields: Any) -> Logger:
        """A logger that adds `fields` to each of its lines; this one stays as it is."""
        ...


@runtime_checkable
class AdjustableLogger(Logger, Protocol):
    """A Logger whose level can be set while it is used."""

    level: LogLevel
    """The lowest level that is written."""

"""StructuredLogger: one flat JSON object a line, or a line for humans."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any, NoReturn, TextIO, cast

import msgspec

from pyeino.monitoring._component import is_mapping
from pyeino.monitoring._context import request_context
from pyeino.monitoring._logger import FatalError, LogLevel
from pyeino.monitoring._masking import mask_value
from pyeino.monitoring._writer import LineWriter
from pyeino.security import mask_text

RESERVED = frozenset({"timestamp", "level", "message"})

_MAX_TEXT = 8_192
_MAX_ITEMS = 100
_MAX_DEPTH = 4
_COLOURS = {
    LogLevel.DEBUG: "\x1b[2m",
    LogLevel.INFO: "\x1b[32m",
    LogLevel.WARN: "\x1b[33m",
    LogLevel.ERROR: "\x1b[31m",
    LogLevel.FATAL: "\x1b[1;31m",
}
_RESET = "\x1b[0m"


class LogFormat(StrEnum):
    """`json` for machines, `text` for a human at a terminal."""

    JSON = "json"
    TEXT = "text"


class _Shared:
    """What a logger and all loggers made from it have in common: the writer and the level."""

    __slots__ = ("colour", "encoder", "format", "level", "writer")

    def __init__(
        self, sink: TextIO, *, level: LogLevel, log_format: LogFormat, capacity: int
    ) -> None:
        self.level = level
        self.format = log_format
        self.colour = log_format is LogFormat.TEXT and _is_terminal(sink)
        self.encoder = msgspec.json.Encoder(enc_hook=str)
        self.writer = LineWriter(sink, capacity=capacity, report=self.report_drops)

    def report_drops(self, lost: int) -> str:
        """The line that says how many lines were lost."""
        return self.render(
            LogLevel.WARN, "Log lines dropped", {"dropped": lost, "remedy": "lower the log level"}
        )

    def render(self, level: LogLevel, message: str, fields: Mapping[str, Any]) -> str:
        """One line with its line end."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        head = {
            "timestamp": now,
            "level": level.name.lower(),
            "message": _encodable(mask_text(_cut(message))),
        }
        if self.format is LogFormat.JSON:
            return self.encoder.encode({**head, **fields}).decode() + "\n"
        return self._render_text(level, head, fields)

    def _render_text(
        self, level: LogLevel, head: Mapping[str, str], fields: Mapping[str, Any]
    ) -> str:
        name = f"{level.name:<5}"
        if self.colour:
            name = f"{_COLOURS[level]}{name}{_RESET}"
        pairs = "".join(f" {key}={self._text_value(value)}" for key, value in fields.items())
        message = head["message"].replace("\n", "\\n")
        return f"{head['timestamp']} {name} {message}{pairs}\n"

    def _text_value(self, value: Any) -> str:
        if isinstance(value, str) and value and value.isprintable() and " " not in value:
            return value
        return self.encoder.encode(value).decode()


class StructuredLogger:
    """Logger that writes each line as JSON (or text) through a thread of its own.

    `sink` is any text file (default: standard error; it is not closed). Logging never waits for
    the sink: beyond `capacity` queued lines (10,000) further ones are dropped, counted in
    `dropped` and reported in the log itself. Secrets and user ids are masked. Whoever made the
    first logger closes it; loggers made by `with_fields` share its writer.
    """

    def __init__(
        self,
        sink: TextIO | None = None,
        *,
        level: LogLevel | str = LogLevel.INFO,
        format: LogFormat | str = LogFormat.JSON,
        capacity: int = 10_000,
    ) -> None:
        self._shared = _Shared(
            sys.stderr if sink is None else sink,
            level=_as_level(level),
            log_format=LogFormat(format),
            capacity=capacity,
        )
        self._fields: dict[str, Any] = {}

    def debug(self, message: str, /, **fields: Any) -> None:
        """Log at debug level."""
        if self._shared.level <= LogLevel.DEBUG:
            self._log(LogLevel.DEBUG, message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """Log at info level."""
        if self._shared.level <= LogLevel.INFO:
            self._log(LogLevel.INFO, message, fields)

    def warn(self, message: str, /, **fields: Any) -> None:
        """Log at warn level."""
        if self._shared.level <= LogLevel.WARN:
            self._log(LogLevel.WARN, message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """Log at error level."""
        if self._shared.level <= LogLevel.ERROR:
            self._log(LogLevel.ERROR, message, fields)

    def fatal(self, message: str, /, **fields: Any) -> NoReturn:
        """Log at fatal level, flush and raise FatalError; the command line makes it an exit."""
        self._log(LogLevel.FATAL, message, fields)
        self.flush()
        raise FatalError(message)

    def with_context(self) -> StructuredLogger:
        """A logger that keeps the ids of the current request, also in another thread or task."""
        return self._with(_context_fields())

    def with_fields(self, **fields: Any) -> StructuredLogger:
        """A logger that adds `fields` to each line; a field of the same name in a call wins."""
        return self._with(_clean(fields))

    def _with(self, fields: Mapping[str, Any]) -> StructuredLogger:
        logger = object.__new__(type(self))
        logger._shared = self._shared
        logger._fields = {**self._fields, **fields}
        return logger

    @property
    def level(self) -> LogLevel:
        """The lowest level that is written, for this logger and all that share its writer."""
        return self._shared.level

    @level.setter
    def level(self, level: LogLevel | str) -> None:
        self._shared.level = _as_level(level)

    @property
    def debug_enabled(self) -> bool:
        """Whether debug lines are written, so that costly fields need not be computed."""
        return self._shared.level <= LogLevel.DEBUG

    @property
    def dropped(self) -> int:
        """Lines lost so far because the sink was too slow or failed."""
        return self._shared.writer.dropped

    @property
    def queued(self) -> int:
        """Lines that wait to be written."""
        return self._shared.writer.queued

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait up to `timeout` seconds until what was logged so far is written; blocks."""
        return self._shared.writer.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued within `timeout` seconds and end the writer. Idempotent; blocks."""
        return self._shared.writer.close(timeout)

    def _log(self, level: LogLevel, message: str, fields: Mapping[str, Any]) -> None:
        shared = self._shared
        merged = {**_context_fields(), **self._fields, **_clean(fields)}
        shared.writer.put(shared.render(level, message, merged))


def _context_fields() -> dict[str, str]:
    context = request_context()
    found: dict[str, str] = {}
    if context.request_id:
        found["request_id"] = context.request_id
    if context.trace_id:
        found["trace_id"] = context.trace_id
        found["span_id"] = context.span_id
    return found


def _clean(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` flat, masked, bounded, and out of the way of the names that a line uses itself."""
    flat: dict[str, Any] = {}
    _flatten(flat, "", fields, depth=_MAX_DEPTH)
    return flat


def _flatten(target: dict[str, Any], prefix: str, fields: Mapping[Any, Any], *, depth: int) -> None:
    for raw_key, value in fields.items():
        key = f"{prefix}{raw_key}"
        if key in RESERVED:
            key = f"field_{key}"
        if is_mapping(value) and depth > 1:
            _flatten(target, f"{key}.", value, depth=depth - 1)
        elif isinstance(value, BaseException):
            target[key] = _plain(key, str(value))
            target[f"{key}_type"] = type(value).__name__
            if _is_unexpected(value):
                target["stack"] = _encodable(
                    mask_text(_cut("".join(traceback.format_tb(value.__traceback__))))
                )
        else:
            target[key] = _plain(key, value)


def _is_unexpected(error: BaseException) -> bool:
    """Whether the traceback says more than the error's own code does."""
    return error.__traceback__ is not None and not hasattr(error, "code")


def _plain(key: str, value: Any, *, depth: int = _MAX_DEPTH) -> Any:
    """`value` as something JSON knows, bounded and masked."""
    value = mask_value(key, _cut(value) if isinstance(value, str) else value)
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if depth > 0 and is_mapping(value):
        return {str(name): _plain(str(name), item, depth=depth - 1) for name, item in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return _plain_items(key, cast("Iterable[Any]", value), depth=depth - 1)
    return _encodable(mask_text(_cut(_describe(value))))


def _plain_items(key: str, items: Iterable[Any], *, depth: int) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if len(found) == _MAX_ITEMS:
            found.append("…")
            break
        found.append(_plain(key, item, depth=depth))
    return found


def _describe(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 (a broken __str__ must not break who logs)
        return f"<{type(value).__name__}: no text ({type(error).__name__})>"


def _cut(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_MAX_TEXT]}… ({len(text) - _MAX_TEXT} more characters)"


def _encodable(text: str) -> str:
    """`text` without lone surrogates, which UTF-8 cannot carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _as_level(level: LogLevel | str) -> LogLevel:
    return LogLevel.parse(level) if isinstance(level, str) else LogLevel(level)


def _is_terminal(sink: TextIO) -> bool:
    try:
        return sink.isatty()
    except (AttributeError, ValueError):
        return False

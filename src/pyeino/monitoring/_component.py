"""ComponentLogger: the lines that a component writes about one execution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from collections.abc import Set as AbstractSet
from typing import Any, TypeGuard, cast

from pyeino.monitoring._logger import Logger

_DEPTH = 4


class ComponentLogger:
    """Logs executions of one component under `component_type` and `component_name`.

    `ComponentLogger(logger, "ChatModel", "smollm2").log_execution("generate", 0.42)`
    """

    def __init__(self, logger: Logger, component_type: str, component_name: str) -> None:
        self._logger = logger.with_fields(
            component_type=component_type, component_name=component_name
        )
        self.component_type = component_type
        self.component_name = component_name

    def log_execution(
        self, operation: str, duration: float, error: BaseException | None = None
    ) -> None:
        """Say how one execution of `operation` ended; `duration` is in seconds."""
        if error is None:
            self._logger.info(
                "Component execution completed", operation=operation, duration=duration
            )
        else:
            self._logger.error(
                "Component execution failed", operation=operation, duration=duration, error=error
            )

    def log_input(self, value: Any) -> None:
        """At debug level, say of what type and size the input is; never what is in it."""
        self._log_shape("Component input", "input", value)

    def log_output(self, value: Any) -> None:
        """At debug level, say of what type and size the output is; never what is in it."""
        self._log_shape("Component output", "output", value)

    def _log_shape(self, message: str, side: str, value: Any) -> None:
        enabled = getattr(self._logger, "debug_enabled", True)
        if not enabled:  # measuring a long history costs more than the line that is not written
            return
        fields: dict[str, Any] = {
            f"{side}_type": type(value).__name__,
            f"{side}_size": size_of(value),
        }
        if isinstance(value, Sized) and not isinstance(value, str | bytes | bytearray):
            fields[f"{side}_items"] = len(value)
        self._logger.debug(message, **fields)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether `value` is a mapping, in a form that both type checkers narrow to known types."""
    return isinstance(value, Mapping)


def size_of(value: Any, *, depth: int = _DEPTH) -> int:
    """Bytes of UTF-8 of the text in `value`: text, bytes, messages (their content), containers.

    Anything else counts 0: a size is never worth a serialisation.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes | bytearray):
        return len(value)
    if depth == 0:
        return 0
    if is_mapping(value):
        parts: Iterable[Any] = (part for pair in value.items() for part in pair)
    elif isinstance(value, Sequence | AbstractSet):
        parts = cast("Iterable[Any]", value)
    else:
        parts = (getattr(value, "content", None) or "",)
    return sum(size_of(part, depth=depth - 1) for part in parts)

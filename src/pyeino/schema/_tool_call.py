"""ToolCall: the call that a model asks for."""

from __future__ import annotations

from typing import Any

import msgspec


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True):
    """The function that a model asks for; `arguments` is JSON text, whole or a chunk of it."""

    name: str = ""
    arguments: str = ""


def _function() -> str:
    return "function"


# `type` and `function` come from factories because omit_defaults leaves those in: a reader of the
# JSON form finds both in every call.
class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call a model asks for. `index` groups the chunks of one call within a stream."""

    index: int | None = None
    id: str = ""
    type: str = msgspec.field(default_factory=_function)
    function: FunctionCall = msgspec.field(default_factory=FunctionCall)
    extra: dict[str, Any] = {}

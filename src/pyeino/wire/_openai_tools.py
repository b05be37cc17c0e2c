"""Tools in OpenAI's protocol: what a caller offers, how a model may choose, and calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pyeino.schema import FunctionCall, ToolCall, ToolChoice, ToolInfo
from pyeino.wire._decode import field_error

MAX_TOOLS: Final = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MODES = {"auto": ToolChoice.ALLOWED, "required": ToolChoice.FORCED, "none": ToolChoice.FORBIDDEN}


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One tool on offer; only functions are taken."""

    type: str
    function: FunctionSpec | None = None


class NamedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool by its name."""

    name: str


class NamedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tools on offer."""

    type: str = "function"
    function: NamedTool | None = None


class AllowedTools(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the tools on offer, under a mode."""

    mode: str
    tools: tuple[NamedChoice, ...]


class ToolChoiceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that is more than a word: one function, or some of the tools."""

    type: str
    function: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


class RequestedFunction(msgspec.Struct, frozen=True, kw_only=True):
    """The function of a call, with its arguments as JSON text."""

    name: str
    arguments: str


class RequestedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a model asks for, in a message and in an answer."""

    id: str
    function: RequestedFunction
    type: str = "function"


class ChunkFunction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to the function of a call."""

    name: str | None = None
    arguments: str | None = None


class ChunkCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to the call at `index`."""

    index: int
    id: str | None = None
    type: str | None = None
    function: ChunkFunction = msgspec.field(default_factory=ChunkFunction)


def tool_infos(tools: Sequence[ToolSpec] | None) -> tuple[ToolInfo, ...] | None:
    """The tools that a caller offers; None when there are none. Names have to differ."""
    infos: list[ToolInfo] = []
    for index, tool in enumerate(tools or ()):
        field = f"tools[{index}]"
        if tool.type != "function":
            raise field_error(
                f"{field}.type",
                f"{field}.type: only function tools are supported, found {tool.type[:40]!r}",
                code="UNSUPPORTED_FIELD",
            )
        if tool.function is None:
            raise field_error(f"{field}.function", f"{field}.function: a function is needed")
        infos.append(_info(tool.function, f"{field}.function"))
        if any(one.name == infos[-1].name for one in infos[:-1]):
            name = f"{field}.function.name"
            raise field_error(name, f"{name}: there are two tools {infos[-1].name!r}")
    return tuple(infos) or None


def _info(function: FunctionSpec, field: str) -> ToolInfo:
    if not _NAME.fullmatch(function.name):
        raise field_error(
            f"{field}.name",
            f"{field}.name: expected 1 to 64 letters, digits, _ or -, found {function.name[:64]!r}",
        )
    schema = function.parameters
    if schema and schema.get("type", "object") != "object":
        raise field_error(
            f"{field}.parameters",
            f"{field}.parameters: expected the JSON Schema of an object",
        )
    return ToolInfo(
        name=function.name,
        description=function.description or "",
        json_schema={"type": "object", **schema} if schema else None,
        extra={} if function.strict is None else {"strict": function.strict},
    )


def tool_choice(
    choice: str | ToolChoiceSpec | None, tools: Sequence[ToolInfo] | None
) -> tuple[ToolChoice | None, tuple[str, ...] | None]:
    """Whether a tool must be called, and which ones may be; None where the caller does not say.

    Takes `none`, `auto`, `required`, one function, and `allowed_tools` with a mode. What names
    tools, or requires one, needs them to be on offer.
    """
    if choice is None:
        return None, None
    if isinstance(choice, str):
        mode = _mode(choice, "tool_choice")
        if mode is ToolChoice.FORCED and not tools:
            raise field_error("tool_choice", "tool_choice: required needs tools to choose from")
        return mode, None
    if choice.type == "function" and choice.function is not None:
        _check_offered(choice.function.name, tools, "tool_choice.function.name")
        return ToolChoice.FORCED, (choice.function.name,)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return _allowed(choice.allowed_tools, tools)
    raise field_error(
        "tool_choice",
        "tool_choice: expected none, auto, required, a function or allowed_tools, found type "
        f"{choice.type[:40]!r}",
    )


def _allowed(
    allowed: AllowedTools, tools: Sequence[ToolInfo] | None
) -> tuple[ToolChoice, tuple[str, ...]]:
    field = "tool_choice.allowed_tools"
    names: list[str] = []
    for index, tool in enumerate(allowed.tools):
        where = f"{field}.tools[{index}]"
        if tool.type != "function" or tool.function is None:
            raise field_error(where, f"{where}: only function tools are supported")
        _check_offered(tool.function.name, tools, f"{where}.function.name")
        names.append(tool.function.name)
    if not names:
        raise field_error(f"{field}.tools", f"{field}.tools: at least one tool is needed")
    return _mode(allowed.mode, f"{field}.mode"), tuple(names)


def _mode(word: str, field: str) -> ToolChoice:
    if word not in _MODES:
        raise field_error(
            field, f"{field}: expected one of {', '.join(_MODES)}, found {word[:40]!r}"
        )
    return _MODES[word]


def _check_offered(name: str, tools: Sequence[ToolInfo] | None, field: str) -> None:
    known = [info.name for info in tools or ()]
    if name not in known:
        there = ", ".join(known) or "none"
        raise field_error(field, f"{field}: there is no tool {name[:64]!r}; there are {there}")


def calls_from(calls: Sequence[RequestedCall] | None) -> tuple[ToolCall, ...]:
    """The calls of a message that came in."""
    return tuple(
        ToolCall(
            id=call.id,
            type=call.type,
            function=FunctionCall(name=call.function.name, arguments=call.function.arguments),
        )
        for call in calls or ()
    )


def calls_to(calls: Sequence[ToolCall]) -> tuple[RequestedCall, ...]:
    """The calls of an answer as they go out."""
    return tuple(
        RequestedCall(
            id=call.id,
            function=RequestedFunction(
                name=call.function.name, arguments=call.function.arguments or "{}"
            ),
        )
        for call in calls
    )


def call_chunks(calls: Sequence[ToolCall]) -> tuple[ChunkCall, ...]:
    """The calls of an answer as one chunk has them, each whole."""
    return tuple(
        ChunkCall(
            index=index,
            id=call.id,
            type="function",
            function=ChunkFunction(name=call.function.name, arguments=call.function.arguments),
        )
        for index, call in enumerate(calls_to(calls))
    )

"""Transcripts with tool calls: every call has its answer, in what comes in, is kept and is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pyeino.errors import ValidationError
from pyeino.schema import Message, Role, ToolCall
from pyeino.service._records import ChatMessage

_LONGEST_ID: Final = 256
_KEPT: Final = "transcript"


def check_transcript(messages: Sequence[ChatMessage]) -> None:
    """Raise ValidationError INVALID_REQUEST for a call without its answer, or the reverse.

    The calls of an assistant message are answered by the tool messages right behind it, each call
    once, in any order.
    """
    waiting: dict[str, str] = {}
    for index, message in enumerate(messages):
        field = f"messages[{index}]"
        if message.role == "tool":
            if waiting.pop(message.tool_call_id, None) is None:
                expected = "the id of a call in the assistant message before it, answered once"
                raise _invalid(f"{field}.tool_call_id", expected, repr(message.tool_call_id[:64]))
        else:
            _check_answered(waiting, field)
            if message.tool_call_id:
                raise _invalid(f"{field}.tool_call_id", "no tool_call_id here", "one")
        if message.tool_calls:
            waiting = _calls_of(message, field)
    _check_answered(waiting, f"messages[{len(messages)}]")


def _calls_of(message: ChatMessage, field: str) -> dict[str, str]:
    if message.role != "assistant":
        raise _invalid(f"{field}.tool_calls", "none in this role", f"{len(message.tool_calls)}")
    found: dict[str, str] = {}
    for number, call in enumerate(message.tool_calls):
        where = f"{field}.tool_calls[{number}]"
        if call.type != "function":
            raise _invalid(f"{where}.type", "function", repr(call.type[:32]))
        for name, value in (("id", call.id), ("function.name", call.function.name)):
            if not 0 < len(value) <= _LONGEST_ID:
                expected = f"1 to {_LONGEST_ID} characters"
                raise _invalid(f"{where}.{name}", expected, f"{len(value)}")
        if call.id in found:
            raise _invalid(f"{where}.id", "an id of its own", f"{call.id[:64]!r} again")
        found[call.id] = where
    return found


def _check_answered(waiting: dict[str, str], field: str) -> None:
    for name, where in waiting.items():
        expected = f"a message with the role tool that answers {where} ({name[:64]!r})"
        raise _invalid(field, expected, "none")


def to_messages(given: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages of a checked request; tool messages get the name of the tool they are from."""
    names = {call.id: call.function.name for one in given for call in one.tool_calls}
    return tuple(
        Message(
            role=Role(one.role),
            content=one.content,
            tool_calls=tuple(msgspec.structs.replace(call, index=None) for call in one.tool_calls),
            tool_call_id=one.tool_call_id,
            tool_name=names.get(one.tool_call_id, ""),
        )
        for one in given
    )


def to_metadata(message: Message) -> dict[str, Any]:
    """What the row of `message` has to keep beside its text; {} for most messages."""
    if message.tool_calls:
        return {_KEPT: {"tool_calls": msgspec.to_builtins(message.tool_calls)}}
    if message.role is Role.TOOL:
        return {_KEPT: {"tool_call_id": message.tool_call_id, "tool_name": message.tool_name}}
    return {}


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""


def from_row(role: str, content: str, metadata: dict[str, Any]) -> Message:
    """The message that a row was made from."""
    kept = metadata.get(_KEPT)
    try:
        found = _Kept() if kept is None else msgspec.convert(kept, _Kept)
    except msgspec.ValidationError:  # metadata that came with a request, and is none of ours
        found = _Kept()
    return Message(
        role=Role(role),
        content=content,
        tool_calls=found.tool_calls if role == Role.ASSISTANT else (),
        tool_call_id=found.tool_call_id if role == Role.TOOL else "",
        tool_name=found.tool_name if role == Role.TOOL else "",
    )


def without_orphans(messages: Sequence[Message]) -> list[Message]:
    """`messages` without calls that lack an answer and answers that lack their call.

    An assistant message keeps its text; a limit on history or a lost row may have cut the rest.
    """
    kept: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        index += 1
        if message.role is Role.TOOL:
            continue
        if not message.tool_calls:
            kept.append(message)
            continue
        answers: list[Message] = []
        while index < len(messages) and messages[index].role is Role.TOOL:
            answers.append(messages[index])
            index += 1
        if sorted(one.tool_call_id for one in answers) == sorted(
            call.id for call in message.tool_calls
        ):
            kept += [message, *answers]
        elif message.content:
            kept.append(msgspec.structs.replace(message, tool_calls=()))
    return kept


def _invalid(field: str, expected: str, found: str) -> ValidationError:
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )

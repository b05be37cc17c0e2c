"""Message: what models, templates, tools and histories exchange."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from pyeino.errors import ConcatError, EmptyStreamError
from pyeino.schema._concat import concat_fields
from pyeino.schema._parts import InputPart, OutputPart
from pyeino.schema._tool_call import ToolCall
from pyeino.schema._usage import ResponseMeta


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, or one chunk of a streamed message; never changed after it is made.

    `content` is the plain text; `user_input_multi_content` (from users and tools) and
    `assistant_output_multi_content` (from models) hold parts where text alone is not enough.
    Eino's deprecated `multi_content` is left out: those two say which side speaks.
    """

    role: Role
    content: str
    name: str = ""
    user_input_multi_content: tuple[InputPart, ...] = ()
    assistant_output_multi_content: tuple[OutputPart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""
    reasoning_content: str = ""
    response_meta: ResponseMeta | None = None
    extra: dict[str, Any] = {}

    @classmethod
    def system(cls, content: str) -> Message:
        """Instructions for the model."""
        return cls(role=Role.SYSTEM, content=content)

    @classmethod
    def user(cls, content: str, *, parts: Sequence[InputPart] = ()) -> Message:
        """What the user said; `parts` go to `user_input_multi_content`."""
        return cls(role=Role.USER, content=content, user_input_multi_content=tuple(parts))

    @classmethod
    def assistant(cls, content: str, *, tool_calls: Sequence[ToolCall] = ()) -> Message:
        """What the model said."""
        return cls(role=Role.ASSISTANT, content=content, tool_calls=tuple(tool_calls))

    @classmethod
    def tool(cls, content: str, *, tool_call_id: str, tool_name: str = "") -> Message:
        """What a tool answered to the call `tool_call_id`."""
        return cls(role=Role.TOOL, content=content, tool_call_id=tool_call_id, tool_name=tool_name)

    @classmethod
    def __concat__(cls, items: Sequence[Message]) -> Message:
        """Add up the chunks of one message; streams find this method by its name.

        Texts are joined; role, names and ids have to agree where they are set; finish reason is
        the last, usage the field-wise greatest, log probabilities are appended; neighbouring parts
        of one kind are joined; tool calls are grouped by index, and an index that comes again with
        another id is a new call; `extra` adds up by key. The chunks are never changed. Raises
        ConcatError when chunks contradict each other, EmptyStreamError when there are none.
        """
        if not items:
            raise EmptyStreamError("no chunks to concatenate", expected="at least one message")
        for index, item in enumerate(items):
            if not isinstance(item, Message):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConcatError(
                    "a chunk of a message stream is not a message",
                    where=f"chunk {index}",
                    expected="Message",
                    found=type(item).__name__,
                )
        return items[0] if len(items) == 1 else cls(**concat_fields(items))

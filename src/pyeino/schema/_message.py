"""Message: what models, templates, tools and histories exchange."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from pyeino.errors import ConcatError, EmptyStreamError, ParseError
from pyeino.schema._concat import concat_fields
from pyeino.schema._parts import InputPart, OutputPart
from pyeino.schema._text_form import meta_lines, part_lines, tool_call_lines
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

    # Fields whose chunks are simply joined, so that a workflow can pass them on piece by piece.
    __joined__: ClassVar[frozenset[str]] = frozenset({"content", "reasoning_content"})

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
            if not isinstance(item, Message):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may send anything
                raise ConcatError(
                    "a chunk of a message stream is not a message",
                    where=f"chunk {index}",
                    expected="Message",
                    found=type(item).__name__,
                )
        return items[0] if len(items) == 1 else cls(**concat_fields(items))

    def __str__(self) -> str:
        """`role: content`, then a block for each thing that there is; base64 data by length."""
        lines = [f"{self.role.value}: {self.content}"]
        lines += part_lines("user_input_multi_content", self.user_input_multi_content)
        lines += part_lines("assistant_output_multi_content", self.assistant_output_multi_content)
        if self.reasoning_content:
            lines += ["reasoning content:", self.reasoning_content]
        lines += tool_call_lines(self.tool_calls)
        if self.tool_call_id:
            lines.append(f"tool_call_id: {self.tool_call_id}")
        if self.tool_name:
            lines.append(f"tool_call_name: {self.tool_name}")
        return "\n".join(lines + meta_lines(self.response_meta))

    def to_json(self) -> str:
        """The JSON form: role and content always, everything else only when it is not empty.

        Leaves out `streaming_index`, which means something inside one stream only.
        """
        parts = tuple(
            part
            if part.streaming_index is None
            else msgspec.structs.replace(part, streaming_index=None)
            for part in self.assistant_output_multi_content
        )
        whole = msgspec.structs.replace(self, assistant_output_multi_content=parts)
        return msgspec.json.encode(whole).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Message:
        """The message of a JSON form; ParseError names the spot that does not fit."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ParseError(f"this is not the JSON of a message: {error}") from error


def concat_message_lists(
    lists: Sequence[Sequence[Message | None]],
) -> list[Message | None]:
    """Add up chunks that are lists of messages, one column a message (a tools node streams so).

    Every list has the same length, with None where a chunk says nothing about that message; a
    column that is None throughout stays None. Raises ConcatError for unequal lengths.
    """
    if not lists:
        return []
    width = len(lists[0])
    for number, one in enumerate(lists):
        if len(one) != width:
            raise ConcatError(
                "lists of messages differ in length",
                where=f"chunk {number}",
                expected=str(width),
                found=str(len(one)),
            )
    columns = ([item for item in column if item is not None] for column in zip(*lists, strict=True))
    return [Message.__concat__(column) if column else None for column in columns]

"""Frames of the chunks that make up most of a stream, with all that stays the same encoded once.

The hot chunk of a stream differs from the one before it by a sequence number and a text. Its
bytes are a prefix, the text as JSON, and a suffix; a test holds them equal to what encoding the
whole record gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyeino.schema import ToolCall
from pyeino.wire._openai_annotations import Annotation
from pyeino.wire._openai_response import (
    ChatCompletionChunk,
    ChunkChoice,
    CompletionUsage,
    Delta,
    finish_reason_of,
)
from pyeino.wire._openai_tools import call_chunks
from pyeino.wire._sse import encode_event

DONE_FRAME = b"data: [DONE]\n\n"
"""Ends a stream under /v1."""

_encode = msgspec.json.Encoder().encode
_MARK = "\ue000"


class ChunkFrames:
    """Frames of one run's native chunks: `id: <seq>`, data {message_id, seq, delta}."""

    __slots__ = ("_head",)

    def __init__(self, message_id: str) -> None:
        self._head = b'\ndata: {"message_id":' + _encode(message_id) + b',"seq":'

    def delta(self, seq: int, delta: str) -> bytes:
        """The frame of a chunk that carries text and nothing else."""
        number = b"%d" % seq
        return b"".join(
            (b"id: ", number, self._head, number, b',"delta":', _encode(delta), b"}\n\n")
        )


class CompletionFrames:
    """Frames of one streamed chat completion.

    `include_usage` puts `usage: null` on every chunk and lets `usage()` send the totals.
    """

    __slots__ = ("_created", "_id", "_include_usage", "_model", "_prefix", "_suffix")

    def __init__(self, *, id: str, created: int, model: str, include_usage: bool = False) -> None:
        self._id = id
        self._created = created
        self._model = model
        self._include_usage = include_usage
        template = self._frame(ChunkChoice(delta=Delta(content=_MARK)))
        self._prefix, self._suffix = template.rsplit(_encode(_MARK), 1)

    def first(self) -> bytes:
        """The opening chunk, which says that the assistant speaks."""
        return self._frame(ChunkChoice(delta=Delta(role="assistant", content="")))

    def delta(self, text: str) -> bytes:
        """A chunk of text."""
        return b"".join((self._prefix, _encode(text), self._suffix))

    def reasoning(self, text: str) -> bytes:
        """A chunk of what the model says of its thinking."""
        return self._frame(ChunkChoice(delta=Delta(reasoning_content=text)))

    def tool_calls(self, calls: Sequence[ToolCall]) -> bytes:
        """A chunk with the calls that the caller is asked to make; b"" when there are none."""
        if not calls:
            return b""
        return self._frame(ChunkChoice(delta=Delta(tool_calls=call_chunks(calls))))

    def finish(self, reason: str | None, *, annotations: Sequence[Annotation] = ()) -> bytes:
        """The chunk that says why the answer ended, and what it rests on."""
        delta = Delta(annotations=tuple(annotations))
        return self._frame(ChunkChoice(delta=delta, finish_reason=finish_reason_of(reason)))

    def usage(self, usage: CompletionUsage) -> bytes:
        """The last chunk: the totals, and no choice; b"" when nobody asked for it."""
        if not self._include_usage:
            return b""
        return encode_event(_encode(self._chunk((), usage)))

    def _frame(self, choice: ChunkChoice) -> bytes:
        usage = None if self._include_usage else msgspec.UNSET
        return encode_event(_encode(self._chunk((choice,), usage)))

    def _chunk(
        self, choices: tuple[ChunkChoice, ...], usage: CompletionUsage | msgspec.UnsetType | None
    ) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            id=self._id, created=self._created, model=self._model, choices=choices, usage=usage
        )

"""What the events of a stream say: text, an end that is well, or a failure."""

from __future__ import annotations

from typing import Any

import msgspec

from pyeino.wire import SSEDecoder, SSEEvent

_DONE = "[DONE]"
_BAD_ENDS = {"error": "stream_error", "cancelled": "stream_cancelled"}


class _Delta(msgspec.Struct, frozen=True, kw_only=True):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct, frozen=True, kw_only=True):
    delta: _Delta | None = None


class _Piece(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a chunk as tells whether it brings anything, in pyeino's form and OpenAI's."""

    delta: str | None = None
    seq: int | None = None
    choices: list[_Choice] | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Piece)


class StreamReader:
    """The events of one answer. `chunks` has the time of each that brought something.

    `error` is "" as long as nothing is wrong. After `end()` it is final: a stream of a form that
    we know, which stops without its last word, is `stream_broken`.
    """

    __slots__ = ("_decoder", "_ended", "_known", "chunks", "error")

    def __init__(self) -> None:
        self.chunks: list[int] = []
        self.error = ""
        self._decoder = SSEDecoder()
        self._known = False
        self._ended = False

    def feed(self, data: bytes, *, at: int) -> None:
        """Take in bytes that arrived at the time `at`. Raises SSEError for what is no stream."""
        for event in self._decoder.feed(data):
            self._take(event, at)

    def end(self) -> None:
        """Say that nothing more comes."""
        if self._known and not self._ended:
            self.error = self.error or "stream_broken"

    def _take(self, event: SSEEvent, at: int) -> None:
        if event.event in _BAD_ENDS:
            self._ended = True
            self.error = _BAD_ENDS[event.event]
        elif event.event == "done" or event.data == _DONE:
            self._ended = True
        elif self._brings_something(event.data):
            self.chunks.append(at)

    def _brings_something(self, data: str) -> bool:
        try:
            piece = _decoder.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return True  # of a form that we do not know: every event counts
        if piece.error is not None:
            self.error = "stream_error"
            return False
        if piece.choices is not None:
            self._known = True
            return any(_has_content(choice.delta) for choice in piece.choices)
        if piece.seq is not None:
            self._known = True
            return bool(piece.delta)
        return True


def _has_content(delta: _Delta | None) -> bool:
    return delta is not None and bool(delta.content or delta.reasoning_content or delta.tool_calls)

"""ConfiguredModel: a chat model with the settings' options and their bound on waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from pyeino.callbacks import TraceInfo, trace_info_of
from pyeino.components import ChatModel, ModelOptions
from pyeino.errors import InternalError
from pyeino.schema import Message
from pyeino.streams import Stream


class ConfiguredModel:
    """`model` as the settings want it called; `model` itself is closed by who made it.

    `defaults` give way to the options of a call. A call that makes no progress for
    `stall_timeout` seconds ends with TIMEOUT (504); one that does may last longer.
    """

    def __init__(self, model: ChatModel, *, defaults: ModelOptions, stall_timeout: float) -> None:
        self._model = model
        self._defaults = defaults
        self._stall_timeout = stall_timeout

    def get_type(self) -> str:
        """The name of the model's own implementation."""
        return type(self._model).__name__

    def get_trace_info(self) -> TraceInfo:
        """What the model says of itself."""
        return trace_info_of(self._model) or TraceInfo(component_name=self.get_type())

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer `messages` with one message; read as a stream, which shows the progress."""
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer `messages` in chunks; the caller closes the stream, which ends the call."""
        merged = self._defaults if options is None else options.over(self._defaults)
        return Stream.from_iterator(self._chunks(messages, merged))

    async def _chunks(
        self, messages: Sequence[Message], options: ModelOptions
    ) -> AsyncIterator[Message]:
        async with self._model.stream(messages, options=options) as chunks:
            while (chunk := await self._next(chunks)) is not None:
                yield chunk

    async def _next(self, chunks: Stream[Message]) -> Message | None:
        try:
            async with asyncio.timeout(self._stall_timeout):
                return await anext(chunks, None)
        except TimeoutError as error:
            raise InternalError(
                "TIMEOUT",
                f"The model made no progress for {self._stall_timeout:g} seconds",
                details="Ask for less, or set llm.timeout higher.",
                cause=error,
                http_status=504,
            ) from error

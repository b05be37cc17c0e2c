"""SocketModel: the chat model of another process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Self

import msgspec

from pyeino.callbacks import TraceInfo
from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError, ExternalError, ValidationError
from pyeino.integrations.model_socket._protocol import (
    Chunk,
    Done,
    Failure,
    Hello,
    ModelAddress,
    Question,
    Said,
    frame,
    read_said,
)
from pyeino.monitoring import model_trace_info
from pyeino.schema import Message
from pyeino.streams import Stream

_BROKEN = (OSError, EOFError, ValueError, msgspec.MsgspecError)


class SocketModel:
    """The model behind a ModelServer; made by `await SocketModel.connect(address)`.

    Answers, options and errors are those of the model itself; each call has a connection of its
    own, and closing the stream closes it, which ends the call over there. When the other process
    is gone or goes, ExternalError MODEL_FAILED (502). There is nothing to close.
    """

    def __init__(self, address: ModelAddress, *, info: ModelInfo) -> None:
        self._address = address
        self.info = info

    @classmethod
    async def connect(cls, address: ModelAddress, *, within: float = 30.0) -> Self:
        """The model at `address`, which may still be loading for `within` seconds."""
        return cls(address, info=await _ask_who(address, within=within))

    def get_trace_info(self) -> TraceInfo:
        """Provider and model, for traces and metrics."""
        return model_trace_info(kind="ChatModel", name=self.info.id, provider=self.info.provider)

    async def check(self) -> None:
        """Return when the model's process answers; for a readiness probe."""
        await _ask_who(self._address, within=5.0)

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer `messages` with one message; a cancel ends the call over there."""
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer `messages` in chunks; the caller closes the stream, which ends the call."""
        return Stream.from_iterator(self._chunks(tuple(messages), options or ModelOptions()))

    async def _chunks(
        self, messages: tuple[Message, ...], options: ModelOptions
    ) -> AsyncGenerator[Message, None]:
        question = Question(key=self._address.key, messages=messages, options=options)
        async with contextlib.aclosing(_ask(self._address, question)) as answers:
            async for said in answers:
                if isinstance(said, Chunk):
                    yield said.message
                elif isinstance(said, Done):
                    return


async def _ask_who(address: ModelAddress, *, within: float) -> ModelInfo:
    try:
        async with (
            asyncio.timeout(within),
            contextlib.aclosing(_ask(address, Question(key=address.key))) as answers,
        ):
            async for said in answers:
                if isinstance(said, Hello):
                    return said.info
    except TimeoutError as error:
        raise _gone(error) from error
    raise _gone(None)


async def _ask(address: ModelAddress, question: Question) -> AsyncGenerator[Said, None]:
    """What the server says to `question`, failures raised. Closing it closes the connection."""
    try:
        sent = frame(question)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValidationError(
            "INVALID_MESSAGE",
            f"The messages or options cannot be sent to the model: {error}",
            metadata={"field": "messages"},
        ) from error
    try:
        reader, writer = await asyncio.open_unix_connection(address.path)
    except OSError as error:
        raise _gone(error) from error
    try:
        writer.write(sent)
        while True:
            try:
                await writer.drain()
                said = await read_said(reader)
            except _BROKEN as error:
                raise _gone(error) from error
            if isinstance(said, Failure):
                raise said.error()
            yield said
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _gone(cause: BaseException | None) -> AppError:
    return ExternalError(
        "MODEL_FAILED",
        "The process of the local model does not answer",
        details="It is started anew when it has died; the log says why. Try again.",
        cause=cause,
    )

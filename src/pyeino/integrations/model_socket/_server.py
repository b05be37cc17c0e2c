"""ModelServer: one chat model for the processes of this machine that have its key."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
from types import TracebackType
from typing import Self

import msgspec

from pyeino.components import ChatModel, ModelInfo
from pyeino.errors import AppError, as_app_error
from pyeino.integrations.model_socket._protocol import (
    Chunk,
    Done,
    Failure,
    Hello,
    Question,
    Said,
    frame,
    read_question,
)
from pyeino.monitoring import Logger

_PATIENCE = 10.0
"""Seconds for a question to arrive."""


class ModelServer:
    """Answers on `listener`, a Unix socket that listens, as long as the `async with`.

    The model belongs to whoever made it, as does the listener. A connection that closes ends its
    call. Who does not begin with `key` is not answered.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        info: ModelInfo,
        listener: socket.socket,
        key: bytes,
        logger: Logger,
    ) -> None:
        self._model, self._info = model, info
        self._listener, self._key = listener, key
        self._logger = logger
        self._calls: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        # A copy, because asyncio closes what it listens on.
        self._server = await asyncio.start_unix_server(self._connected, sock=self._listener.dup())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for call in tuple(self._calls):
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.create_task(self._serve(reader, writer), name="model call")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                question = await read_question(reader)
            if hmac.compare_digest(question.key, self._key):
                await self._answer(question, reader, writer)
            else:
                self._logger.warn("Model asked without its key")
        except (OSError, EOFError, TimeoutError, ValueError, msgspec.MsgspecError):
            return  # who asked has left, or is none of ours
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Work on the answer until it is there or the connection closes, whichever is first."""
        work = asyncio.create_task(self._say(question, writer), name="model answer")
        left = asyncio.create_task(reader.read(1), name="model client")
        try:
            await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            left.cancel()
            await asyncio.wait((work, left))
        if not work.cancelled():
            work.result()

    async def _say(self, question: Question, writer: asyncio.StreamWriter) -> None:
        if question.messages is None:
            await _write(writer, Hello(info=self._info))
            return
        try:
            async with self._model.stream(question.messages, options=question.options) as chunks:
                async for chunk in chunks:
                    await _write(writer, Chunk(message=chunk))
        except OSError:
            raise  # the connection's; what fails in a model is an AppError
        except Exception as error:  # noqa: BLE001 (told to who has asked, as the model tells it)
            told = error if isinstance(error, AppError) else as_app_error(error)
            if told is not error:
                self._logger.error("Model call failed", error=error)
            await _write(writer, Failure.of(told))
        else:
            await _write(writer, Done())


async def _write(writer: asyncio.StreamWriter, said: Said) -> None:
    writer.write(frame(said))
    await writer.drain()

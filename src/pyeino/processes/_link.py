"""Link: calls in both directions between two processes, over one stream of bytes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

import msgspec

from pyeino.errors import PyeinoError

Handler = Callable[[bytes], Awaitable[bytes]]

_LENGTH = 4
_LARGEST = 64 * 1024 * 1024


class LinkError(PyeinoError):
    """The other process could not do what it was asked; the message is its own."""

    default_code = "LINK_ERROR"


class LinkClosedError(LinkError):
    """The other process is gone, or is going."""

    default_code = "LINK_CLOSED"


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call has a method and a number, an answer only the number; a note has number 0."""

    number: int
    method: str = ""
    data: bytes = b""
    error: str = ""


class Link:
    """One end of a connected pair of sockets; made by `await Link.open(socket, handlers)`.

    `handlers` do what the other end asks, by method; each call runs as a task of its own. When
    the other end closes, calls that wait raise LinkClosedError, and `closed` is set: a process
    learns in this way that the other one has died, however it did. Close it with `async with`.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[str, Handler],
    ) -> None:
        """Internal; use `open`."""
        self.closed = asyncio.Event()
        self._reader, self._writer = reader, writer
        self._handlers = handlers
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Frame)
        self._task = asyncio.create_task(self._read(), name="link")

    @classmethod
    async def open(cls, end: socket.socket, handlers: Mapping[str, Handler]) -> Self:
        """A link over `end`, which belongs to the link from now on."""
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer, handlers)

    async def call(self, method: str, data: bytes = b"", *, within: float) -> bytes:
        """What the other end answers in `within` seconds.

        Raises TimeoutError, LinkClosedError, or LinkError with the words of the other end.
        """
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(within):
                await self._send(_Frame(number=number, method=method, data=data))
                found: bytes = await answer
                return found
        finally:
            self._waiting.pop(number, None)

    def tell(self, method: str, data: bytes = b"") -> None:
        """Say something short that needs no answer, without waiting. Raises LinkClosedError."""
        self._write(_Frame(number=0, method=method, data=data))

    async def aclose(self) -> None:
        """Close this end, which the other one notices; idempotent."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _write(self, frame: _Frame) -> None:
        if self.closed.is_set():
            raise _gone()
        data = self._encoder.encode(frame)
        # One write for the whole frame: frames of several tasks do not mix.
        self._writer.write(len(data).to_bytes(_LENGTH, "big") + data)

    async def _send(self, frame: _Frame) -> None:
        self._write(frame)
        try:
            await self._writer.drain()
        except OSError as error:
            raise _gone() from error

    async def _read(self) -> None:
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
                if length > _LARGEST:
                    return
                frame = self._decoder.decode(await self._reader.readexactly(length))
                self._take(frame)
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
            return  # the other end has closed, or is none of ours
        finally:
            self.closed.set()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_gone())
            for task in tuple(self._serving):
                task.cancel()
            if self._serving:
                await asyncio.wait(self._serving)

    def _take(self, frame: _Frame) -> None:
        if frame.method:
            task = asyncio.create_task(self._serve(frame), name=f"link {frame.method}")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
            return
        waiting = self._waiting.get(frame.number)
        if waiting is None or waiting.done():
            return  # whoever asked has given up
        if frame.error:
            waiting.set_exception(LinkError(frame.error))
        else:
            waiting.set_result(frame.data)

    async def _serve(self, frame: _Frame) -> None:
        data, failure = b"", ""
        try:
            data = await self._handlers[frame.method](frame.data)
        except Exception as error:  # noqa: BLE001 (told to who has asked)
            failure = f"{frame.method}: {type(error).__name__}: {error}"
        if frame.number:
            with contextlib.suppress(LinkClosedError):
                await self._send(_Frame(number=frame.number, data=data, error=failure))


def _gone() -> LinkClosedError:
    return LinkClosedError("the other process is gone")

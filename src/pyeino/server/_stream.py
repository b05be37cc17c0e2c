"""A run's stream to a socket: heartbeats, one terminal frame, and an end to work nobody reads."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from pyeino.errors import AppError, as_app_error
from pyeino.server._asgi import ClientGoneError, record_of, wait_for_disconnect
from pyeino.server._errors import note_error
from pyeino.server._exchange import Exchange
from pyeino.streams import Stream
from pyeino.wire import HEARTBEAT

ItemT = TypeVar("ItemT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)

MAX_BUFFERED = 64 * 1024

STREAM_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class StreamFormat(Protocol[ItemT_contra]):
    """How the items and the end of a stream look on the wire."""

    def item(self, item: ItemT_contra) -> bytes:
        """The frame, or frames, of one item."""
        ...

    def done(self) -> bytes:
        """The terminal frame of a stream that ran to its end."""
        ...

    def failed(self, error: AppError) -> bytes:
        """The terminal frame of a stream that broke."""
        ...

    def cancelled(self) -> bytes:
        """The terminal frame of a stream whose run was cancelled by somebody else."""
        ...


async def send_stream(
    exchange: Exchange, stream: Stream[ItemT], wire_format: StreamFormat[ItemT]
) -> None:
    """Send `stream` as server-sent events and close it, however this ends.

    An error before the first item is raised, to become a response with its own status, unless
    the first item lets itself be waited for longer than a heartbeat: then the response has begun.
    A client that leaves, in any phase, ends the stream and raises ClientGoneError.
    """
    sender = _Sender(exchange, stream, wire_format)
    try:
        early = await sender.run()
    finally:
        await stream.aclose()
    if early is not None:
        raise early
    if sender.gone:
        raise ClientGoneError("the client left before the stream ended")


class _Sender(Generic[ItemT]):
    """Three parties around one buffer: the reader of the run, the writer, the client's watcher.

    What the reader finds ready without waiting gathers in the buffer while it holds the loop, so
    chunks of one tick leave in one write. The buffer is bounded; a full one stops the reader.
    """

    def __init__(
        self, exchange: Exchange, stream: Stream[ItemT], wire_format: StreamFormat[ItemT]
    ) -> None:
        self.gone = False
        self._exchange = exchange
        self._stream = stream
        self._format = wire_format
        self._frames: list[bytes] = []
        self._size = 0
        self._ended = False
        self._early: AppError | None = None
        self._begun = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._beat = _Heartbeat(exchange.backend.options.heartbeat, self._wake)

    async def run(self) -> AppError | None:
        """Send everything; the error when there was one before anything was sent."""
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self._read())
            watcher = tasks.create_task(self._watch())
            try:
                await self._write()
            except ClientGoneError:
                self.gone = True
            finally:
                self._beat.stop()
                reader.cancel()
                watcher.cancel()
        return self._early

    async def _read(self) -> None:
        try:
            async for item in self._stream:
                self._add(self._format.item(item))
                if self._size > MAX_BUFFERED:
                    self._room.clear()
                    await self._room.wait()
            self._end(self._format.done())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the client left or the server stops: nobody reads a frame
            self._end(self._format.cancelled())
        except Exception as raised:  # noqa: BLE001 (whatever broke the run becomes its terminal frame)
            self._fail(as_app_error(raised))

    def _fail(self, error: AppError) -> None:
        if not self._begun and not self._frames:
            self._early = error
            self._ended = True
            self._wake.set()
            return
        note_error(self._exchange.scope, error, self._exchange.backend.logger)
        self._end(self._format.failed(error))

    def _add(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._size += len(frame)
        self._wake.set()

    def _end(self, frame: bytes) -> None:
        self._ended = True
        self._add(frame)

    async def _watch(self) -> None:
        await wait_for_disconnect(self._exchange.receive)
        if not record_of(self._exchange.scope).complete:
            self.gone = True
            self._wake.set()

    async def _write(self) -> None:
        self._beat.start()
        while not self.gone:
            await self._wake.wait()
            self._wake.clear()
            if self._early is not None or self.gone:
                return
            body = b"".join(self._frames)
            self._frames.clear()
            self._size = 0
            self._room.set()
            ended = self._ended
            if not body:
                if not self._beat.due:
                    continue
                body = HEARTBEAT
            self._beat.sent()
            await self._send(body, more=not ended)
            if ended:
                return

    async def _send(self, body: bytes, *, more: bool) -> None:
        if not self._begun:
            self._begun = True
            await self._exchange.send(
                {"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)}
            )
        await self._exchange.send({"type": "http.response.body", "body": body, "more_body": more})


class _Heartbeat:
    """One timer that wakes the writer when nothing was sent for `interval` seconds."""

    __slots__ = ("_interval", "_last", "_loop", "_timer", "_wake", "due")

    def __init__(self, interval: float, wake: asyncio.Event) -> None:
        self.due = False
        self._interval = interval
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._last = self._loop.time()
        self._timer = self._loop.call_at(self._last + self._interval, self._tick)

    def sent(self) -> None:
        """Something goes out now; the timer itself is left alone, so that a chunk costs nothing."""
        self.due = False
        self._last = self._loop.time()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        due_at = self._last + self._interval
        if self._loop.time() >= due_at:
            self.due = True
            self._wake.set()
            due_at = self._loop.time() + self._interval
        self._timer = self._loop.call_at(due_at, self._tick)

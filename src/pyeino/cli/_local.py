"""A conversation with the service in this process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

from pyeino.cli._conversation import EARLIER_MESSAGES, USER, Session
from pyeino.components import ModelInfo
from pyeino.errors import NotFoundError
from pyeino.service import ChatChunk, ChatRequest, MessageRecord, Sessions
from pyeino.streams import Stream


class StreamingService(Protocol):
    """What a conversation needs of the chat service."""

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Who answers; the first one by default."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The conversations that there were."""
        ...

    def stream_chat(self, request: ChatRequest) -> Stream[ChatChunk]:
        """One answer, streamed."""
        ...


OpenService = Callable[[], AbstractAsyncContextManager[StreamingService]]


@contextmanager
def local_conversation(
    open_service: OpenService, *, session_id: str | None = None
) -> Generator[LocalConversation]:
    """A conversation with the service that `open_service` opens, for as long as the `with`.

    It goes on with `session_id`, or begins a session of its own.

    The event loop runs in a thread of its own, because the main thread waits for the keyboard;
    the service is opened and closed there, by one task.
    """
    host = _Host(open_service)
    thread = threading.Thread(target=host.run, name="pyeino-chat")
    thread.start()
    try:
        yield LocalConversation(host, session_id=session_id)
    finally:
        host.stop()
        thread.join()


class _Host:
    """Runs the event loop and keeps the service open until it is told to stop."""

    def __init__(self, open_service: OpenService) -> None:
        self._open = open_service
        self._stop = asyncio.Event()
        self._task: Future[asyncio.Task[None]] = Future()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.service: Future[StreamingService] = Future()

    def run(self) -> None:
        """Open the service, wait, close it. Failures to open are in `service`."""
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 (handed to who waits for the service)
            if not self.service.done():
                self.service.set_exception(error)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("asyncio.run without a task")
        self._task.set_result(task)
        async with self._open() as service:
            self.service.set_result(service)
            await self._stop.wait()

    def stop(self) -> None:
        """Close the service; give up opening it when it is not open yet."""
        task = self._task.result()
        loop = task.get_loop()
        try:
            loop.call_soon_threadsafe(self._stop.set if self.service.done() else task.cancel)
        except RuntimeError:  # the loop has ended by itself
            return


class LocalConversation:
    """The turns of one conversation; used from one thread, which is not the event loop's."""

    def __init__(self, host: _Host, *, session_id: str | None = None) -> None:
        self._service = host.service.result()
        self._loop = host.loop
        self._session = Session(session_id)
        models = self._service.models
        self.model = models[0].id if models else ""

    @property
    def session_id(self) -> str:
        """The session that the turns belong to."""
        return self._session.session_id

    def earlier(self) -> Sequence[MessageRecord]:
        """The last messages of the session, oldest first; none when it is new."""
        if self._loop is None:
            raise AssertionError("the event loop has not begun")
        listing = self._service.sessions.messages(
            self.session_id, user_id=USER, limit=EARLIER_MESSAGES, newest_first=True
        )
        try:
            page = asyncio.run_coroutine_threadsafe(listing, self._loop).result()
        except NotFoundError:
            return ()
        return page.items[::-1]

    def answer(self, message: str) -> Generator[ChatChunk]:
        """The chunks of the answer; closing the generator cancels the run and waits for its end."""
        if self._loop is None:
            raise AssertionError("the event loop has not begun")
        chunks: queue.SimpleQueue[ChatChunk | None] = queue.SimpleQueue()
        request = self._session.request(message)
        starting = self._start(request, chunks)
        turn = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        ended = False
        try:
            while (chunk := chunks.get()) is not None:
                yield chunk
            ended = True
            turn.result()
        finally:
            if not ended:
                self._loop.call_soon_threadsafe(turn.cancel)
                while chunks.get() is not None:
                    pass

    async def _start(
        self, request: ChatRequest, chunks: queue.SimpleQueue[ChatChunk | None]
    ) -> asyncio.Task[None]:
        """The turn as a task whose end is a None in the queue; `answer` owns it."""
        turn = asyncio.create_task(self._run(request, chunks), name="pyeino chat turn")
        turn.add_done_callback(lambda _: chunks.put(None))
        return turn

    async def _run(self, request: ChatRequest, chunks: queue.SimpleQueue[ChatChunk | None]) -> None:
        # The queue has no bound: it never holds more than one answer, which has one.
        async with self._service.stream_chat(request) as stream:
            async for chunk in stream:
                chunks.put(chunk)

"""One request that came over a WebSocket, from its first frame to its terminal one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from msgspec.structs import asdict

from pyeino.errors import as_app_error
from pyeino.monitoring import bind_request, request_span
from pyeino.server._asgi import ClientGoneError, RequestRecord
from pyeino.server._backend import Backend
from pyeino.server._caller import Caller, call_context, require_scope
from pyeino.server._errors import note_failure
from pyeino.server._observe import CLIENT_CLOSED, report
from pyeino.server._socket_frames import (
    AskFrame,
    CancelledFrame,
    ChatFrame,
    ChunkFrame,
    DoneFrame,
    ServerFrame,
    TerminalFrame,
    error_frame,
)
from pyeino.service import ChatChunk
from pyeino.streams import Stream

SCOPE = "chat"
"""What a caller has to be allowed for each request, as for the socket itself."""

METHOD = "WS"
"""What stands for the method of such a request in metrics and logs."""


class SocketRequest:
    """A request under way. `run` gives its one terminal frame; the caller sends it.

    It passes the same checks, limits and gate, counts in the same metrics and writes the same log
    line as a request over HTTP; its `request_id` is the one of the log.
    """

    def __init__(
        self,
        backend: Backend,
        frame: AskFrame,
        *,
        caller: Caller | None,
        send: Callable[[ServerFrame], Awaitable[None]],
        endpoint: str,
        traceparent: str | None,
    ) -> None:
        self.id = frame.request_id
        self._backend = backend
        self._frame = frame
        self._caller = caller
        self._send = send
        self._traceparent = traceparent
        self._message_id = ""
        self._cancelled = asyncio.Event()
        self._record = RequestRecord(method=METHOD, endpoint=endpoint)

    def cancel(self) -> None:
        """Stop the request; its terminal frame says so, unless it has ended meanwhile."""
        self._cancelled.set()

    async def run(self) -> TerminalFrame:
        """Send the chunks; the terminal frame. ClientGoneError when nobody takes them.

        Cancelling it, as when the socket closes, ends the run and waits for that.
        """
        began = time.perf_counter()
        bound = bind_request(request_id=self.id, traceparent=self._traceparent)
        with bound, self._traced():
            try:
                return await self._run()
            except (ClientGoneError, asyncio.CancelledError):
                self._record.client_gone = True
                raise
            finally:
                report(
                    self._record,
                    time.perf_counter() - began,
                    metrics=self._backend.metrics,
                    logger=self._backend.logger,
                )

    @contextmanager
    def _traced(self) -> Generator[None]:
        """The span of this request, when requests are traced."""
        tracing = self._backend.tracing
        if tracing is None:
            yield
            return
        parent = self._traceparent
        with request_span(tracing, METHOD, traceparent=parent, scheme="ws") as served:
            served.route = self._record.endpoint
            try:
                yield
            finally:
                served.status = self._record.status

    async def _run(self) -> TerminalFrame:
        try:
            await self._identify()
            with self._backend.gate.admit():
                return await self._answer_or_cancel()
        except ClientGoneError:
            raise
        except Exception as raised:  # noqa: BLE001 (whatever broke the run becomes its terminal frame)
            error = as_app_error(raised)
            self._record.status = error.http_status
            note_failure(self._record, error, self._backend.logger)
            return error_frame(error, request_id=self.id)

    async def _identify(self) -> None:
        """Check and count this request: the token of a long-lived socket may have ended."""
        if self._caller is None:
            return
        self._caller = caller = await self._backend.doorkeeper.identify_again(self._caller)
        require_scope(caller, SCOPE)
        if caller.budget is not None:
            await caller.budget.take_request()

    async def _answer_or_cancel(self) -> TerminalFrame:
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(self._answer())
            cancelling = tasks.create_task(self._cancelled.wait())
            await asyncio.wait((answering, cancelling), return_when=asyncio.FIRST_COMPLETED)
            answering.cancel()
            cancelling.cancel()
        if answering.cancelled():
            return self._stopped()
        outcome = answering.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _answer(self) -> TerminalFrame | Exception:
        """The terminal frame, or the error as a value: a task group would wrap it in another."""
        finish_reason: str | None = None
        try:
            async with self._open() as chunks:
                async for chunk in chunks:
                    self._message_id = chunk.message_id
                    finish_reason = chunk.finish_reason
                    await self._send(ChunkFrame(request_id=self.id, **asdict(chunk)))
        except Exception as error:  # noqa: BLE001 (raised again by the caller)
            return error
        if finish_reason == "cancelled":
            return self._stopped()
        self._record.status = 200
        return DoneFrame(request_id=self.id, message_id=self._message_id)

    def _open(self) -> Stream[ChatChunk]:
        call = call_context(self._caller)
        service, frame = self._backend.service, self._frame
        if isinstance(frame, ChatFrame):
            return service.stream_chat(frame, call=call)
        return service.stream_multi_turn(frame, call=call)

    def _stopped(self) -> CancelledFrame:
        self._record.status = CLIENT_CLOSED
        self._record.client_gone = True
        return CancelledFrame(request_id=self.id, message_id=self._message_id)

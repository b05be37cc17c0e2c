"""A real server on a free port for each test, over a service that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
import prometheus_client  # noqa: F401 (reads files when first imported: not inside a loop)
import pytest

from pyeino.components import ModelInfo
from pyeino.errors import InternalError, NotFoundError
from pyeino.monitoring import Metrics
from pyeino.server import Probe, ServerOptions, StopSignal, create_app, run_server
from pyeino.service import (
    CallContext,
    ChatChunk,
    ChatRequest,
    ChatResponse,
    MultiTurnChatRequest,
    TokenUsage,
)
from pyeino.streams import Stream

HOST = b"Host: localhost\r\n"
USAGE = TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
BODY = {"user_id": "u1", "session_id": "s1", "message": "Hello"}
PATIENCE = 30.0

Step = str | BaseException | asyncio.Event | float


class ScriptedService:
    """A chat service that answers with the steps of a script.

    A text is a chunk, an exception is raised, an event or a number of seconds is waited for.
    """

    models = (ModelInfo(id="scripted", provider="testing", local=True),)

    def __init__(self, *steps: Step) -> None:
        self.steps: list[Step] = list(steps or ("Hel", "lo"))
        self.requests: list[ChatRequest | MultiTurnChatRequest] = []
        self.calls: list[CallContext | None] = []
        self.active = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.started = asyncio.Event()
        self.draining = False
        self._stop = asyncio.Event()

    async def chat(self, request: ChatRequest, *, call: CallContext | None = None) -> ChatResponse:
        return await self._whole(request, call)

    async def multi_turn_chat(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> ChatResponse:
        return await self._whole(request, call)

    def stream_chat(
        self, request: ChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        return Stream.from_iterator(self._run(request, call))

    def stream_multi_turn(
        self, request: MultiTurnChatRequest, *, call: CallContext | None = None
    ) -> Stream[ChatChunk]:
        return Stream.from_iterator(self._run(request, call))

    async def drain(self) -> None:
        self._stop.set()
        await self.idle.wait()

    async def _whole(self, request: Any, call: CallContext | None) -> ChatResponse:
        async with Stream.from_iterator(self._run(request, call)) as chunks:
            parts = await chunks.collect()
        return ChatResponse(
            message_id=parts[-1].message_id,
            content="".join(part.delta for part in parts),
            token_usage=USAGE,
            metadata=parts[-1].metadata,
            process_time=0.1,
        )

    async def _run(self, request: Any, call: CallContext | None) -> AsyncIterator[ChatChunk]:
        self.requests.append(request)
        self.calls.append(call)
        self.active += 1
        self.idle.clear()
        self.started.set()
        try:
            model = request.options.model if request.options else None
            if model not in (None, "default", "scripted"):
                raise NotFoundError(
                    "MODEL_NOT_FOUND", f"no model {model!r}", metadata={"field": "model"}
                )
            seq = 0
            for step in self.steps:
                if isinstance(step, str):
                    yield ChatChunk(message_id="m1", seq=seq, delta=step)
                    seq += 1
                elif isinstance(step, asyncio.Event):
                    await self._wait(step.wait())
                elif isinstance(step, float):
                    await self._wait(asyncio.sleep(step))
                else:
                    raise step
            yield ChatChunk(
                message_id="m1",
                seq=seq,
                delta="",
                finish_reason="stop",
                token_usage=USAGE,
                metadata={"session_id": "s1", "model": "scripted", "finish_reason": "stop"},
                process_time=0.1,
            )
        finally:
            self.active -= 1
            if not self.active:
                self.idle.set()

    async def _wait(self, step: Any) -> None:
        waits = [asyncio.ensure_future(step), asyncio.ensure_future(self._stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.wait(waits)
        if self._stop.is_set():
            raise InternalError("SERVER_STOPPED", "The server stopped", http_status=503)


@dataclass
class ListLogger:
    """A logger that keeps its lines as (level, message, fields)."""

    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def debug(self, message: str, /, **fields: Any) -> None:
        self.lines.append(("debug", message, fields))

    def info(self, message: str, /, **fields: Any) -> None:
        self.lines.append(("info", message, fields))

    def warn(self, message: str, /, **fields: Any) -> None:
        self.lines.append(("warn", message, fields))

    def error(self, message: str, /, **fields: Any) -> None:
        self.lines.append(("error", message, fields))

    def fatal(self, message: str, /, **fields: Any) -> Any:
        raise AssertionError(message)

    def with_context(self) -> ListLogger:
        return self

    def with_fields(self, **fields: Any) -> ListLogger:
        return self

    def found(self, message: str) -> list[dict[str, Any]]:
        return [fields for _, text, fields in self.lines if text == message]


@dataclass
class Running:
    """A server that runs, and the ways to talk to it."""

    url: str
    service: ScriptedService
    metrics: Metrics
    logger: ListLogger
    stop: StopSignal
    http: httpx2.AsyncClient
    task: asyncio.Task[int]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def openai(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry all of `labels`."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @asynccontextmanager
    async def raw(self, request: bytes = b"") -> AsyncIterator[RawClient]:
        """A bare TCP connection that has sent `request`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        client = RawClient(reader=reader, writer=writer)
        try:
            writer.write(request)
            await writer.drain()
            yield client
        finally:
            writer.transport.abort()


@dataclass
class RawClient:
    """Bytes on a wire."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(mark)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def serving(
    service: ScriptedService, *, probes: dict[str, Probe] | None = None, **options: Any
) -> AsyncIterator[Running]:
    metrics, logger, stop = Metrics(), ListLogger(), StopSignal()
    settings = ServerOptions(port=0, **options)
    app = create_app(service, options=settings, metrics=metrics, logger=logger, probes=probes)
    where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_server(
            app,
            options=settings,
            on_drain=service.drain,
            logger=logger,
            stop=stop,
            on_ready=where.set_result,
        )
    )
    try:
        async with asyncio.timeout(PATIENCE):
            url = await where
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            yield Running(url, service, metrics, logger, stop, http, task)
    finally:
        stop()
        async with asyncio.timeout(PATIENCE):
            await task


@pytest.fixture
def serve() -> Serve:
    """`async with serve(*script, option=value) as running:` runs a server."""

    def start(*steps: Step, **options: Any) -> AbstractAsyncContextManager[Running]:
        return serving(ScriptedService(*steps), **options)

    return start


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 (the condition belongs to the server)
                await asyncio.sleep(0.01)

    return wait

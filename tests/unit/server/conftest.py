"""A real server on a free port for each test, over the real service with a scripted model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2
import openai
import prometheus_client  # noqa: F401 (reads files when first imported: not inside a loop)
import pytest
from auth_kit import Guard, guarded_server

from pyeino.components import ModelInfo
from pyeino.integrations.memory import MemoryDatabase
from pyeino.monitoring import Metrics, Tracing, TracingHandler
from pyeino.server import Probe, ServerOptions, StopSignal, create_app, run_server
from pyeino.service import (
    ChatChunk,
    ChatResponse,
    ChatService,
    default_chat_chain,
    default_tool_chain,
)
from pyeino.streams import Stream
from pyeino.testing import ScriptedChatModel, ScriptedReply

MODELS = (ModelInfo(id="scripted", provider="testing", local=True),)
PATIENCE = 30.0

Step = str | BaseException | asyncio.Event | float


def reply_of(*steps: Step) -> ScriptedReply:
    """The reply that these steps describe, in their order: "Hel", an event to wait for, "lo".

    At most one event and one exception; a number is the delay before each chunk.
    """
    chunks: list[str] = []
    fields: dict[str, Any] = {}
    for step in steps:
        if isinstance(step, str):
            chunks.append(step)
        elif isinstance(step, float):
            fields["delay"] = step
        else:
            name = "hold" if isinstance(step, asyncio.Event) else "error"
            assert name not in fields
            assert fields.get("at", len(chunks)) == len(chunks)
            fields |= {name: step, "at": len(chunks)}
    return ScriptedReply(chunks=tuple(chunks), **fields)


class FakeService:
    """What the real service would hardly do: any exception at any place, many chunks at once."""

    models = MODELS

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.active = 0

    async def chat(self, request: Any, *, call: Any = None) -> ChatResponse:
        async with self.stream_chat(request) as stream:
            parts = await stream.collect()
        text = "".join(part.delta for part in parts)
        return ChatResponse(message_id="m1", content=text, process_time=0.1)

    def stream_chat(self, request: Any, *, call: Any = None) -> Stream[ChatChunk]:
        return Stream.from_iterator(self._run())

    multi_turn_chat = chat
    stream_multi_turn = stream_chat

    async def drain(self) -> None:
        return

    async def _run(self) -> AsyncIterator[ChatChunk]:
        self.active += 1
        try:
            for seq, step in enumerate(self._steps):
                if isinstance(step, str):
                    yield ChatChunk(message_id="m1", seq=seq, delta=step)
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, BaseException):
                    raise step
            last = len(self._steps)
            yield ChatChunk(message_id="m1", seq=last, delta="", finish_reason="stop")
        finally:
            self.active -= 1


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

    def troubles(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [line for line in self.lines if line[0] in ("warn", "error")]


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


@dataclass
class Running:
    """A server that runs, and the ways to talk to it."""

    url: str
    model: ScriptedChatModel
    service: Any
    metrics: Metrics
    logger: ListLogger
    stop: StopSignal
    http: httpx2.AsyncClient
    task: asyncio.Task[int]
    scope: Any = None

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def openai(self, *, max_retries: int = 0, api_key: str = "none") -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1",
            api_key=api_key,
            max_retries=max_retries,
            http_client=openai.DefaultAsyncHttpxClient(verify=False),  # no certificates to load
        )

    async def started(self) -> None:
        """Return when the model has been asked."""
        async with asyncio.timeout(PATIENCE):
            await self.model.wait_for_calls(1)

    async def idle(self) -> None:
        """Return when neither the model nor the service is at work."""
        async with asyncio.timeout(PATIENCE):
            await self.model.wait_until_idle()
        await until(lambda: self.service.active_runs == 0)

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
        """A bare TCP connection that has sent `request`; at the end it is cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        client = RawClient(reader=reader, writer=writer)
        try:
            writer.write(request)
            await writer.drain()
            yield client
        finally:
            writer.transport.abort()


async def until(condition: Callable[[], Any]) -> None:
    """Return when `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (the condition belongs to the server)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    service: Any,
    model: ScriptedChatModel,
    *,
    probes: dict[str, Probe] | None = None,
    logger: Any = None,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
    authenticator: Any = None,
    rate_limits: Any = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """`service` behind a server that listens on a free port."""
    metrics, logger, stop = metrics or Metrics(), logger or ListLogger(), StopSignal()
    settings = ServerOptions(port=0, **options)
    app = create_app(
        service,
        options=settings,
        metrics=metrics,
        logger=logger,
        probes=probes,
        tracing=tracing,
        authenticator=authenticator,
        rate_limits=rate_limits,
    )
    where: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def drain() -> None:
        await service.drain()

    task = asyncio.create_task(
        run_server(
            app,
            options=settings,
            on_drain=drain,
            logger=logger,
            stop=stop,
            on_ready=where.set_result,
        )
    )
    try:
        async with asyncio.timeout(PATIENCE):
            url = await where
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, verify=False) as http:
            yield Running(url, model, service, metrics, logger, stop, http, task)
    finally:
        stop()
        async with asyncio.timeout(PATIENCE):
            await task


@asynccontextmanager
async def serving_chat(
    *steps: Step,
    service_options: dict[str, Any] | None = None,
    logger: Any = None,
    tracing: Tracing | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """The real service, whose model always gives the reply that `steps` describe."""
    model = ScriptedChatModel(reply_of(*(steps or ("Hel", "lo"))))
    scope = MemoryDatabase().scope()
    logger, metrics = logger or ListLogger(), Metrics()
    service = ChatService(
        default_chat_chain(model),
        None,
        None,
        scope.sessions,
        scope.messages,
        logger,
        metrics,
        models=MODELS,
        callbacks=() if tracing is None else (TracingHandler(tracing),),
        **(service_options or {}),
    )
    async with (
        service,
        serving(
            service, model, logger=logger, metrics=metrics, tracing=tracing, **options
        ) as running,
    ):
        running.scope = scope
        yield running


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def serve() -> Serve:
    """`async with serve(*steps, option=value) as running:` serves the real service."""
    return serving_chat


@pytest.fixture
def serve_fake() -> Serve:
    """`async with serve_fake(*steps) as running:` serves the fake one."""

    def start(*steps: Step, **options: Any) -> AbstractAsyncContextManager[Running]:
        return serving(FakeService(*steps), ScriptedChatModel(), **options)

    return start


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Awaitable[None]]:
    """Wait until a condition holds."""
    return until


@pytest.fixture
def serve_replies() -> Callable[..., Any]:
    """`async with serve_replies(*replies, tools=[...]) as running:` with a tool chain."""
    return serving_replies


@asynccontextmanager
async def serving_replies(*replies: Any, tools: Sequence[Any] = ()) -> AsyncIterator[Running]:
    """The real service over a model that gives `replies` in turn, with a chain over `tools`."""
    model, scope = ScriptedChatModel(*replies), MemoryDatabase().scope()
    logger, metrics = ListLogger(), Metrics()
    service = ChatService(
        default_chat_chain(model),
        None,
        default_tool_chain(model, tools) if tools else None,
        scope.sessions,
        scope.messages,
        logger,
        metrics,
        models=MODELS,
    )
    async with service, serving(service, model, logger=logger, metrics=metrics) as running:
        running.scope = scope
        yield running


@pytest.fixture
def guarded() -> Guard:
    """`async with guarded(*steps, option=value) as server:` serves with auth."""
    return partial(guarded_server, sys.modules[__name__])

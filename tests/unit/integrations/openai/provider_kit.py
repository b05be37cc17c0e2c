"""A provider of our own on a loopback port that does whatever a test says, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

PATIENCE = 30.0
KEY = "sk-test-0123456789abcdef"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """One request as the provider got it."""

    path: str
    headers: dict[str, str]
    body: Any


class Upstream:
    """The provider: answers with one handler after the other, the last of them again and again.

    `gone` is set when a client leaves before its answer is over, `arrived` when a request comes.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections: set[int] = set()
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self._handlers: list[Handler] = []
        self._transports: list[Any] = []  # kept, so that no id comes twice
        self._runner: web.AppRunner | None = None
        self.url = ""

    def answers(self, *handlers: Handler) -> None:
        self._handlers = list(handlers)

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def open_connections(self) -> int:
        assert self._runner is not None
        assert self._runner.server is not None
        return len(self._runner.server.connections)

    async def until_no_connection(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.open_connections():  # noqa: ASYNC110 - aiohttp has no event for it
                await asyncio.sleep(0.005)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self._transports.append(request.transport)
        self.connections.add(id(request.transport))
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.path, headers, json.loads(raw) if raw else None))
        handler = self._handlers.pop(0) if len(self._handlers) > 1 else self._handlers[0]
        self.arrived.set()
        try:
            return await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise


def whole(
    body: object = None, *, status: int = 200, headers: dict[str, str] | None = None
) -> Handler:
    """Answer at once; bytes go out as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **(headers or {})}

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=raw, status=status, headers=sent)

    return handler


def answer(content: str | None = "Hello", **message: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def chunk(content: str | None = None, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    said = {**delta, **({} if content is None else {"content": content})}
    choices = [{"index": 0, "delta": said, "finish_reason": finish}]
    return {"id": "c1", "model": "m-1", "choices": choices}


USAGE = {
    "id": "c1",
    "model": "m-1",
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
DONE = "[DONE]"
STORY = (chunk("", role="assistant"), chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE, DONE)


def frame(item: object) -> bytes:
    if isinstance(item, bytes):
        return item
    return b"data: " + (item if isinstance(item, str) else json.dumps(item)).encode() + b"\n\n"


class Hold:
    """A step at which an answer stands still for good."""


class Abort:
    """A step that resets the connection."""


def streamed(*steps: object, headers: dict[str, str] | None = None) -> Handler:
    """Answer with events; bytes go out as they are, an Event is waited for, Abort resets."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", **(headers or {})}
        )
        await response.prepare(request)
        for step in steps:
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, Hold):
                await asyncio.Event().wait()
            elif isinstance(step, Abort):
                assert request.transport is not None
                await asyncio.sleep(0.02)  # what was written before goes out
                request.transport.abort()
                return response
            else:
                await response.write(frame(step))
        await response.write_eof()
        return response

    return handler


def raw_bytes(*parts: bytes, pause: int = 2) -> Handler:
    """Write bytes past aiohttp and close the connection: what no decent server would send."""

    async def handler(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for part in parts:
            transport.write(part)
            for _ in range(pause):
                await asyncio.sleep(0)
        transport.close()
        return web.Response()

    return handler


def every_text(error: BaseException) -> str:
    """All that a log could show of an error: texts and reprs along its causes and contexts."""
    shown: list[str] = []
    todo: list[BaseException | None] = [error]
    met: Sequence[int] = []
    while todo:
        one = todo.pop()
        if one is None or id(one) in met:
            continue
        met = [*met, id(one)]
        details = {name: value for name, value in vars(one).items() if name != "request_info"}
        shown += [str(one), repr(one), str(details), *getattr(one, "__notes__", [])]
        todo += [one.__cause__, one.__context__]
    return "\n".join(shown)


@asynccontextmanager
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE):
        yield

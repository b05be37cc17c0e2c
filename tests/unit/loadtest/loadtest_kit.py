"""A small HTTP server for the load tester's tests: it answers by path, and counts."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PROBLEM = (
    b'{"type":"about:blank","title":"Too many requests","status":429,'
    b'"error":{"code":"RATE_LIMIT_EXCEEDED","message":"slow down"}}'
)
NATIVE = b'id: %d\ndata: {"message_id":"m","seq":%d,"delta":"%s"}\n\n'
OPENAI = b'data: {"id":"c","choices":[{"index":0,"delta":{%s}}]}\n\n'


def native(*texts: bytes) -> bytes:
    return b"".join(NATIVE % (seq, seq, text) for seq, text in enumerate(texts))


STREAMS = {
    "/native": b": ping\n\n" + native(b"", b"one", b"two") + b"event: done\ndata: {}\n\n",
    "/openai": (
        OPENAI % b'"role":"assistant","content":""'
        + OPENAI % b'"content":"one"'
        + OPENAI % b'"content":"two"'
        + OPENAI % b""
        + b'data: {"id":"c","choices":[],"usage":{}}\n\ndata: [DONE]\n\n'
    ),
    "/foreign": b"data: a\n\ndata: b\n\n",
    "/broken": native(b"one"),
    "/failed": native(b"one") + b'event: error\ndata: {"status":500}\n\n',
    "/cancelled": native(b"one") + b"event: cancelled\ndata: {}\n\n",
    "/openai-failed": OPENAI % b'"content":"one"' + b'data: {"error":{"code":"x"}}\n\n',
    "/no-stream": b"data: " + b"x" * (17 * 1024 * 1024),
}


class Server:
    """What was asked: bodies and heads by path, and how many connections were made."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.asked: Counter[str] = Counter()
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        length = next(
            (int(x.split(":")[1]) for x in head.splitlines() if x.lower().startswith("content-l")),
            0,
        )
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        self.asked[path] += 1
        if path == "/drop":
            return False
        if path == "/half":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            return False
        if path == "/garbage":
            writer.write(b"not http at all\r\n\r\n")
            return False
        if path == "/silent":
            await reader.read(1)
            return False
        writer.write(_answer(path))
        await writer.drain()
        return True


def _answer(path: str) -> bytes:
    status, kind, body, more = b"200 OK", b"application/json", b"{}", b""
    if path in STREAMS:
        kind, body = b"text/event-stream; charset=utf-8", STREAMS[path]
    elif path == "/429":
        status, kind, body = b"429 Too Many Requests", b"application/problem+json", PROBLEM
    elif path == "/500":
        status, kind, body = b"500 Oops", b"text/plain", b"oops"
    elif path == "/away":
        status, more = b"302 Found", b"location: http://127.0.0.1:1/elsewhere\r\n"
    head = b"HTTP/1.1 %s\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n"
    return head % (status, kind, more, len(body)) + body


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A running server; every connection is over when the block ends."""
    found = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await found.serve(reader, writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    found.port = listener.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

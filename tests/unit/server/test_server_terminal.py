"""Exactly one terminal frame, whatever happens when: the application alone, driven tick by tick."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import ExternalError
from pyeino.monitoring import Metrics
from pyeino.server import ServerOptions, create_app
from pyeino.service import ChatChunk
from pyeino.streams import Stream
from pyeino.wire import SSEDecoder, SSEEvent

NATIVE = ("/api/v1/chat/stream", {"user_id": "u", "message": "m"})
OPENAI = (
    "/v1/chat/completions",
    {"model": "default", "stream": True, "messages": [{"role": "user", "content": "m"}]},
)
ENDINGS: dict[str, BaseException | None] = {
    "done": None,
    "error": ExternalError("MODEL_FAILED", "The model failed"),
    "unknown": KeyError("x"),
    "cancelled": asyncio.CancelledError(),
}


class TickService:
    """Chunks after so many ticks of the loop each, then an ending."""

    models = ()

    def __init__(self, ticks: list[int], ending: BaseException | None) -> None:
        self._ticks = ticks
        self._ending = ending
        self.active = 0

    def stream_chat(self, request: Any, *, call: Any = None) -> Stream[ChatChunk]:
        return Stream.from_iterator(self._run())

    stream_multi_turn = stream_chat

    async def _run(self) -> AsyncIterator[ChatChunk]:
        self.active += 1
        try:
            for seq, ticks in enumerate(self._ticks):
                for _ in range(ticks):
                    await asyncio.sleep(0)
                yield ChatChunk(message_id="m1", seq=seq, delta=f"{seq},")
            if self._ending is not None:
                raise self._ending
            yield ChatChunk(message_id="m1", seq=len(self._ticks), delta="", finish_reason="stop")
        finally:
            self.active -= 1


class Client:
    """An ASGI client that may leave after some ticks, or take a tick over each write."""

    def __init__(self, body: Any, *, leaves_after: int | None, slow: bool) -> None:
        self._body: bytes | None = json.dumps(body).encode()
        self._leaves_after = leaves_after
        self._slow = slow
        self.gone = False
        self.ended = False
        self.status = 0
        self.content = b""

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._leaves_after is None:
            await asyncio.Event().wait()
        for _ in range(self._leaves_after or 0):
            await asyncio.sleep(0)
        self.gone = True
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        assert not self.ended, "a message after the last one"
        if self._slow:
            await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            assert not self.status, "two heads"
            self.status = message["status"]
        else:
            assert self.status, "a body before its head"
            self.content += message["body"]
            self.ended = not message["more_body"]


def terminals(events: list[SSEEvent]) -> list[SSEEvent]:
    return [
        event
        for event in events
        if event.event != "message" or event.data == "[DONE]" or event.data.startswith('{"error"')
    ]


@pytest.mark.parametrize(("path", "body"), [NATIVE, OPENAI])
@given(
    ticks=st.lists(st.integers(0, 3), max_size=6),
    ending=st.sampled_from(sorted(ENDINGS)),
    leaves_after=st.none() | st.integers(0, 25),
    slow=st.booleans(),
)
def test_every_stream_ends_once_and_leaves_nothing_behind(
    path: str, body: Any, ticks: list[int], ending: str, leaves_after: int | None, slow: bool
) -> None:
    service = TickService(ticks, ENDINGS[ending])
    client = Client(body, leaves_after=leaves_after, slow=slow)
    app = create_app(
        service,  # type: ignore[arg-type]
        options=ServerOptions(),
        metrics=METRICS,
        logger=QuietLogger(),
    )
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    asyncio.run(app(scope, client.receive, client.send))
    assert service.active == 0
    events = SSEDecoder().feed(client.content) if client.status == 200 else []
    if client.gone:
        assert len(terminals(events)) <= 1
        return
    assert client.ended
    if client.status == 200:
        assert len(terminals(events)) == 1
        assert terminals(events) == events[-1:]
    else:
        assert ending != "done"
        assert client.status >= 500


class QuietLogger:
    """A logger that keeps nothing."""

    def debug(self, message: str, /, **fields: Any) -> None: ...

    info = warn = error = debug

    def with_context(self) -> QuietLogger:
        return self

    def with_fields(self, **fields: Any) -> QuietLogger:
        return self


METRICS = Metrics()

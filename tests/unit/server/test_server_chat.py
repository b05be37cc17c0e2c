"""The native chat routes over a real socket: fields, frames, and one terminal frame each time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pyeino.errors import ExternalError, NotFoundError, RateLimitError
from pyeino.wire import SSEDecoder, SSEEvent

BODY = {"user_id": "u1", "session_id": "s1", "message": "Hello"}
TERMINAL = {"done", "error", "cancelled"}


async def events_of(running: Any, **headers: str) -> list[SSEEvent]:
    answer = await running.http.post("/api/v1/chat/stream", json=BODY, headers=headers)
    assert answer.status_code == 200
    return SSEDecoder().feed(answer.content)


async def test_answers_the_body_of_the_guide_with_its_fields(serve: Any) -> None:
    async with serve("Hel", "lo") as running:
        answer = await running.http.post("/api/v1/chat", json=BODY)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body["content"] == "Hello"
        assert set(body) == {"message_id", "content", "token_usage", "metadata", "process_time"}
        assert set(body["token_usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
        assert isinstance(body["process_time"], float)


async def test_streams_chunks_by_number_and_ends_with_done(serve: Any) -> None:
    async with serve("Hel", "", "lo\n\n✓") as running:
        answer = await running.http.post("/api/v1/chat/stream", json=BODY)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        decoder = SSEDecoder()
        events = decoder.feed(answer.content)
        assert decoder.retry == 2000
        *chunks, end = events
        data = [json.loads(event.data) for event in chunks]
        assert "".join(one["delta"] for one in data) == "Hello\n\n✓"
        assert [one["seq"] for one in data] == list(range(len(data)))
        assert [event.id for event in chunks] == [str(one["seq"]) for one in data]
        assert {event.event for event in chunks} == {"message"}
        last = data[-1]
        assert last["finish_reason"] == "stop"
        assert {"token_usage", "metadata", "process_time"} <= set(last)
        assert set(data[0]) == {"message_id", "seq", "delta"}  # absent fields are left out
        assert end.event == "done"
        assert json.loads(end.data) == {"message_id": last["message_id"]}


async def test_a_run_that_breaks_ends_with_one_error_frame(serve: Any, eventually: Any) -> None:
    failure = ExternalError("MODEL_FAILED", "The model failed", cause=ValueError("secret"))
    async with serve("Hel", failure) as running:
        events = await events_of(running)
        assert [event.event for event in events] == ["message", "error"]
        problem = json.loads(events[-1].data)
        assert problem["status"] == 502
        assert problem["error"] == {
            "type": "external",
            "code": "MODEL_FAILED",
            "message": "The model failed",
        }
        assert problem["request_id"].startswith("req_")
        assert "secret" not in events[-1].data
        labels = {"endpoint": "/api/v1/chat/stream", "error_type": "external"}
        await eventually(lambda: running.metric("eino_request_errors_total", **labels) == 1)


async def test_an_unknown_error_mid_stream_is_bare_on_the_wire_and_whole_in_the_log(
    serve_fake: Any,
) -> None:
    async with serve_fake("Hel", KeyError("secret")) as running:
        events = await events_of(running)
        assert [event.event for event in events] == ["message", "error"]
        assert json.loads(events[-1].data)["error"]["code"] == "UNKNOWN_ERROR"
        assert "secret" not in events[-1].data
        (line,) = running.logger.found("Request failed")
        assert isinstance(line["error"], KeyError)


async def test_a_run_cancelled_by_somebody_else_ends_with_cancelled(serve_fake: Any) -> None:
    async with serve_fake("Hel", asyncio.CancelledError()) as running:
        events = await events_of(running)
        assert [event.event for event in events] == ["message", "cancelled"]


async def test_a_run_cancelled_before_its_answer_is_a_500_that_says_so(serve_fake: Any) -> None:
    async with serve_fake(asyncio.CancelledError()) as running:
        answer = await running.http.post("/api/v1/chat", json=BODY)
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "RUN_CANCELLED"
        assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
async def test_an_error_before_the_first_chunk_has_its_own_status(serve: Any, path: str) -> None:
    failure = RateLimitError("QUEUE_FULL", "The queue is full", metadata={"retry_after": 2.5})
    async with serve(failure) as running:
        answer = await running.http.post(path, json=BODY)
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "3"
        assert answer.headers["retry-after-ms"] == "2500"
        assert answer.json()["title"] == "Too Many Requests"
        assert answer.json()["error"]["code"] == "QUEUE_FULL"
        assert answer.json()["instance"] == path


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
async def test_an_unknown_error_is_answered_bare_and_logged_whole(
    serve_fake: Any, path: str
) -> None:
    async with serve_fake(RuntimeError("secret")) as running:
        answer = await running.http.post(path, json=BODY)
        assert answer.status_code == 500
        assert answer.json()["error"] == {
            "type": "internal",
            "code": "UNKNOWN_ERROR",
            "message": "An unexpected error occurred",
        }
        assert "secret" not in answer.text
        assert answer.headers["x-should-retry"] == "false"
        (line,) = running.logger.found("Request failed")
        assert isinstance(line["error"], RuntimeError)


async def test_an_error_that_the_caller_can_mend_says_how(serve: Any) -> None:
    async with serve(NotFoundError("SESSION_NOT_FOUND", "No such session")) as running:
        answer = await running.http.post("/api/v1/chat", json=BODY)
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found"
        assert "x-should-retry" not in answer.headers
        assert not running.logger.found("Request failed")

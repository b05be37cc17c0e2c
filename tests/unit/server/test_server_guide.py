"""What the guide's error middleware gets wrong, by the number of the finding."""

from __future__ import annotations

from typing import Any

import pytest

ASK = {"user_id": "ann", "message": "hello"}


async def test_g41_an_unknown_error_is_logged_whole_and_answered_bare(serve: Any) -> None:
    async with serve(RuntimeError("the database password is hunter2")) as running:
        answer = await running.http.post("/api/v1/chat", json=ASK)
        body = answer.text
        assert answer.status_code == 502
        assert "hunter2" not in body
        logged = [fields for _, _, fields in running.logger.troubles()]
        assert any("hunter2" in str(fields.get("error")) for fields in logged)


async def test_g41_an_answer_that_has_begun_gets_an_error_frame_not_json(serve: Any) -> None:
    async with serve("Hel", RuntimeError("broken")) as running:
        answer = await running.http.post("/api/v1/chat/stream", json=ASK)
        assert answer.status_code == 200
        frames = [frame for frame in answer.text.split("\n\n") if frame.strip()]
        assert frames[-1].startswith("event: error\n")
        assert sum(frame.startswith("event: ") for frame in frames) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/nowhere", {}, None, 404),
        ("DELETE", "/api/v1/chat", {}, None, 405),
        ("POST", "/api/v1/chat", {"content-type": "text/plain"}, b"x", 415),
        ("POST", "/api/v1/chat", {"content-type": "application/json"}, b"{", 400),
        ("POST", "/api/v1/chat", {"host": "evil.example"}, b"{}", 421),
        (
            "POST",
            "/api/v1/chat",
            {"content-type": "application/json", "origin": "https://evil.example"},
            b"{}",
            403,
        ),
    ],
)
async def test_g42_one_envelope_on_every_native_route(
    serve: Any,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
    status: int,
) -> None:
    async with serve("hello") as running:
        answer = await running.http.request(method, path, headers=headers, content=body)
        assert answer.status_code == status
        found = answer.json()
        assert {"title", "status", "detail"} <= set(found)
        assert found["status"] == status
        assert {"type", "code", "message"} <= set(found["error"])

"""Requests that are too large, too slow, broken or too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
BODY = {"user_id": "u1", "message": "Hello"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"user_id": "u"}', "message"),
        (b'{"user_id": "u", "message": 4}', "message"),
        (b'{"user_id": "u", "message": ""}', "message"),
        (b'{"user_id": "", "message": "m"}', "user_id"),
        (b'{"user_id": "u", "message": "m", "options": {"temperature": 9}}', "options.temperature"),
        (b'{"user_id": "u", "message": "m", "more": 1}', "more"),
        (b'{"user_id": "u", "message": "m", "options": {"more": 1}}', "options.more"),
        (
            b'{"user_id": "u", "message": "m", "options": {"temperature": "x"}}',
            "options.temperature",
        ),
        (b'{"user_id": "u", "message": "m", "context": []}', "context"),
    ],
)
async def test_a_bad_field_is_a_400_that_names_it(serve: Any, body: bytes, field: str) -> None:
    async with serve() as running:
        answer = await running.http.post(
            "/api/v1/chat", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["metadata"]["field"] == field
        assert answer.json()["error"]["type"] == "validation"
        assert not running.model.calls


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"user_id": "u", "message": "\xff"}',
        b'{"user_id": "u", "message": "m", "options": {"temperature": NaN}}',
        b'{"user_id": "u", "message": "m", "context": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        b"[" * 500_000,
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/chat", "/v1/chat/completions"])
async def test_what_is_no_json_is_a_400(serve: Any, body: bytes, path: str) -> None:
    async with serve() as running:
        answer = await running.http.post(
            path, content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400
        assert "error" in answer.json()


@pytest.mark.parametrize("path", ["/api/v1/chat", "/v1/chat/completions"])
async def test_a_body_that_is_too_large_is_a_413(serve: Any, path: str) -> None:
    async with serve(max_body_bytes=1000) as running:
        answer = await running.http.post(path, json={"message": "x" * 1000})
        assert answer.status_code == 413
        assert answer.json()["error"]["code"].lower() == "payload_too_large"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_client_that_sends_on_regardless_still_gets_to_read_the_413(
    serve: Any, announced: bool
) -> None:
    size = 20 * 1024 * 1024

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size // 65_536):
            yield b" " * 65_536

    headers = {"content-type": "application/json"}
    if announced:
        headers["content-length"] = str(size)
    async with serve(max_body_bytes=1000) as running:
        answer = await running.http.post("/api/v1/chat", content=body(), headers=headers)
        assert answer.status_code == 413


async def test_a_body_that_nobody_reads_does_not_keep_the_connection(serve: Any) -> None:
    async with (
        serve(read_timeout=0.2) as running,
        running.raw(
            b"POST /nothing HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000\r\n\r\n{"
        ) as client,
    ):
        assert (await client.rest()).startswith(b"HTTP/1.1 404 ")


async def test_a_connection_goes_on_after_a_refusal_whose_body_came_later(serve: Any) -> None:
    async with (
        serve() as running,
        running.raw(b"POST /nothing HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\n") as client,
    ):
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        client.writer.write(b"12345GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.until(b'{"status":"ok"}')


async def test_an_announced_size_is_refused_before_a_byte_of_it_came(serve: Any) -> None:
    async with (
        serve(max_body_bytes=1000) as running,
        running.raw(
            b"POST /api/v1/chat HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000\r\n\r\n"
        ) as client,
    ):
        text = await client.rest()
        assert text.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in text


async def test_a_size_that_is_not_announced_is_counted(serve: Any) -> None:
    async with (
        serve(max_body_bytes=1000) as running,
        running.raw(
            b"POST /api/v1/chat HTTP/1.1\r\n"
            + HEAD
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"3e8\r\n"
            + b"x" * 1000
            + b"\r\n"
            + b"3e8\r\n"
            + b"x" * 1000
            + b"\r\n"
        ) as client,
    ):
        assert (await client.rest()).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_expects_to_be_told_to_go_on_is_not_told(serve: Any) -> None:
    async with (
        serve(max_body_bytes=1000) as running,
        running.raw(
            b"POST /api/v1/chat HTTP/1.1\r\n"
            + HEAD
            + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n"
        ) as client,
    ):
        assert (await client.rest()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [b"/api/v1/chat", b"/v1/chat/completions"])
async def test_a_body_that_does_not_arrive_is_a_408(serve: Any, path: bytes) -> None:
    async with (
        serve(read_timeout=0.2) as running,
        running.raw(
            b"POST " + path + b" HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n{"
        ) as client,
    ):
        text = await client.rest()
        assert text.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in text


async def test_a_body_that_drips_is_a_408(serve: Any) -> None:
    async with (
        serve(read_timeout=0.3) as running,
        running.raw(
            b"POST /api/v1/chat HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n"
        ) as client,
    ):

        async def drip() -> None:
            while not client.writer.is_closing():
                client.writer.write(b" ")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        text = await client.until(b"\r\n\r\n")
        dripping.cancel()
        await asyncio.wait((dripping,))
        assert text.startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_leaves_mid_body_is_no_error(serve: Any, eventually: Any) -> None:
    async with serve() as running:
        async with running.raw(
            b"POST /api/v1/chat HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n{"
        ) as client:
            client.writer.close()
        await eventually(lambda: bool(running.logger.found("Request served")))
        assert not running.logger.troubles()


async def test_too_many_requests_at_once_are_a_503_but_probes_are_answered(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve(gate, "x", max_requests=1) as running:
        first = asyncio.create_task(running.http.post("/api/v1/chat", json=BODY))
        await running.started()
        for path in ("/api/v1/chat", "/v1/chat/completions"):
            answer = await running.http.post(path, json=BODY)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"].lower() == "server_busy"
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["retry-after-ms"] == "1000"
        for path in ("/health", "/ready", "/metrics"):
            assert (await running.http.get(path)).status_code == 200
        gate.set()
        assert (await first).status_code == 200
        assert (await running.http.post("/api/v1/chat", json=BODY)).status_code == 200

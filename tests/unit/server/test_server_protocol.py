"""Clients that do not keep to HTTP, or take their time with it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pyeino.wire import HEARTBEAT

BODY = json.dumps({"user_id": "u1", "message": "Hello"}).encode()
STREAM = (
    b"POST /api/v1/chat/stream HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_a_head_that_drips_is_cut_with_a_408(serve: Any) -> None:
    async with (
        serve(read_timeout=0.2) as running,
        running.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n") as client,
    ):

        async def drip() -> None:
            while not client.writer.is_closing():
                client.writer.write(b"X-Slow: 1\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        text = await client.until(b"\r\n\r\n")
        dripping.cancel()
        await asyncio.wait((dripping,))
        assert text.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in text
        assert b"x-content-type-options: nosniff" in text


async def test_half_a_request_line_is_cut_with_a_408(serve: Any) -> None:
    async with serve(read_timeout=0.2) as running, running.raw(b"GET /hea") as client:
        text = await client.rest()
        assert text.startswith(b"HTTP/1.1 408 ")
        assert json.loads(text.partition(b"\r\n\r\n")[2])["error"]["code"] == "REQUEST_TIMEOUT"


async def test_a_client_that_says_nothing_is_let_go(serve: Any) -> None:
    async with serve(read_timeout=0.2) as running, running.raw() as client:
        assert await client.rest() == b""


async def test_the_second_request_of_a_connection_has_the_same_bound(serve: Any) -> None:
    async with serve(read_timeout=0.3) as running, running.raw(HEALTH) as client:
        await client.until(b'{"status":"ok"}')
        client.writer.write(b"GET /health HTTP/1.1\r\nHost: local")
        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_quiet_connection_between_requests_is_closed_after_idle_timeout(
    serve: Any,
) -> None:
    async with (
        serve(read_timeout=30.0, idle_timeout=1.0) as running,
        running.raw(HEALTH) as client,
    ):
        await client.until(b'{"status":"ok"}')
        assert await client.rest() == b""


async def test_a_long_stream_is_not_cut_by_read_timeout(serve: Any) -> None:
    async with (
        serve("a", 0.5, "b", read_timeout=0.1, heartbeat=0.05) as running,
        running.raw(STREAM) as client,
    ):
        text = await client.until(b"0\r\n\r\n")
        assert b"event: done" in text
        assert HEARTBEAT in text


@pytest.mark.parametrize("part", [b"X-Long: " + b"x" * 200_000, b"X-A: b\r\n" * 20_000])
async def test_a_head_without_end_is_a_431(serve: Any, part: bytes) -> None:
    async with (
        serve(max_header_bytes=10_000) as running,
        running.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + part) as client,
    ):
        assert (await client.rest()).startswith((b"HTTP/1.1 431 ", b""))
        served = list(running.logger.found("Request served"))
        assert not served


async def test_a_path_without_end_is_refused(serve: Any) -> None:
    async with (
        serve(max_header_bytes=10_000) as running,
        running.raw(b"GET /" + b"x" * 15_000) as client,
    ):
        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
    ],
)
async def test_garbage_is_a_400_in_our_envelope(serve: Any, garbage: bytes) -> None:
    async with serve() as running, running.raw(garbage) as client:
        text = await client.rest()
        head, _, body = text.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert json.loads(body)["error"]["code"] == "BAD_REQUEST"


async def test_pipelined_requests_are_answered_in_order(serve: Any) -> None:
    async with serve() as running, running.raw(HEALTH + HEALTH + HEALTH) as client:
        for _ in range(3):
            await client.until(b'{"status":"ok"}')


async def test_garbage_behind_a_running_stream_cuts_it_and_ends_its_run(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("Hel", gate, "lo") as running, running.raw(STREAM) as client:
        await client.until(b"Hel")
        client.writer.write(b"\x00\x01garbage\r\n\r\n")
        rest = await client.rest()
        # No second status line inside the body of the first answer.
        assert b"HTTP/1.1" not in rest
        await running.idle()


async def test_half_a_request_and_gone_is_nothing(serve: Any) -> None:
    async with serve() as running:
        for part in (b"", b"GET", HEALTH[:-2]):
            async with running.raw(part):
                pass
        assert (await running.http.get("/health")).status_code == 200
        assert not [line for line in running.logger.lines if line[0] == "error"]


async def test_more_connections_than_there_is_room_for_are_a_503(serve: Any) -> None:
    async with (
        serve(max_connections=2) as running,
        running.raw(HEALTH) as one,
        running.raw(HEALTH) as two,
    ):
        for client in (one, two):
            await client.until(b'{"status":"ok"}')
        async with running.raw(HEALTH) as three:
            text = await three.rest()
            assert text.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in text
            assert b"retry-after-ms: 1000\r\n" in text


async def test_a_head_request_has_no_body(serve: Any) -> None:
    async with serve() as running:
        answer = await running.http.head("/health")
        assert answer.status_code == 200
        assert answer.content == b""

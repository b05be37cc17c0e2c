"""Credentials on the WebSocket: at the handshake, and again with each request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from auth_kit import Guard
from socket_kit import socket_to, text_of
from websockets.exceptions import InvalidStatus


async def test_a_header_or_a_subprotocol_opens_it(guarded: Guard) -> None:
    async with guarded("Hello") as server:
        ways: list[dict[str, Any]] = [
            {"additional_headers": server.bearer("u1")},
            {"subprotocols": ["pyeino", f"bearer.{server.token('u1')}"]},
            {"subprotocols": ["pyeino", f"bearer.{server.keys['admin']}"]},
            {"additional_headers": server.key("admin")},
        ]
        for way in ways:
            async with socket_to(server.running, **way) as socket:
                assert socket.raw.subprotocol == ("pyeino" if "subprotocols" in way else None)
                await socket.ask()
                assert text_of(await socket.until_end()) == "Hello"


@pytest.mark.parametrize(
    ("way", "status", "code"),
    [
        ({}, 401, "API_KEY_REQUIRED"),
        ({"subprotocols": ["pyeino", "bearer.a.b.c"]}, 401, "INVALID_TOKEN"),
        ({"additional_headers": {"X-API-Key": "pyk_wrong_key"}}, 401, "INVALID_API_KEY"),
        ({"role": "metrics"}, 403, "INSUFFICIENT_SCOPE"),
    ],
)
async def test_the_handshake_is_refused_in_the_envelope(
    guarded: Guard, eventually: Any, way: dict[str, Any], status: int, code: str
) -> None:
    async with guarded() as server:
        if "role" in way:
            way = {"additional_headers": server.key(way["role"])}
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(server.running, **way):
                pass
        response = refused.value.response
        assert response.status_code == status
        body = json.loads(response.body or b"")
        assert body["error"]["code"] == code
        assert response.headers["www-authenticate"].startswith("Bearer realm")
        assert not server.running.model.calls
        await eventually(lambda: server.running.logger.found("Request served"))
        # Else anybody could fill the log with errors.
        assert server.running.logger.troubles() == []


async def test_a_token_that_ends_ends_the_next_request_of_its_socket(guarded: Guard) -> None:
    async with (
        guarded("Hello") as server,
        socket_to(server.running, additional_headers=server.bearer("u1")) as socket,
    ):
        await socket.ask("r1")
        assert (await socket.until_end())[-1]["type"] == "done"
        server.clock.ahead = 16 * 60
        await socket.ask("r2")
        (frame,) = await socket.until_end()
        assert (frame["type"], frame["status"], frame["request_id"]) == ("error", 401, "r2")
        assert frame["error"]["code"] == "TOKEN_EXPIRED"
        assert len(server.running.model.calls) == 1


async def test_a_revoked_token_ends_the_next_request_too(guarded: Guard) -> None:
    async with guarded("Hello") as server:
        token = server.token("u1")
        headers = {"Authorization": f"Bearer {token}"}
        async with socket_to(server.running, additional_headers=headers) as socket:
            await socket.ask("r1")
            await socket.until_end()
            await server.authenticator.revoke(token)
            await socket.ask("r2")
            (frame,) = await socket.until_end()
            assert frame["error"]["code"] == "TOKEN_REVOKED"


async def test_g10_a_frame_cannot_name_somebody_else(guarded: Guard) -> None:
    async with (
        guarded() as server,
        socket_to(server.running, additional_headers=server.bearer("ann")) as socket,
    ):
        await socket.ask("r1")  # its user_id is u1
        (frame,) = await socket.until_end()
        assert (frame["status"], frame["error"]["code"]) == (403, "USER_NOT_ALLOWED")
        assert not server.running.model.calls


async def test_g124_each_request_of_a_socket_counts(guarded: Guard) -> None:
    async with (
        guarded("Hello", requests_per_minute=6, burst=2) as server,
        socket_to(server.running, additional_headers=server.bearer("u1")) as socket,
    ):
        await socket.ask("r1")  # the handshake was the first
        assert (await socket.until_end())[-1]["type"] == "done"
        await socket.ask("r2")
        (frame,) = await socket.until_end()
        assert (frame["status"], frame["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert frame["error"]["metadata"]["retry_after"] > 0
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(server.running, additional_headers=server.bearer("u1")):
                pass
        assert refused.value.response.status_code == 429
        assert "x-ratelimit-reset" in refused.value.response.headers

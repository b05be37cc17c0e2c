"""Pages of other origins, and the headers that depend on who is in front of us."""

from __future__ import annotations

from typing import Any

import pytest
from auth_kit import Guard, chat_body

PAGE = "https://chat.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
}


async def test_without_configuration_no_other_origin_reads_anything(guarded: Guard) -> None:
    async with guarded() as server:
        answer = await server.http.options("/v1/models", headers=PREFLIGHT)
        assert answer.status_code == 401
        for headers in (PREFLIGHT, {"Origin": PAGE, **server.bearer()}):
            answer = await server.http.get("/v1/models", headers=headers)
            assert not any(name.startswith("access-control") for name in answer.headers)


async def test_a_configured_origin_gets_its_preflight_and_reads_errors_too(
    guarded: Guard,
) -> None:
    async with guarded(cors_origins=(PAGE,), requests_per_minute=60) as server:
        answer = await server.http.options("/api/v1/chat", headers=PREFLIGHT)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"].startswith("authorization")
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["vary"]
        written = await server.http.post(
            "/api/v1/chat", headers={"Origin": PAGE, **server.bearer()}, json=chat_body()
        )
        assert written.status_code == 200
        assert written.headers["access-control-allow-origin"] == PAGE
        assert "x-ratelimit-remaining" in written.headers["access-control-expose-headers"]
        refused = await server.http.get("/v1/models", headers={"Origin": PAGE})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == PAGE


async def test_any_other_origin_gets_nothing(guarded: Guard) -> None:
    async with guarded(cors_origins=(PAGE,)) as server:
        evil = {**PREFLIGHT, "Origin": "https://evil.example"}
        answer = await server.http.options("/api/v1/chat", headers=evil)
        assert "access-control-allow-origin" not in answer.headers
        headers = {"Origin": "https://evil.example", **server.bearer()}
        answer = await server.http.post("/api/v1/chat", headers=headers, json=chat_body())
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "origin"  # so that no cache mixes them up
        split = {**PREFLIGHT, "Access-Control-Request-Headers": "a;b"}
        answer = await server.http.options("/api/v1/chat", headers=split)
        assert "access-control-allow-headers" not in answer.headers


async def test_a_star_lets_every_origin_bring_its_own_credentials(guarded: Guard) -> None:
    async with guarded(cors_origins=("*",)) as server:
        headers = {"Origin": "https://any.example", **server.bearer()}
        answer = await server.http.post("/api/v1/chat", headers=headers, json=chat_body())
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://any.example"


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
async def test_g128_hsts_only_over_tls_or_behind_a_trusted_proxy_that_says_so(
    serve: Any, trusted: tuple[str, ...]
) -> None:
    async with serve(trusted_proxies=trusted) as running:
        name = "strict-transport-security"
        assert name not in (await running.http.get("/health")).headers
        answer = await running.http.get("/health", headers={"X-Forwarded-Proto": "https"})
        expected = "max-age=31536000; includeSubDomains" if trusted else None
        assert answer.headers.get(name) == expected


async def test_g127_answers_say_what_browsers_may_not_do(guarded: Guard) -> None:
    async with guarded() as server:
        for headers in ({}, server.bearer()):
            answer = await server.http.get("/api/v1/sessions", headers=headers)
            assert answer.headers["x-xss-protection"] == "0"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"] == "default-src 'self'"


async def test_with_auth_any_host_name_is_answered_unless_some_are_named(guarded: Guard) -> None:
    async with guarded() as server:
        answer = await server.http.get("/health", headers={"Host": "chat.example"})
        assert answer.status_code == 200
    async with guarded(allowed_hosts=("chat.example",)) as server:
        answer = await server.http.get("/health", headers={"Host": "evil.example"})
        assert answer.status_code == 421


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/v1/chat", {"message": "x" * 300_000}, 400, "INVALID_REQUEST"),
        ("/api/v1/chat", {"message": "x" * 1_100_000}, 413, "PAYLOAD_TOO_LARGE"),
        ("/api/v1/chat", {"message": "x", "context": "deep"}, 400, "INVALID_JSON"),
        ("/api/v1/chat/multi-turn", {"messages": 300}, 400, "INVALID_REQUEST"),
    ],
)
async def test_g136_what_is_too_much_is_refused_by_name(
    guarded: Guard, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    if body.get("context") == "deep":
        deep: dict[str, Any] = {}
        for _ in range(80):
            deep = {"a": deep}
        body = {**body, "context": deep}
    if isinstance(body.get("messages"), int):
        body = {"messages": [{"role": "user", "content": "x"}] * body["messages"]}
    async with guarded() as server:
        answer = await server.http.post(
            path, headers=server.bearer(), json={"user_id": "ann", **body}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_g136_a_head_without_end_is_cut(guarded: Guard) -> None:
    async with guarded(max_header_bytes=2000) as server:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 3000
        async with server.running.raw(request) as client:
            assert b"431" in (await client.until(b"\r\n"))

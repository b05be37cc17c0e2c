"""Who may talk to the server, and what every answer carries."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

BODY = {"user_id": "u1", "message": "Hello"}


def assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["error"]["code"] == code
    assert {"title", "detail", "instance", "request_id"} <= set(body)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "localhost.",
        "chat.example",
    ],
)
async def test_hosts_that_are_ours_are_answered(serve: Any, host: str) -> None:
    async with serve(allowed_hosts=("chat.example",)) as running:
        answer = await running.http.get("/health", headers={"host": host})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::1", "a:b"],
)
@pytest.mark.parametrize("path", ["/health", "/api/v1/chat", "/"])
async def test_a_host_that_is_not_ours_is_421(serve: Any, host: str, path: str) -> None:
    async with serve() as running:
        method = "POST" if path.startswith("/api") else "GET"
        answer = await running.http.request(
            method, path, headers={"host": host}, json=BODY if method == "POST" else None
        )
        assert_problem(answer, 421, "HOST_NOT_ALLOWED")
        assert not running.model.calls


async def test_two_hosts_or_none_are_refused(serve: Any) -> None:
    async with serve() as running:
        async with running.raw(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
            b"Connection: close\r\n\r\n"
        ) as client:
            assert (await client.rest()).startswith(b"HTTP/1.1 4")
        async with running.raw(b"GET /health HTTP/1.0\r\n\r\n") as client:
            assert (await client.rest()).startswith(b"HTTP/1.1 421 ")


async def test_any_host_where_that_is_configured(serve: Any) -> None:
    async with serve(allowed_hosts=("*",)) as running:
        answer = await running.http.get("/health", headers={"host": "any.example"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "file://"]
)
async def test_a_write_from_a_foreign_page_is_403(serve: Any, origin: str) -> None:
    async with serve() as running:
        answer = await running.http.post("/api/v1/chat", json=BODY, headers={"origin": origin})
        assert_problem(answer, 403, "ORIGIN_NOT_ALLOWED")
        assert not running.model.calls


async def test_a_write_from_our_own_page_or_a_configured_one_is_answered(serve: Any) -> None:
    async with serve(allowed_origins=("https://chat.example",)) as running:
        for origin in (running.url, "https://chat.example"):
            answer = await running.http.post("/api/v1/chat", json=BODY, headers={"origin": origin})
            assert answer.status_code == 200


async def test_reading_does_not_look_at_the_origin(serve: Any) -> None:
    async with serve() as running:
        answer = await running.http.get("/health", headers={"origin": "https://evil.example"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": "https://evil.example"}, b"403", "ORIGIN_NOT_ALLOWED"),
        ({"Origin": "null"}, b"403", "ORIGIN_NOT_ALLOWED"),
        ({"Host": "evil.example"}, b"421", "HOST_NOT_ALLOWED"),
    ],
)
async def test_a_websocket_from_a_foreign_page_does_not_open(
    serve: Any, headers: dict[str, str], status: bytes, code: str
) -> None:
    async with serve() as running:
        lines = {"Host": "localhost", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with running.raw(
            b"GET /api/v1/ws HTTP/1.1\r\n" + head.encode() + b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        ) as client:
            head_, _, body = (await client.rest()).partition(b"\r\n\r\n")
            assert head_.startswith(b"HTTP/1.1 " + status)
            assert b"x-content-type-options: nosniff" in head_
            assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=latin-1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
async def test_anything_but_json_is_415(serve: Any, content_type: str, path: str) -> None:
    async with serve() as running:
        answer = await running.http.post(
            path, content=b"{}", headers={"content-type": content_type} if content_type else {}
        )
        assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_body_is_415_under_v1_in_its_envelope(serve: Any) -> None:
    async with serve() as running:
        answer = await running.http.post(
            "/v1/chat/completions",
            content=b"{}",
            headers={"content-type": "application/json", "content-encoding": "gzip"},
        )
        assert answer.status_code == 415
        assert answer.json()["error"]["code"] == "unsupported_media_type"


async def test_json_with_a_charset_is_json(serve: Any) -> None:
    async with serve() as running:
        answer = await running.http.post(
            "/api/v1/chat",
            content=b'{"user_id": "u", "message": "m"}',
            headers={"content-type": 'Application/JSON; charset="UTF-8"'},
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health", 200), ("/nothing", 404), ("/v1/nothing", 404), ("/static/x.js", 404)],
)
async def test_every_answer_carries_the_secure_headers(serve: Any, path: str, status: int) -> None:
    async with serve() as running:
        answer = await running.http.get(path)
        assert answer.status_code == status
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-xss-protection"] == "0"
        assert headers["content-security-policy"] == "default-src 'self'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
        assert "server" not in headers


async def test_streams_and_refusals_carry_them_too(serve: Any) -> None:
    async with serve() as running:
        for answer in (
            await running.http.post("/api/v1/chat/stream", json=BODY),
            await running.http.get("/health", headers={"host": "evil.example"}),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]


async def test_the_request_id_is_kept_when_sane_and_made_when_not(serve: Any) -> None:
    async with serve() as running:
        kept = await running.http.get("/health", headers={"x-request-id": "abc-123"})
        assert kept.headers["x-request-id"] == "abc-123"
        for bad in ("x" * 200, "a b", '{"a":1}'):
            made = await running.http.get("/health", headers={"x-request-id": bad})
            assert made.headers["x-request-id"].startswith("req_")
        answer = await running.http.get("/nothing", headers={"x-request-id": "abc-123"})
        assert answer.json()["request_id"] == "abc-123"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/health/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/api/v1/chat", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/api/v1/chat", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/static/..%2f__init__.py", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/static/__init__.py", 404, "FILE_NOT_FOUND"),
    ],
)
async def test_wrong_paths_and_methods_answer_in_our_envelope(
    serve: Any, method: str, path: str, status: int, code: str
) -> None:
    async with serve() as running:
        answer = await running.http.request(method, path)
        assert_problem(answer, status, code)
        assert ("allow" in answer.headers) == (status == 405)

"""What the server says about itself: metrics, the access log, probes, its routes, its pages."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import httpx2
import pytest
from starlette.routing import Mount, Router

from pyeino.errors import ExternalError
from pyeino.monitoring import Metrics, StructuredLogger, request_context
from pyeino.server import ServerOptions, create_app

BODY = {"user_id": "u1", "message": "Hello"}


async def test_requests_are_counted_by_route_and_timed(serve: Any, eventually: Any) -> None:
    async with serve("x") as running:
        await running.http.post("/api/v1/chat", json=BODY)
        await running.http.get("/v1/models/scripted")
        for path in ("/nothing", "/nothing/else", "/wp-login.php"):
            await running.http.get(path)
        await running.http.request("PROPFIND", "/health")
        await eventually(lambda: running.metric("eino_requests_total") == 6)
        for method, endpoint, status in [
            ("POST", "/api/v1/chat", "200"),
            ("GET", "/v1/models/{model_id}", "200"),
            ("OTHER", "/health", "405"),
        ]:
            labels = {"method": method, "endpoint": endpoint}
            assert running.metric("eino_requests_total", status=status, **labels) == 1
            assert running.metric("eino_request_duration_seconds_count", **labels) == 1
        assert running.metric("eino_requests_total", endpoint="unmatched", status="404") == 3
        assert running.metric("eino_request_errors_total", error_type="not_found") == 3
        text = (await running.http.get("/metrics")).text
        assert "eino_requests_total" in text
        assert "eino_active_connections 1.0" in text


async def test_metrics_can_be_elsewhere_or_off(serve: Any) -> None:
    async with serve(metrics_path="/internal/metrics") as running:
        answer = await running.http.get("/internal/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert (await running.http.get("/metrics")).status_code == 404
    async with serve(metrics_path=None) as running:
        assert (await running.http.get("/metrics")).status_code == 404


async def test_one_line_a_request_with_the_template_and_no_text_of_it(
    serve: Any, eventually: Any
) -> None:
    async with serve("x") as running:
        await running.http.post("/api/v1/chat?token=secret", json=BODY)
        await running.http.get("/health")
        await eventually(lambda: len(running.logger.found("Request served")) == 2)
        chat, health = running.logger.found("Request served")
        assert chat["endpoint"] == "/api/v1/chat"
        assert (chat["method"], chat["status"]) == ("POST", 200)
        assert chat["duration"] > 0
        assert "secret" not in repr(running.logger.lines)
        levels = [level for level, text, _ in running.logger.lines if text == "Request served"]
        assert levels == ["info", "debug"]
        assert health["endpoint"] == "/health"


async def test_the_ids_of_a_request_are_bound_where_the_service_runs(serve: Any) -> None:
    seen = []
    async with serve("x") as running:
        plain = running.service.chat

        async def chat(request: Any, *, call: Any = None) -> Any:
            seen.append((request_context(), call))
            return await plain(request, call=call)

        running.service.chat = chat
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        await running.http.post(
            "/api/v1/chat",
            json=BODY,
            headers={
                "x-request-id": "abc-1",
                "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
            },
        )
    ((context, call),) = seen
    assert context.request_id == call.request_id == "abc-1"
    assert context.trace_id == trace


async def test_ready_names_each_probe(serve: Any) -> None:
    async def good() -> None:
        return

    async def bad() -> None:
        raise ExternalError("DATABASE_DOWN", "The database does not answer")

    async def odd() -> None:
        raise RuntimeError("secret")

    async def slow() -> None:
        await asyncio.Event().wait()

    async with serve(probes={"model": good}) as running:
        answer = await running.http.get("/ready")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "checks": {"model": {"status": "ok"}}}
    probes = {"model": good, "database": bad, "odd": odd, "slow": slow}
    async with serve(probes=probes, probe_timeout=0.1) as running:
        answer = await running.http.get("/ready")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "not_ready",
            "checks": {
                "model": {"status": "ok"},
                "database": {"status": "failed", "message": "The database does not answer"},
                "odd": {"status": "failed", "message": "failed; the log has the reason"},
                "slow": {"status": "failed", "message": "no answer within 0.1 seconds"},
            },
        }
        assert (await running.http.get("/health")).json() == {"status": "ok"}


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(one) for one in node.values()))
    if isinstance(node, list):
        return set().union(*(references(one) for one in node))
    return set()


async def test_the_description_names_every_route_and_every_reference_resolves(
    serve: Any,
) -> None:
    async with serve() as running:
        answer = await running.http.get("/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    } == {
        ("POST", "/api/v1/chat"),
        ("POST", "/api/v1/chat/stream"),
        ("POST", "/api/v1/chat/multi-turn"),
        ("POST", "/api/v1/chat/multi-turn/stream"),
        ("GET", "/api/v1/ws"),
        ("GET", "/api/v1/auth/me"),
        ("GET", "/api/v1/sessions"),
        ("POST", "/api/v1/sessions"),
        ("GET", "/api/v1/sessions/{session_id}"),
        ("PATCH", "/api/v1/sessions/{session_id}"),
        ("DELETE", "/api/v1/sessions/{session_id}"),
        ("GET", "/api/v1/sessions/{session_id}/messages"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model_id}"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/admin/log-level"),
        ("PUT", "/api/v1/admin/log-level"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/"),
        ("GET", "/static/{name}"),
    }
    for reference in references(document):
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference
    operations = [one for item in document["paths"].values() for one in item.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["summary"] and min(one["responses"]) < "300" for one in operations)
    chat = document["paths"]["/api/v1/chat"]["post"]
    assert "ChatRequest" in json.dumps(chat["requestBody"])
    assert {"400", "404", "408", "413", "415", "429", "500", "502", "503", "504"} <= set(
        chat["responses"]
    )
    assert set(chat["responses"]["429"]["headers"]) == {"retry-after", "retry-after-ms"}
    ready = document["paths"]["/ready"]["get"]["responses"]
    assert ready["503"]["content"] == ready["200"]["content"]
    stream = document["paths"]["/api/v1/chat/stream"]["post"]["responses"]["200"]["content"]
    assert set(stream) == {"text/event-stream"}
    sessions = document["paths"]["/api/v1/sessions/{session_id}"]
    assert "content" not in sessions["delete"]["responses"]["204"]
    assert [one["name"] for one in sessions["get"]["parameters"]] == ["session_id", "user_id"]
    listed = document["paths"]["/api/v1/sessions"]["get"]["parameters"]
    assert {one["name"]: one["in"] for one in listed} == dict.fromkeys(
        ("user_id", "limit", "cursor"), "query"
    )
    socket = document["paths"]["/api/v1/ws"]["get"]
    assert {"101", "426"} <= set(socket["responses"])
    assert set(socket["x-websocket-frames"]) == {"client", "server"}


@pytest.mark.parametrize(
    ("path", "media"),
    [("/", "text/html"), ("/docs", "text/html"), ("/static/style.css", "text/css")],
)
async def test_pages_come_with_their_type_and_a_tag(serve: Any, path: str, media: str) -> None:
    async with serve() as running:
        answer = await running.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        again = await running.http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""
        other = await running.http.get(path, headers={"if-none-match": '"other"'})
        assert other.status_code == 200


async def test_the_app_can_be_mounted_in_another(serve: Any) -> None:
    async with serve("x") as running:
        app = create_app(
            running.service,
            options=ServerOptions(allowed_hosts=("outer.example",)),
            metrics=Metrics(),
            logger=running.logger,
        )
        outer = Router(routes=[Mount("/inner", app=app)])
        transport = httpx2.ASGITransport(app=outer)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://outer.example"
        ) as client:
            answer = await client.post("/inner/v1/nothing")
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "route_not_found"
            answer = await client.get("/inner/health")
            assert answer.json() == {"status": "ok"}


async def test_a_flood_of_readiness_checks_asks_each_probe_once_at_a_time() -> None:
    """Anybody may ask, without limit: that must not become a flood of the stores."""
    asked, go_on, count = asyncio.Event(), asyncio.Event(), 0
    statuses: list[int] = []

    async def slow() -> None:
        nonlocal count
        count += 1
        asked.set()
        await go_on.wait()

    logger = StructuredLogger(io.StringIO(), level="error")
    app = create_app(
        service=None,  # type: ignore[arg-type]
        options=ServerOptions(probe_timeout=30.0),
        metrics=Metrics(),
        logger=logger,
        probes={"database": slow},
    )

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        await app(dict(SCOPE), receive, send)

    tasks = [asyncio.create_task(ask()) for _ in range(8)]
    await asked.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert count == 1
    tasks[0].cancel()  # who leaves takes nothing from the others
    await asyncio.wait(tasks[:1])
    go_on.set()
    await asyncio.gather(*tasks[1:])
    assert statuses.count(200) == 7
    assert count == 1
    await ask()
    assert count == 2  # nothing is kept: the next one looks again


SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/ready",
    "query_string": b"",
    "headers": [(b"host", b"127.0.0.1")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 8080),
    "scheme": "http",
}

"""Who comes in: credentials on every route, the matrix of roles, tokens and their end."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import openai
import pytest
from auth_kit import BOOTSTRAP, ROLES, Guard, chat_body

from pyeino.errors import AppError, DeclarationError, UnauthorizedError, ValidationError
from pyeino.security import ROLE_SCOPES
from pyeino.server import ServerOptions
from pyeino.server._caller import OPEN, PUBLIC, SELF, SIGNED_IN
from pyeino.server._errors import error_headers
from pyeino.server._probes import health
from pyeino.server._routes import route_table
from pyeino.server._table import RouteEntry, open_paths

TABLE = route_table(ServerOptions())
PUBLIC_PATHS = {"/", "/docs", "/health", "/ready", "/openapi.json", "/static/{name}"}
ASK_ROWS = [entry for entry in TABLE if entry.scope not in OPEN]
BODIES: dict[str, Any] = {
    "/api/v1/chat": chat_body,
    "/api/v1/chat/stream": chat_body,
    "/api/v1/sessions": lambda user: {"user_id": user},
    "/api/v1/auth/token": lambda user: {},
}


def _path(entry: RouteEntry) -> str:
    return re.sub(r"{\w+(:\w+)?}", "none", entry.path)


def _body(entry: RouteEntry, user: str) -> dict[str, Any]:
    if entry.path in BODIES:
        body: dict[str, Any] = BODIES[entry.path](user)
        return body
    if "multi-turn" in entry.path:
        return {"user_id": user, "messages": [{"role": "user", "content": "Hi"}]}
    if entry.path == "/v1/chat/completions":
        return {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    if entry.path == "/v1/embeddings":
        return {"model": "default", "input": "Hi"}
    return {}


def _message(answer: Any) -> str:
    found: str = answer.json()["error"]["message"]
    return found


def test_only_named_routes_are_open_and_everything_else_asks() -> None:
    assert {entry.path for entry in TABLE if entry.scope == PUBLIC} == PUBLIC_PATHS
    selfs = {entry.path for entry in TABLE if entry.scope == SELF}
    assert selfs == {"/api/v1/auth/refresh", "/api/v1/auth/revoke"}
    known = {scope for scopes in ROLE_SCOPES.values() for scope in scopes} | {SIGNED_IN}
    assert {entry.scope for entry in ASK_ROWS} <= known


def test_a_path_cannot_be_open_for_one_method_or_in_its_middle() -> None:
    def row(method: str, path: str, scope: str) -> RouteEntry:
        return RouteEntry(
            method=method, path=path, scope=scope, summary="", handler=health, tag="x"
        )

    with pytest.raises(DeclarationError):
        open_paths((row("GET", "/a", PUBLIC), row("POST", "/a", "chat")))
    with pytest.raises(DeclarationError):
        open_paths((row("GET", "/a/{b}/c", PUBLIC),))


async def test_g123_nobody_gets_in_without_credentials_anywhere(guarded: Guard) -> None:
    async with guarded() as server:
        for entry in ASK_ROWS:
            for method in {entry.method, "DELETE", "PUT", "OPTIONS", "HEAD"}:
                answer = await server.http.request(method, _path(entry))
                assert answer.status_code == 401, (method, entry.path)
                assert answer.headers["www-authenticate"] == 'Bearer realm="pyeino"'
                assert answer.headers["cache-control"] == "no-store"
                if method == "HEAD":
                    continue
                assert _message(answer) == "API key required"
        for path in ("/api/v1/none", "/none", "/static/../api/v1/chat", "/metrics/"):
            assert (await server.http.get(path)).status_code == 401, path
        for path in PUBLIC_PATHS - {"/static/{name}"}:
            assert (await server.http.get(path)).status_code == 200, path
        assert (await server.http.get("/static/app.js")).status_code == 200
        assert (await server.http.get("/static/none.js")).status_code == 404
        assert (await server.http.post("/health")).status_code == 405


@pytest.mark.parametrize("role", ROLES)
async def test_the_matrix_of_roles_and_routes(guarded: Guard, role: str) -> None:
    """Each route lets in exactly the roles that have its scope; 403 is apart from 401."""
    async with guarded() as server:
        for entry in ASK_ROWS:
            user = f"{role}-owner"
            for headers in (server.key(role), server.bearer(user, role)):
                json = _body(entry, user) if entry.request is not None else None
                answer = await server.http.request(
                    entry.method, _path(entry), headers=headers, json=json
                )
                allowed = entry.scope == SIGNED_IN or entry.scope in ROLE_SCOPES[role]
                where = (role, entry.method, entry.path, answer.text[:200])
                if not allowed:
                    assert answer.status_code == 403, where
                    challenge = answer.headers["www-authenticate"]
                    assert f'error="insufficient_scope", scope="{entry.scope}"' in challenge
                elif entry.path == "/api/v1/auth/token" and "Authorization" in headers:
                    assert answer.json()["error"]["code"] == "API_KEY_NEEDED"
                else:
                    assert answer.status_code not in (401, 403), where
                    assert answer.status_code < 500, where


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({}, "API_KEY_REQUIRED", "API key required"),
        ({"Authorization": "Basic YTpi"}, "API_KEY_REQUIRED", "API key required"),
        ({"Authorization": "Bearer"}, "API_KEY_REQUIRED", "API key required"),
        ({"X-API-Key": "pyk_wrong_key"}, "INVALID_API_KEY", "Invalid API key"),
        ({"X-API-Key": "wrong"}, "INVALID_API_KEY", "Invalid API key"),
        ({"Authorization": "Bearer pyk_wrong_key"}, "INVALID_API_KEY", "Invalid API key"),
        ({"Authorization": "Bearer a.b.c"}, "INVALID_TOKEN", None),
        ({"Authorization": "bearer nonsense"}, "INVALID_TOKEN", None),
    ],
)
async def test_g42_bad_credentials_in_the_one_envelope(
    guarded: Guard, headers: dict[str, str], code: str, message: str | None
) -> None:
    async with guarded() as server:
        answer = await server.http.post("/api/v1/chat", headers=headers, json=chat_body())
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert (body["status"], body["error"]["code"]) == (401, code)
        assert body["error"]["type"] == "unauthorized"
        assert body["instance"] == "/api/v1/chat"
        if message is not None:
            assert body["error"]["message"] == message
        answer = await server.http.get("/v1/models", headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (401, "authentication_error")
        assert error["code"] == code.lower()


async def test_an_expired_token_is_said_to_be_expired(guarded: Guard) -> None:
    async with guarded() as server:
        headers = server.bearer()
        assert (await server.http.get("/v1/models", headers=headers)).status_code == 200
        server.clock.ahead = 16 * 60
        answer = await server.http.get("/api/v1/sessions", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "TOKEN_EXPIRED"
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_tokens_for_a_key_are_renewed_once_and_end_together(guarded: Guard) -> None:
    async with guarded() as server:
        # Also without any body.
        first = (await server.http.post("/api/v1/auth/token", headers=server.key("user"))).json()
        assert (first["token_type"], first["expires_in"]) == ("Bearer", 900)
        assert first["refresh_expires_in"] == 7 * 86_400
        headers = {"Authorization": f"Bearer {first['access_token']}"}
        me = (await server.http.get("/api/v1/auth/me", headers=headers)).json()
        assert (me["user_id"], me["roles"], me["kind"]) == ("user-owner", ["user"], "token")
        renew = {"refresh_token": first["refresh_token"]}
        second = await server.http.post("/api/v1/auth/refresh", json=renew)
        assert second.status_code == 200
        headers = {"Authorization": f"Bearer {second.json()['access_token']}"}
        assert (await server.http.get("/api/v1/auth/me", headers=headers)).status_code == 200

        reused = await server.http.post("/api/v1/auth/refresh", json=renew)
        assert reused.status_code == 401
        assert reused.json()["error"]["code"] == "TOKEN_REVOKED"
        ended = await server.http.get("/api/v1/auth/me", headers=headers)
        assert ended.json()["error"]["code"] == "TOKEN_REVOKED"
        renew = {"refresh_token": second.json()["refresh_token"]}
        assert (await server.http.post("/api/v1/auth/refresh", json=renew)).status_code == 401


async def test_signing_out_ends_the_family(guarded: Guard) -> None:
    async with guarded() as server:
        pair = (await server.http.post("/api/v1/auth/token", headers=server.key("user"))).json()
        done = await server.http.post("/api/v1/auth/revoke", json={"token": pair["access_token"]})
        assert (done.status_code, done.content) == (204, b"")
        headers = {"Authorization": f"Bearer {pair['access_token']}"}
        assert (await server.http.get("/v1/models", headers=headers)).status_code == 401
        wrong = await server.http.post("/api/v1/auth/revoke", json={"token": "x.y.z"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "INVALID_TOKEN")


async def test_tokens_for_somebody_else_need_the_scope(guarded: Guard) -> None:
    async with guarded() as server:

        async def ask(headers: dict[str, str]) -> Any:
            return await server.http.post(
                "/api/v1/auth/token", headers=headers, json={"user_id": "bob"}
            )

        refused = await ask(server.key("user"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "USER_NOT_ALLOWED")
        for headers in (server.key("admin"), {"X-API-Key": BOOTSTRAP}):
            pair = (await ask(headers)).json()
            bearer = {"Authorization": f"Bearer {pair['access_token']}"}
            me = (await server.http.get("/api/v1/auth/me", headers=bearer)).json()
            assert (me["user_id"], me["roles"]) == ("bob", ["user"])
            assert "act_for_others" not in me["scopes"]


async def test_g10_the_principal_decides_whose_request_it_is(guarded: Guard) -> None:
    async with guarded() as server:
        own, admin = server.bearer("ann"), server.bearer("root", "admin")
        for entry in TABLE:
            if entry.request is None or "user_id" not in _body(entry, "x"):
                continue
            foreign = await server.http.post(_path(entry), headers=own, json=_body(entry, "bob"))
            assert foreign.status_code == 403, entry.path
            assert foreign.json()["error"]["code"] == "USER_NOT_ALLOWED"
            allowed = await server.http.post(_path(entry), headers=admin, json=_body(entry, "bob"))
            assert allowed.status_code in (200, 201), entry.path
        listed = await server.http.get("/api/v1/sessions?user_id=bob", headers=own)
        assert listed.status_code == 403
        listed = await server.http.get("/api/v1/sessions?user_id=bob", headers=admin)
        assert len(listed.json()["items"]) == 5
        mine = (await server.http.get("/api/v1/sessions", headers=own)).json()
        assert mine["items"] == []


async def test_g10_a_foreign_session_is_as_unknown_as_none_on_every_verb(guarded: Guard) -> None:
    async with guarded() as server:
        ann, bob = server.bearer("ann"), server.bearer("bob")
        made = await server.http.post("/api/v1/sessions", headers=ann, json={"session_id": "s1"})
        assert (made.status_code, made.json()["user_id"]) == (201, "ann")

        async def ask(method: str, session_id: str, rest: str, json: Any) -> tuple[int, Any]:
            path = f"/api/v1/sessions/{session_id}{rest}"
            answer = await server.http.request(method, path, headers=bob, json=json)
            return answer.status_code, answer.json()["error"]

        for method, rest, json in (
            ("GET", "", None),
            ("PATCH", "", {"title": "x"}),
            ("DELETE", "", None),
            ("GET", "/messages", None),
        ):
            foreign = await ask(method, "s1", rest, json)
            unknown = await ask(method, "nowhere", rest, json)
            assert foreign == unknown, method
            assert foreign[0] == 404
        # A chat under the same id is bob's own session and never ann's.
        body = chat_body("bob", session_id="s1", options={"history": "session"})
        assert (await server.http.post("/api/v1/chat", headers=bob, json=body)).status_code == 200
        messages = await server.http.get("/api/v1/sessions/s1/messages", headers=ann)
        assert messages.json()["items"] == []


async def test_the_official_client_signs_in_and_understands_refusals(guarded: Guard) -> None:
    async with guarded() as server:
        asked: list[Any] = [{"role": "user", "content": "Hi"}]
        client = server.running.openai(api_key=server.keys["user"])
        async with client:
            answer = await client.chat.completions.create(model="default", messages=asked)
            assert answer.choices[0].message.content == "Hello"
            mine = await client.chat.completions.create(
                model="default", messages=asked, user="user-owner"
            )
            assert mine.choices[0].message.content == "Hello"
            with pytest.raises(openai.PermissionDeniedError) as denied:
                await client.chat.completions.create(model="default", messages=asked, user="bob")
            assert denied.value.code == "user_not_allowed"
        async with server.running.openai(api_key="pyk_wrong_key") as client:
            with pytest.raises(openai.AuthenticationError, match="Invalid API key"):
                await client.models.list()
        async with server.running.openai(api_key=server.keys["metrics"]) as client:
            with pytest.raises(openai.PermissionDeniedError, match="scope models"):
                await client.models.list()
        async with server.running.openai(api_key=server.keys["admin"]) as client:
            await client.chat.completions.create(model="default", messages=asked, user="bob")
        page = await server.http.get("/api/v1/sessions", headers=server.bearer("bob"))
        assert len(page.json()["items"]) == 1


async def test_metrics_take_their_own_token_or_the_scope(guarded: Guard) -> None:
    token = "k3Jx9Qm2Vb7Zp4Lw"
    async with guarded(metrics_token=token) as server:

        async def ask(headers: dict[str, str]) -> int:
            status: int = (await server.http.get("/metrics", headers=headers)).status_code
            return status

        assert await ask({}) == 401
        assert await ask({"Authorization": f"Bearer {token}"}) == 200
        assert await ask({"Authorization": f"Bearer {token}x"}) == 401
        assert await ask(server.key("metrics")) == 200
        assert await ask(server.key("user")) == 403
        scraper = {"Authorization": f"Bearer {token}"}
        assert (await server.http.get("/v1/models", headers=scraper)).status_code == 401


async def test_metrics_with_a_token_and_no_auth(serve: Any) -> None:
    async with serve(metrics_token="k3Jx9Qm2Vb7Zp4Lw") as running:
        assert (await running.http.get("/metrics")).status_code == 401
        wrong = await running.http.get("/metrics", headers={"Authorization": "Bearer no"})
        assert wrong.status_code == 401
        right = {"Authorization": "Bearer k3Jx9Qm2Vb7Zp4Lw"}
        assert (await running.http.get("/metrics", headers=right)).status_code == 200
        assert (await running.http.get("/v1/models")).status_code == 200


async def test_without_auth_there_is_one_local_user(serve: Any) -> None:
    async with serve() as running:
        me = (await running.http.get("/api/v1/auth/me")).json()
        assert (me["user_id"], me["kind"]) == ("local", "local")
        assert (await running.http.post("/api/v1/auth/token", json={})).status_code == 404
        description = (await running.http.get("/openapi.json")).json()
        assert "securitySchemes" not in description["components"]
        assert "/api/v1/auth/token" not in description["paths"]


async def test_the_description_says_what_each_route_asks_for(guarded: Guard) -> None:
    async with guarded() as server:
        document = (await server.http.get("/openapi.json")).json()
        assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
        for entry in TABLE:
            path = re.sub(r"{(\w+):\w+}", r"{\1}", entry.path)
            operation = document["paths"][path][entry.method.lower()]
            if entry.scope in OPEN:
                assert "security" not in operation, path
                continue
            needed = [] if entry.scope == SIGNED_IN else [entry.scope]
            assert operation["security"] == [{"bearer": needed}, {"apiKey": needed}]
            assert "www-authenticate" in operation["responses"]["401"]["headers"]
            assert ("403" in operation["responses"]) >= bool(needed)


async def test_who_guesses_keys_waits_and_who_is_known_elsewhere_does_not(guarded: Guard) -> None:
    async with guarded(trusted_proxies=("127.0.0.1",)) as server:

        def at(address: str, headers: dict[str, str]) -> dict[str, str]:
            return {"X-Forwarded-For": address, **headers}

        bad, good = {"X-API-Key": "pyk_wrong_key"}, server.key("user")
        statuses = [
            (await server.http.get("/v1/models", headers=at("203.0.113.9", bad))).status_code
            for _ in range(31)
        ]
        assert statuses == [401] * 30 + [429]
        waiting = await server.http.get("/v1/models", headers=at("203.0.113.9", good))
        assert waiting.status_code == 429
        assert waiting.json()["error"]["code"] == "too_many_failed_sign_ins"
        assert int(waiting.headers["retry-after"]) >= 1
        elsewhere = await server.http.get("/v1/models", headers=at("203.0.113.8", good))
        assert elsewhere.status_code == 200
        renew = await server.http.post(
            "/api/v1/auth/refresh", headers=at("203.0.113.9", {}), json={"refresh_token": "x"}
        )
        assert renew.status_code == 429


async def test_no_secret_is_logged_or_answered(guarded: Guard) -> None:
    async with guarded() as server:
        key, token = server.keys["user"], server.token("user-owner")
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {token}"}):
            for path in ("/v1/models", "/api/v1/none", "/api/v1/sessions?user_id=bob"):
                answer = await server.http.get(path, headers=headers)
                assert key not in answer.text
                assert token not in answer.text
        lines = repr(server.running.logger.lines)
        assert key not in lines
        assert token not in lines
        assert key.split("_")[-1] not in lines


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (UnauthorizedError("UPSTREAM_SAYS_NO", 'no "way"\r\nset-cookie: a=b'), b"www-authenticate"),
        (
            UnauthorizedError(
                "INSUFFICIENT_SCOPE", "no", metadata={"scope": "x\r\na: b"}, http_status=403
            ),
            b"www-authenticate",
        ),
        (
            ValidationError("NO", "no", metadata={"allow": "GET\r\n\u0430: b"}, http_status=405),
            b"allow",
        ),
    ],
)
def test_no_text_of_an_error_ends_its_header(error: AppError, name: bytes) -> None:
    """A chain may raise an error that holds what a user or a server wrote."""
    for path in ("/api/v1/chat", "/v1/chat/completions"):
        value = dict(error_headers(error, path=path))[name]
        assert all(32 <= one < 127 for one in value)
        assert value.count(b'"') % 2 == 0
    long = dict(error_headers(UnauthorizedError("NO", "x" * 100_000), path="/"))
    assert len(long[b"www-authenticate"]) < 1000


async def test_many_guesses_at_once_are_many_guesses(guarded: Guard, eventually: Any) -> None:
    """Each of them asks the database: as many as may fail are under way, not as many as fit."""
    go_on, looked = asyncio.Event(), 0
    async with guarded() as server:
        keys = server.authenticator._keys
        find = keys.find_by_prefix

        async def slow(prefix: str) -> Any:
            nonlocal looked
            looked += 1
            await go_on.wait()
            return await find(prefix)

        async def guess(number: int) -> int:
            wrong = {"X-API-Key": f"pyk_{number:012d}_wrong"}
            answer = await server.http.get("/api/v1/auth/me", headers=wrong)
            found: int = answer.status_code
            return found

        assert await guess(0) == 401
        keys.find_by_prefix = slow  # type: ignore[method-assign]
        tasks = [asyncio.create_task(guess(number)) for number in range(1, 61)]
        await eventually(lambda: sum(task.done() for task in tasks) >= 31)
        assert looked <= 29
        go_on.set()
        statuses = await asyncio.gather(*tasks)
        assert set(statuses) == {401, 429}
        assert looked <= 29


async def test_a_line_end_is_a_part_of_the_path(guarded: Guard) -> None:
    """Else what a proxy forbids could be asked for by another name."""
    async with guarded() as server:
        headers = server.key("admin")
        await server.http.post(
            "/api/v1/chat", headers=headers, json=chat_body("admin-owner", session_id="s1")
        )
        for path in ("/metrics", "/v1/models", "/api/v1/auth/me", "/api/v1/sessions/s1", "/health"):
            assert (await server.http.get(path, headers=headers)).status_code == 200, path
            other = await server.http.get(f"{path}%0a", headers=headers)
            assert other.status_code == 404, path

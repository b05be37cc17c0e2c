"""Limits of clients: refused at once, counted by whoever asks, settled by what was used."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import openai
import pytest
from auth_kit import Guard, chat_body

from pyeino.errors import DeclarationError, ExternalError
from pyeino.integrations.memory import MemoryRateLimit, StandbyRateLimit
from pyeino.monitoring import Metrics
from pyeino.schema import TokenUsage
from pyeino.server import ServerOptions, create_app
from pyeino.stores import RateLimitDecision
from pyeino.testing import ScriptedReply

PATIENCE = 30.0
ALL_HEADERS = {
    f"x-ratelimit-{word}{kind}"
    for word in ("limit", "remaining", "reset")
    for kind in ("", "-requests")
}


class Broken:
    """A store that is down."""

    async def acquire(self, key: str, **_: Any) -> RateLimitDecision:
        raise ExternalError("REDIS_UNREACHABLE", "Redis cannot be reached", http_status=503)

    settle = acquire


async def _left(store: MemoryRateLimit, client: str, per_minute: int) -> int:
    """Tokens that `client` has left; what is asked for is given back."""
    key = f"tokens:{client}"
    found = await store.settle(key, rate=per_minute / 60, burst=per_minute, reserved=0, used=0)
    return found.remaining


async def test_g124_a_flood_is_refused_at_once_with_the_time_to_wait(guarded: Guard) -> None:
    async with guarded(requests_per_minute=6, burst=3) as server:
        headers = server.bearer("ann")
        answers = [
            await server.http.post("/api/v1/chat", headers=headers, json=chat_body())
            for _ in range(5)
        ]
        assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
        assert [one.headers["x-ratelimit-remaining"] for one in answers[:4]] == ["2", "1", "0", "0"]
        assert set(answers[0].headers) >= ALL_HEADERS
        assert answers[0].headers["x-ratelimit-limit"] == "6"
        refused = answers[3]
        body = refused.json()["error"]
        assert (body["code"], body["message"]) == ("RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
        assert body["type"] == "rate_limit"
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert 0 < int(refused.headers["retry-after-ms"]) <= 10_000
        assert set(refused.headers) >= ALL_HEADERS
        # Somebody else has a bucket of their own, and probes are never counted.
        other = await server.http.get("/v1/models", headers=server.bearer("bob"))
        assert (other.status_code, other.headers["x-ratelimit-remaining"]) == (200, "2")
        for _ in range(5):
            assert (await server.http.get("/health")).status_code == 200
            assert (await server.http.get("/static/app.js")).status_code == 200


async def test_more_keys_and_tokens_of_one_user_share_the_bucket(guarded: Guard) -> None:
    async with guarded(requests_per_minute=6, burst=4) as server:
        for _ in range(2):
            pair = await server.http.post("/api/v1/auth/token", headers=server.key("user"))
            bearer = {"Authorization": f"Bearer {pair.json()['access_token']}"}
            last = await server.http.get("/api/v1/auth/me", headers=bearer)
        assert last.headers["x-ratelimit-remaining"] == "0"
        again = await server.http.get("/api/v1/auth/me", headers=server.key("user"))
        assert again.status_code == 429


async def test_the_official_client_sees_a_rate_limit_error(guarded: Guard) -> None:
    async with guarded(requests_per_minute=6, burst=1) as server:
        async with server.running.openai(api_key=server.keys["user"]) as client:
            await client.models.list()
            with pytest.raises(openai.RateLimitError, match="Rate limit exceeded") as refused:
                await client.models.list()
        assert refused.value.code == "rate_limit_exceeded"
        assert "x-ratelimit-reset-requests" in refused.value.response.headers


async def test_g125_an_address_counts_and_a_forged_one_does_not(serve: Any) -> None:
    store = MemoryRateLimit()
    async with serve(requests_per_minute=6, burst=2, rate_limits=store) as running:
        statuses = [
            (
                await running.http.get("/v1/models", headers={"X-Forwarded-For": f"1.2.3.{n}"})
            ).status_code
            for n in range(4)
        ]
        assert statuses == [200, 200, 429, 429]
    trusting = {"requests_per_minute": 6, "burst": 2, "trusted_proxies": ("127.0.0.0/8",)}
    async with serve(rate_limits=MemoryRateLimit(), **trusting) as running:

        async def ask(listed: str) -> int:
            answer = await running.http.get("/v1/models", headers={"X-Forwarded-For": listed})
            found: int = answer.status_code
            return found

        # The client writes what it likes on the left; the proxy appends what it saw.
        assert [await ask(f"9.9.9.{n}, 203.0.113.7") for n in range(3)] == [200, 200, 429]
        assert await ask("203.0.113.8") == 200


async def test_tokens_are_reserved_and_settled_by_what_was_used(guarded: Guard) -> None:
    store, limit = MemoryRateLimit(), 1000
    usage = TokenUsage(prompt_tokens=30, completion_tokens=20, total_tokens=50)
    reply = ScriptedReply(chunks=("Hel", "lo"), usage=usage)
    async with guarded(replies=(reply,), rate_limits=store, tokens_per_minute=limit) as server:
        body = chat_body(options={"max_tokens": 400})
        answer = await server.http.post("/api/v1/chat", headers=server.bearer(), json=body)
        assert answer.status_code == 200
        reserved = limit - int(answer.headers["x-ratelimit-remaining-tokens"])
        assert 400 < reserved < 420
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert limit - await _left(store, "user:local:ann", limit) in (49, 50)


async def test_who_has_no_tokens_left_is_refused_before_the_model_is_asked(guarded: Guard) -> None:
    usage = TokenUsage(prompt_tokens=300, completion_tokens=300, total_tokens=600)
    reply = ScriptedReply(chunks=("Hello",), usage=usage)
    async with guarded(replies=(reply,), tokens_per_minute=600) as server:
        # No bound is named: the whole minute is set aside.
        first = await server.http.post("/api/v1/chat", headers=server.bearer(), json=chat_body())
        assert first.status_code == 200
        calls = len(server.running.model.calls)
        for path, body in (
            ("/api/v1/chat", chat_body(options={"max_tokens": 100})),
            ("/api/v1/chat/stream", chat_body(options={"max_tokens": 100})),
            (
                "/v1/chat/completions",
                {
                    "model": "default",
                    "stream": True,
                    "max_tokens": 100,
                    "messages": [{"role": "user", "content": "Hi"}],
                },
            ),
        ):
            refused = await server.http.post(path, headers=server.bearer(), json=body)
            assert refused.status_code == 429, path
            assert "retry-after-ms" in refused.headers
            assert "x-ratelimit-remaining-tokens" in refused.headers
        assert len(server.running.model.calls) == calls


@pytest.mark.parametrize("how", ["invalid", "failed", "cancelled"])
async def test_what_did_not_run_or_broke_off_gives_its_tokens_back(
    guarded: Guard, how: str
) -> None:
    store, limit = MemoryRateLimit(), 100_000
    hold = asyncio.Event()
    steps: tuple[Any, ...] = {
        "invalid": ("Hello",),
        "failed": (RuntimeError("no"),),
        "cancelled": ("Hello, ", hold),
    }[how]
    async with guarded(*steps, rate_limits=store, tokens_per_minute=limit) as server:
        body = chat_body(options={"max_tokens": 50_000})
        if how == "invalid":
            body["options"]["top_k"] = 0
        if how == "cancelled":
            request = server.http.stream(
                "POST", "/api/v1/chat/stream", headers=server.bearer(), json=body
            )
            async with request as answer:
                async for line in answer.aiter_lines():
                    if "Hello" in line:
                        break
                assert limit - await _left(store, "user:local:ann", limit) >= 49_000
            await server.running.idle()
        else:
            await server.http.post("/api/v1/chat", headers=server.bearer(), json=body)
        async with asyncio.timeout(PATIENCE):
            while limit - await _left(store, "user:local:ann", limit) > 20:  # noqa: ASYNC110 (a store tells nobody)
                await asyncio.sleep(0.01)


async def test_a_store_that_fails_lets_requests_pass_and_says_so(guarded: Guard) -> None:
    async with guarded(rate_limits=Broken(), requests_per_minute=1, tokens_per_minute=10) as server:
        for _ in range(3):
            answer = await server.http.post(
                "/api/v1/chat", headers=server.bearer(), json=chat_body()
            )
            assert answer.status_code == 200
        assert server.running.logger.found("Client limits are not kept: their store is in trouble")


async def test_a_standby_keeps_the_limit_while_the_shared_store_is_down(guarded: Guard) -> None:
    troubles: list[Exception] = []
    store = StandbyRateLimit(Broken(), MemoryRateLimit(), on_trouble=troubles.append)
    async with guarded(rate_limits=store, requests_per_minute=6, burst=2) as server:
        statuses = [
            (await server.http.get("/v1/models", headers=server.bearer())).status_code
            for _ in range(4)
        ]
        assert statuses == [200, 200, 429, 429]
    assert len(troubles) == 1  # it is left alone for a while


def test_limits_without_a_place_to_keep_them_are_refused(serve: Any) -> None:
    with pytest.raises(DeclarationError, match="rate_limits"):
        create_app(
            service=None,  # type: ignore[arg-type]
            options=ServerOptions(requests_per_minute=1),
            metrics=Metrics(),
            logger=None,  # type: ignore[arg-type]
        )


async def test_embeddings_and_unknown_paths_are_counted_too(guarded: Guard) -> None:
    async with guarded(requests_per_minute=6, burst=2) as server:
        headers = server.bearer()
        body = {"model": "default", "input": "x"}
        first = await server.http.post("/v1/embeddings", headers=headers, json=body)
        assert first.headers["x-ratelimit-remaining"] == "1"
        assert (await server.http.get("/none", headers=headers)).status_code == 404
        assert (await server.http.get("/none", headers=headers)).status_code == 429


async def test_without_limits_nothing_is_said(guarded: Guard) -> None:
    async with guarded() as server:
        answer = await server.http.get("/v1/models", headers=server.bearer())
        assert not any(name.startswith("x-ratelimit") for name in answer.headers)
        with contextlib.suppress(KeyError):
            assert answer.headers["retry-after"] == ""


async def test_users_with_long_names_are_limited_too_and_told_apart(guarded: Guard) -> None:
    async with guarded(requests_per_minute=6, burst=1) as server:
        for name in ("ä" * 550, "ä" * 551):
            headers = server.bearer(name)
            statuses = [
                (await server.http.get("/v1/models", headers=headers)).status_code for _ in range(2)
            ]
            assert statuses == [200, 429]
        assert not server.running.logger.troubles()

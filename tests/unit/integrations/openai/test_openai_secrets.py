"""The key goes to the provider and nowhere else: no text, repr, log line or redirect has it."""

from __future__ import annotations

import logging

import pytest
from aiohttp import web
from provider_kit import KEY, Upstream, chunk, every_text, raw_bytes, streamed, whole

from pyeino.errors import AppError, DeclarationError
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, OpenAIEmbedder, RetryPolicy
from pyeino.schema import Message

ASK = (Message.user("Hi"),)
TENANT = "tenant-secret-value"
ECHO = f"bad key {KEY} for {TENANT}, Authorization: Bearer {KEY}, other sk-abcdefgh12345678"


def endpoint_of(upstream: Upstream) -> Endpoint:
    retry = RetryPolicy(max_retries=0)
    return Endpoint(upstream.url, api_key=KEY, headers={"X-Tenant": TENANT}, retry=retry)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(whole({"error": {"message": ECHO}}, status=401), id="error"),
        pytest.param(whole({"error": {"message": ECHO}}, status=400), id="refusal"),
        pytest.param(whole(ECHO.encode(), status=500), id="text"),
        pytest.param(whole(ECHO.encode()), id="garbage"),
        pytest.param(whole({"error": ECHO}), id="error-in-a-success"),
        pytest.param(streamed(chunk("a"), {"error": {"message": ECHO}}), id="error-frame"),
        pytest.param(streamed(chunk("a"), f"data: {ECHO}\n\n".encode()), id="garbage-frame"),
        pytest.param(raw_bytes(f"{ECHO}\r\n\r\n".encode()), id="no-http"),
        pytest.param(raw_bytes(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), id="bad-header"),
        pytest.param(raw_bytes(b""), id="disconnect"),
    ],
)
async def test_no_error_shows_a_secret(
    upstream: Upstream, handler: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.answers(handler)  # type: ignore[arg-type]
    async with endpoint_of(upstream) as endpoint:
        model = OpenAIChatModel("m-1", endpoint=endpoint)
        embedder = OpenAIEmbedder("m-1", endpoint=endpoint)
        for call in (model.generate(ASK), model.stream(ASK).concat(), embedder.embed(["a"])):
            with pytest.raises(AppError) as caught:
                await call
            shown = every_text(caught.value) + str(caught.value.to_dict())
            for secret in (KEY, TENANT, "abcdefgh12345678"):
                assert secret not in shown
        assert KEY not in f"{endpoint!r} {endpoint} {model!r} {embedder!r}"
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("aiohttp.server")]
    assert KEY not in "\n".join(ours)


async def test_redirects_are_not_followed(upstream: Upstream) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{upstream.url}/elsewhere")

    upstream.answers(elsewhere)
    async with endpoint_of(upstream) as endpoint:
        with pytest.raises(AppError, match="redirects"):
            await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
    assert [one.path for one in upstream.seen] == ["/v1/chat/completions"]


async def test_no_proxy_and_no_netrc_of_the_environment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    upstream.answers(whole({}, status=401))
    async with Endpoint(upstream.url) as endpoint:
        with pytest.raises(AppError, match="refused the API key"):
            await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
    assert "authorization" not in upstream.seen[0].headers


async def test_cookies_are_not_kept(upstream: Upstream) -> None:
    upstream.answers(whole({}, status=401, headers={"set-cookie": "a=b"}))
    async with endpoint_of(upstream) as endpoint:
        for _ in range(2):
            with pytest.raises(AppError):
                await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
    assert "cookie" not in upstream.seen[1].headers


async def test_a_header_of_the_user_wins(upstream: Upstream) -> None:
    upstream.answers(whole({}, status=401))
    headers = {"Authorization": "Basic abc", "Api-Key": "k", "User-Agent": "mine"}
    async with Endpoint(upstream.url, api_key=KEY, headers=headers) as endpoint:
        with pytest.raises(AppError):
            await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
    seen = upstream.seen[0].headers
    assert [seen[name] for name in ("authorization", "api-key", "user-agent")] == [
        "Basic abc",
        "k",
        "mine",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://localhost/v1",
        "http://",
        "http://user:hunter22@localhost/v1",
        "http://localhost/v1?key=hunter22",
        "http://localhost/v1#hunter22",
        "http://localhost:hunter22/v1",
        "http://[::1",
    ],
)
def test_a_url_of_no_use_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Endpoint(url)
    assert "hunter22" not in every_text(caught.value)


@pytest.mark.parametrize("key", ["sk-hunter22\n", "sk-hunter22”", "sk-hunter22\x00"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    for arguments in ({"api_key": key}, {"headers": {"x-key": key}}, {"headers": {key: "x"}}):
        with pytest.raises(DeclarationError) as caught:
            Endpoint("http://localhost/v1", **arguments)  # type: ignore[arg-type]
        if arguments.get("headers") != {key: "x"}:
            assert "hunter22" not in every_text(caught.value)


@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "max_connections"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_bound_of_no_use_is_refused(name: str, value: float) -> None:
    with pytest.raises(DeclarationError, match=name):
        Endpoint("http://localhost/v1", **{name: value})  # type: ignore[arg-type]


def test_slashes_at_the_end_of_the_url_do_not_matter() -> None:
    assert Endpoint("http://localhost/v1//").base_url == "http://localhost/v1"

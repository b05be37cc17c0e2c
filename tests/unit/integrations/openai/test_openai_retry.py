"""What is tried again, how often, after how long, and what the caller is told in the end."""

from __future__ import annotations

import asyncio
import email.utils
import time
from typing import Any

import pytest
from aiohttp import web
from provider_kit import (
    DONE,
    STORY,
    Hold,
    Upstream,
    answer,
    chunk,
    frame,
    patience,
    raw_bytes,
    streamed,
    whole,
)

from pyeino.errors import (
    AppError,
    DeclarationError,
    ExternalError,
    InternalError,
    RateLimitError,
    ValidationError,
)
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, ProviderError, RetryPolicy
from pyeino.schema import Message

ASK = (Message.user("Hi"),)
OPENAI_FORM = {"error": {"message": "no", "type": "x", "param": "temperature", "code": None}}
BODIES = (OPENAI_FORM, {"error": "no"}, {"detail": [{"msg": "no"}]}, [1], b"<h1>no</h1>", b"")


@pytest.mark.parametrize(
    ("status", "kind", "code", "tries"),
    [
        (307, ExternalError, "MODEL_FAILED", 1),
        (400, ExternalError, "PROVIDER_REFUSED_REQUEST", 1),
        (401, ExternalError, "PROVIDER_REFUSED_KEY", 1),
        (403, ExternalError, "PROVIDER_REFUSED_KEY", 1),
        (404, ExternalError, "PROVIDER_NOT_FOUND", 1),
        (408, InternalError, "TIMEOUT", 3),
        (409, ExternalError, "MODEL_FAILED", 3),
        (413, ExternalError, "PROVIDER_REFUSED_REQUEST", 1),
        (422, ExternalError, "PROVIDER_REFUSED_REQUEST", 1),
        (429, RateLimitError, "PROVIDER_RATE_LIMIT", 3),
        (500, ExternalError, "MODEL_FAILED", 3),
        (503, ExternalError, "MODEL_FAILED", 3),
        (504, InternalError, "TIMEOUT", 3),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_each_status_has_its_error_and_its_tries(
    upstream: Upstream,
    model: OpenAIChatModel,
    status: int,
    kind: type[AppError],
    code: str,
    tries: int,
    streaming: bool,
) -> None:
    for number, body in enumerate(BODIES, 1):
        upstream.answers(whole(body, status=status))
        with pytest.raises(kind) as caught:
            await (model.stream(ASK).concat() if streaming else model.generate(ASK))
        assert caught.value.code == code
        assert len(upstream.seen) == number * tries
        cause = caught.value.cause
        assert isinstance(cause, ProviderError)
        assert cause.status == status
        told = caught.value.to_dict()
        assert "no" not in str(told.get("details", "")), "the provider's words are for logs only"
        if code == "PROVIDER_REFUSED_REQUEST":
            field = "temperature" if body is OPENAI_FORM else None
            assert caught.value.metadata.get("field") == field
    assert len(upstream.connections) == 1, "an error does not cost the connection"


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_later_try_succeeds(
    upstream: Upstream, model: OpenAIChatModel, streaming: bool
) -> None:
    upstream.answers(
        whole({}, status=503),
        whole({}, status=429, headers={"retry-after-ms": "1"}),
        streamed(*STORY) if streaming else whole(answer()),
    )
    message = await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert message.content == "Hello"
    assert upstream.seen[0].body == upstream.seen[2].body


@pytest.mark.parametrize(
    ("status", "headers", "body", "tries"),
    [
        (500, {"x-should-retry": "false"}, {}, 1),
        (400, {"x-should-retry": "true"}, {}, 3),
        (429, {"retry-after": "121"}, {}, 1),
        (429, {"retry-after": "0"}, {}, 3),
        (429, {}, {"error": {"code": "insufficient_quota"}}, 1),
        (429, {}, {"error": {"type": "insufficient_quota"}}, 1),
    ],
)
async def test_the_provider_has_a_say(
    upstream: Upstream,
    model: OpenAIChatModel,
    status: int,
    headers: dict[str, str],
    body: Any,
    tries: int,
) -> None:
    upstream.answers(whole(body, status=status, headers=headers))
    with pytest.raises(AppError):
        await model.generate(ASK)
    assert len(upstream.seen) == tries


async def test_the_caller_learns_how_long_to_wait(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    upstream.answers(whole({}, status=429, headers={"retry-after": "300"}))
    with pytest.raises(RateLimitError) as caught:
        await model.generate(ASK)
    assert caught.value.metadata == {"retry_after": 300.0}


@pytest.mark.parametrize(
    ("error", "sizes"),
    [
        ({"code": "context_length_exceeded"}, {}),
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8},
            {"prompt_tokens": 9, "context_length": 8},
        ),
        (
            {"message": "This model's maximum context length is 8192 tokens. However, you …"},
            {"context_length": 8192},
        ),
    ],
)
async def test_a_prompt_that_does_not_fit(
    upstream: Upstream, model: OpenAIChatModel, error: Any, sizes: dict[str, int]
) -> None:
    upstream.answers(whole({"error": error}, status=400))
    with pytest.raises(ValidationError) as caught:
        await model.generate(ASK)
    assert caught.value.code == "CONTEXT_LENGTH_EXCEEDED"
    assert caught.value.metadata == {"model": "m-1", **sizes}


@pytest.mark.parametrize("status", [401, 500])
async def test_the_status_counts_even_when_the_body_is_cut(
    upstream: Upstream, model: OpenAIChatModel, status: int
) -> None:
    head = f"HTTP/1.1 {status} No\r\ncontent-length: 500\r\n\r\n".encode()
    upstream.answers(raw_bytes(head, b'{"error":'))
    with pytest.raises(ExternalError) as caught:
        await model.generate(ASK)
    assert isinstance(caught.value.cause, ProviderError)
    assert caught.value.cause.status == status
    assert len(upstream.seen) == (1 if status == 401 else 3)


@pytest.mark.parametrize("steps", [(), (b": ping\n\n",), (chunk("a"),)])
async def test_a_silent_stream_times_out_and_is_tried_again_before_its_first_event(
    upstream: Upstream, steps: tuple[object, ...]
) -> None:
    upstream.answers(streamed(*steps, Hold()))
    retry = RetryPolicy(max_retries=1, base_delay=0)
    async with patience(), Endpoint(upstream.url, timeout=0.1, retry=retry) as endpoint:
        with pytest.raises(InternalError) as caught:
            await OpenAIChatModel("m-1", endpoint=endpoint).stream(ASK).concat()
        assert caught.value.code == "TIMEOUT"
        assert caught.value.http_status == 504
        await upstream.gone.wait()
    assert len(upstream.seen) == (1 if steps == (chunk("a"),) else 2)
    await upstream.until_no_connection()


async def test_a_stream_that_goes_on_talking_may_last_longer_than_the_bound(
    upstream: Upstream,
) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for step in [*[chunk("x")] * 8, chunk(finish="stop"), DONE]:
            await response.write(frame(step))
            await asyncio.sleep(0.1)
        return response

    upstream.answers(slowly)
    async with Endpoint(upstream.url, timeout=0.75, retry=RetryPolicy(max_retries=0)) as endpoint:
        message = await OpenAIChatModel("m-1", endpoint=endpoint).stream(ASK).concat()
    assert message.content == "x" * 8


async def test_a_slow_whole_answer_times_out(upstream: Upstream) -> None:
    upstream.answers(streamed(b"{", Hold()))
    retry = RetryPolicy(max_retries=1, base_delay=0)
    async with patience(), Endpoint(upstream.url, timeout=0.1, retry=retry) as endpoint:
        with pytest.raises(InternalError) as caught:
            await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
        assert caught.value.code == "TIMEOUT"
    assert len(upstream.seen) == 2
    await upstream.until_no_connection()


async def test_nobody_listens(free_port: int) -> None:
    retry = RetryPolicy(max_retries=1, base_delay=0)
    async with Endpoint(f"http://127.0.0.1:{free_port}/v1", retry=retry) as endpoint:
        with pytest.raises(ExternalError, match="cannot be reached"):
            await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)


def test_back_off_doubles_up_to_its_bound() -> None:
    policy = RetryPolicy(max_retries=2000)
    for attempt, longest in [(0, 0.5), (1, 1.0), (3, 4.0), (4, 8.0), (1999, 8.0)]:
        for _ in range(20):
            delay = policy.delay(attempt, {})
            assert delay is not None
            assert 0.75 * longest <= delay <= longest
    assert policy.delay(2000, {}) is None
    assert RetryPolicy(max_retries=0).delay(0, {"retry-after": "1"}) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7.0),
    ],
)
def test_a_named_wait_is_believed(headers: dict[str, str], seconds: float) -> None:
    assert RetryPolicy().delay(0, headers) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e999", "", "Mon, 99 Foo 2026"])
def test_a_wait_that_makes_no_sense_is_passed_over(text: str) -> None:
    delay = RetryPolicy().delay(0, {"retry-after": text})
    assert delay is not None
    assert delay <= 0.5


def test_a_wait_may_be_a_date() -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    delay = RetryPolicy().delay(0, {"retry-after": date})
    assert delay is not None
    assert 30 < delay <= 60
    past = email.utils.formatdate(0, usegmt=True)
    assert (RetryPolicy().delay(0, {"retry-after": past}) or 1) <= 0.5


@pytest.mark.parametrize("field", ["max_retries", "base_delay", "max_delay", "max_retry_after"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_policy_out_of_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(DeclarationError, match="at least 0"):
        RetryPolicy(**{field: value})  # type: ignore[arg-type]

"""What the provider answers, well formed and not, and what becomes of it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_kit import (
    DONE,
    STORY,
    USAGE,
    Abort,
    Upstream,
    answer,
    chunk,
    frame,
    raw_bytes,
    streamed,
    whole,
)

from pyeino.errors import AppError, ExternalError, RateLimitError, ValidationError
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, RetryPolicy
from pyeino.schema import Message, TokenUsage

ASK = (Message.user("Hi"),)


async def test_a_whole_answer(upstream: Upstream, model: OpenAIChatModel) -> None:
    upstream.answers(whole(answer("Hello", refusal=None, reasoning_content="Hm.")))
    message = await model.generate(ASK)
    assert (message.content, message.reasoning_content) == ("Hello", "Hm.")
    assert message.response_meta is not None
    assert message.response_meta.finish_reason == "stop"
    assert message.response_meta.usage == TokenUsage(
        prompt_tokens=3, completion_tokens=2, total_tokens=5
    )
    assert message.extra == {"model": "m-1"}


async def test_a_stream_ends_with_reason_and_usage_in_one_chunk(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    upstream.answers(streamed(*STORY))
    chunks = await model.stream(ASK).collect()
    assert [one.content for one in chunks] == ["Hel", "lo", ""]
    assert [one.response_meta for one in chunks[:2]] == [None, None]
    last = chunks[-1].response_meta
    assert last is not None
    assert last.finish_reason == "stop"
    assert last.usage == TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    message = Message.__concat__(chunks)
    assert message.content == "Hello"
    assert message.extra == {"model": "m-1"}


@pytest.mark.parametrize(
    ("steps", "content", "reason", "total"),
    [
        pytest.param((chunk("a"), chunk(finish="stop")), "a", "stop", None, id="no-done"),
        pytest.param((chunk("a"), DONE), "a", "", None, id="done-without-reason"),
        pytest.param((chunk("a", finish="length"), DONE), "a", "length", None, id="in-one"),
        pytest.param(
            ({**chunk("a"), "usage": {"total_tokens": 1}}, {**chunk("b", finish="stop"),
              "usage": {"total_tokens": 2, "prompt_tokens": None}}, DONE),
            "ab", "stop", 2, id="usage-in-every-chunk",
        ),
        pytest.param(
            (chunk("a", finish="stop"), USAGE, {"choices": None, "usage": None}, DONE),
            "a", "stop", 5, id="nulls-after-usage",
        ),
        pytest.param(
            ({"choices": []}, {"id": "x"}, {}, chunk("a", finish="stop"), DONE),
            "a", "stop", None, id="empty-choices",
        ),
        pytest.param(
            (
                {"choices": [
                    {"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"},
                    {"index": 0, "delta": {"content": "yes"}, "finish_reason": None},
                ]},
                {"choices": [{"index": 1, "delta": {"content": "no"}}]},
                chunk(finish="stop"),
                DONE,
            ),
            "yes", "stop", None, id="several-choices",
        ),
        pytest.param(
            ({"choices": [{"index": None, "delta": {"content": "a", "tool_calls": None,
              "role": None}, "logprobs": None, "finish_reason": "stop"}], "error": None}, DONE),
            "a", "stop", None, id="null-fields",
        ),
        pytest.param(
            (b": ping\n\n", chunk("a"), b": ping\r\n\r\nevent: message\r\n",
             chunk(finish="stop"), b"data: [DONE]\n\ndata: not JSON\n\n"),
            "a", "stop", None, id="comments-and-what-follows-done",
        ),
        pytest.param(
            (chunk([{"type": "thinking"}, {"type": "text", "text": "a"}], finish="stop"), DONE),  # type: ignore[arg-type]
            "a", "stop", None, id="content-in-parts",
        ),
        pytest.param(
            (b'data: {"choices":[{"delta":{"content":"\xff"},"finish_reason":"stop"}]}\n\n',),
            "�", "stop", None, id="bad-utf8-is-replaced",
        ),
    ],
)  # fmt: skip
async def test_a_stream_in_every_form_met(
    upstream: Upstream,
    model: OpenAIChatModel,
    steps: tuple[object, ...],
    content: str,
    reason: str,
    total: int | None,
) -> None:
    upstream.answers(streamed(*steps))
    message = await model.stream(ASK).concat()
    assert message.content == content
    meta = message.response_meta
    assert meta is not None
    assert meta.finish_reason == reason
    assert (meta.usage.total_tokens if meta.usage else None) == total


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param((chunk("a"), b"data: {half\n\n"), ["a"], id="half-json"),
        pytest.param((chunk("a"), b'data: "text"\n\n'), ["a"], id="no-object"),
        pytest.param((chunk("a"), {"choices": "many"}), ["a"], id="wrong-type"),
        pytest.param((chunk("a"), chunk(tool_calls={"0": 1})), ["a"], id="bad-tool-calls"),
        pytest.param((chunk("a"), chunk(tool_calls=[3])), ["a"], id="bad-tool-call"),
        pytest.param((chunk("a"), b"data: " + b"[" * 100_000 + b"\n\n"), ["a"], id="deep"),
        pytest.param((chunk("a"),), ["a"], id="cut-between-events"),
        pytest.param((chunk("a"), b"data: [DO"), ["a"], id="cut-in-an-event"),
        pytest.param((chunk("a"), Abort()), ["a"], id="reset"),
        pytest.param((chunk("a"), b"x" * (17 << 20)), ["a"], id="huge-event"),
        pytest.param((chunk("a"), {"error": {"message": "overloaded"}}), ["a"], id="error-frame"),
        pytest.param((chunk("a"), {"error": "overloaded"}), ["a"], id="error-text"),
        pytest.param(
            (chunk("a"), b'event: error\ndata: {"message":"no"}\n\n'), ["a"], id="error-event"
        ),
        pytest.param((DONE,), [], id="nothing-but-done"),
        pytest.param((USAGE, DONE), [], id="nothing-but-usage"),
    ],
)
async def test_a_stream_that_breaks_gives_what_came_and_one_error(
    upstream: Upstream, model: OpenAIChatModel, steps: tuple[object, ...], said: list[str]
) -> None:
    upstream.answers(streamed(*steps))
    got: list[str] = []
    with pytest.raises(ExternalError) as caught:  # noqa: PT012 - what came before counts as well
        async with model.stream(ASK) as stream:
            async for one in stream:
                got.append(one.content)
    assert caught.value.code == "MODEL_FAILED"
    assert got == said
    assert len(upstream.seen) == 1, "after its first event nothing is asked again"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"code": "rate_limit_exceeded"}, RateLimitError, "PROVIDER_RATE_LIMIT"),
        ({"code": 429}, RateLimitError, "PROVIDER_RATE_LIMIT"),
        ({"code": "context_length_exceeded"}, ValidationError, "CONTEXT_LENGTH_EXCEEDED"),
        ({"type": "invalid_request_error"}, ExternalError, "PROVIDER_REFUSED_REQUEST"),
        ({"code": 200}, ExternalError, "MODEL_FAILED"),
        ({"code": ["?"]}, ExternalError, "MODEL_FAILED"),
        ([1], ExternalError, "MODEL_FAILED"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_error_inside_a_success_keeps_its_kind(
    upstream: Upstream,
    model: OpenAIChatModel,
    error: object,
    kind: type[AppError],
    code: str,
    streaming: bool,
) -> None:
    body = {"error": error}
    upstream.answers(streamed(body) if streaming else whole(body))
    with pytest.raises(kind) as caught:
        await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome to nginx</html>",
        b'{"choices": [',
        b"null",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": [], "usage": {"total_tokens": 3}}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 3}}]}',
        b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_garbage_in_place_of_an_answer(
    upstream: Upstream, model: OpenAIChatModel, body: bytes
) -> None:
    upstream.answers(whole(body, headers={"content-type": "text/html"}))
    with pytest.raises(ExternalError) as caught:
        await model.generate(ASK)
    assert caught.value.code == "MODEL_FAILED"
    assert len(upstream.seen) == 1
    with pytest.raises(ExternalError, match="did not stream"):
        await model.stream(ASK).concat()
    assert len(upstream.seen) == 2


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("parts", "tries"),
    [
        pytest.param((b"",), 3, id="closed-without-an-answer"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncont",), 3, id="cut-in-the-head"),
        pytest.param((b"SSH-2.0-OpenSSH_9.9\r\n",), 3, id="another-protocol"),
        pytest.param((HEAD, b"zz\r\n"), 3, id="bad-chunk-size"),
        pytest.param((HEAD, b": ping\n\n"), 3, id="cut-before-the-first-event"),
        pytest.param((HEAD, chunked(frame(chunk("a"))), b"40\r\nda"), 1, id="cut-in-a-chunk"),
        pytest.param(
            (HEAD, chunked(frame(chunk("a", finish="stop")))), 1, id="no-end-of-the-chunks"
        ),
        pytest.param(
            (HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), chunked(b"no gzip")),
            3,
            id="no-gzip",
        ),
    ],
)
async def test_broken_http_is_tried_again_only_before_the_first_event(
    upstream: Upstream,
    model: OpenAIChatModel,
    monkeypatch: pytest.MonkeyPatch,
    parts: tuple[bytes, ...],
    tries: int,
) -> None:
    monkeypatch.setattr("pyeino.integrations.openai._http._LOOK", 0.05)
    upstream.answers(raw_bytes(*parts))
    with pytest.raises(ExternalError) as caught:
        await model.stream(ASK).concat()
    assert caught.value.code == "MODEL_FAILED"
    assert len(upstream.seen) == tries


async def test_a_gzipped_answer(upstream: Upstream, model: OpenAIChatModel) -> None:
    packed = {"content-encoding": "gzip"}
    upstream.answers(whole(gzip.compress(json.dumps(answer()).encode()), headers=packed))
    assert (await model.generate(ASK)).content == "Hello"
    assert "gzip" in upstream.seen[0].headers["accept-encoding"]
    story = gzip.compress(b"".join(frame(step) for step in STORY))
    upstream.answers(streamed(story[:20], story[20:], headers=packed))
    assert (await model.stream(ASK).concat()).content == "Hello"


async def test_an_answer_without_end_is_refused(
    upstream: Upstream, model: OpenAIChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyeino.integrations.openai._http._MAX_BODY", 1 << 20)
    bomb = gzip.compress(b" " * (8 << 20))
    upstream.answers(whole(bomb, headers={"content-encoding": "gzip"}))
    with pytest.raises(ExternalError, match="too large"):
        await model.generate(ASK)
    assert len(upstream.seen) == 1


def call_delta(index: int | None, **fields: Any) -> dict[str, Any]:
    return chunk(tool_calls=[{"index": index, **fields}])


async def test_tool_calls_come_in_pieces(upstream: Upstream, model: OpenAIChatModel) -> None:
    upstream.answers(
        streamed(
            call_delta(0, id="a", type="function", function={"name": "sum", "arguments": ""}),
            call_delta(0, function={"arguments": '{"x"'}),
            call_delta(1, id="b", function={"name": "now", "arguments": None}),
            call_delta(0, id=None, function={"name": None, "arguments": ": 1}"}),
            chunk(finish="tool_calls"),
            DONE,
        )
    )
    message = await model.stream(ASK).concat()
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("a", "sum", '{"x": 1}'),
        ("b", "now", ""),
    ]
    assert message.response_meta is not None
    assert message.response_meta.finish_reason == "tool_calls"


async def test_tool_calls_in_other_forms(upstream: Upstream, model: OpenAIChatModel) -> None:
    calls = [{"id": "a", "function": {"name": "sum", "arguments": {"x": 1}}}, {"function": None}]
    upstream.answers(whole(answer(None, tool_calls=calls)))
    message = await model.generate(ASK)
    assert message.content == ""
    assert message.tool_calls[0].function.arguments == '{"x":1}'
    assert message.tool_calls[1].function.name == ""


async def test_refusals_and_log_probabilities_add_up(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    probable = chunk("a")
    probable["choices"][0]["logprobs"] = {
        "content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
    upstream.answers(
        streamed(probable, chunk(refusal="I "), chunk(refusal="won't"), chunk(finish="stop"), DONE)
    )
    message = await model.stream(ASK).concat()
    assert message.extra["refusal"] == "I won't"
    assert message.response_meta is not None
    assert message.response_meta.logprobs is not None
    assert message.response_meta.logprobs.content[0].logprob == -0.5


SPLIT_STORY = b"".join(
    frame(step)
    for step in (
        chunk("", role="assistant"),
        chunk("Grüße, 世界 🙂\r\n"),
        call_delta(0, id="a", function={"name": "sum", "arguments": '{"x":'}),
        call_delta(0, function={"arguments": "1}"}),
        b": ping\r\n\r\n",
        chunk(finish="tool_calls"),
        USAGE,
        DONE,
    )
)


@given(cuts=st.lists(st.integers(1, len(SPLIT_STORY) - 1), max_size=40))
@settings(max_examples=40, deadline=None)
def test_however_the_bytes_are_cut_the_chunks_are_the_same(cuts: list[int]) -> None:
    ends = [*sorted(set(cuts)), len(SPLIT_STORY)]
    parts = [SPLIT_STORY[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    async def ask() -> list[Message]:
        server = Upstream()
        await server.start()
        raw = [chunked(part) for part in parts]
        server.answers(raw_bytes(HEAD, *raw, b"0\r\n\r\n", pause=3))
        try:
            async with Endpoint(server.url, retry=RetryPolicy(max_retries=0)) as endpoint:
                return await OpenAIChatModel("m-1", endpoint=endpoint).stream(ASK).collect()
        finally:
            await server.stop()

    chunks = asyncio.run(ask())
    assert [one.content for one in chunks] == ["Grüße, 世界 🙂\r\n", "", "", ""]
    message = Message.__concat__(chunks)
    assert message.tool_calls[0].function.arguments == '{"x":1}'
    assert message.response_meta is not None
    assert message.response_meta.usage is not None

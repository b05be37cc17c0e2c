"""The official OpenAI client against the /v1 routes."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from pyeino.errors import ExternalError, RateLimitError, ValidationError
from pyeino.wire import SSEDecoder

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


async def test_answers_a_conversation(serve: Any) -> None:
    async with serve("Hel", "lo") as running, running.openai() as client:
        answer = await client.chat.completions.create(model="default", messages=MESSAGES)
        assert answer.choices[0].message.content == "Hello"
        assert answer.choices[0].message.role == "assistant"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.id.startswith("chatcmpl-")
        assert answer.object == "chat.completion"
        assert answer.created > 1_700_000_000
        assert answer.model == "scripted"
        assert answer.usage is not None
        assert answer.usage.total_tokens == (
            answer.usage.prompt_tokens + answer.usage.completion_tokens
        )
        assert answer._request_id is not None
        assert answer._request_id.startswith("req_")


@pytest.mark.parametrize("include_usage", [True, False])
async def test_streams_a_conversation(serve: Any, include_usage: bool) -> None:
    async with serve("Hel", "lo") as running, running.openai() as client:
        options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
        stream = await client.chat.completions.create(
            model="scripted", messages=MESSAGES, stream=True, **options
        )
        chunks = [chunk async for chunk in stream]
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(texts) == "Hello"
        assert chunks[0].choices[0].delta.role == "assistant"
        reasons = [one.choices[0].finish_reason for one in chunks if one.choices]
        assert [reason for reason in reasons if reason] == ["stop"]
        assert len({chunk.id for chunk in chunks}) == 1
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        assert len(usages) == int(include_usage)
        if include_usage:
            assert chunks[-1].choices == []
            assert usages[0].total_tokens > 0


async def test_the_raw_stream_ends_with_done_exactly_once(serve: Any) -> None:
    async with serve("Hel", "lo") as running:
        body = {"model": "default", "messages": MESSAGES, "stream": True}
        answer = await running.http.post("/v1/chat/completions", json=body)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = SSEDecoder().feed(answer.content)
        assert [event.data for event in events].count("[DONE]") == 1
        assert events[-1].data == "[DONE]"


async def test_a_stream_that_breaks_raises_in_the_client(serve: Any) -> None:
    failure = ExternalError("MODEL_FAILED", "The model failed")
    async with serve("Hel", failure) as running, running.openai() as client:
        stream = await client.chat.completions.create(
            model="default", messages=MESSAGES, stream=True
        )
        with pytest.raises(openai.APIError, match="The model failed"):
            async for _ in stream:
                pass
        body = {"model": "default", "messages": MESSAGES, "stream": True}
        answer = await running.http.post("/v1/chat/completions", json=body)
        events = SSEDecoder().feed(answer.content)
        assert sum('"error"' in event.data for event in events) == 1
        assert '"error"' in events[-1].data
        assert "[DONE]" not in answer.text


async def test_the_options_of_a_call_reach_the_service(serve: Any) -> None:
    class City(BaseModel):
        name: str

    async with serve("x") as running, running.openai() as client:
        await client.chat.completions.create(
            model="default",
            messages=[
                {"role": "developer", "content": "Be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            temperature=0.25,
            top_p=0.5,
            max_completion_tokens=9,
            stop=["END"],
            seed=11,
            user="somebody",
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "City", "schema": City.model_json_schema()},
            },
        )
        (call,) = running.model.calls
        assert [(one.role, one.content) for one in call.messages] == [
            ("system", "Be brief"),
            ("user", "a"),
            ("assistant", "b"),
            ("user", "c"),
        ]
        options = call.options
        assert options is not None
        assert (options.temperature, options.max_tokens) == (0.25, 9)
        assert (options.top_p, options.stop, options.seed) == (0.5, ("END",), 11)
        assert options.response_format == City.model_json_schema()


@pytest.mark.parametrize(("store", "sessions"), [(None, 1), (True, 1), (False, 0)])
async def test_what_must_not_be_stored_is_not(serve: Any, store: Any, sessions: int) -> None:
    async with serve("x") as running, running.openai() as client:
        await client.chat.completions.create(model="default", messages=MESSAGES, store=store)
        found = await running.scope.sessions.list(user_id="local")
        assert len(found.items) == sessions


async def test_an_unknown_model_is_a_404(serve: Any) -> None:
    async with serve("x") as running, running.openai() as client:
        for stream in (False, True):
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(
                    model="gpt-none", messages=MESSAGES, stream=stream
                )
            assert caught.value.code == "model_not_found"
            assert caught.value.param == "model"
            assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "y"}]},
            "messages[0].tool_call_id",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].type",
        ),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
    ],
)
async def test_a_bad_body_is_a_400_that_names_the_field(
    serve: Any, fields: dict[str, Any], param: str
) -> None:
    async with serve("x") as running, running.openai() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(
                **{"model": "default", "messages": MESSAGES, **fields}
            )
        assert caught.value.param == param
        assert param in caught.value.message
        assert not running.model.calls


async def test_a_prompt_that_is_too_long_is_a_400_with_the_limit(serve: Any) -> None:
    failure = ValidationError(
        "CONTEXT_LENGTH_EXCEEDED", "The prompt has 9000 tokens, the model takes 2048"
    )
    async with serve(failure) as running, running.openai() as client:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="2048") as caught:
                await client.chat.completions.create(
                    model="default", messages=MESSAGES, stream=stream
                )
            assert caught.value.code == "context_length_exceeded"


async def test_a_full_queue_says_when_to_try_again_and_the_client_obeys(serve: Any) -> None:
    failure = RateLimitError("QUEUE_FULL", "The queue is full", metadata={"retry_after": 0.02})
    async with serve(failure) as running:
        async with running.openai(max_retries=2) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="default", messages=MESSAGES)
        assert caught.value.response.headers["retry-after-ms"] == "20"
        assert caught.value.response.headers["retry-after"] == "1"
        assert len(running.model.calls) == 3


async def test_our_own_failure_is_not_tried_again(serve_fake: Any) -> None:
    async with serve_fake(RuntimeError("bug")) as running:
        async with running.openai(max_retries=2) as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="default", messages=MESSAGES)
        assert len(running.logger.found("Request served")) == 1


async def test_lists_and_describes_the_models(serve: Any) -> None:
    async with serve() as running, running.openai() as client:
        models = [model.id async for model in client.models.list()]
        assert models == ["default", "scripted"]
        assert (await client.models.retrieve("scripted")).owned_by == "testing"
        with pytest.raises(openai.NotFoundError) as caught:
            await client.models.retrieve("none/such")
        assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1", 404), ("GET", "/v1/chat/completions", 405)],
)
async def test_wrong_paths_and_methods_answer_in_the_envelope_of_the_api(
    serve: Any, method: str, path: str, status: int
) -> None:
    async with serve() as running:
        answer: httpx2.Response = await running.http.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("by", ["metadata", "header"])
async def test_a_named_session_is_gone_on_with(serve: Any, by: str) -> None:
    async with serve("Hel", "lo") as running, running.openai() as client:
        named: dict[str, Any] = (
            {"metadata": {"session_id": "s1", "team": "blue"}}
            if by == "metadata"
            else {"extra_headers": {"X-Session-ID": "s1"}}
        )
        for question in ("first", "second"):
            answer = await client.chat.completions.create(
                model="default", messages=[{"role": "user", "content": question}], **named
            )
            assert answer.metadata == {"session_id": "s1"}
        asked = [one.content for one in running.model.calls[-1].messages]
        assert asked[-3:] == ["first", "Hello", "second"]
        rows = (await running.scope.messages.list("s1", user_id="local")).items
        assert [row.content for row in rows] == ["first", "Hello", "second", "Hello"]
        assert rows[2].metadata == ({"team": "blue"} if by == "metadata" else {})


async def test_a_client_that_sends_the_whole_conversation_can_say_so(serve: Any) -> None:
    async with serve("ok") as running, running.openai() as client:
        for _ in range(2):
            stream = await client.chat.completions.create(
                model="default",
                messages=[{"role": "user", "content": "all of it"}],
                metadata={"session_id": "s1", "history": "none"},
                stream=True,
            )
            async with stream:
                assert [part async for part in stream]
        asked = [one.content for one in running.model.calls[-1].messages]
        assert asked.count("all of it") == 1


async def test_a_wish_about_history_that_is_none_is_named(serve: Any) -> None:
    async with serve() as running:
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": "x"}],
            "metadata": {"history": "all"},
        }
        answer = await running.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "metadata.history"


async def test_a_conversation_that_is_not_stored_names_no_session(serve: Any) -> None:
    async with serve("ok") as running:
        body = {"model": "default", "messages": [{"role": "user", "content": "x"}], "store": False}
        answer = await running.http.post("/v1/chat/completions", json=body)
        assert "metadata" not in answer.json()

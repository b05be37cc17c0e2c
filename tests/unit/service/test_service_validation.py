"""Bad requests: refused before anything is stored or run, with the field's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError, NotFoundError, UnauthorizedError, ValidationError
from pyeino.service import (
    CallContext,
    ChatMessage,
    ChatOptions,
    ChatRequest,
    MultiTurnChatRequest,
    ServiceLimits,
)
from pyeino.service._validation import check_request

OpenBench = Callable[..., Any]
LIMITS = ServiceLimits(message_bytes=100, context_bytes=50, metadata_bytes=30, messages=3)


def ask(**fields: Any) -> ChatRequest:
    return ChatRequest(**({"user_id": "ann", "message": "hi"} | fields))


def wish(**fields: Any) -> ChatRequest:
    return ask(options=ChatOptions(**fields))


def talk(*messages: tuple[str, str]) -> MultiTurnChatRequest:
    return MultiTurnChatRequest(
        user_id="ann",
        messages=tuple(ChatMessage(role=role, content=content) for role, content in messages),
    )


BAD = [
    (ask(message=""), "message"),
    (ask(message=" \n\t "), "message"),
    (ask(message="x" * 101), "message"),
    (ask(message="é" * 51), "message"),
    (ask(message="a\x00b"), "message"),
    (ask(message="a\ud800b"), "message"),
    (ask(user_id=""), "user_id"),
    (ask(user_id="  "), "user_id"),
    (ask(user_id="x" * 129), "user_id"),
    (ask(session_id="a\nb"), "session_id"),
    (ask(session_id="x" * 129), "session_id"),
    (ask(context={"a": "x" * 50}), "context"),
    (ask(context={"a": object()}), "context"),
    (ask(context={"a": "\ud800"}), "context"),
    (wish(temperature=-0.1), "options.temperature"),
    (wish(temperature=2.1), "options.temperature"),
    (wish(temperature=float("nan")), "options.temperature"),
    (wish(max_tokens=0), "options.max_tokens"),
    (wish(max_tokens=10**9), "options.max_tokens"),
    (wish(top_k=0), "options.top_k"),
    (wish(top_k=101), "options.top_k"),
    (wish(score_threshold=1.5), "options.score_threshold"),
    (wish(timeout=0), "options.timeout"),
    (wish(timeout=-1), "options.timeout"),
    (wish(timeout=301), "options.timeout"),
    (wish(timeout=float("nan")), "options.timeout"),
    (wish(tools=("",)), "options.tools[0]"),
    (wish(tools=("x",) * 65), "options.tools"),
    (wish(metadata={"a": "x" * 30}), "options.metadata"),
    (wish(chain="rag"), "options.chain"),
    (wish(chain="nonsense"), "options.chain"),
    (wish(tools=("search",)), "options.tools"),
    (talk(), "messages"),
    (talk(*[("user", "x")] * 4), "messages"),
    (talk(("narrator", "x")), "messages[0].role"),
    (talk(("user", "x"), ("user", "")), "messages[1].content"),
    (talk(("user", "x" * 60), ("user", "x" * 60)), "messages"),
    (talk(("system", "x"), ("assistant", "y")), "messages"),
]


@pytest.mark.parametrize(
    ("request_", "field"), BAD, ids=[f"{n}-{f}" for n, (_, f) in enumerate(BAD)]
)
async def test_g09_bad_request_names_its_field(bench: OpenBench, request_: Any, field: str) -> None:
    async with bench("x", limits=LIMITS) as given:
        service = given.service
        if isinstance(request_, ChatRequest):
            calls = [service.chat(request_), anext(service.stream_chat(request_))]
        else:
            calls = [service.multi_turn_chat(request_), anext(service.stream_multi_turn(request_))]
        for call in calls:
            with pytest.raises(ValidationError) as caught:
                await call
            error = caught.value
            assert error.code == "INVALID_REQUEST"
            assert error.metadata["field"] == field
            assert error.metadata["expected"]
            assert error.metadata["found"]
            assert field in error.message
            json.dumps(error.to_dict())
        assert given.model.calls == []
        assert given.faults.calls == ["fail_pending"]
        samples = given.samples()
        assert samples["eino_chat_latency_seconds_count{outcome=error}"] == 2


async def test_not_configured_chain_names_those_there_are(bench: OpenBench) -> None:
    async with bench("x") as given:
        with pytest.raises(ValidationError) as caught:
            await given.service.chat(wish(chain="rag"))
        assert "auto, plain" in caught.value.message
        samples = given.samples()
        assert samples["eino_chat_errors_total{error_type=chain_selection_error}"] == 1
        (line,) = given.logs.of("Chain selection failed")
        assert set(line) >= {"error", "user_id", "session_id", "message_id"}


async def test_unknown_model(bench: OpenBench) -> None:
    async with bench("x", models=(ModelInfo(id="small", provider="p"),)) as given:
        with pytest.raises(NotFoundError) as caught:
            await given.service.chat(wish(model="nope"))
        error = caught.value
        assert (error.code, error.http_status) == ("MODEL_NOT_FOUND", 404)
        assert error.metadata["available"] == ["default", "small"]
        for model in ("default", "small"):
            await given.service.chat(wish(model=model))


async def test_g10_request_is_the_principals_own(bench: OpenBench) -> None:
    async with bench("x") as given:
        with pytest.raises(UnauthorizedError) as caught:
            await given.service.chat(ask(user_id="bob"), call=CallContext(user_id="ann"))
        assert caught.value.http_status == 403
        await given.service.chat(ask(user_id="ann"), call=CallContext(user_id="ann"))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (ModelOptions(stop=("",)), "stop"),
        (ModelOptions(stop=("x",) * 17), "stop"),
        (ModelOptions(max_tokens=10**9), "max_tokens"),
        (ModelOptions(response_format={"a": "x" * 60}), "response_format"),
    ],
)
async def test_model_options_of_the_call_are_checked(
    bench: OpenBench, options: ModelOptions, field: str
) -> None:
    async with bench("x", limits=LIMITS) as given:
        with pytest.raises(ValidationError) as caught:
            await given.service.chat(ask(), call=CallContext(model_options=options))
        assert caught.value.metadata["field"] == field


@given_any(st.builds(dict, user_id=st.text(), message=st.text(), session_id=st.text()))
def test_any_text_is_taken_or_refused_by_name(fields: dict[str, str]) -> None:
    try:
        check_request(ChatRequest(**fields), CallContext(), limits=LIMITS, models=())
    except AppError as error:
        assert error.metadata["field"] in fields
    else:
        assert fields["message"].strip()
        fields["message"].encode()


@pytest.mark.parametrize("field", ["message_bytes", "timeout", "active_runs"])
def test_limits_refuse_nonsense(field: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=field):
            ServiceLimits(**{field: value})
    with pytest.raises(ValueError, match="history_messages"):
        ServiceLimits(history_messages=501)


def test_unknown_fields_are_refused_on_decoding() -> None:
    for body in (
        b'{"user_id": "a", "message": "b", "mesage": "c"}',
        b'{"user_id": "a", "message": "b", "options": {"temprature": 1}}',
    ):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.json.decode(body, type=ChatRequest)


def test_the_body_of_the_guide_is_taken() -> None:
    body = b'{"user_id":"test_user","session_id":"s1","message":"What is pyeino?"}'
    request = msgspec.json.decode(body, type=ChatRequest)
    assert request == ask(user_id="test_user", session_id="s1", message="What is pyeino?")
    assert msgspec.json.decode(msgspec.json.encode(request)) == json.loads(body)
    threshold = b'{"user_id":"a","message":"b","options":{"score_threshold":null}}'
    options = msgspec.json.decode(threshold, type=ChatRequest).options
    assert options is not None
    assert options.score_threshold is None
    assert ChatOptions().score_threshold is msgspec.UNSET

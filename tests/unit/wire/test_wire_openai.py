"""OpenAI's objects: what is honoured, ignored and refused, and how the hot chunk is written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as ClientCompletion
from openai.types.chat import ChatCompletionChunk as ClientChunk

from pyeino.errors import (
    AppError,
    ExternalError,
    InternalError,
    NotFoundError,
    RateLimitError,
    UnauthorizedError,
    ValidationError,
)
from pyeino.wire import (
    DONE_FRAME,
    IGNORED_FIELDS,
    REFUSED_FIELDS,
    AnswerMessage,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Choice,
    ChunkChoice,
    CompletionFrames,
    CompletionUsage,
    Delta,
    SSEDecoder,
    decode_json,
    encode_event,
    finish_reason_of,
    openai_error_from,
    refuse_unsupported,
    schema_of,
    text_of,
)

DECODER = msgspec.json.Decoder(ChatCompletionRequest)
USAGE = CompletionUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def request(**fields: Any) -> ChatCompletionRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return decode_json(msgspec.json.encode(body), DECODER)


def test_every_field_that_is_honoured_is_read() -> None:
    found = request(
        stream=True,
        stream_options={"include_usage": True},
        temperature=0.5,
        top_p=0.9,
        max_tokens=10,
        max_completion_tokens=7,
        stop=["a", ""],
        seed=4,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"a": 1}}},
    )
    refuse_unsupported(found)
    assert (found.temperature, found.top_p, found.seed) == (0.5, 0.9, 4)
    assert found.token_limit == 7
    assert found.stops == ("a",)
    assert schema_of(found.response_format) == {"a": 1}
    assert request(max_tokens=10).token_limit == 10
    assert request(stop="x").stops == ("x",)
    assert request(stop=None).stops is None


@pytest.mark.parametrize("field", [*IGNORED_FIELDS, "nobody_knows_this"])
def test_hints_and_unknown_fields_have_no_effect(field: str) -> None:
    refuse_unsupported(request(**{field: {"any": ["thing"]}}))


SOMETHING: dict[str, Any] = {
    "n": 2,
    "functions": [{}],
    "function_call": {"name": "x"},
    "logprobs": True,
    "top_logprobs": 3,
    "modalities": ["text", "audio"],
    "audio": {"voice": "x"},
    "prediction": {"type": "content"},
    "web_search_options": {},
    "logit_bias": {"5": 1},
    "frequency_penalty": 0.5,
    "presence_penalty": -1,
}


def test_a_value_is_tried_for_each_refused_field() -> None:
    assert tuple(sorted(SOMETHING)) == REFUSED_FIELDS


@pytest.mark.parametrize("field", REFUSED_FIELDS)
def test_fields_whose_effect_would_be_missed_are_refused_by_name(field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        refuse_unsupported(request(**{field: SOMETHING[field]}))
    assert caught.value.code == "UNSUPPORTED_FIELD"
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize(
    "neutral",
    [
        {"n": 1},
        {"logprobs": False},
        {"modalities": ["text"]},
        {"frequency_penalty": 0.0},
        {"logit_bias": {}},
        dict.fromkeys(REFUSED_FIELDS),
    ],
)
def test_values_that_ask_for_nothing_are_taken(neutral: dict[str, Any]) -> None:
    refuse_unsupported(request(**neutral))


def test_true_is_not_one() -> None:
    with pytest.raises(ValidationError):
        refuse_unsupported(request(n=True))


def test_stream_options_need_a_stream() -> None:
    with pytest.raises(ValidationError) as caught:
        refuse_unsupported(request(stream_options={"include_usage": True}))
    assert caught.value.metadata["field"] == "stream_options"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}] * 1001}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"model": ""}, "model"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": 4}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"seed": "x"}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"response_format": {}}, "response_format.type"),
    ],
)
def test_bad_values_name_their_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        request(**fields)
    assert caught.value.metadata["field"] == field
    assert field in caught.value.message


def test_text_parts_are_joined_and_other_parts_refused_by_place() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    message = request(messages=[{"role": "user", "content": parts}]).messages[0]
    assert text_of(message, field="messages[0]") == "ab"
    parts.append({"type": "image_url"})
    message = request(messages=[{"role": "user", "content": parts}]).messages[0]
    with pytest.raises(ValidationError) as caught:
        text_of(message, field="messages[3]")
    assert caught.value.metadata == {
        "field": "messages[3].content[2].type",
        "pointer": "/messages/3/content/2/type",
    }


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
        ({"role": "assistant", "tool_calls": [{"id": "x"}]}, "messages[0].tool_calls[0].function"),
    ],
)
def test_messages_without_text_are_refused(message: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        text_of(request(messages=[message]).messages[0], field="messages[0]")
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({"type": "text"}, None), ({"type": "json_object"}, {"type": "object"}), (None, None)],
)
def test_forms_of_an_answer(wanted: Any, expected: Any) -> None:
    assert schema_of(request(response_format=wanted).response_format) == expected


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"type": "grammar"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        (
            {"type": "json_schema", "json_schema": {"name": "x"}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_forms_that_nobody_knows_are_refused(wanted: Any, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        schema_of(request(response_format=wanted).response_format)
    assert caught.value.metadata["field"] == field


@given(text=st.text(st.characters(blacklist_categories=("Cs",))), include_usage=st.booleans())
def test_the_hot_chunk_is_what_the_whole_record_would_be(text: str, include_usage: bool) -> None:
    frames = CompletionFrames(id="c", created=1, model="\ue000", include_usage=include_usage)
    usage = None if include_usage else msgspec.UNSET
    record = ChatCompletionChunk(
        id="c",
        created=1,
        model="\ue000",
        choices=(ChunkChoice(delta=Delta(content=text)),),
        usage=usage,
    )
    expected = encode_event(msgspec.json.encode(record))
    if text:
        assert frames.delta(text) == expected
    assert len(SSEDecoder().feed(frames.delta(text))) == 1


def test_the_official_client_reads_every_kind_of_chunk() -> None:
    frames = CompletionFrames(id="c", created=1, model="m", include_usage=True)
    raw = frames.first() + frames.delta("x") + frames.finish("length") + frames.usage(USAGE)
    chunks = [ClientChunk.model_validate_json(e.data) for e in SSEDecoder().feed(raw)]
    assert [c.choices[0].delta.content for c in chunks[:3]] == ["", "x", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[2].choices[0].finish_reason == "length"
    assert chunks[3].choices == []
    assert chunks[3].usage is not None
    assert chunks[3].usage.total_tokens == 5
    assert CompletionFrames(id="c", created=1, model="m").usage(USAGE) == b""
    assert SSEDecoder().feed(DONE_FRAME)[0].data == "[DONE]"


def test_the_official_client_reads_a_completion() -> None:
    record = ChatCompletion(
        id="c",
        created=1,
        model="m",
        choices=(Choice(message=AnswerMessage(content="x"), finish_reason="stop"),),
        usage=USAGE,
    )
    found = ClientCompletion.model_validate_json(msgspec.json.encode(record), strict=True)
    assert found.choices[0].message.content == "x"


def test_a_reason_that_the_api_has_no_word_for_is_stop() -> None:
    assert finish_reason_of("length") == "length"
    assert finish_reason_of("eos") == "stop"
    assert finish_reason_of(None) == "stop"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValidationError("A_CODE", "m"), "invalid_request_error"),
        (NotFoundError("A_CODE", "m"), "invalid_request_error"),
        (UnauthorizedError("A_CODE", "m"), "authentication_error"),
        (UnauthorizedError("A_CODE", "m", http_status=403), "permission_error"),
        (RateLimitError("A_CODE", "m"), "rate_limit_error"),
        (InternalError("A_CODE", "m"), "server_error"),
        (ExternalError("A_CODE", "m"), "server_error"),
    ],
)
def test_errors_in_the_words_of_the_api(error: AppError, kind: str) -> None:
    body = openai_error_from(error).error
    assert (body.message, body.type, body.param, body.code) == ("m", kind, None, "a_code")

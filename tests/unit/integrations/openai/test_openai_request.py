"""What goes over the wire: messages, parts, tools and options as the protocol wants them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from provider_kit import KEY, STORY, Upstream, answer, streamed, whole

from pyeino.components import ChatModel, ModelOptions
from pyeino.errors import ValidationError
from pyeino.integrations.openai import Endpoint, OpenAIChatModel
from pyeino.schema import (
    AudioPart,
    DataType,
    FilePart,
    FunctionCall,
    ImagePart,
    Message,
    ParameterInfo,
    Role,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolInfo,
    ToolSearchResultPart,
    VideoPart,
)

ASK = (Message.user("Hi"),)
SUM = ToolInfo(
    name="sum",
    description="Adds.",
    parameters={"x": ParameterInfo(type=DataType.INTEGER, required=True)},
)
NOW = ToolInfo(name="now")


@pytest.fixture
def answering(upstream: Upstream) -> Upstream:
    upstream.answers(whole(answer()))
    return upstream


async def sent(
    upstream: Upstream, asked: OpenAIChatModel, *messages: Message, **options: Any
) -> dict[str, Any]:
    await asked.generate(messages or ASK, options=ModelOptions(**options))
    return upstream.seen[-1].body


async def test_the_bare_call(answering: Upstream, model: OpenAIChatModel) -> None:
    assert isinstance(model, ChatModel)
    body = await sent(answering, model)
    assert body == {"model": "m-1", "messages": [{"role": "user", "content": "Hi"}]}
    seen = answering.seen[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"] == "pyeino"


async def test_options_over_defaults_over_extra(answering: Upstream, endpoint: Endpoint) -> None:
    defaults = ModelOptions(temperature=0.5, seed=1, extra={"top_k": 3, "top_p": 0.1})
    model = OpenAIChatModel("m-1", endpoint=endpoint, defaults=defaults)
    body = await sent(
        answering, model, temperature=0.0, max_tokens=9, stop=("a",), top_p=0.9, model="m-2"
    )
    del body["messages"]
    assert body == {
        "model": "m-2",
        "temperature": 0.0,
        "seed": 1,
        "max_tokens": 9,
        "stop": ["a"],
        "top_p": 0.9,
        "top_k": 3,
    }


@pytest.mark.parametrize("name", ["model", "messages", "stream", "stream_options", "n"])
async def test_extra_cannot_change_what_the_client_relies_on(
    answering: Upstream, model: OpenAIChatModel, name: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        await sent(answering, model, extra={name: 1})
    assert caught.value.metadata == {"field": f"extra.{name}"}
    assert not answering.seen


@pytest.mark.parametrize("usage", [True, False])
async def test_a_stream_asks_for_its_usage_unless_told_not_to(
    upstream: Upstream, endpoint: Endpoint, usage: bool
) -> None:
    upstream.answers(streamed(*STORY))
    model = OpenAIChatModel(
        "m-1", endpoint=endpoint, stream_usage=usage, max_tokens_field="max_completion_tokens"
    )
    await model.stream(ASK, options=ModelOptions(max_tokens=4)).concat()
    body = upstream.seen[0].body
    assert body["stream"] is True
    assert body["max_completion_tokens"] == 4
    assert body.get("stream_options") == ({"include_usage": True} if usage else None)


async def test_a_tool_conversation(answering: Upstream, model: OpenAIChatModel) -> None:
    calls = [
        ToolCall(index=0, id="a", function=FunctionCall(name="sum", arguments='{"x": 1}')),
        ToolCall(index=1, id="b", function=FunctionCall(name="now")),
    ]
    body = await sent(
        answering,
        model,
        Message(role=Role.SYSTEM, content="Be brief.", name="boss"),
        Message.assistant("", tool_calls=calls),
        Message.tool("1", tool_call_id="a", tool_name="sum"),
        tools=(SUM, NOW),
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "sum", "arguments": '{"x": 1}'},
                },
                {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "a"},
    ]
    assert body["tools"][0]["function"]["parameters"]["required"] == ["x"]
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "allowed", "names", "wire"),
    [
        (None, None, ["sum", "now"], None),
        (ToolChoice.FORBIDDEN, None, ["sum", "now"], "none"),
        (ToolChoice.ALLOWED, None, ["sum", "now"], "auto"),
        (ToolChoice.FORCED, None, ["sum", "now"], "required"),
        (None, ("now",), ["now"], None),
        (ToolChoice.ALLOWED, ("now",), ["now"], "auto"),
        (ToolChoice.FORCED, ("now", "sum"), ["sum", "now"], "required"),
        (
            ToolChoice.FORCED,
            ("now",),
            ["now"],
            {"type": "function", "function": {"name": "now"}},
        ),
    ],
)
async def test_how_the_model_may_choose(
    answering: Upstream,
    model: OpenAIChatModel,
    choice: ToolChoice | None,
    allowed: tuple[str, ...] | None,
    names: list[str],
    wire: object,
) -> None:
    body = await sent(answering, model, tools=(SUM, NOW), tool_choice=choice, allowed_tools=allowed)
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == wire


async def test_an_unknown_allowed_tool_is_refused(
    answering: Upstream, model: OpenAIChatModel
) -> None:
    with pytest.raises(ValidationError, match="later"):
        await sent(answering, model, tools=(SUM,), allowed_tools=("sum", "later"))


async def test_a_shape_for_the_answer(answering: Upstream, model: OpenAIChatModel) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    body = await sent(answering, model, response_format=schema)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }
    body = await sent(answering, model, extra={"response_format": {"type": "json_object"}})
    assert body["response_format"] == {"type": "json_object"}


async def test_parts(answering: Upstream, model: OpenAIChatModel) -> None:
    parts = (
        TextPart(text="What is this?"),
        ImagePart(url="https://example.com/a.png", detail="low"),
        ImagePart(base64_data="QQ==", mime_type="image/png"),
        VideoPart(url="https://example.com/a.mp4"),
        AudioPart(base64_data="QQ==", mime_type="audio/mp3"),
        FilePart(base64_data="QQ==", mime_type="application/pdf", name="a.pdf"),
    )
    said = Message(
        role=Role.ASSISTANT, content="", assistant_output_multi_content=(TextPart(text="A cat."),)
    )
    body = await sent(answering, model, Message.user("Look.", parts=parts), said)
    assert body["messages"][1]["content"] == "A cat."
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
        },
    ]


@pytest.mark.parametrize(
    "message",
    [
        Message.user("", parts=[AudioPart(url="https://example.com/a.mp3")]),
        Message.user("", parts=[FilePart(url="https://example.com/a.pdf")]),
        Message.user("", parts=[ImagePart()]),
        Message.user("", parts=[ToolSearchResultPart()]),
        Message.user("\ud800"),
    ],
)
async def test_what_the_protocol_cannot_carry_is_refused_before_anything_is_sent(
    answering: Upstream, model: OpenAIChatModel, message: Message
) -> None:
    with pytest.raises(ValidationError):
        await sent(answering, model, message)
    with pytest.raises(ValidationError):
        await model.stream((message,)).concat()
    assert not answering.seen


async def test_nothing_to_ask(answering: Upstream, model: OpenAIChatModel) -> None:
    with pytest.raises(ValidationError, match="at least one"):
        await model.generate(())
    with pytest.raises(ValidationError, match="JSON"):
        await sent(answering, model, extra={"x": object()})
    assert not answering.seen


@pytest.mark.parametrize("parallel", [True, False, None])
async def test_parallel_calls_and_strict_tools_are_asked_for_as_told(
    answering: Upstream, model: OpenAIChatModel, parallel: bool | None
) -> None:
    strict = structs.replace(SUM, extra={"strict": True})
    body = await sent(answering, model, tools=(strict, NOW), parallel_tool_calls=parallel)
    assert body.get("parallel_tool_calls") is parallel
    assert [tool["function"].get("strict") for tool in body["tools"]] == [True, None]

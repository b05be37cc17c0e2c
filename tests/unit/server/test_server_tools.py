"""Tools at the doors: the official OpenAI client's round trip, and the native tool chain."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from pyeino.integrations.tools import calculator, clock
from pyeino.schema import Role, ToolChoice
from pyeino.testing import ScriptedReply

MESSAGES: Any = [{"role": "user", "content": "How is the weather in Oslo?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
        "strict": True,
    },
}
OTHER: Any = {"type": "function", "function": {"name": "other"}}
CALL = ScriptedReply.calling(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"}))


async def test_a_whole_round_trip_with_the_official_client(serve_replies: Any) -> None:
    async with serve_replies(CALL, "Rain.") as running, running.openai() as client:
        talk = list(MESSAGES)
        first = await client.chat.completions.create(
            model="default", messages=talk, tools=[WEATHER], parallel_tool_calls=True
        )
        choice = first.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert choice.message.tool_calls is not None
        assert [(one.id, one.type) for one in choice.message.tool_calls] == [
            ("call_0", "function"),
            ("call_1", "function"),
        ]
        talk.append(choice.message)
        for one in choice.message.tool_calls:
            assert one.type == "function"
            assert one.function.name == "get_weather"
            city = json.loads(one.function.arguments)["city"]
            talk.append({"role": "tool", "tool_call_id": one.id, "content": f"Rain in {city}"})
        second = await client.chat.completions.create(
            model="default", messages=talk, tools=[WEATHER]
        )
        assert second.choices[0].message.content == "Rain."
        assert second.choices[0].message.tool_calls is None
        assert second.choices[0].finish_reason == "stop"
        asked, answered = running.model.calls
        assert asked.options.tools[0].name == "get_weather"
        assert asked.options.tools[0].input_schema() == WEATHER["function"]["parameters"]
        assert asked.options.tools[0].extra == {"strict": True}
        assert asked.options.parallel_tool_calls is True
        assert [one.role for one in answered.messages] == [
            Role.USER, Role.ASSISTANT, Role.TOOL, Role.TOOL,
        ]  # fmt: skip
        assert [one.content for one in answered.messages[2:]] == ["Rain in Oslo", "Rain in Bergen"]
        assert answered.messages[1].tool_calls[1].function.arguments == '{"city":"Bergen"}'


async def test_calls_are_streamed_in_the_form_of_the_protocol(serve_replies: Any) -> None:
    reply = ScriptedReply.calling(
        ("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"}), text="Let me see."
    )
    async with serve_replies(reply) as running, running.openai() as client:
        async with client.chat.completions.stream(
            model="default",
            messages=MESSAGES,
            tools=[WEATHER],
            stream_options={"include_usage": True},
        ) as stream:
            events = [event async for event in stream]
            whole = await stream.get_final_completion()
        kinds = {event.type for event in events}
        assert "tool_calls.function.arguments.done" in kinds
        choice = whole.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "Let me see."
        assert choice.message.tool_calls is not None
        assert [
            (one.id, one.function.name, one.function.arguments) for one in choice.message.tool_calls
        ] == [
            ("call_0", "get_weather", '{"city":"Oslo"}'),
            ("call_1", "get_weather", '{"city":"Bergen"}'),
        ]
        assert whole.usage is not None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", (ToolChoice.FORBIDDEN, None)),
        ("auto", (ToolChoice.ALLOWED, None)),
        ("required", (ToolChoice.FORCED, None)),
        (
            {"type": "function", "function": {"name": "other"}},
            (ToolChoice.FORCED, ("other",)),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER]}},
            (ToolChoice.FORCED, ("other",)),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER, OTHER]}},
            (ToolChoice.ALLOWED, ("get_weather", "other")),
        ),
        (None, (None, None)),
    ],
)
async def test_every_form_of_tool_choice(serve_replies: Any, choice: Any, expected: Any) -> None:
    async with serve_replies("x") as running, running.openai() as client:
        await client.chat.completions.create(
            model="default",
            messages=MESSAGES,
            tools=[WEATHER, OTHER],
            tool_choice=openai.omit if choice is None else choice,
        )
        options = running.model.calls[0].options
        assert (options.tool_choice, options.allowed_tools) == expected


ASKING: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "other", "arguments": "{}"}}
    ],
}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
        ),
        ({"tools": [OTHER, OTHER]}, "tools[1].function.name"),
        (
            {
                "tools": [
                    {"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}}
                ]
            },
            "tools[0].function.parameters",
        ),
        ({"tools": [OTHER] * 129}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes", "tools": [OTHER]}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "x"}}, "tools": [OTHER]},
            "tool_choice.function.name",
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "x", "tools": []},
                },
                "tools": [OTHER],
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"messages": [*MESSAGES, ASKING]}, "messages[2]"),
        ({"messages": [*MESSAGES, ASKING, *MESSAGES]}, "messages[2]"),
        (
            {"messages": [*MESSAGES, {"role": "tool", "tool_call_id": "a", "content": "x"}]},
            "messages[1].tool_call_id",
        ),
        (
            {"messages": [*MESSAGES, ASKING, {"role": "tool", "tool_call_id": "a"}]},
            "messages[2].content",
        ),
    ],
)
async def test_what_does_not_fit_is_a_400_that_names_it(
    serve_replies: Any, fields: dict[str, Any], param: str
) -> None:
    async with serve_replies("x") as running, running.openai() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(
                **{"model": "default", "messages": MESSAGES, **fields}
            )
        assert caught.value.param == param
        assert not running.model.calls


async def test_the_native_route_goes_the_tool_way(serve_replies: Any) -> None:
    call = ScriptedReply.calling(("calculator", {"expression": "6 * 7"}))
    async with serve_replies(call, "It is 42.", tools=[calculator, clock]) as running:
        body = {
            "user_id": "ann",
            "message": "6 * 7?",
            "options": {"tools": ["calculator"]},
        }
        answer = (await running.http.post("/api/v1/chat", json=body)).json()
        assert answer["content"] == "It is 42."
        assert answer["metadata"]["chain"] == "tools"
        assert answer["metadata"]["tool_calls"][0]["result"] == "42"
        assert "tool_calls" not in answer
        assert running.metric(
            "eino_component_calls_total", component_type="Tool", component_name="calculator"
        )
        assert "6 * 7" not in str(running.logger.lines)
        body["options"] = {"tools": ["sun"]}
        refused = await running.http.post("/api/v1/chat/stream", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"]["metadata"]["available"] == ["calculator", "clock"]

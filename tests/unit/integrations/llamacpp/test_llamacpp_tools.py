"""Tool calls of the local model: their form is sure, their sense is not looked at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pyeino.components import ModelOptions
from pyeino.errors import ValidationError
from pyeino.integrations.llamacpp import LlamaCppModel
from pyeino.integrations.llamacpp._tool_calls import plan_tools
from pyeino.integrations.llamacpp._tool_prompts import (
    MAX_TEXT,
    argument_prompt,
    argument_schema,
    asked_to_answer,
    choice_prompt,
    in_words,
)
from pyeino.integrations.tools import calculator, clock
from pyeino.schema import FunctionCall, Message, Role, ToolCall, ToolChoice, ToolInfo
from pyeino.service import ToolInput, default_tool_chain

PLACE = ToolInfo(
    name="place",
    description="Keep a place.",
    json_schema={
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["town", "village"]},
            "size": {"type": "integer", "minimum": 0, "maximum": 99},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
        },
        "required": ["name", "kind", "size", "tags"],
        "additionalProperties": False,
    },
)
QUESTION = [Message.user("What is 17 * 23?")]
CALL = ToolCall(id="c1", function=FunctionCall(name="calculator", arguments='{"expression":"1"}'))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(weights: Path) -> AsyncIterator[LlamaCppModel]:
    async with await LlamaCppModel.load(weights, slots=2, context=4096) as loaded:
        yield loaded


def options(*tools: ToolInfo, **fields: Any) -> ModelOptions:
    fields = {"temperature": 0.9, "max_tokens": 100, "tool_choice": ToolChoice.FORCED, **fields}
    return ModelOptions(tools=tools, **fields)


def check_place(arguments: str) -> None:
    found = json.loads(arguments)
    assert set(found) == {"name", "kind", "size", "tags"}
    assert isinstance(found["name"], str)
    assert found["kind"] in ("town", "village")
    assert 0 <= found["size"] <= 99
    assert len(found["tags"]) <= 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_forced_tool_gets_arguments_of_its_schema(model: LlamaCppModel) -> None:
    answer = await model.generate(
        [Message.user("Oslo is a big town.")], options=options(PLACE, max_tokens=300)
    )
    (call,) = answer.tool_calls
    assert call.function.name == "place"
    assert call.id.startswith("call_")
    check_place(call.function.arguments)
    assert answer.content == ""
    meta = answer.response_meta
    assert meta is not None
    assert meta.finish_reason == "tool_calls"
    assert meta.usage is not None
    assert meta.usage.total_tokens == meta.usage.prompt_tokens + meta.usage.completion_tokens
    assert model.free_slots == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_streamed_call_comes_in_chunks_that_add_up(model: LlamaCppModel) -> None:
    chunks = await model.stream(QUESTION, options=options(calculator.info)).collect()
    assert [call.function.name for call in chunks[0].tool_calls] == ["calculator"]
    assert all(not one.function.name for chunk in chunks[1:] for one in chunk.tool_calls)
    assert len(chunks) > 4
    assert [bool(chunk.response_meta) for chunk in chunks] == [*[False] * (len(chunks) - 1), True]
    whole = Message.__concat__(chunks)
    assert list(json.loads(whole.tool_calls[0].function.arguments)) == ["expression"]


@pytest.mark.asyncio(loop_scope="module")
async def test_one_of_several_is_chosen_and_both_generations_are_paid(
    model: LlamaCppModel,
) -> None:
    both = await model.generate(QUESTION, options=options(calculator.info, clock.info))
    assert both.tool_calls[0].function.name in ("calculator", "clock")
    assert isinstance(json.loads(both.tool_calls[0].function.arguments), dict)
    name = both.tool_calls[0].function.name
    one = await model.generate(
        QUESTION, options=options(calculator.info, clock.info, allowed_tools=(name,))
    )
    assert one.tool_calls[0].function.name == name
    assert both.response_meta is not None
    assert one.response_meta is not None
    assert both.response_meta.usage is not None
    assert one.response_meta.usage is not None
    assert both.response_meta.usage.prompt_tokens > one.response_meta.usage.prompt_tokens


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("choice", [ToolChoice.ALLOWED, None])
async def test_a_free_choice_gives_a_call_or_words(
    model: LlamaCppModel, choice: ToolChoice | None
) -> None:
    answer = await model.generate(
        QUESTION, options=options(calculator.info, tool_choice=choice, max_tokens=40)
    )
    assert bool(answer.tool_calls) != bool(answer.content)
    assert answer.response_meta is not None
    reason = answer.response_meta.finish_reason
    assert (reason == "tool_calls") == bool(answer.tool_calls)


@pytest.mark.asyncio(loop_scope="module")
async def test_forbidden_tools_are_not_called(model: LlamaCppModel) -> None:
    answer = await model.generate(
        QUESTION, options=options(calculator.info, tool_choice=ToolChoice.FORBIDDEN, max_tokens=5)
    )
    assert answer.tool_calls == ()
    assert answer.content


@pytest.mark.asyncio(loop_scope="module")
async def test_leaving_a_streamed_call_frees_the_slot(model: LlamaCppModel) -> None:
    async with model.stream(QUESTION, options=options(PLACE)) as chunks:
        await anext(chunks)
        await anext(chunks)
    assert model.free_slots == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_schema_that_cannot_be_followed_names_the_tool(model: LlamaCppModel) -> None:
    bad = ToolInfo(name="bad", json_schema={"$ref": "https://elsewhere.example/x"})
    with pytest.raises(ValidationError, match="'bad'") as caught:
        await model.generate(QUESTION, options=options(bad))
    assert caught.value.metadata["field"] == "tools"
    with pytest.raises(ValidationError) as caught:
        await model.generate(QUESTION, options=options(clock.info, allowed_tools=("sun",)))
    assert caught.value.metadata["field"] == "allowed_tools"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_tool_chain_runs_on_the_local_model(model: LlamaCppModel) -> None:
    chain = default_tool_chain(model, [calculator, clock], force_named=True)
    given = ToolInput(
        user_id="a",
        session_id="s",
        message_id="m",
        message=QUESTION[0].content,
        messages=tuple(QUESTION),
        tools=("calculator",),
    )
    from pyeino.compose import RunOptions

    limited = RunOptions.of(ModelOptions(max_tokens=60))
    answer = Message.__concat__(await chain.stream(given, options=limited).collect())
    assert answer.content
    assert answer.extra["tool_calls"][0]["name"] == "calculator"
    assert answer.extra["model"] == model.info.id


# --- what is decided without the model ------------------------------------------------------------


def test_a_tool_that_has_just_answered_is_not_offered_again() -> None:
    asked = [
        *QUESTION,
        Message.assistant("", tool_calls=[CALL]),
        Message.tool("1", tool_call_id="c1"),
    ]
    free = options(calculator.info, clock.info, tool_choice=ToolChoice.ALLOWED)
    plan = plan_tools(asked, free)
    assert plan is not None
    assert [info.name for info in plan.tools] == ["clock"]
    assert plan_tools(asked, options(calculator.info, tool_choice=None)) is None
    forced = plan_tools(asked, options(calculator.info))
    assert forced is not None
    again = plan_tools([*asked, Message.assistant("1"), Message.user("And 2 + 2?")], free)
    assert again is not None
    assert len(again.tools) == 2


def test_calls_and_answers_are_told_in_words() -> None:
    second = ToolCall(id="c2", function=FunctionCall(name="clock"))
    asked = [
        Message.user("x"),
        Message.assistant("Well.", tool_calls=[CALL, second]),
        Message.tool("1", tool_call_id="c1"),
        Message.tool("noon", tool_call_id="c2", tool_name="clock"),
    ]
    told = in_words(asked)
    assert [one.role for one in told] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert told[1].content == 'Well.\ncalculator({"expression":"1"})\nclock({})'
    assert told[1].tool_calls == ()
    assert told[2].content == "Result of calculator: 1\nResult of clock: noon"
    assert asked_to_answer(asked)[-1].content.startswith(told[2].content + "\n")
    assert in_words(asked[:1]) == asked_to_answer(asked[:1]) == (asked[0],)


def test_examples_stand_before_the_conversation_and_rules_stay_first() -> None:
    talk = [Message.system("Be kind."), Message.user("2 + 2?")]
    prompt = argument_prompt(talk, calculator.info)
    assert prompt[0].content.startswith("Be kind.\n\nWrite the arguments of the tool calculator")
    assert prompt[-1] == talk[-1]
    assert [one.role for one in prompt[1:3]] == [Role.USER, Role.ASSISTANT]
    assert json.loads(prompt[2].content) == calculator.info.examples[0].arguments
    free = choice_prompt(talk[1:], [calculator.info, PLACE], answer="answer")
    assert "- answer:" in free[0].content
    assert "answer" in {json.loads(one.content) for one in free if one.role is Role.ASSISTANT}
    forced = choice_prompt(talk[1:], [calculator.info, PLACE], answer=None)
    assert "answer:" not in forced[0].content


def test_texts_without_an_end_get_one() -> None:
    schema = argument_schema(
        ToolInfo(
            name="x",
            json_schema={
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "kind": {"type": "string", "enum": ["a"]},
                    "list": {"type": "array", "items": {"type": "string", "minLength": 999}},
                },
            },
        )
    )
    found = schema["properties"]
    assert found["type"] == {"type": "string", "maxLength": MAX_TEXT}
    assert found["kind"] == {"type": "string", "enum": ["a"]}
    assert found["list"]["items"]["maxLength"] == 999
    assert schema["additionalProperties"] is False
    assert argument_schema(ToolInfo(name="none"))["properties"] == {}

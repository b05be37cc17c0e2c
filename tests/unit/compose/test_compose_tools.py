"""ToolsNode: answers in order, errors as answers, streams by position (conformance rows 153 …)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import tool, tool_call_id
from pyeino.compose import Chain, RunOptions, ToolsNode
from pyeino.errors import DeclarationError, GraphRunError, node_path
from pyeino.schema import FunctionCall, Message, TextPart, ToolCall, ToolResult
from pyeino.streams import Stream


def asking(*calls: tuple[str, str]) -> Message:
    return Message.assistant(
        "",
        tool_calls=[
            ToolCall(index=index, id=f"call_{index}", function=FunctionCall(name=n, arguments=a))
            for index, (n, a) in enumerate(calls)
        ],
    )


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def spell(word: str) -> AsyncIterator[str]:
    """Spell a word."""
    for letter in word:
        yield letter


@tool
def whoami() -> str:
    """The id of this call."""
    return tool_call_id.get()


@tool
async def fails(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


@tool
async def fails_late() -> AsyncIterator[str]:
    """Fail after the first chunk."""
    yield "one"
    raise ValueError("late")


@tool
def picture() -> ToolResult:
    """Show something."""
    return ToolResult(parts=(TextPart(text="a picture"),))


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


async def both(node: ToolsNode, message: Message) -> list[Message]:
    run = Chain(Message).then(node).compile()
    in_values = await run.invoke(message)
    in_streams = await run.stream(message).concat()
    assert list(in_streams) == list(in_values)
    return list(in_values)


ADD = ("add", '{"a": 2, "b": 3}')


@pytest.mark.parametrize("sequential", [False, True])
async def test_row_153_answers_stand_in_the_order_of_the_calls(sequential: bool) -> None:
    node = ToolsNode([add, spell], sequential=sequential)
    answers = await both(node, asking(("spell", '{"word": "abc"}'), ADD))
    assert contents(answers) == ["abc", "5"]
    assert [answer.tool_call_id for answer in answers] == ["call_0", "call_1"]
    assert [answer.tool_name for answer in answers] == ["spell", "add"]
    assert {answer.role.value for answer in answers} == {"tool"}


async def test_row_154_each_chunk_holds_one_answer_at_its_place() -> None:
    run = Chain(Message).then(ToolsNode([add, spell])).compile()
    async with run.stream(asking(("spell", '{"word": "ab"}'), ADD)) as chunks:
        found = [chunk async for chunk in chunks]
    assert all(len(chunk) == 2 and sum(one is not None for one in chunk) == 1 for chunk in found)
    spelt = [chunk[0].content for chunk in found if chunk[0] is not None]
    assert spelt == ["a", "b"]


async def test_row_156_the_tool_knows_its_call() -> None:
    answers = await both(ToolsNode([whoami]), asking(("whoami", ""), ("whoami", "{}")))
    assert contents(answers) == ["call_0", "call_1"]
    assert tool_call_id.get() == ""


async def test_row_159_unknown_tools_are_answered() -> None:
    (answer,) = await both(ToolsNode([add]), asking(("search", "{}")))
    assert answer.content == "There is no tool named 'search'. The tools are: add."

    async def unknown(name: str, arguments: str) -> str:
        return f"no {name} for {arguments}"

    node = ToolsNode([add], unknown_tool=unknown)
    assert contents(await both(node, asking(("search", "{}"), ADD))) == ["no search for {}", "5"]


async def test_errors_are_answers_and_the_others_still_run() -> None:
    node = ToolsNode([add, fails])
    answers = await both(node, asking(("fails", '{"reason": "no luck"}'), ADD))
    assert contents(answers) == ["ValueError: no luck", "5"]
    (answer,) = await both(node, asking(("add", '{"a": "two"}')))
    assert "add" in answer.content
    assert "missing ['b']" in answer.content


@pytest.mark.parametrize("sequential", [False, True])
async def test_errors_can_be_raised_with_the_tool_on_the_path(sequential: bool) -> None:
    node = ToolsNode([add, fails], raise_errors=True, sequential=sequential)
    run = Chain(Message).then(node, name="tools").compile()
    message = asking(ADD, ("fails", '{"reason": "no luck"}'))
    for call in (run.invoke(message), run.stream(message).concat()):
        with pytest.raises(ValueError, match="no luck") as caught:
            await call
        assert node_path(caught.value) == ("tools", "fails")
    with pytest.raises(GraphRunError) as unknown:
        await run.invoke(asking(("search", "{}")))
    assert unknown.value.code == "UNKNOWN_TOOL"


async def test_an_error_inside_a_stream_is_raised() -> None:
    run = Chain(Message).then(ToolsNode([fails_late]), name="tools").compile()
    with pytest.raises(ValueError, match="late") as caught:
        await run.stream(asking(("fails_late", ""))).collect()
    assert node_path(caught.value) == ("tools", "fails_late")


async def test_cancellation_and_interrupts_are_not_answers() -> None:
    class Interrupt(BaseException):
        pass

    @tool
    async def interrupts() -> str:
        """Stop here."""
        raise Interrupt

    with pytest.raises(Interrupt):
        await ToolsNode([interrupts]).call(asking(("interrupts", "")))
    entered, cleaned = asyncio.Event(), asyncio.Event()

    @tool
    async def stuck() -> str:
        """Wait for ever."""
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return ""

    task = asyncio.create_task(ToolsNode([stuck, add]).call(asking(("stuck", ""), ADD)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_row_162_parts_go_into_the_message() -> None:
    (answer,) = await both(ToolsNode([picture]), asking(("picture", "")))
    assert answer.content == ""
    assert answer.user_input_multi_content == (TextPart(text="a picture"),)


async def test_messages_without_calls_are_refused() -> None:
    for message in (Message.user("x"), Message.assistant("x")):
        with pytest.raises(GraphRunError, match="no tool call found"):
            await ToolsNode([add]).call(message)


def test_two_tools_of_one_name() -> None:
    with pytest.raises(DeclarationError, match="two tools named 'add'"):
        ToolsNode([add, add])


async def test_handlers_are_told_of_each_tool() -> None:
    log: list[str] = []

    class Recorder(Handler):
        def on_start(self, info: RunInfo, input: Any) -> Any:
            if info.component == "Tool":
                log.append(f"start {info.name} {input.call_id} {input.arguments}")

        def on_end(self, info: RunInfo, output: Any, token: Any) -> None:
            if info.component == "Tool":
                log.append(f"end {info.name} {output}")

        async def on_end_with_stream_output(
            self, info: RunInfo, stream: Stream[Any], token: Any
        ) -> None:
            output = await stream.collect()
            if info.component == "Tool":
                log.append(f"end {info.name} {output}")

    run = Chain(Message).then(ToolsNode([add, spell])).compile()
    message = asking(ADD, ("spell", '{"word": "ab"}'))
    await run.invoke(message, options=RunOptions(callbacks=(Recorder(),)))
    assert sorted(log) == [
        "end add 5",
        "end spell ab",
        'start add call_0 {"a": 2, "b": 3}',
        'start spell call_1 {"word": "ab"}',
    ]
    log.clear()
    await run.stream(message, options=RunOptions(callbacks=(Recorder(),))).collect()
    assert "end spell ['a', 'b']" in log

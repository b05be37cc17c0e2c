"""Tools from functions: every kind of callable, what is refused, answers and errors as text."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pyeino.components import StreamingTool, Tool, ToolOutput, error_text, errors_to_text, tool
from pyeino.errors import DeclarationError, ExternalError, ParseError
from pyeino.schema import TextPart, ToolInfo, ToolResult
from pyeino.streams import Stream


@tool
async def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first number.
    """
    return a + b


class Adder:
    """Adds."""

    async def __call__(self, a: int, b: int = 1) -> int:
        return a + b

    async def method(self, a: int, b: int = 1) -> int:
        return a + b


def plain(a: int, b: int = 1) -> int:
    return a + b


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(add, id="async"),
        pytest.param(tool(plain), id="plain"),
        pytest.param(tool(blocking=True)(plain), id="blocking"),
        pytest.param(tool(Adder()), id="object"),
        pytest.param(tool(Adder().method), id="method"),
        pytest.param(tool(name="part")(functools.partial(plain)), id="partial"),
    ],
)
async def test_row_248_any_callable_is_a_tool(made: Any) -> None:
    assert made.info.json_schema["required"] == ["a"]
    assert made.info.json_schema["additionalProperties"] is False
    assert await made.run('{"a": 2, "b": 3}') == "5"
    assert await made.run('{"a": 2}') == "3"
    assert await made.stream('{"a": 2}').collect() == ["3"]
    assert isinstance(made, StreamingTool)


async def test_an_object_that_answers_in_chunks() -> None:
    class Spells:
        async def __call__(self, word: str) -> AsyncIterator[str]:
            for letter in word:
                yield letter

    spells = tool(name="spell")(Spells())
    assert await spells.stream('{"word": "ab"}').collect() == ["a", "b"]
    assert await spells.run('{"word": "ab"}') == "ab"


async def test_a_decorated_function_stays_a_function() -> None:
    assert await add(1, b=2) == 3
    assert repr(add) == "<FunctionTool add>"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("google_search_3", "GoogleSearch3"),
        ("_HTTP_HOST_", "HttpHost"),
        ("add", "Add"),
    ],
)
def test_row_248_the_type_is_the_name_in_camel_case(name: str, kind: str) -> None:
    assert tool(name=name)(plain).get_type() == kind


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"b": 2}', r"missing \['a'\]"),
        ('{"a": 1, "c": 2}', r"unknown \['c'\]"),
        ('{"a": "two"}', "add: a"),
    ],
)
async def test_bad_arguments_are_refused_in_words_for_the_model(arguments: str, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        await add.run(arguments)
    with pytest.raises(ParseError, match=words):
        await add.stream(arguments).collect()


@dataclass
class Weather:
    city: str
    degrees: float


class Wind(msgspec.Struct):
    speed: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (Weather(city="Ulm", degrees=1.5), '{"city":"Ulm","degrees":1.5}'),
        (Wind(speed=3), '{"speed":3}'),
    ],
)
async def test_an_answer_is_text_or_json(value: Any, text: str) -> None:
    @tool
    def give() -> Any:
        """Give."""
        return value

    assert await give.run("") == text


async def test_parts_pass_through_and_pydantic_models_are_json() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", x=(int, 1))
    parts = ToolResult(parts=(TextPart(text="a"),))

    @tool
    def give(which: int) -> Any:
        """Give."""
        return [parts, model()][which]

    assert await give.run('{"which": 0}') is parts
    assert await give.run('{"which": 1}') == '{"x":1}'


async def test_an_answer_that_is_no_data_is_an_error_that_names_the_tool() -> None:
    @tool
    def give() -> Any:
        """Give."""
        return object()

    with pytest.raises(DeclarationError, match="answer of the tool give"):
        await give.run("")


def test_functions_that_cannot_be_tools_are_refused() -> None:
    def numbers(upto: int) -> Iterator[int]:
        yield from range(upto)

    with pytest.raises(DeclarationError, match="cannot be a generator"):
        tool(numbers)
    for asynchronous in (Adder(), Adder().method):
        with pytest.raises(DeclarationError, match="cannot be blocking"):
            tool(blocking=True)(asynchronous)


async def test_a_blocking_function_runs_in_a_thread_with_the_context_of_the_call() -> None:
    name = contextvars.ContextVar("name", default="")
    name.set("ann")

    @tool(blocking=True)
    def where() -> list[Any]:
        """Where am I?"""
        return [threading.current_thread() is threading.main_thread(), name.get()]

    assert await where.run("") == '[false,"ann"]'


async def test_a_tool_with_nothing_to_say_answers_nothing() -> None:
    @tool
    async def silent(loud: bool = False) -> AsyncIterator[str]:
        """Say nothing."""
        if loud:
            yield "x"

    assert await silent.run("") == ""
    assert await silent.stream("").collect() == [""]
    assert await silent.run('{"loud": true}') == "x"


async def test_closing_the_stream_early_ends_the_generator() -> None:
    ended: list[str] = []

    @tool
    async def count() -> AsyncIterator[int]:
        """Count."""
        try:
            for number in range(10):
                yield number
        finally:
            ended.append("ended")

    async with count.stream("") as chunks:
        assert await anext(chunks) == "0"
    assert ended == ["ended"]


# --- errors as text ------------------------------------------------------------------------------


@tool
async def fails(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


class Interrupt(BaseException):
    """Control flow, as the engine has it."""


async def test_row_249_errors_become_text_and_interrupts_pass() -> None:
    safe = errors_to_text(fails)
    assert safe.info == fails.info
    assert await safe.run('{"reason": "no luck"}') == "ValueError: no luck"
    assert "missing ['reason']" in str(await safe.run("{}"))
    assert await errors_to_text(add).run('{"a": 1}') == "2"

    async def described(error: Exception) -> str:
        return f"sorry: {error}"

    assert await errors_to_text(fails, describe=described).run('{"reason": "x"}') == "sorry: x"
    assert await errors_to_text(fails, describe=str).run('{"reason": "x"}') == "x"

    @tool
    async def interrupts() -> str:
        """Stop here."""
        raise Interrupt

    with pytest.raises(Interrupt):
        await errors_to_text(interrupts).run("")
    streaming = errors_to_text(interrupts)
    assert isinstance(streaming, StreamingTool)
    with pytest.raises(Interrupt):
        await streaming.stream("").collect()


async def test_row_249_in_a_stream_only_errors_before_the_first_chunk_become_text() -> None:
    @tool
    async def fails_at(chunk: int) -> AsyncIterator[str]:
        """Fail at a chunk."""
        for number in range(3):
            if number == chunk:
                raise ValueError(f"at {number}")
            yield str(number)

    safe = errors_to_text(fails_at)
    assert isinstance(safe, StreamingTool)
    assert await safe.stream('{"chunk": 0}').collect() == ["ValueError: at 0"]
    async with safe.stream('{"chunk": 1}') as chunks:
        assert await anext(chunks) == "0"
        with pytest.raises(ValueError, match="at 1"):
            await anext(chunks)


async def test_a_tool_that_does_not_stream_stays_one_and_keeps_its_type() -> None:
    class Whole:
        info = ToolInfo(name="whole", description="")

        async def run(self, arguments: str) -> ToolOutput:
            return "all"

    safe = errors_to_text(Whole())
    assert isinstance(safe, Tool)
    assert not isinstance(safe, StreamingTool)
    assert safe.get_type() == "Whole"  # type: ignore[attr-defined]
    assert errors_to_text(fails).get_type() == "Fails"  # type: ignore[attr-defined]


async def test_a_cancel_is_not_an_error() -> None:
    begun = asyncio.Event()

    @tool
    async def stuck() -> str:
        """Wait for ever."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(errors_to_text(stuck).run(""))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_cause_of_an_error_is_not_told_to_the_model() -> None:
    error = ExternalError("MODEL_FAILED", "it failed", cause=RuntimeError("password=x"))
    assert error_text(error) == "ExternalError: MODEL_FAILED: it failed"


async def test_closing_an_errors_to_text_stream_closes_the_one_inside() -> None:
    closed: list[str] = []

    class Streams:
        info = ToolInfo(name="streams", description="")

        async def run(self, arguments: str) -> ToolOutput:
            return ""

        def stream(self, arguments: str) -> Stream[ToolOutput]:
            async def chunks() -> AsyncIterator[ToolOutput]:
                yield "a"
                yield "b"

            async def note() -> None:
                closed.append("closed")

            return Stream.from_iterator(chunks(), on_close=note)

    safe = errors_to_text(Streams())
    assert isinstance(safe, StreamingTool)
    async with safe.stream("") as chunks:
        await anext(chunks)
    assert closed == ["closed"]

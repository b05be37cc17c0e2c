"""Tool: something a model can call, and how a Python function becomes one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, overload, runtime_checkable

import msgspec

from pyeino.errors import DeclarationError
from pyeino.schema import FunctionInput, ToolInfo, ToolResult, function_input
from pyeino.streams import Stream

ToolOutput: TypeAlias = str | ToolResult
"""What a tool answers: text, or parts when text is not enough."""

tool_call_id: ContextVar[str] = ContextVar("pyeino_tool_call_id", default="")
"""The id of the call that is running; set around each call of a tool, "" outside one."""


@runtime_checkable
class Tool(Protocol):
    """Something a model can call.

    `arguments` is the JSON text that the model wrote; bad arguments are the tool's to refuse, with
    a ParseError whose words help the model to try again.
    """

    @property
    def info(self) -> ToolInfo:
        """What the model is told."""
        ...

    async def run(self, arguments: str) -> ToolOutput:
        """Do it, and answer."""
        ...


@runtime_checkable
class StreamingTool(Tool, Protocol):
    """A tool that can answer in chunks, which add up to what `run` gives."""

    def stream(self, arguments: str) -> Stream[ToolOutput]:
        """Do it, and answer as it goes; the caller closes the stream."""
        ...


class FunctionTool:
    """A Python function as a tool; see `tool`."""

    __slots__ = ("_blocking", "_function", "_input", "_streams", "info")

    def __init__(
        self, function: Callable[..., Any], inputs: FunctionInput, *, blocking: bool = False
    ) -> None:
        """Internal; use `tool(function)`."""
        self._function = function
        self._input = inputs
        self._streams = inspect.isasyncgenfunction(function)
        self._blocking = blocking
        self.info: ToolInfo = inputs.info

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself: a decorated function stays a function."""
        return self._function(*args, **kwargs)

    async def run(self, arguments: str) -> ToolOutput:
        """Parse the arguments, call the function, and give its answer as text or parts.

        Text goes out as it is, a ToolResult too; anything else as JSON. Raises ParseError for
        arguments that do not fit, and whatever the function raises.
        """
        if self._streams:
            return await self.stream(arguments).concat()
        given = self._input.parse(arguments)
        if self._blocking:
            return to_output(await asyncio.to_thread(self._function, **given))
        output = self._function(**given)
        return to_output(await output if inspect.isawaitable(output) else output)

    def stream(self, arguments: str) -> Stream[ToolOutput]:
        """The answer in chunks: those of an async generator, or the whole as one."""
        return Stream.from_iterator(self._chunks(arguments))

    async def _chunks(self, arguments: str) -> AsyncIterator[ToolOutput]:
        if not self._streams:
            yield await self.run(arguments)
            return
        source = self._function(**self._input.parse(arguments))
        try:
            async for chunk in source:
                yield to_output(chunk)
        finally:
            await source.aclose()


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    blocking: bool = False,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    blocking: bool = False,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: `@tool`, or `@tool(name="search")`.

    Name, description and parameters come from the function's name, docstring and annotations. The
    function may be sync, async, or an async generator of chunks; `blocking=True` runs a sync one
    in a worker thread. Raises DeclarationError for a parameter that a model cannot fill in.
    """

    def make(made: Callable[..., Any]) -> FunctionTool:
        if blocking and (inspect.iscoroutinefunction(made) or inspect.isasyncgenfunction(made)):
            raise DeclarationError(
                f"{made.__name__} cannot be blocking",
                expected="a plain function",
                found="an async function",
                remedy="drop blocking=True: async code does not block the loop",
            )
        inputs = function_input(made, name=name, description=description)
        return FunctionTool(made, inputs, blocking=blocking)

    return make if function is None else make(function)


def errors_to_text(
    wrapped: Tool, *, describe: Callable[[Exception], str | Awaitable[str]] | None = None
) -> Tool:
    """A tool whose errors become answers, so that the model can try again.

    `describe` says what the model is told; by default the error's class and text. Interrupts and
    cancellation are not errors and pass through. In a stream, only errors before the first chunk
    become an answer.
    """
    return _ErrorsToText(wrapped, describe)


class _ErrorsToText:
    """See `errors_to_text`."""

    def __init__(
        self, wrapped: Tool, describe: Callable[[Exception], str | Awaitable[str]] | None
    ) -> None:
        self._wrapped = wrapped
        self._describe = describe or error_text

    @property
    def info(self) -> ToolInfo:
        return self._wrapped.info

    async def run(self, arguments: str) -> ToolOutput:
        try:
            return await self._wrapped.run(arguments)
        except Exception as error:  # noqa: BLE001 - the error is the answer
            return await self._text(error)

    def stream(self, arguments: str) -> Stream[ToolOutput]:
        return Stream.from_iterator(self._chunks(arguments))

    async def _chunks(self, arguments: str) -> AsyncIterator[ToolOutput]:
        wrapped = self._wrapped
        if not isinstance(wrapped, StreamingTool):
            yield await self.run(arguments)
            return
        begun = False
        async with wrapped.stream(arguments) as chunks:
            try:
                async for chunk in chunks:
                    begun = True
                    yield chunk
            except Exception as error:
                if begun:
                    raise
                yield await self._text(error)

    async def _text(self, error: Exception) -> str:
        told = self._describe(error)
        return await told if inspect.isawaitable(told) else told


def error_text(error: Exception) -> str:
    """What a model is told about an error: its class and its text."""
    return f"{type(error).__name__}: {error}"


def to_output(value: Any) -> ToolOutput:
    """A function's answer as a tool's: text and parts as they are, anything else as JSON."""
    if isinstance(value, str | ToolResult):
        return value
    dump = getattr(value, "model_dump_json", None)
    if callable(dump):  # a Pydantic model
        return str(dump())
    return msgspec.json.encode(value).decode()

"""Tool: something a model can call, and how a Python function becomes one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, overload, runtime_checkable

import msgspec

from pyeino.errors import AppError, DeclarationError
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
        self._streams = _is(inspect.isasyncgenfunction, function)
        self._blocking = blocking
        self.info: ToolInfo = inputs.info

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself: a decorated function stays a function."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<FunctionTool {self.info.name}>"

    def get_type(self) -> str:
        """The tool's name in camel case: `web_search` is a `WebSearch`."""
        return "".join(
            f"{part[:1].upper()}{part[1:].lower()}" for part in self.info.name.split("_")
        )

    async def run(self, arguments: str) -> ToolOutput:
        """Parse the arguments, call the function, and give its answer as text or parts.

        Text goes out as it is, a ToolResult too; anything else as JSON. Raises ParseError for
        arguments that do not fit, DeclarationError for an answer that is no data, and whatever
        the function raises. A blocking function that is cancelled runs on in its thread.
        """
        if self._streams:
            return await self.stream(arguments).concat()
        given = self._input.parse(arguments)
        if self._blocking:
            output = await asyncio.to_thread(self._function, **given)
        else:
            output = self._function(**given)
        return to_output(await output if inspect.isawaitable(output) else output, self.info.name)

    def stream(self, arguments: str) -> Stream[ToolOutput]:
        """The answer in chunks: those of an async generator, or the whole as one."""
        return Stream.from_iterator(self._chunks(arguments))

    async def _chunks(self, arguments: str) -> AsyncIterator[ToolOutput]:
        if not self._streams:
            yield await self.run(arguments)
            return
        source = self._function(**self._input.parse(arguments))
        begun = False
        try:
            async for chunk in source:
                begun = True
                yield to_output(chunk, self.info.name)
        finally:
            await source.aclose()
        if not begun:
            yield ""  # every call is answered, also by a tool that has nothing to say


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
        inputs = function_input(made, name=name, description=description)
        _check_function(made, inputs.info.name, blocking=blocking)
        return FunctionTool(made, inputs, blocking=blocking)

    return make if function is None else make(function)


def _check_function(function: Callable[..., Any], name: str, *, blocking: bool) -> None:
    is_async = _is(inspect.iscoroutinefunction, function) or _is(
        inspect.isasyncgenfunction, function
    )
    if blocking and is_async:
        raise DeclarationError(
            f"{name} cannot be blocking",
            expected="a plain function",
            found="an async function",
            remedy="drop blocking=True: async code does not block the loop",
        )
    if _is(inspect.isgeneratorfunction, function):
        raise DeclarationError(
            f"{name} cannot be a generator",
            expected="a function, an async function or an async generator",
            found="a generator",
            remedy="write async def to answer in chunks, or return a list",
        )


def _is(test: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Whether `test` holds for a function, or for what calling an object calls."""
    return test(function) or test(getattr(function, "__call__", None))  # noqa: B004 (the method itself is looked at)


def errors_to_text(
    wrapped: Tool, *, describe: Callable[[Exception], str | Awaitable[str]] | None = None
) -> Tool:
    """A tool whose errors become answers, so that the model can try again.

    `describe` says what the model is told; by default the error's class and text. Interrupts and
    cancellation are not errors and pass through. In a stream, only errors before the first chunk
    become an answer. A tool that streams stays one.
    """
    kind = _StreamedErrorsToText if isinstance(wrapped, StreamingTool) else _ErrorsToText
    return kind(wrapped, describe or error_text)


class _ErrorsToText:
    """See `errors_to_text`."""

    def __init__(self, wrapped: Any, describe: Callable[[Exception], str | Awaitable[str]]) -> None:
        self._wrapped = wrapped
        self._describe = describe

    @property
    def info(self) -> ToolInfo:
        info: ToolInfo = self._wrapped.info
        return info

    def get_type(self) -> str:
        return type_name(self._wrapped)

    async def run(self, arguments: str) -> ToolOutput:
        try:
            output: ToolOutput = await self._wrapped.run(arguments)
        except Exception as error:  # noqa: BLE001 - the error is the answer
            return await self._text(error)
        return output

    async def _text(self, error: Exception) -> str:
        told = self._describe(error)
        return await told if inspect.isawaitable(told) else told


class _StreamedErrorsToText(_ErrorsToText):
    def stream(self, arguments: str) -> Stream[ToolOutput]:
        return Stream.from_iterator(self._chunks(arguments))

    async def _chunks(self, arguments: str) -> AsyncIterator[ToolOutput]:
        begun = False
        try:
            async with self._wrapped.stream(arguments) as chunks:
                async for chunk in chunks:
                    begun = True
                    yield chunk
        except Exception as error:
            if begun:
                raise
            yield await self._text(error)


def error_text(error: Exception) -> str:
    """What a model is told about an error: its class and its text, without the cause of it."""
    if isinstance(error, AppError):  # its str() ends in the cause, which is for logs only
        return f"{type(error).__name__}: {error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"


def type_name(component: object) -> str:
    """The implementation name of a component: its `get_type()`, else its class."""
    get_type = getattr(component, "get_type", None)
    return str(get_type()) if callable(get_type) else type(component).__name__


def to_output(value: Any, name: str) -> ToolOutput:
    """A function's answer as a tool's: text and parts as they are, anything else as JSON."""
    if isinstance(value, str | ToolResult):
        return value
    dump = getattr(value, "model_dump_json", None)
    if callable(dump):  # a Pydantic model
        return str(dump())
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise DeclarationError(
            f"the answer of the tool {name} cannot be written as JSON: {error}",
            expected="text, a ToolResult, plain data or a record",
            found=type(value).__name__,
            remedy="return text or plain data",
        ) from error

"""ToolsNode: runs the tool calls of an assistant message and answers each with a tool message."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import (
    StreamingTool,
    Tool,
    ToolCallInput,
    ToolOutput,
    error_text,
    tool_call_id,
)
from pyeino.compose._observe import tell_result, tell_start, tell_stream
from pyeino.compose._spec import info_of
from pyeino.errors import DeclarationError, GraphRunError, with_node
from pyeino.schema import Message, Role, ToolCall, ToolInfo, ToolResult, concat_message_lists
from pyeino.streams import Source, Stream, merge

UnknownTool: TypeAlias = Callable[[str, str], "ToolOutput | Awaitable[ToolOutput]"]
"""(name, arguments) of a call whose tool does not exist, to an answer."""


class ToolMessages(list[Any]):
    """The answers to the calls of one message, by position; chunks of it add up column by column.

    A chunk holds None at the places of the other calls.
    """

    @classmethod
    def __concat__(cls, items: Sequence[ToolMessages]) -> ToolMessages:
        """Each column by itself."""
        return cls(concat_message_lists(items))


class ToolsNode:
    """Runs tool calls: in parallel, each answered by one tool message, in the order of the calls.

    A tool that fails and a tool that does not exist are answers too, in words that let the model
    try again; interrupts and cancellation pass through. `raise_errors=True` raises them instead:
    the error of the first failing call in the order of the calls, its node path ending in the
    tool's name. `unknown_tool` answers calls of tools that do not exist. `sequential=True` runs one
    call after the other.

    As a node it takes the assistant message and gives the list of tool messages; in stream mode
    each chunk is a list with one message (or a chunk of it) at the place of its call.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        *,
        unknown_tool: UnknownTool | None = None,
        raise_errors: bool = False,
        sequential: bool = False,
    ) -> None:
        """Raises DeclarationError for two tools of one name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.info.name in self._tools:
                raise DeclarationError(
                    f"there are two tools named {tool.info.name!r}",
                    remedy="give each tool its own name: tool(name=...)",
                )
            self._tools[tool.info.name] = tool
        self._unknown = unknown_tool
        self._raise = raise_errors
        self._sequential = sequential

    @property
    def infos(self) -> tuple[ToolInfo, ...]:
        """What a model is told about these tools."""
        return tuple(tool.info for tool in self._tools.values())

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return dict(self._tools)

    async def call(self, message: Message, *, handlers: Sequence[Handler] = ()) -> list[Message]:
        """Run every call of `message` and wait for all of them.

        Raises GraphRunError for a message that is not an assistant's or asks for no tool.
        """
        calls = calls_of(message)
        if self._sequential or len(calls) == 1:
            return ToolMessages([await self._one(call, handlers) for call in calls])
        tasks: list[asyncio.Task[Message]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks.extend(
                    group.create_task(self._one(call, handlers), name=f"tool {call.function.name}")
                    for call in calls
                )
        except BaseExceptionGroup as failures:
            first = (task.exception() for task in tasks if not task.cancelled())
            raise next((error for error in first if error), failures.exceptions[0]) from None
        return ToolMessages([task.result() for task in tasks])

    def call_stream(
        self, message: Message, *, handlers: Sequence[Handler] = ()
    ) -> Stream[list[Message]]:
        """Run every call of `message` and give their chunks as they come."""
        calls = calls_of(message)
        width = len(calls)
        streams: list[Stream[list[Message]]] = []
        for position, call in enumerate(calls):
            chunks = Stream(_CallSource(self, call, handlers))
            streams.append(chunks.map(_placed(call, position, width)))
        if self._sequential:
            return Stream.from_iterator(_one_after_the_other(streams))
        return merge(streams)

    async def _one(self, call: ToolCall, handlers: Sequence[Handler]) -> Message:
        reset = tool_call_id.set(call.id)
        try:
            return _answer(call, await self._run(call, handlers))
        except Exception as error:  # noqa: BLE001 - the error is the answer, or is raised there
            return _answer(call, self.text_of(call, error))
        finally:
            tool_call_id.reset(reset)

    async def _run(self, call: ToolCall, handlers: Sequence[Handler]) -> ToolOutput:
        tool, arguments = self._tools.get(call.function.name), call.function.arguments
        if tool is None:
            return await self._answer_unknown(call)
        if not handlers:
            return await tool.run(arguments)
        info = tool_run_info(tool)
        shown = ToolCallInput(arguments=arguments, call_id=call.id)
        output: ToolOutput = await tell_result(
            tell_start(handlers, info, shown), info, tool.run(arguments)
        )
        return output

    async def _answer_unknown(self, call: ToolCall) -> ToolOutput:
        name = call.function.name
        if self._unknown is not None:
            answer = self._unknown(name, call.function.arguments)
            return await answer if inspect.isawaitable(answer) else answer
        known = ", ".join(self._tools) or "none"
        if self._raise:
            raise GraphRunError(
                f"there is no tool {name!r}",
                code="UNKNOWN_TOOL",
                expected=f"one of: {known}",
                remedy="add the tool, or give unknown_tool",
            )
        return f"There is no tool named {name!r}. The tools are: {known}."

    def open_stream(self, call: ToolCall, handlers: Sequence[Handler]) -> Stream[ToolOutput] | None:
        """The chunks of a call; None when its tool does not stream."""
        tool = self._tools.get(call.function.name)
        if not isinstance(tool, StreamingTool):
            return None
        arguments = call.function.arguments
        if not handlers:
            return tool.stream(arguments)
        info = tool_run_info(tool)
        shown = ToolCallInput(arguments=arguments, call_id=call.id)
        return tell_stream(tell_start(handlers, info, shown), info, lambda: tool.stream(arguments))

    async def settle(self, call: ToolCall, handlers: Sequence[Handler]) -> ToolOutput:
        """The whole answer to a call whose tool does not stream."""
        return await self._run(call, handlers)

    def text_of(self, call: ToolCall, error: Exception) -> str:
        """What the model is told of an error; raises it when errors are raised."""
        if self._raise:
            raise with_node(error, call.function.name)
        return error_text(error)


class _CallSource(Source[ToolOutput]):
    """The chunks of one call. An error before the first chunk becomes the answer."""

    __slots__ = ("_begun", "_call", "_done", "_handlers", "_node", "_stream")

    def __init__(self, node: ToolsNode, call: ToolCall, handlers: Sequence[Handler]) -> None:
        self._node = node
        self._call = call
        self._handlers = handlers
        self._stream: Stream[ToolOutput] | None = None
        self._begun = False
        self._done = False

    def puller(self) -> Callable[[], Awaitable[ToolOutput]]:
        """One chunk, with the id of the call set while the tool runs."""
        return self._pull

    async def _pull(self) -> ToolOutput:
        if self._done:
            raise StopAsyncIteration
        reset = tool_call_id.set(self._call.id)
        try:
            return await self._chunk()
        except StopAsyncIteration:
            self._done = True
            if self._begun:
                raise
            return ""  # every call is answered, also by a tool that has nothing to say
        except Exception as error:
            self._done = True
            if self._begun:
                with_node(error, self._call.function.name)
                raise
            return self._node.text_of(self._call, error)
        finally:
            tool_call_id.reset(reset)

    async def _chunk(self) -> ToolOutput:
        if self._stream is None:
            self._stream = self._node.open_stream(self._call, self._handlers)
            if self._stream is None:
                self._done = True
                return await self._node.settle(self._call, self._handlers)
        chunk = await self._stream.__anext__()
        self._begun = True
        return chunk

    async def aclose(self) -> None:
        """End the tool."""
        self._done = True
        if self._stream is not None:
            await self._stream.aclose()

    def abandon(self) -> None:
        """The tool's own stream frees itself."""
        self._done = True

    @property
    def finished(self) -> bool:
        """True once the tool has answered or failed."""
        return self._done


def calls_of(message: Message) -> tuple[ToolCall, ...]:
    """The tool calls of an assistant message. Raises GraphRunError when there are none."""
    if message.role is not Role.ASSISTANT or not message.tool_calls:
        raise GraphRunError(
            "no tool call found in the input message",
            code="NO_TOOL_CALL",
            expected="an assistant message with tool calls",
            found=f"a message of role {message.role} with {len(message.tool_calls)} tool calls",
            remedy="branch on message.tool_calls before the tools node",
        )
    return message.tool_calls


def tool_run_info(tool: Tool) -> RunInfo:
    """What callbacks are told about a tool."""
    return info_of(tool, name=tool.info.name, kind="Tool")


def _answer(call: ToolCall, output: ToolOutput) -> Message:
    parts = output.parts if isinstance(output, ToolResult) else ()
    return Message(
        role=Role.TOOL,
        content="" if isinstance(output, ToolResult) else output,
        user_input_multi_content=parts,
        tool_call_id=call.id,
        tool_name=call.function.name,
    )


def _placed(call: ToolCall, position: int, width: int) -> Callable[[ToolOutput], list[Message]]:
    def place(chunk: ToolOutput) -> list[Message]:
        row = ToolMessages([None] * width)
        row[position] = _answer(call, chunk)
        return row

    return place


async def _one_after_the_other(
    streams: Sequence[Stream[list[Message]]],
) -> AsyncIterator[list[Message]]:
    try:
        for stream in streams:
            async for item in stream:
                yield item
    finally:
        for stream in streams:
            await stream.aclose()

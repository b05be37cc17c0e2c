"""The three nodes of the tool loop: ask the model, run what it calls, give its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

import msgspec

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import ChatModel, Tool, ToolOutput, tool_call_id
from pyeino.compose import Chain, Compiled, ComponentOptions, RunOptions, ToolsNode
from pyeino.errors import AppError, ExternalError, PyeinoError
from pyeino.schema import Message, Role, ToolCall
from pyeino.service._tool_state import LoopState, Step, final_meta, told, with_ids
from pyeino.streams import Stream

OutT = TypeVar("OutT")


class _Node(Generic[OutT]):
    """A node over steps; subclasses say what it does in value mode and in stream mode."""

    input_type: Any = Step
    output_type: Any = Step

    async def invoke(self, input: Step, *, options: RunOptions | None = None) -> OutT:
        """A whole step in, a whole output out."""
        raise NotImplementedError

    def _flow(self, stream: Stream[Step], options: RunOptions) -> AsyncIterator[OutT]:
        raise NotImplementedError

    def stream(self, input: Step, *, options: RunOptions | None = None) -> Stream[OutT]:
        """A whole step in, chunks out."""
        return self.transform(Stream.of([input]), options=options)

    async def collect(self, stream: Stream[Step], *, options: RunOptions | None = None) -> OutT:
        """Chunks in, a whole output out."""
        return await self.invoke(await stream.concat(), options=options)

    def transform(self, stream: Stream[Step], *, options: RunOptions | None = None) -> Stream[OutT]:
        """Chunks in, chunks out."""
        flow = self._flow(stream, options or RunOptions())
        return Stream.from_iterator(flow, on_close=stream.aclose)


class AskModel(_Node[Step]):
    """Asks the model with what was said so far; the tools of the step are on offer."""

    def __init__(self, model: ChatModel) -> None:
        self._chain: Compiled[list[Message], Message] = (
            Chain(list[Message]).then(model, name="model").compile(name="ask")
        )

    async def invoke(self, input: Step, *, options: RunOptions | None = None) -> Step:
        """The step with what the model says."""
        state = input.begun()
        given = _with_tools(options or RunOptions(), state)
        said = await self._chain.invoke(list(state.messages), options=given)
        return Step(state=state, said=said)

    async def _flow(self, stream: Stream[Step], options: RunOptions) -> AsyncIterator[Step]:
        state = (await stream.concat()).begun()
        yield Step(state=state)
        given = _with_tools(options, state)
        async with self._chain.stream(list(state.messages), options=given) as chunks:
            async for chunk in chunks:
                yield Step(said=chunk)


class RunTools(_Node[Step]):
    """Runs the calls of the model, all of them, and gives the step that comes next."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools

    async def invoke(self, input: Step, *, options: RunOptions | None = None) -> Step:
        """The next step: the conversation with the calls and an answer to each."""
        state, said = input.begun(), input.said
        if said is None:
            raise TypeError("a step of the tool loop has no calls to run")
        return Step(state=await self.run(state, said, options or RunOptions(), given=False))

    async def _flow(self, stream: Stream[Step], options: RunOptions) -> AsyncIterator[Step]:
        yield await self.invoke(await stream.concat(), options=options)

    async def run(
        self, state: LoopState, said: Message, options: RunOptions, *, given: bool
    ) -> LoopState:
        """Run the calls in `said`; ExternalError when the model may call no more."""
        if state.round >= state.max_rounds:
            raise _too_many_rounds(state.max_rounds)
        calls = with_ids(said.tool_calls, round=state.round)
        asked = msgspec.structs.replace(said, role=Role.ASSISTANT, tool_calls=calls)
        errors = _Errors()
        offered = [self._tools[info.name] for info in state.tools]
        node = ToolsNode(offered, unknown_tool=errors.unknown(offered))
        answers = await node.call(asked, handlers=(*options.callbacks, errors))
        records = [
            told(call, answer, errors.found) for call, answer in zip(calls, answers, strict=True)
        ]
        return state.after(asked, answers, calls=records, given=given)


class GiveAnswer(_Node[Message]):
    """Hands on what the model says, as it says it.

    A call that comes behind text is found here: it is run, and the loop goes on.
    """

    output_type: Any = Message

    def __init__(self, tools: RunTools) -> None:
        self._tools = tools
        self.loop: Compiled[Step, Message] | None = None

    async def invoke(self, input: Step, *, options: RunOptions | None = None) -> Message:
        """The answer: the text of every pass, the usage of all of them, the calls made."""
        state, said = input.begun(), input.said or Message.assistant("")
        meta, extra = final_meta(said, state)
        content = f"{state.lead}{said.content}" if said.content else state.spoken
        return msgspec.structs.replace(
            said, role=Role.ASSISTANT, content=content, response_meta=meta, extra=extra
        )

    async def _flow(self, stream: Stream[Step], options: RunOptions) -> AsyncIterator[Message]:
        chunks: list[Step] = []
        lead = ""
        async with stream:
            async for chunk in stream:
                chunks.append(chunk)
                lead = chunk.state.lead if chunk.state is not None else lead
                piece = _piece(chunk.said, lead)
                if piece is not None:
                    lead = "" if piece.content else lead
                    yield piece
        step = Step.__concat__(chunks)
        state, said = step.begun(), step.said or Message.assistant("")
        if said.tool_calls and self.loop is not None:
            following = await self._tools.run(state, said, options, given=True)
            async with self.loop.stream(Step(state=following), options=options) as rest:
                async for message in rest:
                    yield message
            return
        meta, extra = final_meta(said, state)
        silent = "" if said.content else state.spoken
        yield Message(role=Role.ASSISTANT, content=silent, response_meta=meta, extra=extra)


class _Errors(Handler):
    """Notes which calls have failed: their answers are words like any other."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def on_error(self, info: RunInfo, error: Exception, token: Any) -> None:
        """Note the error of a tool under the id of its call."""
        if info.component == "Tool":
            self.found[tool_call_id.get()] = _code_of(error)

    def unknown(self, tools: list[Tool]) -> Any:
        """What a model is told that calls a tool which it was not offered."""
        known = ", ".join(tool.info.name for tool in tools)

        def answer(name: str, arguments: str) -> ToolOutput:
            self.found[tool_call_id.get()] = "UNKNOWN_TOOL"
            return f"There is no tool named {name[:64]!r}. The tools are: {known}."

        return answer


def _with_tools(options: RunOptions, state: LoopState) -> RunOptions:
    own = ComponentOptions(options=state.model_options)
    return replace(options, components=(*options.components, own))


def _piece(said: Message | None, lead: str) -> Message | None:
    """A chunk without its calls and what ends the message; None when nothing is left of it."""
    if said is None:
        return None
    content = f"{lead}{said.content}" if said.content else ""
    if not (content or said.reasoning_content or said.assistant_output_multi_content):
        return None
    return msgspec.structs.replace(
        said, content=content, tool_calls=(), response_meta=None, extra={}
    )


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, AppError | PyeinoError) else type(error).__name__


def _too_many_rounds(rounds: int) -> ExternalError:
    return ExternalError(
        "TOOL_ROUNDS_EXCEEDED",
        f"The model went on calling tools after {rounds} rounds, when it had to answer",
        details="Ask for less at once, or let the chain take more rounds.",
        metadata={"rounds": rounds},
    )


def calls_in(said: Message | None) -> tuple[ToolCall, ...]:
    """The calls of a chunk."""
    return () if said is None else said.tool_calls

"""The default tool chain: the model calls tools, sees what they answer, and answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pyeino.components import ChatModel, Tool
from pyeino.compose import Chain, Compiled, Graph, ToolsNode
from pyeino.errors import DeclarationError, ValidationError
from pyeino.schema import Message
from pyeino.service._inputs import ToolInput
from pyeino.service._prompt import build_messages
from pyeino.service._tool_nodes import AskModel, GiveAnswer, RunTools, calls_in
from pyeino.service._tool_state import LoopState, Step
from pyeino.streams import Stream

ROUNDS: Final = 8
MOST_ROUNDS: Final = 64


def default_tool_chain(
    model: ChatModel,
    tools: Iterable[Tool],
    *,
    max_rounds: int = ROUNDS,
    system_prompt: str = "",
    force_named: bool = False,
) -> Compiled[ToolInput, Message]:
    """A chain in which `model` may call `tools`, as often as it needs but `max_rounds` times.

    Calls of one round run at once; a tool that fails or does not exist answers the model in words.
    A request's `tools` narrow those on offer (ValidationError INVALID_REQUEST for a name that is
    not there); with `force_named` the model has to call one of the tools that a request names,
    which a small model would hardly do by itself. After the last round the model has to answer in
    words; one that calls again is an ExternalError TOOL_ROUNDS_EXCEEDED.

    Text streams as the model writes it. What it says before a call is part of the answer, set off
    by an empty line. The answer's usage is that of all rounds, and its `extra["tool_calls"]` is
    the list of the calls made: {id, name, arguments, result, error?}, results cut to 4,096
    characters, `error` the code of what went wrong. Raises DeclarationError for two tools of one
    name, none at all, and rounds out of 1..64.
    """
    known = dict(ToolsNode(tools).tools)
    if not known or not 1 <= max_rounds <= MOST_ROUNDS:
        raise DeclarationError(
            "a tool chain needs something to do, and an end",
            expected=f"at least one tool, and 1 to {MOST_ROUNDS} rounds",
            found=f"{len(known)} tools and {max_rounds} rounds",
        )

    def prepare(given: ToolInput) -> Step:
        offered = _offered(known, given.tools)
        state = LoopState(
            messages=tuple(build_messages(given, system_prompt=system_prompt)),
            tools=tuple(tool.info for tool in offered),
            max_rounds=max_rounds,
            forced=force_named and bool(given.tools),
        )
        return Step(state=state)

    loop = _compile_loop(model, known, max_rounds)
    return Chain(ToolInput).then(prepare, name="prompt").then(loop).compile(name="default_tools")


def _compile_loop(
    model: ChatModel, tools: Mapping[str, Tool], max_rounds: int
) -> Compiled[Step, Message]:
    run = RunTools(tools)
    give = GiveAnswer(run)
    graph = Graph(Step, Message)
    ask = graph.add("ask", AskModel(model))
    call = graph.add("tools", run)
    answer = graph.add("answer", give)
    graph.edge(graph.start, ask)
    graph.branch(ask, _goes_on, {"tools": call, "answer": answer})
    graph.edge(call, ask)
    graph.edge(answer, graph.end)
    compiled = graph.compile(name="tool_loop", max_steps=2 * (max_rounds + 1) + 1)
    give.loop = compiled
    return compiled


async def _goes_on(chunks: Stream[Step]) -> str:
    """Where the step goes: to the tools as soon as it calls one, to the answer with its first text.

    The whole of a stream is looked at either way: a call that comes behind text is found by the
    answer, which has to hand the text on at once.
    """
    async for chunk in chunks:
        if calls_in(chunk.said):
            return "tools"
        if chunk.said is not None and chunk.said.content.strip():
            return "answer"
    return "answer"


def _offered(known: Mapping[str, Tool], names: tuple[str, ...]) -> list[Tool]:
    """The tools that a request may use: those it names, else all."""
    if not names:
        return list(known.values())
    missing = [name for name in names if name not in known]
    if missing:
        there = ", ".join(known)
        raise ValidationError(
            "INVALID_REQUEST",
            f"options.tools: there is no tool {missing[0][:64]!r}; there are {there}",
            metadata={
                "field": "options.tools",
                "expected": f"some of {there}",
                "found": missing[0][:64],
                "available": list(known),
            },
        )
    return [known[name] for name in dict.fromkeys(names)]

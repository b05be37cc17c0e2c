"""Conformance rows that no other test of this room shows; docs/conformance.md has the table."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pytest

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import PromptTemplate, tool
from pyeino.compose import (
    END,
    START,
    Chain,
    Compiled,
    Graph,
    Lambda,
    RunOptions,
    ToolsNode,
    register_merge,
)
from pyeino.errors import (
    CompileError,
    ConcatError,
    DeclarationError,
    GraphRunError,
    TemplateError,
    node_path,
)
from pyeino.schema import FunctionCall, Message, MessageParser, TextPart, ToolCall, ToolResult
from pyeino.streams import Stream
from pyeino.testing import ScriptedChatModel

TRIGGERS: tuple[Literal["any", "all"], ...] = ("any", "all")


async def both(run: Compiled[Any, Any], value: Any) -> Any:
    """Run in both modes and hold the results equal."""
    in_values = await run.invoke(value)
    assert await run.stream(value).concat() == in_values
    return in_values


def append(text: str) -> Any:
    async def node(given: str) -> str:
        return given + text

    return node


def graph_of(*edges: tuple[str, str], **nodes: Any) -> Graph[Any, Any]:
    graph: Graph[Any, Any] = Graph(Any, Any)
    for name, node in nodes.items():
        graph.add(name, node)
    for source, target in edges:
        graph.edge(source, target)
    return graph


class Records(Handler):
    """Keeps the RunInfo of every start."""

    def __init__(self) -> None:
        self.infos: list[RunInfo] = []

    def on_start(self, info: RunInfo, input: Any) -> Any:
        self.infos.append(info)

    def on_start_with_stream_input(self, info: RunInfo) -> Any:
        self.infos.append(info)


# --- lambdas ------------------------------------------------------------------------------------


async def stream(text: str) -> AsyncIterator[str]:
    yield text


async def collect(parts: Stream[str]) -> str:
    return "".join([part async for part in parts])


async def transform(parts: Stream[str]) -> AsyncIterator[str]:
    async for part in parts:
        yield part


@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param({"stream": stream}, id="row_6_stream"),
        pytest.param({"collect": collect}, id="row_7_collect"),
        pytest.param({"transform": transform}, id="row_8_transform"),
    ],
)
async def test_row_6_to_8_a_lambda_of_any_shape_has_a_type_name(shapes: dict[str, Any]) -> None:
    for given, expected in (("Special", "Special"), ("", next(iter(shapes)))):
        records = Records()
        run = Chain(str).then(Lambda(type_name=given, **shapes), name="node").compile()
        assert await run.invoke("x", options=RunOptions(callbacks=(records,))) == "x"
        node = next(info for info in records.infos if info.name == "node")
        assert (node.component, node.type) == ("Lambda", expected)


async def test_row_11_a_parser_of_tool_calls_is_a_node() -> None:
    @dataclass
    class Item:
        id: int

    call = ToolCall(id="c", function=FunctionCall(name="t", arguments='{"id": 1}'))
    run = Chain(Message).then(MessageParser(Item, source="tool_call").parse).compile()
    assert await both(run, Message.assistant("", tool_calls=[call])) == Item(id=1)


# --- graphs -------------------------------------------------------------------------------------


async def test_row_12_a_template_before_a_model() -> None:
    model = ScriptedChatModel("fine weather")
    template = PromptTemplate.from_messages(("user", "weather in {location}?"))
    run = Chain(dict[str, Any]).then(template).then(model).compile()
    given = {"location": "beijing"}
    assert (await run.invoke(given)).content == "fine weather"
    assert (await run.stream(given).concat()).content == "fine weather"
    assert (await run.transform(Stream.of([given])).concat()).content == "fine weather"
    assert {call.messages[0].content for call in model.calls} == {"weather in beijing?"}
    wrong = {"place": "beijing"}
    for failing in (
        run.invoke(wrong),
        run.stream(wrong).concat(),
        run.transform(Stream.of([wrong])).concat(),
    ):
        with pytest.raises(TemplateError):
            await failing


class Speaks(Protocol):
    def speak(self) -> str: ...


class Animal(ABC):
    @abstractmethod
    def speak(self) -> str: ...


class Dog(Animal):
    def speak(self) -> str:
        return "woof"


@pytest.mark.parametrize("wanted", [Speaks, Animal])
async def test_row_13_an_implementation_goes_where_its_interface_is_taken(wanted: Any) -> None:
    def make(text: str) -> Dog:
        return Dog()

    def hear(animal: Any) -> str:
        return str(animal.speak())

    hear.__annotations__["animal"] = wanted
    run = Chain(str).then(make).then(hear).compile()
    assert await both(run, "x") == "woof"


async def test_row_14_a_step_limit_for_one_call() -> None:
    graph = Graph(int, int)
    graph.add("more", lambda number: number + 1)
    graph.edge(START, "more")
    graph.branch("more", lambda n: "stop" if n >= 3 else "go", {"go": "more", "stop": END})
    run = graph.compile()
    for _ in range(2):
        for call in (
            run.invoke(0, options=RunOptions(max_steps=1)),
            run.stream(0, options=RunOptions(max_steps=1)).concat(),
        ):
            with pytest.raises(GraphRunError, match="exceeds max steps"):
                await call
        assert await both(run, 0) == 3


async def test_row_23_a_condition_on_values_that_are_known_only_at_run_time() -> None:
    def build(output: Any) -> Compiled[str, str]:
        def node1(text: str) -> Any:
            return output

        def pick(text: str) -> str:
            return "2"

        graph = Graph(str, str)
        graph.add("1", node1)
        graph.add("2", append("node2"))
        graph.edge(START, "1")
        graph.branch("1", pick, {"2": "2", "end": END})
        graph.edge("2", END)
        return graph.compile()

    assert await both(build("startnode1"), "start") == "startnode1node2"
    for call in (build(123).invoke("x"), build(123).stream("x").concat()):
        with pytest.raises(GraphRunError) as caught:
            await call
        assert caught.value.code == "RUNTIME_TYPE"


def test_row_33_triggers_are_named_any_and_all() -> None:
    graph = graph_of((START, "a"), ("a", END), a=append("a"))
    for trigger in TRIGGERS:
        assert graph.compile(trigger=trigger).plan.trigger == trigger
    with pytest.raises(ValueError, match="dag"):
        graph.compile(trigger="dag")  # type: ignore[arg-type]


async def test_row_34_a_run_that_is_cancelled_before_it_begins_runs_nothing() -> None:
    ran: list[str] = []

    async def note(text: str) -> str:
        ran.append(text)
        return text

    for trigger in TRIGGERS:
        run = graph_of((START, "1"), ("1", END), **{"1": note}).compile(trigger=trigger)
        for call in (run.invoke("x"), run.stream("x").concat()):
            task = asyncio.ensure_future(call)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert ran == []


async def test_row_36_a_branch_at_the_start() -> None:
    graph = graph_of(("1", END), ("2", END), **{"1": append("1"), "2": append("2")})
    graph.branch(START, lambda text: "1" if text == "hi" else "2", ["1", "2"])
    assert await both(graph.compile(trigger="all"), "hi") == "hi1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("hello", "hello23"), ("hi", "hi1"), ("hellohello", "hellohello24")],
)
async def test_row_39_branches_behind_branches(given: str, expected: str) -> None:
    nodes = {name: append(name) for name in "1234"}
    graph = graph_of(("1", END), ("3", END), ("4", END), **nodes)
    graph.branch(START, lambda text: "1" if text == "hi" else "2", ["1", "2"])
    graph.branch("2", lambda text: "3" if text == "hello2" else "4", ["3", "4"])
    for trigger in TRIGGERS:
        assert await both(graph.compile(trigger=trigger), given) == expected


async def test_row_47_a_target_picked_twice_runs_once() -> None:
    ran: list[str] = []

    def noting(name: str) -> Any:
        async def node(text: str) -> dict[str, str]:
            ran.append(name)
            return {name: text}

        return node

    graph = graph_of(*((name, END) for name in "abc"), **{name: noting(name) for name in "abc"})
    graph.branch(START, lambda text: ["a", "b", "a", "c", "b"], ["a", "b", "c"])
    for trigger in TRIGGERS:
        ran.clear()
        run = graph.compile(trigger=trigger)
        assert await run.invoke("x") == {"a": "x", "b": "x", "c": "x"}
        assert sorted(ran) == ["a", "b", "c"]


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_row_49_seven_nodes_in_three_layers(trigger: Literal["any", "all"]) -> None:
    seen: dict[str, set[str]] = {}

    def joining(name: str, *sources: str) -> Any:
        async def node(parts: dict[str, str]) -> dict[str, str]:
            seen[name] = set(parts)
            return {name: "".join(parts[source] for source in sources)}

        return node

    graph = Graph(str, str)
    for name in ("1", "2", "3"):
        graph.add(name, append(""), output_key=name)
        graph.edge(START, name)
    for name, sources in (("4", "12"), ("5", "3"), ("6", "45")):
        graph.add(name, joining(name, *sources))
        for source in sources:
            graph.edge(source, name)
    graph.add("7", lambda parts: parts["6"])
    graph.edge("6", "7")
    graph.edge("7", END)
    if trigger == "any":  # node 6 hears of 4 and 5 in one step: both are two steps away
        assert await both(graph.compile(trigger=trigger), "1") == "111"
    run = graph.compile(trigger="all")
    assert await both(run, "hello") == "hellohellohello"
    assert seen == {"4": {"1", "2"}, "5": {"3"}, "6": {"4", "5"}}


async def test_row_58_handlers_are_shown_the_chunks_themselves() -> None:
    chunk = Message.assistant("whole")
    shown: list[Any] = []

    class Keeps(Handler):
        async def on_end_with_stream_output(
            self, info: RunInfo, stream: Stream[Any], token: Any
        ) -> None:
            shown.extend(await stream.collect())

    async def give(text: str) -> AsyncIterator[Message]:
        yield chunk

    run = Chain(str).then(give).compile()
    await run.stream("x", options=RunOptions(callbacks=(Keeps(),))).collect()
    assert shown
    assert all(one is chunk for one in shown)


# --- chains -------------------------------------------------------------------------------------


async def test_row_63_a_chain_of_one_node_inside_a_parallel() -> None:
    run = Chain(str).parallel({"one": Chain(str).then(append("1")), "two": append("2")}).compile()
    assert await both(run, "x") == {"one": "x1", "two": "x2"}


async def test_row_69_a_parallel_takes_every_kind_of_node() -> None:
    class Retrieves:
        async def retrieve(self, query: str, *, options: Any = None) -> list[Any]:
            return [query]

    class Embeds:
        async def embed(self, texts: Sequence[str], *, options: Any = None) -> list[list[float]]:
            return [[1.0] for _ in texts]

    template = PromptTemplate.from_messages(("user", "{x}"))
    graph = graph_of((START, "n"), ("n", END), n=append("g")).compile()
    run = (
        Chain(str)
        .parallel(
            {
                "function": append("f"),
                "stream": stream,
                "transform": transform,
                "lambda": Lambda(collect=collect),
                "chain": Chain(str).then(append("c")),
                "graph": graph,
                "retriever": Retrieves(),
                "embedder": Chain(str).then(lambda text: [text]).then(Embeds()),
                "template": Chain(str).then(lambda text: {"x": text}).then(template),
                "model": Chain(str)
                .then(lambda text: [Message.user(text)])
                .then(ScriptedChatModel("m")),
            }
        )
        .compile()
    )
    found = await run.invoke("x")
    assert found["model"].content == "m"
    assert found["template"] == [Message.user("x")]
    assert {key: found[key] for key in ("function", "stream", "transform", "lambda")} == {
        "function": "xf",
        "stream": "x",
        "transform": "x",
        "lambda": "x",
    }
    assert (found["chain"], found["graph"], found["retriever"]) == ("xc", "xg", ["x"])
    assert found["embedder"] == [[1.0]]
    with pytest.raises(DeclarationError, match="'b' cannot be a node"):
        Chain(str).parallel({"a": append("a"), "b": None})


def test_row_73_bad_branches_are_refused() -> None:
    nodes = {"a": append("a"), "b": append("b")}
    with pytest.raises(DeclarationError, match="needs a condition"):
        Chain(str).branch(None, nodes)  # type: ignore[arg-type]
    for few in ({}, {"a": append("a")}):
        with pytest.raises(CompileError) as caught:
            Chain(str).branch(lambda text: "a", few).compile()
        assert "BRANCH_SIZE" in {problem.code for problem in caught.value.problems}
    with pytest.raises(DeclarationError, match="cannot be a node"):
        Chain(str).branch(lambda text: "a", {"a": append("a"), "b": None})


def test_row_74_an_empty_chain_in_a_branch_is_refused() -> None:
    template = PromptTemplate.from_messages(("user", "{x}"))
    with pytest.raises(CompileError) as caught:
        Chain(dict[str, Any]).branch(
            lambda given: "a", {"a": template, "b": Chain(dict[str, Any])}
        ).compile()
    assert "EMPTY_CHAIN" in {problem.code for problem in caught.value.problems}


# --- values that meet -----------------------------------------------------------------------------


def meeting(*values: Any) -> Compiled[Any, Any]:
    """Nodes that give these values, all leading to END."""
    graph: Graph[Any, Any] = Graph(Any, Any)
    for number, value in enumerate(values):
        graph.add(str(number), lambda _, value=value: value)
        graph.edge(START, str(number))
        graph.edge(str(number), END)
    return graph.compile()


async def test_row_89_mappings_are_joined() -> None:
    assert await both(meeting({1: 1}, {2: 2}, {3: 3, 4: 4}), None) == {1: 1, 2: 2, 3: 3, 4: 4}


async def test_row_91_mappings_with_values_of_different_types_are_joined_all_the_same() -> None:
    assert await both(meeting({"a": 1}, {"b": "x"}), None) == {"a": 1, "b": "x"}
    run = meeting({"a": 1}, "text")
    for call in (run.invoke(None), run.stream(None).concat()):
        with pytest.raises(GraphRunError) as caught:
            await call
        assert caught.value.code == "CANNOT_MERGE"


async def test_row_92_streams_of_mappings_are_interleaved() -> None:
    def streaming(*chunks: dict[int, int]) -> Any:
        async def node(_: Any) -> AsyncIterator[dict[int, int]]:
            for chunk in chunks:
                yield chunk

        return node

    graph: Graph[Any, Any] = Graph(Any, Any)
    for name, chunks in (("a", [{1: 1}]), ("b", [{2: 2}]), ("c", [{3: 3, 4: 4}])):
        graph.add(name, streaming(*chunks))
        graph.edge(START, name)
        graph.edge(name, END)
    run = graph.compile()
    assert len(await run.stream(None).collect()) == 3
    assert await run.stream(None).concat() == {1: 1, 2: 2, 3: 3, 4: 4}


async def test_row_94_the_error_of_a_registered_merge_comes_out() -> None:
    class Odd:
        pass

    def refuse(values: Sequence[Odd]) -> Odd:
        raise ValueError("these do not go together")

    register_merge(Odd, refuse)
    with pytest.raises(ValueError, match="do not go together"):
        await meeting(Odd(), Odd()).invoke(None)
    with pytest.raises(GraphRunError) as caught:
        await meeting(Odd(), "text").invoke(None)
    assert caught.value.code == "CANNOT_MERGE"


async def test_row_96_a_type_without_a_merge_is_refused_with_its_name() -> None:
    for call in (meeting("a", "b").invoke(None), meeting("a", "b").stream(None).concat()):
        with pytest.raises(GraphRunError, match="found str"):
            await call


async def test_row_263_one_key_from_two_sources_is_an_error_whole_and_adds_up_in_streams() -> None:
    run = meeting({"same": "a"}, {"same": "b"})
    with pytest.raises(GraphRunError) as caught:
        await run.invoke(None)
    assert caught.value.code == "DUPLICATE_KEY"
    found = await run.stream(None).concat()
    assert sorted(found["same"]) == ["a", "b"]
    with pytest.raises(ConcatError, match="same"):
        await meeting({"same": "a"}, {"same": 1}).stream(None).concat()


# --- the tools node -----------------------------------------------------------------------------


async def test_row_163_a_tool_with_parts_streams_as_one_chunk() -> None:
    @tool
    def picture() -> ToolResult:
        """Show something."""
        return ToolResult(parts=(TextPart(text="a picture"),))

    call = ToolCall(id="c", function=FunctionCall(name="picture", arguments=""))
    asking = Message.assistant("", tool_calls=[call])
    run = Chain(Message).then(ToolsNode([picture])).compile()
    (row,) = await run.stream(asking).collect()
    assert row[0].user_input_multi_content == (TextPart(text="a picture"),)
    assert list(await run.invoke(asking)) == list(row)


async def test_row_71_the_path_of_an_error_names_the_node_of_a_branch() -> None:
    async def fail(text: str) -> str:
        raise ValueError("no")

    run = Chain(str).branch(lambda text: "bad", {"good": append("g"), "bad": fail}).compile()
    with pytest.raises(ValueError, match="no") as caught:
        await run.invoke("x")
    assert node_path(caught.value) == ("bad",)

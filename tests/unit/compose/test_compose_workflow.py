"""Workflows: how they run, in both modes; conformance rows by number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from pyeino.components import PromptTemplate
from pyeino.compose import (
    END,
    START,
    WHOLE,
    Chain,
    Compiled,
    Graph,
    NodeCallbacks,
    RunOptions,
    Workflow,
)
from pyeino.errors import CompileError, EmptyStreamError, GraphRunError, node_path
from pyeino.schema import Message
from pyeino.streams import SourceEnd, Stream
from pyeino.testing import ScriptedChatModel, ScriptedReply


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    items: list[int]
    country: str = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxInput:
    net: int
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    amount: float
    note: str = ""


async def both(run: Compiled[Any, Any], value: Any) -> Any:
    """Run in all four shapes and hold the results equal."""
    in_values = await run.invoke(value)
    assert await run.stream(value).concat() == in_values
    assert await run.collect(Stream.of([value])) == in_values
    assert await run.transform(Stream.of([value])).concat() == in_values
    return in_values


def double(text: str) -> str:
    return f"{text}_{text}"


async def shout(parts: Stream[str]) -> AsyncIterator[str]:
    async for part in parts:
        yield part.upper()


def price(given: dict[str, list[int]]) -> dict[str, int]:
    return {"total": sum(given["lines"])}


def tax(given: TaxInput) -> dict[str, float]:
    return {"gross": given.net * (1.25 if given.country == "no" else 1.0)}


def invoice() -> Workflow[Order, Invoice]:
    workflow = Workflow(Order, Invoice)
    workflow.add("price", price).input(START, {"items": "lines"})
    workflow.add("tax", tax).input("price", {"total": "net"}).input(START, {"country": "country"})
    workflow.end().input("tax", {"gross": "amount"})
    return workflow


async def test_fields_go_where_they_are_sent() -> None:
    assert await both(invoice().compile(), Order(items=[1, 3])) == Invoice(amount=5.0)


async def test_a_workflow_can_be_compiled_again_and_be_added_to() -> None:
    workflow = invoice()
    first = workflow.compile()
    workflow.end().value("note", "paid")
    second = workflow.compile()
    assert await both(first, Order(items=[4])) == Invoice(amount=5.0)
    assert await both(second, Order(items=[4])) == Invoice(amount=5.0, note="paid")
    assert await both(workflow.compile(), Order(items=[4])) == Invoice(amount=5.0, note="paid")


async def test_a_row_of_nodes_is_one_line_of_awaits_with_the_mapping_on_it() -> None:
    workflow = Workflow(Order, Invoice)
    workflow.add("price", price).input(START, {"items": "lines"})
    workflow.end().input("price", {"total": "amount"})
    run = workflow.compile()
    assert run.plan.line is not None
    assert await both(run, Order(items=[1, 2])) == Invoice(amount=3)


async def test_nodes_that_wait_one_for_the_other_are_a_sequence_of_awaits() -> None:
    run = invoice().compile()
    assert run.plan.line is None
    assert run.plan.sequence is not None
    assert [step.node.name for step in run.plan.sequence] == ["price", "tax", END]
    assert await both(run, Order(items=[2])) == Invoice(amount=2.5)
    assert choice().plan.sequence is None, "a branch may skip nodes"


@pytest.mark.parametrize("many", [False, True], ids=["sequence", "side_by_side"])
async def test_a_part_that_is_not_there_is_an_error_of_the_node_that_takes_it(many: bool) -> None:
    workflow = Workflow(dict[str, Any], dict[str, Any])
    workflow.add("first", lambda given: given).input(START)
    workflow.add("takes", lambda given: given).input("first", {"a": "x"}).input(START, {"b": "b"})
    workflow.end().input("takes", {"x": "x"})
    if many:
        workflow.add("other", lambda given: given).input(START)
        workflow.end().input("other", {"b": "b"})
    run = workflow.compile()
    assert (run.plan.sequence is None) == many
    for call in (run.invoke({"b": 1}), run.stream({"b": 1}).concat()):
        with pytest.raises(GraphRunError, match="no 'a'") as caught:
            await call
        assert node_path(caught.value) == ("takes",)


async def test_row_114_sub_graphs_chains_and_workflows_with_streams_between() -> None:
    graph = Graph(str, str)
    graph.add("g", lambda text: text + "g")
    graph.edge(START, "g")
    graph.edge("g", END)
    inner = Workflow(dict[str, str], dict[str, str])
    inner.add("up", shout).input(START, {"text": WHOLE})
    inner.end().input("up", {WHOLE: "text"}).input(START, {"mark": "mark"}, control=False)
    outer = Workflow(str, dict[str, Any])
    outer.add("graph", graph.compile()).input(START)
    outer.add("chain", Chain(str).then(double).compile()).input("graph")
    outer.add("inner", inner.compile()).input("chain", {WHOLE: "text"}).value("mark", "!")
    outer.end().input("inner", {"text": ("out", "text"), "mark": ("out", "mark")})
    outer.end().input("graph", {WHOLE: "plain"}, control=False)
    run = outer.compile(name="outer")
    assert await both(run, "x") == {"out": {"text": "XG_XG", "mark": "!"}, "plain": "xg"}
    assert "subgraph" in run.draw()


async def test_row_131_outputs_of_two_nodes_meet_in_a_prompt() -> None:
    workflow = Workflow(str, Message)
    workflow.add("one", lambda text: text).input(START)
    workflow.add("two", lambda text: text).input(START)
    template = PromptTemplate.from_messages(("user", "{first}_{second}"))
    ask = workflow.add("ask", template)
    ask.input("one", {WHOLE: "first"}).input("two", {WHOLE: "second"})
    model = ScriptedChatModel("yes")
    workflow.add("model", model).input("ask")
    workflow.end().input("model")
    assert (await workflow.compile().invoke("query")).content == "yes"
    assert model.calls[0].messages[-1].content == "query_query"


async def test_row_133_data_without_control() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("1", double).input(START)
    two = workflow.add("2", lambda given: f"{given['a']}_{given['b']}")
    two.input("1", {WHOLE: "a"}).input(START, {WHOLE: "b"}, control=False)
    workflow.end().input("1", {WHOLE: "1"}, control=False).input("2", {WHOLE: "2"})
    assert await both(workflow.compile(), "query") == {"1": "query_query", "2": "query_query_query"}


async def test_row_134_a_dependency_without_data() -> None:
    ran: list[str] = []
    workflow = Workflow(str, str)

    def first(text: str) -> str:
        ran.append("first")
        return "nobody reads this"

    def second(text: str) -> str:
        ran.append("second")
        return f"{text}_done"

    workflow.add("first", first).input(START)
    workflow.add("second", second).depends_on("first").input(START, control=False)
    workflow.end().input("second")
    assert await workflow.compile().invoke("hello") == "hello_done"
    assert ran == ["first", "second"]
    assert await workflow.compile().stream("hello").concat() == "hello_done"


async def test_row_134_a_node_without_any_data_is_given_the_empty_value() -> None:
    given: list[object] = []

    def late(nothing: dict[str, int]) -> int:
        given.append(nothing)
        return 7

    workflow = Workflow(str, int)
    workflow.add("first", double).input(START)
    workflow.add("late", late).depends_on("first")
    workflow.end().input("late")
    assert await both(workflow.compile(), "x") == 7
    assert given == [{}] * 4


async def test_row_136_a_constant_beside_a_mapped_field() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("0", lambda given: given).input(START, {WHOLE: "start"}).value("prefilled", "yo")
    workflow.end().input("0")
    assert await both(workflow.compile(), "hello") == {"prefilled": "yo", "start": "hello"}


async def test_row_138_constants_alone_nested_in_dicts_and_records() -> None:
    @dataclass
    class Box:
        order: Order
        tags: dict[str, Any]

    workflow = Workflow(str, Box)
    node = workflow.add("0", lambda given: given["a"]["b"])
    node.depends_on(START).value(("a", "b"), 3).value(("a", "c", "d"), 4)
    end = workflow.end().depends_on("0").value(("order", "items"), [1])
    end.input("0", {WHOLE: ("tags", "b")})
    run = workflow.compile()
    result = await run.invoke("x")
    assert (result.order, result.tags) == (Order(items=[1]), {"b": 3})
    async with run.stream("x") as stream:
        (chunk,) = [chunk async for chunk in stream]
    assert chunk == result


def choice() -> Compiled[str, dict[str, str]]:
    workflow = Workflow(str, dict[str, str])
    workflow.add("1", double).input(START, control=False)
    workflow.branch(START, lambda text: "1" if text == "hello" else END, ["1", END])
    workflow.end().input("1", {WHOLE: "1"}).input(START, {WHOLE: "start"}, control=False)
    return workflow.compile()


async def test_row_139_a_branch_to_a_node_or_to_the_end() -> None:
    run = choice()
    assert await both(run, "hello") == {"1": "hello_hello", "start": "hello"}
    assert await both(run, "world") == {"start": "world"}


async def test_row_141_an_end_whose_only_source_was_skipped() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("1", double).input(START, control=False)
    workflow.branch(START, lambda text: END, ["1", END])
    workflow.end().input("1", {WHOLE: "1"})
    assert await both(workflow.compile(), "world") == {}


async def test_a_record_that_lacks_a_field_because_its_source_was_skipped_is_told() -> None:
    workflow = Workflow(int, Invoice)
    workflow.add("1", lambda number: 1.5).input(START, control=False)
    workflow.branch(START, lambda number: "1" if number else END, ["1", END])
    workflow.end().input("1", {WHOLE: "amount"}).value("note", "n")
    run = workflow.compile()
    assert await both(run, 1) == Invoice(amount=1.5, note="n")
    for call in (run.invoke(0), run.stream(0).concat()):
        with pytest.raises(GraphRunError, match="amount") as caught:
            await call
        assert caught.value.code == "NO_INPUT"


async def test_row_144_keys_that_come_in_different_chunks() -> None:
    workflow = Workflow(dict[str, int], dict[str, int])
    workflow.add("0", lambda given: given).input(START, {"a": "a", "b": "b"})
    workflow.end().input("0")
    run = workflow.compile()
    assert await run.collect(Stream.of([{"a": 1}, {"b": 2}])) == {"a": 1, "b": 2}
    with pytest.raises(GraphRunError, match="no 'b'"):
        await run.collect(Stream.of([{"a": 1}]))
    with pytest.raises(GraphRunError, match="no 'b'"):
        await run.invoke({"a": 1})
    with pytest.raises(EmptyStreamError):
        await run.collect(Stream[dict[str, int]].of([]))


async def test_row_148_the_end_of_each_source_is_told_where_that_is_asked() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("a", double).input(START)
    workflow.add("b", double).input(START)
    workflow.end().input("a", {WHOLE: "a"}).input("b", {WHOLE: "b"}).value("c", "c")
    run = workflow.compile(source_ends=[END])
    async with run.stream("x") as stream:
        chunks = [chunk async for chunk in stream]
    ends = {chunk.name for chunk in chunks if isinstance(chunk, SourceEnd)}
    assert ends == {"a", "b"}
    assert await both(run, "x") == {"a": "x_x", "b": "x_x", "c": "c"}


async def test_row_149_a_function_in_the_place_of_a_field() -> None:
    def first(items: list[int]) -> int:
        return items[0]

    workflow = Workflow(Order, dict[str, Any])
    workflow.add("items", lambda order: order.items).input(START)
    workflow.end().input("items", {first: "first", len: "count", WHOLE: "all"})
    run = workflow.compile()
    assert await both(run, Order(items=[5, 6])) == {"first": 5, "count": 2, "all": [5, 6]}


async def test_row_151_data_across_a_branch_at_the_start() -> None:
    def first(items: list[int]) -> int:
        return items[0]

    workflow = Workflow(list[int], dict[str, int])
    workflow.add("1", lambda number: number + 1).input(START, {first: WHOLE}, control=False)
    workflow.branch(START, lambda items: "1" if items else END, ["1", END])
    workflow.end().input("1", {WHOLE: "output"}).value("static", 2)
    run = workflow.compile()
    assert await both(run, []) == {"static": 2}
    assert await both(run, [1]) == {"output": 2, "static": 2}


async def test_chunks_of_a_text_are_passed_on_as_they_come() -> None:
    workflow = Workflow(list[Message], dict[str, Any])
    workflow.add("model", ScriptedChatModel(ScriptedReply(chunks=("a", "b", "c")))).input(START)
    workflow.add("loud", shout).input("model", {"content": WHOLE})
    workflow.end().input("loud", {WHOLE: ("reply", "text")}).input("model", {"role": "who"})
    run = workflow.compile()
    async with run.stream([Message.user("hi")]) as stream:
        chunks = [chunk async for chunk in stream]
    texts = [chunk["reply"]["text"] for chunk in chunks if "reply" in chunk]
    # one chunk for each of the model's, whose last one says only how it ended
    assert texts == ["A", "B", "C", ""]
    # the role is the same in every chunk; it is not text to be joined
    assert [chunk["who"] for chunk in chunks if "who" in chunk] == ["assistant"]
    whole = await run.invoke([Message.user("hi")])
    assert whole == {"reply": {"text": "ABC"}, "who": "assistant"}


async def test_nodes_that_do_not_wait_for_each_other_run_side_by_side() -> None:
    here, there = asyncio.Event(), asyncio.Event()

    async def left(text: str) -> str:
        here.set()
        await there.wait()
        return "l"

    async def right(text: str) -> str:
        there.set()
        await here.wait()
        return "r"

    workflow = Workflow(str, dict[str, str])
    workflow.add("left", left).input(START)
    workflow.add("right", right).input(START)
    workflow.end().input("left", {WHOLE: "l"}).input("right", {WHOLE: "r"})
    async with asyncio.timeout(30):
        assert await workflow.compile().invoke("x") == {"l": "l", "r": "r"}


async def test_a_stream_for_a_node_that_was_skipped_is_closed_at_once() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    def opened(text: str) -> Stream[str]:
        return Stream.from_iterator(Stream.of([text]), on_close=close)

    async def wait(text: str) -> str:
        await closed.wait()
        return text

    workflow = Workflow(str, str)
    workflow.add("opened", opened).input(START)
    workflow.add("pick", lambda text: text).input(START)
    workflow.add("never", lambda text: text).input("opened", control=False)
    workflow.add("wait", wait).input("pick", control=False)
    workflow.branch("pick", lambda text: "wait", ["never", "wait"])
    workflow.end().input("wait", {WHOLE: WHOLE}).depends_on("never")
    async with asyncio.timeout(30):
        assert await workflow.compile().stream("x").concat() == "x"


async def test_an_error_of_a_node_comes_out_with_its_path() -> None:
    def fail(text: str) -> str:
        raise LookupError("nothing there")

    inner = Workflow(str, str)
    inner.add("fails", fail).input(START)
    inner.end().input("fails")
    outer = Workflow(str, dict[str, str])
    outer.add("inner", inner.compile()).input(START)
    outer.end().input("inner", {WHOLE: "x"})
    run = outer.compile()
    for call in (run.invoke("x"), run.stream("x").concat()):
        with pytest.raises(LookupError) as caught:
            await call
        assert node_path(caught.value) == ("inner", "fails")


async def test_handlers_are_told_of_the_workflow_and_its_nodes() -> None:
    from pyeino.callbacks import Handler, RunInfo

    told: list[tuple[str, str, Any]] = []

    class Notes(Handler):
        def on_start(self, info: RunInfo, input: Any) -> Any:
            told.append((info.component, info.name, input))

    run = invoice().compile(name="invoice")
    await run.invoke(Order(items=[4]), options=RunOptions(callbacks=(Notes(),)))
    assert [entry[:2] for entry in told] == [
        ("Workflow", "invoice"),
        ("Lambda", "price"),
        ("Lambda", "tax"),
    ]
    assert told[2][2] == TaxInput(net=4, country="no")
    told.clear()
    only = RunOptions(node_callbacks=(NodeCallbacks(handlers=(Notes(),), path=("tax",)),))
    await run.invoke(Order(items=[4]), options=only)
    assert [name for _, name, _ in told] == ["tax"]


def test_a_drawing_tells_data_from_control() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("a", double).input(START)
    workflow.add("b", double).depends_on("a").input(START, control=False)
    workflow.end().input("b", {WHOLE: "text"})
    drawn = workflow.compile(name="kinds").draw()
    assert "n1 ==> n2" in drawn
    assert "n0 --o n2" in drawn
    assert 'n2 -->|"(whole) -#gt; text"| n3' in drawn


def test_explain_shows_every_mapping_in_an_order_in_which_it_can_run() -> None:
    workflow = Workflow(Order, dict[str, Any])
    workflow.end().input("late", {("a", "b"): ("deep", "x")}).value(("deep", "y"), 1)
    workflow.add("late", lambda given: given).input("early", {len: "count"})
    workflow.add("early", double).input(START, {"country": WHOLE})
    workflow.branch("early", lambda text: END, [END])
    explained = workflow.compile(name="my flow").explain()
    compile(explained, "explained", "exec")
    lines = [line.strip() for line in explained.splitlines()]
    assert lines[0] == "async def my_flow(start):"
    assert lines[2:] == [
        "early = early(start['country'])",
        "chosen = _lambda_(early)  # of ['end']",
        "late = late({'count': len(early)})",
        "# when the branch behind early chose 'end', or after late",
        "return {'deep': {'x': late['a']['b'], 'y': 1}}",
    ]


def test_row_129_names_that_are_taken_or_unknown() -> None:
    workflow = Workflow(str, str)
    workflow.add("1", double).input(START)
    workflow.add("1", double)
    workflow.add("3", double).input("2")
    workflow.end().input("1")
    with pytest.raises(CompileError) as caught:
        workflow.compile()
    codes = {problem.code: str(problem) for problem in caught.value.problems}
    assert "two nodes named '1'" in codes["DUPLICATE_NODE"]
    assert "no node '2'" in codes["UNKNOWN_NODE"]

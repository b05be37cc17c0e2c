"""Graphs: edges, branches, keys, merging; both triggers, both modes; conformance rows by number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from pyeino.compose import END, START, Chain, Compiled, Graph, RunOptions, register_merge
from pyeino.errors import ConcatError, EmptyStreamError, GraphRunError, node_path
from pyeino.streams import Stream

TRIGGERS: tuple[Literal["any", "all"], ...] = ("any", "all")


async def both(run: Compiled[Any, Any], value: Any) -> Any:
    """Run in both modes and hold the results equal."""
    in_values = await run.invoke(value)
    in_streams = await run.stream(value).concat()
    assert in_values == in_streams
    return in_values


def append(text: str) -> Any:
    async def node(given: str) -> str:
        return given + text

    node.__name__ = f"append_{text}"
    return node


async def test_row_14_step_limit() -> None:
    graph = Graph(str, str)
    graph.add("1", append("1"))
    graph.add("2", append("2"))
    for source, target in ((START, "1"), ("1", "2"), ("2", END)):
        graph.edge(source, target)
    run = graph.compile()
    assert await both(run, "x") == "x12"
    assert await graph.compile(max_steps=2).invoke("x") == "x12"
    one = RunOptions(max_steps=1)
    for _ in range(2):
        for call in (run.invoke("x", options=one), run.stream("x", options=one).concat()):
            with pytest.raises(GraphRunError, match=r"exceeds max steps \(1\) with \[2\]"):
                await call
    with pytest.raises(GraphRunError, match="no meaning") as unused:
        await graph.compile(trigger="all").invoke("x", options=one)
    assert unused.value.code == "MAX_STEPS_UNUSED"


async def test_step_limit_ends_a_loop() -> None:
    graph = Graph(int, int)
    graph.add("more", lambda number: number + 1)
    graph.edge(START, "more")
    graph.branch(
        "more", lambda number: "stop" if number >= 5 else "go", {"go": "more", "stop": END}
    )
    assert await both(graph.compile(), 0) == 5
    with pytest.raises(GraphRunError, match="exceeds max steps") as caught:
        await graph.compile(max_steps=4).invoke(0)
    assert caught.value.code == "MAX_STEPS"


async def test_row_18_passthrough_and_a_type_known_only_at_run_time() -> None:
    graph = Graph(Any, str)  # type: ignore[type-abstract, unused-ignore]
    graph.passthrough("through")

    async def to_text(number: int) -> str:
        return str(number)

    graph.add("text", to_text)
    for source, target in ((START, "through"), ("through", "text"), ("text", END)):
        graph.edge(source, target)
    run = graph.compile()
    assert await both(run, 1) == "1"
    with pytest.raises(GraphRunError) as caught:
        await run.invoke("1")
    assert caught.value.code == "RUNTIME_TYPE"
    with pytest.raises(GraphRunError):
        await run.stream("1").concat()


async def test_row_22_any_outputs_are_checked_on_the_way() -> None:
    def wrong(text: str) -> Any:
        return 123

    graph = Graph(str, str)
    graph.add("1", wrong)
    graph.add("2", append("2"))
    for source, target in ((START, "1"), ("1", "2"), ("2", END)):
        graph.edge(source, target)
    run = graph.compile()
    for call in (run.invoke("x"), run.stream("x").concat()):
        with pytest.raises(GraphRunError, match="expected str; found int"):
            await call


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_row_24_two_branches_on_one_node(trigger: Literal["any", "all"]) -> None:
    graph = Graph(str, dict[str, Any])
    graph.add("1", append("!"))
    for name in "2345":
        graph.add(name, append(name), output_key=name)
        graph.edge(name, END)
    graph.edge(START, "1")
    graph.branch("1", lambda text: "2", ["2", "3"])
    graph.branch("1", lambda text: "4", ["4", "5"])
    assert await both(graph.compile(trigger=trigger), "x") == {"2": "x!2", "4": "x!4"}


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_row_26_and_27_input_and_output_keys(trigger: Literal["any", "all"]) -> None:
    graph = Graph(dict[str, Any], dict[str, Any])
    for name in "123":
        graph.add(name, append(name), input_key=name, output_key=name)
        graph.edge(START, name)
        graph.edge(name, END)
    run = graph.compile(trigger=trigger)
    given = {"1": "a", "2": "b", "3": "c"}
    expected = {"1": "a1", "2": "b2", "3": "c3"}
    assert await both(run, given) == expected
    chunks = Stream.of([{key: value} for key, value in given.items()])
    assert await run.transform(chunks).concat() == expected


async def test_row_28_missing_input_key() -> None:
    graph = Graph(dict[str, Any], str)
    graph.add("node1", append("1"), input_key="node1")
    graph.edge(START, "node1")
    graph.edge("node1", END)
    run = graph.compile()
    with pytest.raises(GraphRunError, match="cannot find input key 'node1'") as caught:
        await run.invoke({"other": "x"})
    assert node_path(caught.value) == ("node1",)
    with pytest.raises(EmptyStreamError) as empty:
        await run.stream({"other": "x"}).concat()
    assert node_path(empty.value) == ("node1",)


async def test_row_29_end_reached_first_wins() -> None:
    graph = Graph(str, str)
    graph.add("node1", append("1"))
    graph.add("node2", append("2"))
    for source, target in ((START, "node1"), ("node1", END), ("node1", "node2"), ("node2", END)):
        graph.edge(source, target)
    assert await both(graph.compile(), "x") == "x1"


async def test_row_32_branch_from_start_to_end() -> None:
    graph = Graph(str, str)
    graph.add("1", append("1"))
    graph.edge("1", END)
    graph.branch(START, lambda text: END, [END, "1"])
    assert await both(graph.compile(), "test") == "test"


async def test_row_36_to_39_branches_with_all_predecessors() -> None:
    graph = Graph(str, dict[str, Any])
    for name in "123":
        graph.add(name, append(name), output_key=name)
        graph.edge(name, END)
    graph.branch(START, lambda text: ["1"], ["1", "2"])
    graph.branch(START, lambda text: ["2"] if text == "b" else ["3"], ["2", "3"])
    run = graph.compile(trigger="all")
    assert await both(run, "a") == {"1": "a1", "3": "a3"}
    # row 38: one branch leaves node 2 out, the other picks it: picked wins
    assert await both(run, "b") == {"1": "b1", "2": "b2"}


async def test_a_plain_edge_beats_a_branch_that_leaves_its_target_out() -> None:
    graph = Graph(str, dict[str, Any])
    graph.add("1", append("1"), output_key="1")
    graph.add("2", append("2"), output_key="2")
    graph.edge(START, "1")
    graph.branch(START, lambda text: ["2"], ["1", "2"])
    graph.edge("1", END)
    graph.edge("2", END)
    for trigger in TRIGGERS:
        assert await both(graph.compile(trigger=trigger), "x") == {"1": "x1", "2": "x2"}


async def test_row_44_a_branch_that_picks_nothing() -> None:
    graph = Graph(str, str)
    graph.add("1", append("1"))
    graph.add("2", append("2"))
    graph.edge(START, "1")
    graph.branch("1", lambda text: [], ["2"])
    graph.edge("2", END)
    for trigger in TRIGGERS:
        run = graph.compile(trigger=trigger)
        for call in (run.invoke("x"), run.stream("x").concat()):
            with pytest.raises(GraphRunError, match=r"last completed nodes: \[1\]"):
                await call


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_row_49_a_graph_of_seven_nodes(trigger: Literal["any", "all"]) -> None:
    graph = Graph(str, str)
    for name in ("1", "2", "3"):
        graph.add(name, append(""), output_key=name)
        graph.edge(START, name)

    async def joined(parts: dict[str, Any]) -> str:
        return "".join(parts[key] for key in sorted(parts))

    graph.add("join", joined)
    for name in ("1", "2", "3"):
        graph.edge(name, "join")
    graph.edge("join", END)
    run = graph.compile(trigger=trigger)
    assert await both(run, "hello") == "hellohellohello"
    assert await both(run, "1") == "111"


async def test_row_51_and_52_multi_branches() -> None:
    def by_value(text: str) -> list[str]:
        return ["1", "2"]

    async def by_stream(text: Stream[str]) -> set[str]:
        return {"2", "1"}  # closes its copy without reading it

    for condition in (by_value, by_stream):
        graph = Graph(str, dict[str, Any])
        for name in "123":
            graph.add(name, append(""), output_key=name)
            graph.edge(name, END)
        graph.branch(START, condition, ["1", "2", "3"])
        assert await both(graph.compile(), "start") == {"1": "start", "2": "start"}


async def test_row_53_errors_come_out_as_they_are_with_the_node_path() -> None:
    async def fail(text: str) -> str:
        raise ValueError("my error")

    async def fail_late(text: str) -> AsyncIterator[str]:
        yield "one"
        raise ValueError("my error")

    async def through(text: Stream[str]) -> AsyncIterator[str]:
        async for part in text:
            yield part

    for failing in (fail, fail_late):
        inner = Chain(str).then(failing, name="inner").then(through).compile()
        run = (
            Chain(str).then(through, name="first").then(inner, name="outer").then(through).compile()
        )
        for call in (run.invoke("x"), run.stream("x").concat(), run.collect(Stream.of(["x"]))):
            with pytest.raises(ValueError, match="my error") as caught:
                await call
            assert node_path(caught.value) == ("outer", "inner")
            assert caught.value.__notes__ == ["node path: outer > inner"]


async def test_row_54_empty_input_stream() -> None:
    run = Chain(str).then(append("1"), name="1").compile()
    with pytest.raises(EmptyStreamError) as caught:
        await run.collect(Stream.of([]))
    assert node_path(caught.value) == ("1",)


async def test_row_56_cancellation_is_not_wrapped() -> None:
    entered = asyncio.Event()
    cleaned: list[str] = []

    async def slow(text: str) -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("slow")
        return text

    async def other(text: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("other")
        return text

    for trigger in TRIGGERS:
        cleaned.clear()
        entered.clear()
        graph = Graph(str, dict[str, Any])
        graph.add("slow", slow, output_key="slow")
        graph.add("other", other, output_key="other")
        for name in ("slow", "other"):
            graph.edge(START, name)
            graph.edge(name, END)
        task = asyncio.create_task(graph.compile(trigger=trigger).invoke("x"))
        await entered.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(cleaned) == ["other", "slow"]


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_the_first_failure_cancels_the_others(trigger: Literal["any", "all"]) -> None:
    cleaned = asyncio.Event()

    async def slow(text: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return text

    async def fail(text: str) -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    graph = Graph(str, dict[str, Any])
    graph.add("slow", slow, output_key="slow")
    graph.add("fail", fail, output_key="fail")
    for name in ("slow", "fail"):
        graph.edge(START, name)
        graph.edge(name, END)
    run = graph.compile(trigger=trigger)
    for call in (run.invoke("x"), run.stream("x").concat()):
        cleaned.clear()
        with pytest.raises(ValueError, match="no") as caught:
            await call
        assert node_path(caught.value) == ("fail",)
        assert cleaned.is_set()


async def test_values_that_cannot_be_merged_name_the_node() -> None:
    graph = Graph(str, str)
    for name in "12":
        graph.add(name, append(name))
        graph.edge(START, name)
        graph.edge(name, "join")
    graph.add("join", append(""))
    graph.edge("join", END)
    run = graph.compile()
    for call in (run.invoke("x"), run.stream("x").concat()):
        with pytest.raises(GraphRunError, match="cannot be merged") as caught:
            await call
        assert caught.value.code == "CANNOT_MERGE"


async def test_row_94_a_registered_merge() -> None:
    class Score(int):
        pass

    def add(scores: Any) -> Any:
        return Score(sum(scores))

    register_merge(Score, add)
    graph = Graph(int, int)
    for name, worth in (("1", 1), ("2", 20)):
        graph.add(name, lambda number, worth=worth: Score(number + worth))
        graph.edge(START, name)
        graph.edge(name, END)
    assert await graph.compile().invoke(100) == 221


async def test_duplicate_keys_are_an_error_in_value_mode() -> None:
    graph = Graph(str, dict[str, Any])
    for name in "12":
        graph.add(name, append(name), output_key="same")
        graph.edge(START, name)
        graph.edge(name, END)
    with pytest.raises(GraphRunError, match="gave the key 'same'"):
        await graph.compile().invoke("x")


async def test_an_unintended_end_names_the_choice() -> None:
    graph = Graph(str, str)
    graph.add("1", append("1"))
    graph.edge("1", END)
    graph.branch(START, lambda text: "three", {"one": "1", "end": END})
    run = graph.compile()
    for call in (run.invoke("x"), run.stream("x").concat()):
        with pytest.raises(GraphRunError, match="picked 'three'") as caught:
            await call
        assert caught.value.code == "UNINTENDED_END"


async def test_a_stream_that_cannot_be_concatenated_tells_the_node() -> None:
    async def odd(text: str) -> AsyncIterator[Any]:
        yield {"a": 1}
        yield "text"

    run = Chain(str).then(odd, name="odd").then(lambda given: given, name="next").compile()
    with pytest.raises(ConcatError) as caught:
        await run.stream("x").collect()
    assert node_path(caught.value) == ("next",)


async def test_start_straight_to_end() -> None:
    graph = Graph(str, str)
    graph.edge(graph.start, graph.end)
    for trigger in TRIGGERS:
        assert await both(graph.compile(trigger=trigger), "x") == "x"

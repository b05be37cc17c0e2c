"""Chains: rows of nodes, parallels and branches (conformance rows by number)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyeino.compose import Chain, Compiled
from pyeino.errors import CompileError, GraphRunError, node_path
from pyeino.streams import Stream


async def both(run: Compiled[Any, Any], value: Any) -> Any:
    in_values = await run.invoke(value)
    assert await run.stream(value).concat() == in_values
    return in_values


async def double(text: str) -> str:
    return text + text


async def exclaim(text: str) -> str:
    return text + "!"


async def words(text: str) -> AsyncIterator[str]:
    for word in text.split(" "):
        yield word


def problems(chain: Chain[Any, Any]) -> set[str]:
    with pytest.raises(CompileError) as caught:
        chain.compile()
    return {problem.code for problem in caught.value.problems}


async def test_row_59_and_62_all_kinds_of_stretches_nest() -> None:
    inner = Chain(str).parallel({"x": double, "y": exclaim}).then(lambda parts: parts["x"])
    run = (
        Chain(str)
        .then(double)
        .branch(lambda text: "keep", {"keep": exclaim, "drop": double})
        .passthrough()
        .parallel({"a": inner, "b": Chain(str).then(words)})
        .then(lambda parts: f"{parts['a']}|{parts['b']}")
        .compile(name="mixed")
    )
    assert await both(run, "o") == "oo!oo!|oo!"


def test_row_61_and_66_empty_and_small_stretches() -> None:
    assert problems(Chain(str)) == {"EMPTY_CHAIN"}
    with pytest.raises(CompileError):  # an empty chain inside another is compiled where it is put
        Chain(str).then(Chain(str))  # type: ignore[call-overload]
    assert "PARALLEL_SIZE" in problems(Chain(str).parallel({"one": double}))
    assert "PARALLEL_SIZE" in problems(Chain(str).parallel({}))
    assert "BRANCH_SIZE" in problems(Chain(str).branch(lambda text: "a", {"a": double}))


def test_row_66_and_72_open_ends_cannot_follow_open_ends() -> None:
    fanned = Chain(str).parallel({"a": double, "b": double}).parallel({"c": str, "d": str})
    assert "OPEN_ENDS" in problems(fanned)
    branched = (
        Chain(str)
        .branch(lambda text: "a", {"a": double, "b": exclaim})
        .parallel({"c": double, "d": exclaim})
    )
    assert "OPEN_ENDS" in problems(branched)


async def test_row_64_one_object_in_several_places() -> None:
    shared = Chain(str).then(double).compile()
    run = Chain(str).parallel({"1": shared, "2": shared, "3": shared}).compile()
    assert await both(run, "x") == {"1": "xx", "2": "xx", "3": "xx"}


def test_row_67_step_limits_are_taken() -> None:
    Chain(str).then(double).compile(max_steps=10)


def test_row_68_a_wrong_neighbour_is_named() -> None:
    def number(given: int) -> int:
        return given

    with pytest.raises(CompileError) as caught:
        Chain(str).then(double).then(number).compile()  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("TYPE_MISMATCH", ("double", "number"))


async def test_row_71_names() -> None:
    run = Chain(str).then(double).then(double).then(exclaim, name="loud").compile()
    assert [node.name for node in run.plan.nodes] == ["start", "double", "double_2", "loud", "end"]
    assert problems(Chain(str).then(double, name="a").then(double, name="a")) == {"DUPLICATE_NODE"}
    assert problems(Chain(str).then(double, name="end")) == {"DUPLICATE_NODE"}

    async def fail(text: str) -> str:
        raise ValueError("no")

    run = Chain(str).parallel({"good": double, "bad": fail}).compile()
    with pytest.raises(ValueError, match="no") as caught:
        await run.invoke("x")
    assert node_path(caught.value) == ("bad",)


async def test_row_76_to_78_branch_conditions() -> None:
    async def times(text: Stream[str]) -> str:
        async for first in text:  # reads only the first chunk of its own copy
            return first
        return "none"

    ends = {"one": exclaim, "two": double}
    run = Chain(str).then(words).branch(times, ends).compile()
    # the target gets the whole stream, however little the condition has read of it
    assert await run.stream("one size fit all").concat() == "onesizefitall!"
    run = Chain(str).then(words).branch(lambda text: text[:3], ends).compile()
    assert await both(run, "two by two") == "twobytwotwobytwo"
    with pytest.raises(GraphRunError) as caught:
        await run.invoke("three")
    assert caught.value.code == "UNINTENDED_END"

    def fails(text: str) -> str:
        raise KeyError("four")

    run = Chain(str).then(double).branch(fails, {"a": double, "b": double}).compile()
    with pytest.raises(KeyError) as failed:
        await run.invoke("x")
    assert node_path(failed.value) == ("double (branch)",)


async def test_row_79_multi_branch() -> None:
    def wrap(key: str) -> Any:
        async def node(text: str) -> dict[str, str]:
            return {key: text}

        return node

    run = (
        Chain(str)
        .branch(lambda text: ["1", "2"], {"1": wrap("1"), "2": wrap("2"), "3": wrap("3")})
        .compile()
    )
    assert await both(run, "x") == {"1": "x", "2": "x"}


async def test_parallel_streams_arrive_as_they_come() -> None:
    run = Chain(str).parallel({"words": words, "loud": exclaim}).compile()
    async with run.stream("a b c") as chunks:
        found = [chunk async for chunk in chunks]
    assert [chunk["words"] for chunk in found if "words" in chunk] == ["a", "b", "c"]
    assert [chunk["loud"] for chunk in found if "loud" in chunk] == ["a b c!"]


def test_draw_and_explain() -> None:
    inner = Chain(str).then(double).compile(name="inner")
    run = Chain(str).then(inner, name='in "quotes" <b>').then(exclaim).compile(name="shown")
    drawn = run.draw()
    assert drawn.startswith("---\ntitle: shown\n---\nflowchart TD\n")
    assert 'subgraph n1["in #quot;quotes#quot; #lt;b#gt;"]' in drawn
    assert "<b>" not in drawn.replace("<br/>", "")
    code = run.explain()
    compile(code, "explained", "exec")
    assert "value = await exclaim(value)" in code
    looping = Chain(str).parallel({"a": double, "b": exclaim}).compile()
    compile(looping.explain(), "explained", "exec")
    assert "for step in range(" in looping.explain()

"""compile(): every problem at once, each with its code, its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import pytest

from pyeino.compose import END, START, Chain, Graph
from pyeino.compose._check import find_loops
from pyeino.compose._declaration import Declaration
from pyeino.compose._types import Fit, fit
from pyeino.errors import CompileError
from pyeino.schema import Message


def codes(graph: Graph[Any, Any] | Chain[Any, Any], **options: Any) -> dict[str, tuple[str, ...]]:
    with pytest.raises(CompileError) as caught:
        graph.compile(**options)
    assert all(problem.message for problem in caught.value.problems)
    return {problem.code: problem.path for problem in caught.value.problems}


def text(given: str) -> str:
    return given


def number(given: int) -> int:
    return given


def test_row_16_a_mismatch_names_both_nodes_and_types() -> None:
    graph = Graph(str, int)
    graph.add("1", text)
    graph.add("2", number)
    for source, target in ((START, "1"), ("1", "2"), ("2", END)):
        graph.edge(source, target)
    with pytest.raises(CompileError) as caught:
        graph.compile()
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("TYPE_MISMATCH", ("1", "2"))
    assert (problem.expected, problem.found) == ("int", "str")
    assert "put a node between" in str(caught.value)


def test_row_17_passthrough_takes_the_type_of_its_predecessor() -> None:
    graph = Graph(str, int)
    graph.passthrough("a")
    graph.passthrough("b")
    graph.add("3", number)
    for source, target in ((START, "a"), ("a", "b"), ("b", "3"), ("3", END)):
        graph.edge(source, target)
    assert codes(graph) == {"TYPE_MISMATCH": ("b", "3")}


def test_row_19_and_21_start_and_end_are_checked_and_all_is_told_at_once() -> None:
    graph = Graph(int, int)
    graph.add("1", text)
    graph.edge(START, "1")
    graph.edge("1", END)
    with pytest.raises(CompileError) as caught:
        graph.compile()
    assert [problem.path for problem in caught.value.problems] == [(START, "1"), ("1", END)]


def test_row_31_and_the_other_wrong_edges() -> None:
    graph = Graph(str, str)
    graph.add("1", text)
    graph.add("1", text)
    graph.add("end", text)
    graph.edge(START, "1")
    graph.edge(START, "1")
    graph.edge("1", START)
    graph.edge(END, "1")
    graph.edge("1", "nowhere")
    found = codes(graph)
    assert set(found) >= {
        "DUPLICATE_NODE",
        "RESERVED_NAME",
        "DUPLICATE_EDGE",
        "START_AS_TARGET",
        "END_AS_SOURCE",
        "UNKNOWN_NODE",
        "NO_END",
    }


def test_nodes_off_the_way() -> None:
    graph = Graph(str, str)
    for name in ("1", "island", "trap"):
        graph.add(name, text)
    graph.edge(START, "1")
    graph.edge("1", END)
    graph.edge("1", "trap")
    graph.edge("island", END)
    assert codes(graph) == {"UNREACHABLE": ("island",), "DEAD_END": ("trap",)}


def test_an_empty_graph() -> None:
    assert set(codes(Graph(str, str))) == {"NO_START", "NO_END"}


def test_row_42_loops() -> None:
    graph = Graph(str, str)
    for name in "ABC":
        graph.add(name, text)
    for source, target in ((START, "A"), ("A", "B"), ("B", "C"), ("C", "A"), ("C", END)):
        graph.edge(source, target)
    assert codes(graph, trigger="all") == {"LOOP": ("A", "B", "C", "A")}
    graph.compile()
    assert find_loops(Declaration(input_type=str, output_type=str)) == []


def test_a_loop_through_a_branch_and_onto_itself() -> None:
    graph = Graph(str, str)
    graph.add("A", text)
    graph.edge(START, "A")
    graph.branch("A", lambda given: END, ["A", END])
    assert codes(graph, trigger="all") == {"LOOP": ("A", "A")}


def test_branch_conditions_are_checked() -> None:
    def over(given: int) -> str:
        return END

    graph = Graph(str, str)
    graph.add("1", text)
    graph.edge(START, "1")
    graph.branch("1", over, [END])
    assert codes(graph) == {"BRANCH_TYPE": ("1",)}
    graph = Graph(str, str)
    graph.branch(START, lambda given: END, {})
    assert "EMPTY_BRANCH" in codes(graph)


def test_step_limits() -> None:
    graph = Graph(str, str)
    graph.edge(START, END)
    assert codes(graph, max_steps=0) == {"MAX_STEPS_RANGE": ()}
    assert codes(graph, max_steps=3, trigger="all") == {"MAX_STEPS_UNUSED": ()}


async def test_a_declaration_stays_usable_after_compile() -> None:
    graph = Graph(str, str)
    graph.add("1", text)
    graph.edge(START, "1")
    graph.edge("1", END)
    first = graph.compile()
    graph.add("2", lambda given: given + "2")
    graph.branch(START, lambda given: "2", ["2"])
    graph.edge("2", END)
    assert await first.invoke("x") == "x"
    assert len(graph.compile().plan.nodes) == 4


class Animal:
    pass


class Dog(Animal):
    def bark(self) -> str:
        return "!"


class Barks(Protocol):
    def bark(self) -> str: ...


class Movie(TypedDict):
    name: str


UserId = NewType("UserId", str)
AnyT = TypeVar("AnyT")


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (str, str, Fit.YES),
        (str, int, Fit.NO),
        (Dog, Animal, Fit.YES),
        (Animal, Dog, Fit.MAYBE),
        (Dog, Barks, Fit.YES),
        (Animal, Barks, Fit.MAYBE),
        (str, Any, Fit.YES),
        (Any, str, Fit.MAYBE),
        (object, str, Fit.MAYBE),
        (str, object, Fit.YES),
        (int, float, Fit.YES),
        (float, int, Fit.NO),
        (bool, int, Fit.YES),
        (list[Message], Sequence[Message], Fit.YES),
        (list[Message], Sequence[str], Fit.NO),
        (list[str], list[Any], Fit.YES),
        (list, list[str], Fit.MAYBE),
        (dict[str, Any], Mapping[str, Any], Fit.YES),
        (Movie, Mapping[str, Any], Fit.YES),
        (Movie, dict[str, Any], Fit.YES),
        (str, Optional[str], Fit.YES),  # noqa: UP045 - the old spelling has to work too
        (str | None, str, Fit.MAYBE),
        (str | int, str, Fit.MAYBE),
        (str | int, Union[int, str], Fit.YES),  # noqa: UP007 - the old spelling has to work too
        (None, str, Fit.NO),
        (UserId, str, Fit.YES),
        (Literal["a", "b"], str, Fit.YES),
        (Literal["a", 1], str, Fit.MAYBE),
        (Annotated[str, "note"], str, Fit.YES),
        (AnyT, str, Fit.MAYBE),
        (tuple[Message, ...], Sequence[Message], Fit.YES),
        (tuple[str, ...], Sequence[Message], Fit.NO),
        (tuple[str, int], tuple[str, int], Fit.YES),
        (list[str], Iterable[str], Fit.YES),
        (str, Sequence[Message], Fit.NO),
        (Message, Sequence[Message], Fit.NO),
    ],
    ids=str,
)
def test_row_57_what_fits_what(given: Any, wanted: Any, expected: Fit) -> None:
    assert fit(given, wanted) is expected

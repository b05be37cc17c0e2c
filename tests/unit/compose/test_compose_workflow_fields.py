"""Fields of a workflow: every kind of type, nested paths, and what compile() says of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, Protocol, TypedDict

import msgspec
import pytest
from pydantic import BaseModel, Field

from pyeino.compose import END, START, WHOLE, Compiled, Workflow
from pyeino.errors import CompileError, DeclarationError, GraphRunError, Problem
from pyeino.streams import Stream


@dataclass(frozen=True)
class Inner:
    f1: str
    f2: int = 0


@dataclass(frozen=True)
class Outer:
    inner: Inner
    maybe: Inner | None = None
    table: dict[str, int] = field(default_factory=dict[str, int])
    anything: Any = None
    _secret: str = "s"
    made: str = field(default="made", init=False)


class StructInner(msgspec.Struct, frozen=True):
    f1: str


class StructOuter(msgspec.Struct, frozen=True, kw_only=True):
    inner: StructInner
    note: str = "none"


class ModelInner(BaseModel):
    f1: str


class ModelOuter(BaseModel):
    inner: ModelInner = Field(alias="innerPart")
    count: int = 3


class DictInner(TypedDict):
    f1: str


class DictOuter(TypedDict):
    inner: DictInner
    more: NotRequired[int]


class Named(Protocol):
    @property
    def f1(self) -> str: ...


async def both(run: Compiled[Any, Any], value: Any) -> Any:
    in_values = await run.invoke(value)
    assert await run.stream(value).concat() == in_values
    return in_values


def mapped(given: Any, wanted: Any, fields: Any) -> Compiled[Any, Any]:
    """From START to END, field by field, and through a node that hands on."""
    workflow = Workflow(given, wanted)
    workflow.end().input(START, fields)
    return workflow.compile()


def problems(given: Any, wanted: Any, fields: Any) -> list[Problem]:
    with pytest.raises(CompileError) as caught:
        mapped(given, wanted, fields)
    return list(caught.value.problems)


SOURCES: list[Any] = [
    pytest.param(Outer, Outer(inner=Inner("x")), ("inner", "f1"), id="record.record"),
    pytest.param(
        dict[str, dict[str, str]], {"inner": {"f1": "x"}}, ("inner", "f1"), id="dict.dict"
    ),
    pytest.param(Outer, Outer(inner=Inner("y"), anything={"k": "x"}), ("anything", "k"), id="any"),
    pytest.param(
        Outer, Outer(inner=Inner("y"), anything=Inner("x")), ("anything", "f1"), id="any.record"
    ),
    pytest.param(dict[str, Inner], {"k": Inner("x")}, ("k", "f1"), id="dict.record"),
    pytest.param(dict[str, Any], {"k": Inner("x")}, ("k", "f1"), id="dict.any"),
    pytest.param(StructOuter, StructOuter(inner=StructInner("x")), ("inner", "f1"), id="struct"),
    pytest.param(
        ModelOuter, ModelOuter(innerPart=ModelInner(f1="x")), ("inner", "f1"), id="pydantic"
    ),
    pytest.param(DictOuter, {"inner": {"f1": "x"}}, ("inner", "f1"), id="typed_dict"),
    pytest.param(Mapping[str, str], {"f1": "x"}, "f1", id="mapping"),
    pytest.param(Outer, Outer(inner=Inner("y"), maybe=Inner("x")), ("maybe", "f1"), id="optional"),
    pytest.param(Any, {"f1": {"f2": "x"}}, ("f1", "f2"), id="all_any"),
    pytest.param(Named, Inner("x"), "f1", id="interface"),
]


@pytest.mark.parametrize(("kind", "value", "path"), SOURCES)
async def test_row_116_and_147_paths_into_every_kind_of_source(
    kind: Any, value: Any, path: Any
) -> None:
    assert await both(mapped(kind, str, {path: WHOLE}), value) == "x"
    assert await both(mapped(kind, dict[str, str], {path: "to"}), value) == {"to": "x"}


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        pytest.param(Inner, "f1", Inner("x"), id="record"),
        pytest.param(Outer, ("inner", "f1"), Outer(inner=Inner("x")), id="record.record"),
        pytest.param(
            StructOuter, ("inner", "f1"), StructOuter(inner=StructInner("x")), id="struct"
        ),
        pytest.param(
            ModelOuter, ("inner", "f1"), ModelOuter(innerPart=ModelInner(f1="x")), id="pydantic"
        ),
        pytest.param(DictOuter, ("inner", "f1"), {"inner": {"f1": "x"}}, id="typed_dict"),
        pytest.param(dict[str, Inner], ("k", "f1"), {"k": Inner("x")}, id="dict.record"),
        pytest.param(dict[str, dict[str, str]], ("k", "l"), {"k": {"l": "x"}}, id="dict.dict"),
        pytest.param(dict[str, Any], ("a", "b", "c"), {"a": {"b": {"c": "x"}}}, id="dict.any"),
        pytest.param(Any, ("a", "b"), {"a": {"b": "x"}}, id="any"),
        pytest.param(
            dict[str, dict[str, Inner]], ("a", "b", "f1"), {"a": {"b": Inner("x")}}, id="deep"
        ),
    ],
)
async def test_row_117_paths_into_every_kind_of_target(kind: Any, path: Any, expected: Any) -> None:
    assert await both(mapped(str, kind, {WHOLE: path}), "x") == expected
    assert await both(mapped(dict[str, str], kind, {"from": path}), {"from": "x"}) == expected


async def test_row_121_the_whole_goes_where_anything_is_taken() -> None:
    assert await both(mapped(str, Any, None), "x") == "x"
    assert await both(mapped(str, dict[str, Any], {WHOLE: "a"}), "x") == {"a": "x"}


async def test_row_123_places_inside_each_other_clash_and_siblings_do_not() -> None:
    (found,) = problems(dict[str, Any], dict[str, Any], {"a": "k1", "b": ("k1", "k2")})
    assert found.code == "MAPPING_CONFLICT"
    assert found.path == (END,)
    assert "a -> k1" in found.found
    assert "b -> k1.k2" in found.found
    siblings = {"a": ("k1", "k2", "k3"), "b": ("k1", "k2", "k4")}
    run = mapped(dict[str, str], dict[str, Any], siblings)
    assert await both(run, {"a": "1", "b": "2"}) == {"k1": {"k2": {"k3": "1", "k4": "2"}}}


async def test_row_124_from_a_nested_to_a_nested_and_to_a_plain_place() -> None:
    value = Outer(inner=Inner("x", 2))
    fields = {("inner", "f1"): ("a", "b"), ("inner", "f2"): "c"}
    assert await both(mapped(Outer, dict[str, Any], fields), value) == {"a": {"b": "x"}, "c": 2}


WRONG: list[Any] = [
    pytest.param(
        str, dict[str, dict[str, int]], {WHOLE: ("a", "b")}, "MAPPING_TYPE", "int", "str",
        id="row_118_a_part_of_another_type",
    ),
    pytest.param(
        str, Inner, {WHOLE: ("f2", "x")}, "MAPPING_CONTAINER", "a dataclass", "int",
        id="row_119_a_path_through_a_number",
    ),
    pytest.param(
        str, dict[str, Named], {WHOLE: ("a", "f1")}, "MAPPING_CONTAINER", "a dataclass", "Named",
        id="row_122_a_path_through_an_interface",
    ),
    pytest.param(str, int, None, "MAPPING_TYPE", "int", "str", id="row_126_the_whole_does_not_fit"),
    pytest.param(
        str, dict[str, str], {"f": "f"}, "MAPPING_CONTAINER", "a dataclass", "str",
        id="row_127_a_source_without_fields",
    ),
    pytest.param(
        str, int, {WHOLE: "f"}, "MAPPING_CONTAINER", "a dataclass", "int",
        id="row_127_a_target_without_fields",
    ),
    pytest.param(
        Outer, dict[str, str], {("inner", "f3"): "x"}, "MAPPING_FIELD", "one of ['f1', 'f2']",
        "'f3'", id="row_116_a_field_that_cannot_be_there",
    ),
    pytest.param(
        Inner, dict[str, str], {"f3": "x"}, "MAPPING_FIELD", "one of ['f1', 'f2']", "'f3'",
        id="row_128_an_unknown_field_of_the_source",
    ),
    pytest.param(
        Inner, Inner, {"f1": "f4"}, "MAPPING_FIELD", "one of ['f1', 'f2']", "'f4'",
        id="row_128_an_unknown_field_of_the_target",
    ),
    pytest.param(
        Outer, dict[str, str], {"_secret": "x"}, "MAPPING_FIELD", "one of", "'_secret'",
        id="row_128_a_private_field_of_the_source",
    ),
    pytest.param(
        Inner, Outer, {"f1": "_secret"}, "MAPPING_FIELD", "one of", "'_secret'",
        id="row_128_a_private_field_of_the_target",
    ),
    pytest.param(
        Inner, Outer, {"f1": "made"}, "MAPPING_FIELD", "one of", "'made'",
        id="a_field_that_the_record_sets",
    ),
    pytest.param(
        DictOuter, dict[str, Any], {"nothing": "x"}, "MAPPING_FIELD", "one of", "'nothing'",
        id="a_key_that_a_typed_dict_has_not",
    ),
    pytest.param(
        dict[int, str], dict[str, str], {"1": "x"}, "MAPPING_CONTAINER", "a dataclass", "dict",
        id="keys_that_are_no_names",
    ),
    pytest.param(
        str, Outer, {WHOLE: "anything"}, "MAPPING_REQUIRED", "'inner'", "",
        id="a_field_that_nothing_gives",
    ),
    pytest.param(
        int, StructOuter, {str: "note"}, "MAPPING_REQUIRED", "'inner'", "",
        id="a_field_of_a_struct_that_nothing_gives",
    ),
    pytest.param(
        int, ModelOuter, {WHOLE: "count"}, "MAPPING_REQUIRED", "'inner'", "",
        id="a_field_of_a_model_that_nothing_gives",
    ),
    pytest.param(
        int, dict[str, Outer], {WHOLE: ("k", "inner", "f2")}, "MAPPING_REQUIRED", "'f1'", "",
        id="a_nested_field_that_nothing_gives",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted", "fields", "code", "expected", "found"), WRONG)
def test_what_is_wrong_with_a_mapping(
    given: Any, wanted: Any, fields: Any, code: str, expected: str, found: str
) -> None:
    (problem,) = problems(given, wanted, fields)
    assert problem.code == code
    assert expected in problem.expected
    assert found in problem.found
    assert problem.path[-1] == END
    assert problem.remedy


def test_every_problem_is_told_at_once() -> None:
    workflow = Workflow(Inner, dict[str, int])
    workflow.add("a", len).input(START, {"f3": WHOLE})
    workflow.add("b", lambda text: text).depends_on("a").value("x", 1).value("x", 2)
    workflow.end().input("a", {WHOLE: "n"}).input("b", {WHOLE: "n"}).value(("n", "m"), "no")
    with pytest.raises(CompileError) as caught:
        workflow.compile()
    assert [problem.code for problem in caught.value.problems][:1] == ["MAPPING_CONFLICT"]
    # the two constants are told first, as unknown names are: the rest waits for them
    again = Workflow(Inner, dict[str, int])
    again.add("a", len).input(START, {"f3": WHOLE})
    again.end().input("a", {WHOLE: "n"}).value(("n", "m"), 1).value("k", "text")
    with pytest.raises(CompileError) as caught:
        again.compile()
    codes = [problem.code for problem in caught.value.problems]
    assert codes == ["MAPPING_FIELD", "MAPPING_CONTAINER", "MAPPING_TYPE", "MAPPING_CONFLICT"]


def test_row_132_two_sources_for_one_place() -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("1", str.upper).input(START)
    workflow.add("2", str.lower).input(START)
    workflow.end().input("1", {WHOLE: "f"}).input("2", {WHOLE: "f"})
    with pytest.raises(CompileError, match="fill the same place"):
        workflow.compile()


@pytest.mark.parametrize("place", [WHOLE, "start"], ids=["whole", "same"])
def test_row_137_a_constant_and_an_input_for_one_place(place: Any) -> None:
    workflow = Workflow(str, dict[str, str])
    workflow.add("0", lambda given: given).input(START, {WHOLE: place}).value("start", "x")
    workflow.end().input("0")
    with pytest.raises(CompileError, match="fill the same place") as caught:
        workflow.compile()
    (problem,) = caught.value.problems
    assert ("stands alone" in problem.remedy) == (place == WHOLE)


async def test_row_142_a_type_known_only_at_run_time_is_checked_then() -> None:
    run = mapped(dict[str, Any], Inner, {"a": "f1"})
    assert await both(run, {"a": "x"}) == Inner("x")
    for call in (run.invoke({"a": 1}), run.stream({"a": 1}).concat()):
        with pytest.raises(GraphRunError, match="wrong type") as caught:
            await call
        assert caught.value.code == "RUNTIME_TYPE"
        assert "a -> f1" in str(caught.value)


async def test_row_143_none_goes_where_none_is_taken() -> None:
    into_dict = mapped(dict[str, Any], dict[str, Any], {"a": "b"})
    assert await both(into_dict, {"a": None}) == {"b": None}
    into_optional = mapped(dict[str, Any], Outer, {"a": "maybe", "i": "inner"})
    expected = Outer(inner=Inner("x"), maybe=None)
    assert await both(into_optional, {"a": None, "i": Inner("x")}) == expected
    into_number = mapped(dict[str, int | None], dict[str, int], {"a": "b"})
    assert await both(into_number, {"a": 2}) == {"b": 2}
    for call in (into_number.invoke({"a": None}), into_number.stream({"a": None}).concat()):
        with pytest.raises(GraphRunError) as caught:
            await call
        assert caught.value.code == "RUNTIME_TYPE"


@pytest.mark.parametrize(
    ("kind", "value", "path", "found"),
    [
        pytest.param(Outer, Outer(inner=Inner("x")), ("maybe", "f1"), "None", id="record"),
        pytest.param(dict[str, Any], {"a": None}, ("a", "b"), "None", id="dict"),
        pytest.param(Any, {"a": Inner("x")}, ("a", "f3"), "Inner", id="any_record"),
        pytest.param(Any, {"a": Outer(Inner("x"))}, ("a", "_secret"), "Outer", id="any_private"),
        pytest.param(Any, {"a": 1}, ("a", "b"), "int", id="any_number"),
        pytest.param(dict[str, str], {"b": "x"}, "a", "the keys ['b']", id="key"),
    ],
)
async def test_row_146_a_part_that_is_not_there_is_told_with_the_place(
    kind: Any, value: Any, path: Any, found: str
) -> None:
    run = mapped(kind, dict[str, Any], {path: "to"})
    for call in (run.invoke(value), run.stream(value).concat()):
        with pytest.raises(GraphRunError) as caught:
            await call
        assert caught.value.code == "MAPPING_MISSING"
        assert found in str(caught.value)


async def test_none_says_nothing_yet_while_a_stream_runs() -> None:
    run = mapped(dict[str, Any], Inner, {"a": "f1"})
    assert await run.collect(Stream.of([{"a": None}, {"a": "x"}, {"a": "y"}])) == Inner("xy")


async def test_a_part_that_does_not_add_up_by_chunks_is_read_from_the_sum() -> None:
    @dataclass
    class Reading:
        best: int

        @classmethod
        def __concat__(cls, items: list[Reading]) -> Reading:
            return cls(max(item.best for item in items))

    run = mapped(Reading, dict[str, int], {"best": "best"})
    chunks = [Reading(3), Reading(9), Reading(4)]
    assert await run.collect(Stream.of(chunks)) == {"best": 9}


def test_a_node_without_data_whose_type_has_no_empty_value() -> None:
    def takes(given: Inner) -> str:
        return given.f1

    workflow = Workflow(str, str)
    workflow.add("a", takes).depends_on(START)
    workflow.end().input("a")
    with pytest.raises(CompileError, match="no empty value") as caught:
        workflow.compile()
    assert caught.value.problems[0].code == "NO_INPUT"


def test_a_node_that_nothing_lets_run() -> None:
    workflow = Workflow(str, str)
    workflow.add("a", str.upper).input(START, control=False)
    workflow.end().input("a")
    with pytest.raises(CompileError) as caught:
        workflow.compile()
    assert {problem.code for problem in caught.value.problems} == {"NO_START"}


def test_a_loop_by_data_alone_is_refused() -> None:
    workflow = Workflow(str, str)
    workflow.add("a", lambda given: "").input(START, {WHOLE: "x"})
    workflow.add("b", str.upper).input("a")
    workflow.end().input("b")
    a = workflow.add("c", lambda given: "")
    a.depends_on("b").input("d", {WHOLE: "x"}, control=False)
    workflow.add("d", str.upper).input("c")
    workflow.end().depends_on("d")
    with pytest.raises(CompileError, match="loop"):
        workflow.compile()


async def later(given: Any) -> Any:
    return given


@pytest.mark.parametrize("fields", [{}, {"a": 1}, {1: "a"}, {("a", 1): "b"}, {later: "a"}])
def test_a_mapping_that_is_none_is_refused_where_it_is_written(fields: Any) -> None:
    with pytest.raises(DeclarationError):
        Workflow(str, str).end().input(START, fields)

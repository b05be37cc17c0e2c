"""Tools as models see them: parameters, JSON Schema, and reading arguments back."""

import dataclasses
import json
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from pyeino.errors import DeclarationError, ParseError
from pyeino.schema import (
    DataType,
    ParameterInfo,
    ToolInfo,
    function_input,
    json_schema_of,
)


class Model(pydantic.BaseModel):
    size: int
    title: str = "t"


class Struct(msgspec.Struct):
    model: Model | None = None


@dataclasses.dataclass
class Query:
    text: str
    tags: list[str] = dataclasses.field(default_factory=list)


class Options(TypedDict):
    depth: int
    mode: NotRequired[Literal["a", "b"]]


class Tree(msgspec.Struct):
    kids: list["Tree"]


def test_row_231_parameters_become_a_sorted_nested_schema() -> None:
    info = ToolInfo(
        name="t",
        parameters={
            "z": ParameterInfo(type=DataType.STRING, enum=("a", "b"), required=True),
            "a": ParameterInfo(
                type=DataType.OBJECT,
                description="an a",
                required=True,
                properties={
                    "y": ParameterInfo(type=DataType.INTEGER),
                    "b": ParameterInfo(
                        type=DataType.ARRAY, items=ParameterInfo(type=DataType.NUMBER)
                    ),
                },
            ),
        },
    )
    schema = info.input_schema()
    assert schema == {
        "type": "object",
        "properties": {
            "a": {
                "type": "object",
                "properties": {
                    "b": {"type": "array", "items": {"type": "number"}},
                    "y": {"type": "integer"},
                },
                "additionalProperties": False,
                "description": "an a",
            },
            "z": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["a", "z"],
        "additionalProperties": False,
    }
    assert list(schema["properties"]) == ["a", "z"]
    assert list(schema["properties"]["a"]["properties"]) == ["b", "y"]


def test_row_231_json_round_trip_keeps_empty_parameters() -> None:
    for info in (
        ToolInfo(name="none"),
        ToolInfo(name="empty", parameters={}),
        ToolInfo(name="schema", json_schema={"type": "object"}, extra={"k": 1}),
    ):
        assert msgspec.json.decode(msgspec.json.encode(info), type=ToolInfo) == info
    assert ToolInfo(name="none").input_schema() is None
    assert ToolInfo(name="empty", parameters={}).input_schema() == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_a_tool_has_one_description_of_its_input() -> None:
    with pytest.raises(DeclarationError, match="both"):
        ToolInfo(name="t", parameters={}, json_schema={})


def test_row_248_schema_of_a_function_from_annotations_and_docstring() -> None:
    def search(
        query: str,
        where: Query,
        model: Model | None = None,
        mode: Literal["fast", "good"] = "fast",
        count: Annotated[int, "how many"] = 3,
    ) -> str:
        """Search the shelves.

        Slowly.

        Args:
            query: what to look for,
                in plain words
            where (Query): which shelf: top or bottom

        Returns:
            count: not a parameter here
        """
        return ""

    info = function_input(search).info
    assert (info.name, info.description) == ("search", "Search the shelves.\n\nSlowly.")
    assert info.input_schema() == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what to look for, in plain words"},
            "where": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["text"],
                "additionalProperties": False,
                "description": "which shelf: top or bottom",
            },
            "model": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "size": {"type": "integer"},
                            "title": {"type": "string", "default": "t"},
                        },
                        "required": ["size"],
                        "additionalProperties": False,
                    },
                    {"type": "null"},
                ],
                "default": None,
            },
            "mode": {"enum": ["fast", "good"], "default": "fast"},
            "count": {"type": "integer", "description": "how many", "default": 3},
        },
        "required": ["query", "where"],
        "additionalProperties": False,
    }


def numpy_style(a: int, b: str = "x") -> None:
    """Do it.

    Parameters
    ----------
    a : int
        the first
    b : str
        the second,
        longer

    Returns
    -------
    a : not this
    """


def sphinx_style(a: int, b: str = "x") -> None:
    """Do it.

    :param a: the first
    :param str b: the second,
        longer
    :returns: nothing
    """


@pytest.mark.parametrize("function", [numpy_style, sphinx_style])
def test_other_docstring_styles(function: Any) -> None:
    info = function_input(function).info
    assert info.description == "Do it."
    properties = (info.input_schema() or {})["properties"]
    assert properties["a"]["description"] == "the first"
    assert properties["b"]["description"] == "the second, longer"


@pytest.mark.parametrize(
    ("record", "given", "expected"),
    [
        (Query, '{"text": "x"}', Query("x")),
        (Struct, '{"model": {"size": 1}}', Struct(model=Model(size=1))),
        (Model, '{"size": 1}', Model(size=1)),
        (Options, '{"depth": 1}', {"depth": 1}),
    ],
)
def test_a_single_record_is_the_whole_input(record: Any, given: str, expected: Any) -> None:
    def tool(request):  # type: ignore[no-untyped-def]
        """Use it."""

    tool.__annotations__["request"] = record
    read = function_input(tool)
    schema = read.info.input_schema() or {}
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert "$ref" not in json.dumps(schema)
    assert read.parse(given) == {"request": expected}


def test_parse_leaves_defaults_to_the_function_and_converts_the_rest() -> None:
    def tool(query: Query, model: Model, count: int = 3) -> None: ...

    read = function_input(tool, name="n", description="d", exclude=())
    assert (read.info.name, read.info.description) == ("n", "d")
    assert read.parse('{"query": {"text": "x"}, "model": {"size": 2}}') == {
        "query": Query("x"),
        "model": Model(size=2),
    }


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_a_function_without_parameters_takes_empty_text(text: str) -> None:
    assert function_input(lambda: None, name="t").parse(text) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("[]", "JSON object"),
        ('{"b": 1}', r"missing \['a'\], unknown \['b'\]"),
        ('{"a": {"text": 1}}', r"tool: a.*|Expected `str`.*\$\.text"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(text: str, message: str) -> None:
    def tool(a: Query, count: int = 1) -> None: ...

    with pytest.raises(ParseError, match=message):
        function_input(tool).parse(text)


def test_excluded_parameters_are_left_to_the_caller() -> None:
    def tool(context, query: str) -> None: ...  # type: ignore[no-untyped-def]

    assert list(function_input(tool, exclude=("context",)).annotations) == ["query"]


def test_parameters_that_a_model_cannot_fill_in_are_refused() -> None:
    def bare(x): ...  # type: ignore[no-untyped-def]
    def many(*values: int) -> None: ...
    def any_name(**values: int) -> None: ...
    def odd(value: complex) -> None: ...
    def by_position(value: int, /) -> None: ...

    for function in (bare, many, any_name, odd, by_position):
        with pytest.raises(DeclarationError):
            function_input(function)


def test_a_type_that_contains_itself_has_no_schema() -> None:
    with pytest.raises(DeclarationError, match="contains itself"):
        json_schema_of(Tree)


def test_one_type_twice_is_written_out_twice() -> None:
    schema = json_schema_of(tuple[Query, Query])
    assert "$ref" not in json.dumps(schema)

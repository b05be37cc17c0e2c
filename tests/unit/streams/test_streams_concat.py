"""concat: the rules for each type, and its cost as a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from pyeino.errors import ConcatError, EmptyStreamError
from pyeino.streams import (
    SourceEnd,
    Stream,
    concat_by_position,
    concat_items,
    register_concat,
)


class Kind(StrEnum):
    A = "a"
    B = "b"


@dataclass(frozen=True)
class Record:
    text: str = ""
    count: int = 0


class Wire(msgspec.Struct, frozen=True):
    text: str = ""


class Joined:
    calls = 0
    seen = 0

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def __concat__(cls, items: Sequence[Joined]) -> Joined:
        cls.calls += 1
        cls.seen += len(items)
        return cls("".join(item.text for item in items))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["a", "b", "c"], "abc"),
        ([b"a", b"b"], b"ab"),
        ([1, 2], 2),
        ([1.5, 0.5], 0.5),
        ([1, 2.5], 2.5),
        ([True, False], False),
        ([date(2026, 1, 1), date(2026, 1, 2)], date(2026, 1, 2)),
        ([[1], [2, 3], []], [1, 2, 3]),
        ([(1,), (2,)], (1, 2)),
        ([None, "a", None, "b"], "ab"),
        ([None, None], None),
        ([None], None),
        (["a", SourceEnd(name="x"), "b"], "ab"),
        ([{"a": "x"}, {"b": 1}, {"a": "y", "b": 2}], {"a": "xy", "b": 2}),
        ([{"a": None}, {"a": "x"}], {"a": "x"}),
        ([{"a": None}, {"a": None}], {"a": None}),
        ([{"a": None}, {"b": 1}], {"a": None, "b": 1}),
        ([{"a": {"b": "1"}}, {"a": {"b": "2", "c": [1]}}], {"a": {"b": "12", "c": [1]}}),
        ([Record(), Record(text="a"), Record()], Record(text="a")),
        ([Record(), Record()], Record()),
        ([Wire(), Wire(text="b")], Wire(text="b")),
        ([set[int](), {1}], {1}),
    ],
)
def test_rules(items: list[Any], expected: object) -> None:
    result = concat_items(items)
    assert result == expected
    assert type(result) is type(expected)


def test_one_item_is_returned_as_it_is() -> None:
    item = object()
    assert concat_items([item]) is item


def test_nothing_is_an_error_of_its_own() -> None:
    with pytest.raises(EmptyStreamError, match="without an item"):
        concat_items([])
    with pytest.raises(EmptyStreamError):
        concat_items([SourceEnd(name="a")])


@pytest.mark.parametrize(
    ("items", "text"),
    [
        (["a", 1], "different types.*int, str"),
        ([True, 1], "different types"),
        ([{"a": {"b": 1}}, {"a": {"b": "x"}}], "key 'a' > key 'b'"),
        ([Record(text="a"), Record(text="b")], "several values of type Record.*__concat__"),
        ([Kind.A, Kind.B], "several values of type Kind"),
        ([object(), object()], "several values of type object"),
    ],
)
def test_contradictions_are_told_with_their_place(items: list[Any], text: str) -> None:
    with pytest.raises(ConcatError, match=text):
        concat_items(items)


def test_a_type_brings_its_own_concat() -> None:
    assert concat_items([Joined("a"), Joined("b")]).text == "ab"
    assert concat_items([{"k": Joined("a")}, {"k": Joined("b")}])["k"].text == "ab"


def test_a_registered_function_goes_before_every_other_rule() -> None:
    class Sum(Joined):
        pass

    class Text(str):
        __slots__ = ()

    register_concat(Sum, lambda items: Sum("+".join(item.text for item in items)))
    register_concat(Text, lambda items: Text("-".join(items)))
    assert concat_items([Sum("1"), Sum("2")]).text == "1+2"
    assert concat_items([Text("1"), Text("2")]) == "1-2"


def test_a_failing_function_says_where_and_keeps_the_cause() -> None:
    class Bad:
        pass

    def fail(items: Sequence[Bad]) -> Bad:
        raise KeyError("inside")

    register_concat(Bad, fail)
    with pytest.raises(ConcatError, match=r"Bad failed.*key 'k'") as caught:
        concat_items([{"k": Bad()}, {"k": Bad()}])
    assert isinstance(caught.value.__cause__, KeyError)


def test_something_without_a_truth_value_is_something() -> None:
    class Array:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    array = Array()
    assert concat_items([None, array, None]) is array
    with pytest.raises(ConcatError):
        concat_items([array, Array()])


def test_items_are_not_changed() -> None:
    lists, dicts = [[1], [2]], [{"a": [1]}, {"a": [2]}]
    concat_items(lists)
    concat_items(dicts)
    assert (lists, dicts) == ([[1], [2]], [{"a": [1]}, {"a": [2]}])


def test_by_position() -> None:
    assert concat_by_position([["a", None], [None, "x"], ["b", "y"]]) == ["ab", "xy"]
    assert concat_by_position([["a", None]]) == ["a", None]
    assert concat_by_position([]) == []
    with pytest.raises(ConcatError, match=r"lengths \[1, 2\]"):
        concat_by_position([["a"], ["b", "c"]])
    with pytest.raises(ConcatError, match="key 1"):
        concat_by_position([["a", "x"], ["b", 1]])


async def test_ten_thousand_chunks_are_one_call_over_each_chunk_once() -> None:
    Joined.calls = Joined.seen = 0
    whole = await Stream.of(Joined("x") for _ in range(10_000)).concat()
    assert (Joined.calls, Joined.seen, len(whole.text)) == (1, 10_000, 10_000)
    Joined.calls = Joined.seen = 0
    await Stream.of({"k": {"l": Joined("x")}} for _ in range(10_000)).concat()
    assert (Joined.calls, Joined.seen) == (1, 10_000)

"""Values that a model wrote as JSON."""

import dataclasses
from typing import TypedDict

import msgspec
import pydantic
import pytest

from pyeino.errors import DeclarationError, ParseError
from pyeino.schema import FunctionCall, Message, MessageParser, ToolCall


@dataclasses.dataclass
class Record:
    id: int


class Struct(msgspec.Struct):
    id: int


class Model(pydantic.BaseModel):
    id: int


class Typed(TypedDict):
    id: int


def called(*arguments: str) -> Message:
    return Message.assistant(
        "", tool_calls=[ToolCall(function=FunctionCall(name="f", arguments=a)) for a in arguments]
    )


def test_row_232_content_and_first_tool_call() -> None:
    assert MessageParser(Record).parse(Message.assistant('{"id": 1}')) == Record(1)
    parser = MessageParser(Record, source="tool_call")
    assert parser.parse(called('{"id": 1}', '{"id": 2}')) == Record(1)


def test_row_232_key_paths_of_one_and_two_levels() -> None:
    message = Message.assistant('{"a": {"id": 1, "b": {"id": 2}}}')
    assert MessageParser(Record, key_path="a").parse(message) == Record(1)
    assert MessageParser(Record, key_path="a.b").parse(message) == Record(2)


@pytest.mark.parametrize("kind", [Record, Struct, Model])
def test_row_232_every_kind_of_record(kind: type[Record]) -> None:
    assert MessageParser(kind).parse(Message.assistant('{"id": 1}')) == kind(id=1)


def test_row_232_lists_typed_dicts_and_plain_values() -> None:
    assert MessageParser(list[Record]).parse(Message.assistant('[{"id": 1}]')) == [Record(1)]
    assert MessageParser(Typed).parse(Message.assistant('{"id": 1}')) == {"id": 1}
    assert MessageParser(int).parse(Message.assistant("3")) == 3


@pytest.mark.parametrize(
    ("parser", "message", "expected"),
    [
        (MessageParser(Record), Message.assistant("no"), "not JSON"),
        (MessageParser(Record), Message.assistant("[" * 100_000), "not JSON"),
        (MessageParser(Record), Message.assistant('{"id": "x"}'), r"\$\.id"),
        (MessageParser(Model), Message.assistant('{"id": "x"}'), "id"),
        (MessageParser(Record, source="tool_call"), Message.assistant("x"), "no tool call"),
        (MessageParser(Record, key_path="a.b"), Message.assistant('{"a": {}}'), "'a.b'"),
        (MessageParser(Record, key_path="a.b"), Message.assistant('{"a": 1}'), "'a.b'"),
    ],
)
def test_row_232_what_does_not_fit_is_a_parse_error(
    parser: MessageParser[object], message: Message, expected: str
) -> None:
    with pytest.raises(ParseError, match=expected):
        parser.parse(message)


def test_row_232_invalid_configurations_are_refused_at_once() -> None:
    with pytest.raises(DeclarationError, match="'reasoning'"):
        MessageParser(Record, source="reasoning")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="empty key"):
        MessageParser(Record, key_path="a..b")
    with pytest.raises(DeclarationError, match="cannot be read"):
        MessageParser(object).parse(Message.assistant("{}"))

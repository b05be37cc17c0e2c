"""MessageParser: the value that a model wrote as JSON, in its answer or in a tool call."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar, cast, get_args

import msgspec

from pyeino.errors import DeclarationError, ParseError
from pyeino.schema._message import Message

ValueT = TypeVar("ValueT")
Source = Literal["content", "tool_call"]


class MessageParser(Generic[ValueT]):
    """Reads a value of one type out of a message.

    `source` is the message's "content" or the arguments of its first "tool_call"; `key_path` leads
    to the value through nested JSON objects ("a.b"). The type may be a dataclass, a msgspec Struct,
    a Pydantic model, a TypedDict or plain; data that do not fit are a ParseError with their path.
    """

    __slots__ = ("_keys", "_source", "_type")

    def __init__(
        self, type: type[ValueT], *, source: Source = "content", key_path: str = ""
    ) -> None:
        if source not in get_args(Source):
            raise DeclarationError(
                "a message cannot be parsed from there",
                expected=" or ".join(repr(name) for name in get_args(Source)),
                found=repr(source),
            )
        self._type = type
        self._source = source
        self._keys = tuple(key_path.split(".")) if key_path else ()
        if not all(self._keys):
            raise DeclarationError(
                "a key path has an empty key", expected='keys as in "a.b"', found=repr(key_path)
            )

    def parse(self, message: Message) -> ValueT:
        """The value in `message`; ParseError when it is not there or not of the type."""
        where, text = self._text(message)
        try:
            value: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ParseError(
                f"the text is not JSON: {error}", where=where, found=_shortened(text)
            ) from error
        for depth, key in enumerate(self._keys):
            if not isinstance(value, dict) or key not in value:
                raise ParseError(
                    f"the JSON has no key {'.'.join(self._keys[: depth + 1])!r}",
                    where=where,
                    expected=f"an object with {key!r}",
                    found=_shortened(text),
                )
            value = cast("dict[str, Any]", value)[key]
        return convert(value, self._type, where=where)

    def _text(self, message: Message) -> tuple[str, str]:
        if self._source == "content":
            return "content", message.content
        if not message.tool_calls:
            raise ParseError(
                "the message has no tool call",
                where="tool_calls",
                expected="at least one tool call",
                found=f"{message.role.value} message {_shortened(message.content)}",
            )
        return "tool_calls[0].function.arguments", message.tool_calls[0].function.arguments


def convert(value: Any, type: type[ValueT], *, where: str) -> ValueT:
    """`value`, as JSON gives it, as a `type`; ParseError names the spot that does not fit."""
    try:
        return msgspec.convert(value, type, dec_hook=build_foreign)
    except msgspec.ValidationError as error:
        raise ParseError(f"the JSON does not fit the type: {error}", where=where) from error
    except (TypeError, NotImplementedError) as error:
        raise DeclarationError(
            f"values of {type!r} cannot be read from JSON: {error}", where=where
        ) from error


def build_foreign(kind: type[Any], value: Any) -> Any:
    """A Pydantic model from plain data, found by its methods so that Pydantic is never imported."""
    validate = getattr(kind, "model_validate", None)
    if validate is None:
        raise NotImplementedError(f"values of type {kind.__name__} cannot be made from plain data")
    return value if isinstance(value, kind) else validate(value)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")

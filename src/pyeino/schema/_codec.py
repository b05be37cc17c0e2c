"""Codec: values to bytes and back, as data only.

Bytes are MessagePack: [format, format version, tree]. In the tree plain values stand for
themselves; a value of a declared type is a map {"~": name, "v": version, "d": fields}, and so are
tuples, sets, times and maps whose keys are not all text. Decoding looks names up among the declared
types only; nothing is imported and nothing is run but the checks of those types.
"""

from __future__ import annotations

import enum
from typing import Any, Final, TypeVar, cast, overload

import msgspec

from pyeino.errors import CodecError
from pyeino.schema._codec_check import misfit
from pyeino.schema._codec_plain import (
    NO_SPECIAL,
    TAG,
    decode_special,
    encode_special,
    is_plain_leaf,
)
from pyeino.schema._codec_types import StoredType, TypeTable, problems_of
from pyeino.schema._document import Document
from pyeino.schema._message import Message
from pyeino.schema._records import (
    empty_defaults,
    field_names,
    is_pydantic,
    known_annotations,
    type_of,
)
from pyeino.schema._tool_info import ToolChoice, ToolInfo
from pyeino.schema._tool_result import ToolResult

_FORMAT: Final = "pyeino"
_FORMAT_VERSION: Final = 1
_MAX_DEPTH: Final = 100
_OWN: tuple[type[Any], ...] = (Message, Document, ToolChoice, ToolInfo, ToolResult)

ValueT = TypeVar("ValueT")


class Codec:
    """Stores values of the types it was made with, and of those that their fields name.

    Messages, documents and tools are always known. Types may be dataclasses, msgspec Structs,
    Pydantic models, NamedTuples and Enums; wrap one in `StoredType` for a lasting name, a version
    and up-casters. Values come back equal and of the same class, also inside fields of type Any.
    """

    __slots__ = ("_table",)

    def __init__(self, *types: type[Any] | StoredType) -> None:
        self._table = TypeTable((*types, *_OWN))

    def problems(self, annotation: Any) -> tuple[str, ...]:
        """Why values of this type cannot make the round trip, each with its path; () if they can.

        Asked before the first value exists, by whoever is going to store some.
        """
        name = getattr(annotation, "__name__", None) or str(annotation)
        return tuple(problems_of(annotation, self._table, name))

    def encode(self, value: Any) -> bytes:
        """The bytes of `value`; CodecError with the path to what cannot be stored."""
        return msgspec.msgpack.encode([_FORMAT, _FORMAT_VERSION, self._encode(value, "$", 0)])

    @overload
    def decode(self, data: bytes) -> Any: ...
    @overload
    def decode(self, data: bytes, expected: type[ValueT]) -> ValueT: ...
    def decode(self, data: bytes, expected: Any = Any) -> Any:
        """The value of `data`, which has to be an `expected`.

        Raises CodecError, and nothing else, for whatever is wrong with the bytes: truncated,
        altered, of an unknown type, of a newer version, or of another type than expected.
        """
        try:
            parts: object = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise CodecError(f"these bytes cannot be read: {error}") from error
        head = cast("list[object]", parts) if isinstance(parts, list) else []
        if len(head) != 3 or head[0] != _FORMAT or type(head[1]) is not int:
            raise CodecError("these bytes were not written by this codec")
        if head[1] != _FORMAT_VERSION:
            raise CodecError(
                "the bytes have another format version",
                expected=str(_FORMAT_VERSION),
                found=str(head[1]),
                remedy="read them with the pyeino that wrote them, or a newer one",
            )
        value = self._decode(head[2], "$", 0)
        _check(value, expected, "$")
        return value

    def _encode(self, value: Any, where: str, depth: int) -> Any:
        kind = type_of(value)
        if is_plain_leaf(value):
            return value
        _refuse_depth(depth, where)
        if kind is list:
            return [self._encode(one, f"{where}[{i}]", depth + 1) for i, one in enumerate(value)]
        if kind is dict and TAG not in value and all(type(key) is str for key in value):
            return {
                key: self._encode(one, f"{where}.{key}", depth + 1) for key, one in value.items()
            }
        special = encode_special(
            value, lambda one, at: self._encode(one, f"{where}{at}", depth + 1)
        )
        if special is not NO_SPECIAL:
            return special
        entry = self._table.of_type(kind)
        if entry is None:
            raise CodecError(
                f"a value of type {kind.__qualname__} cannot be stored",
                where=where,
                expected="plain data or a declared type",
                remedy=f"declare it: Codec({kind.__qualname__})",
            )
        return {
            TAG: entry.stored_name,
            "v": entry.version,
            "d": self._fields_of(value, where, depth),
        }

    def _fields_of(self, value: Any, where: str, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self._encode(value.value, where, depth + 1)
        kind = type_of(value)
        if getattr(value, "model_extra", None):
            raise CodecError(
                f"a {kind.__qualname__} with undeclared fields cannot be stored",
                where=where,
                found=", ".join(value.model_extra)[:200],
            )
        empty = empty_defaults(kind)
        fields = {name: getattr(value, name) for name in field_names(kind) or ()}
        return {
            name: self._encode(one, f"{where}.{name}", depth + 1)
            for name, one in fields.items()
            if one or name not in empty or type(one) is not type(empty[name])
        }

    def _decode(self, node: Any, where: str, depth: int) -> Any:
        kind = type_of(node)
        if kind is list:
            _refuse_depth(depth, where)
            return [self._decode(one, f"{where}[{i}]", depth + 1) for i, one in enumerate(node)]
        if kind is not dict:
            if not is_plain_leaf(node):
                raise CodecError(f"unexpected {kind.__name__} in the data", where=where)
            return node
        _refuse_depth(depth, where)
        if not all(type(key) is str for key in node):
            raise CodecError("a map has keys that are not text", where=where)
        if TAG in node:
            return self._decode_tagged(node, where, depth)
        return {key: self._decode(one, f"{where}.{key}", depth + 1) for key, one in node.items()}

    def _decode_tagged(self, node: dict[str, Any], where: str, depth: int) -> Any:
        name, data = node[TAG], node.get("d")
        special = decode_special(
            name, data, lambda one, at: self._decode(one, f"{where}{at}", depth + 1), where
        )
        if special is not NO_SPECIAL:
            return special
        entry = self._table.of_name(name) if isinstance(name, str) else None
        if entry is None:
            raise CodecError(
                f"unknown type {name!r}"[:200],
                where=where,
                expected="one of " + ", ".join(sorted(self._table.names)[:30]),
                remedy="make the codec with this type, or give its new class this name as an alias",
            )
        fields = self._decode(data, where, depth + 1)
        return _build(entry, _upcast(entry, node.get("v"), fields, where), where)


def _refuse_depth(depth: int, where: str) -> None:
    if depth > _MAX_DEPTH:
        raise CodecError(
            "the value is nested too deeply, or contains itself",
            where=where[:80] + "...",
            expected=f"at most {_MAX_DEPTH} levels",
        )


def _upcast(entry: StoredType, version: object, fields: Any, where: str) -> Any:
    if type(version) is not int or not 1 <= version <= entry.version:
        raise CodecError(
            f"{entry.stored_name} has a version that this program does not know",
            where=where,
            expected=f"1 to {entry.version}",
            found=repr(version),
            remedy="run the newer program, or store again from it in this version",
        )
    for step in range(version, entry.version):
        upcaster = entry.upcasters.get(step)
        if upcaster is None:
            raise CodecError(
                f"nothing turns version {step} of {entry.stored_name} into {step + 1}",
                where=where,
                remedy=f"declare it: StoredType(..., upcasters={{{step}: function}})",
            )
        try:
            fields = upcaster(fields)
        except Exception as error:
            raise CodecError(
                f"the up-caster of {entry.stored_name} from version {step} failed: {error}",
                where=where,
            ) from error
    return fields


def _build(entry: StoredType, fields: Any, where: str) -> Any:
    kind = entry.type
    if issubclass(kind, enum.Enum):
        return _checked_enum(kind, fields, where)
    if type(fields) is not dict:
        raise CodecError(
            f"the fields of {entry.stored_name} are not a map",
            where=where,
            found=type(fields).__name__,
        )
    stored = cast("dict[str, Any]", fields)
    annotations = known_annotations(kind)
    unknown = stored.keys() - annotations.keys()
    if unknown:
        raise CodecError(
            f"{entry.stored_name} has no field {min(unknown)!r}"[:200],
            where=where,
            expected="the fields " + ", ".join(annotations),
            remedy="raise the version of the type and give it an up-caster when its fields change",
        )
    for name, one in stored.items():
        _check(one, annotations[name], f"{where}.{name}")
    try:
        return kind.model_validate(stored) if is_pydantic(kind) else kind(**stored)
    except Exception as error:  # a type's own checks may raise anything
        raise CodecError(
            f"the data do not fit {entry.stored_name}: {error}", where=where
        ) from error


def _checked_enum(kind: type[enum.Enum], value: Any, where: str) -> enum.Enum:
    try:
        return kind(value)
    except (ValueError, TypeError) as error:
        raise CodecError(f"{error}"[:200], where=where) from error


def _check(value: Any, annotation: Any, where: str) -> None:
    wrong = misfit(value, annotation, where)
    if wrong is not None:
        raise CodecError(f"the data do not fit: {wrong}", where=where)

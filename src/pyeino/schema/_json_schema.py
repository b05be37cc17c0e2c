"""JSON Schema of a type, written out whole: no $ref, and no members that the type does not name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from pyeino.errors import DeclarationError
from pyeino.schema._records import is_pydantic

_REF = "#/$defs/"
_DROPPED = frozenset({"$defs", "$schema", "discriminator", "title"})
_VERBATIM = frozenset({"const", "default", "enum", "examples", "required"})


def json_schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of a type, as models and providers want it.

    Takes plain types, dataclasses, msgspec Structs, Pydantic models and TypedDicts, nested. All
    references are written out, objects have `additionalProperties: false`, titles are left out.
    Raises DeclarationError for a type without a schema, and for one that contains itself.
    """
    try:
        (schema,), definitions = msgspec.json.schema_components(
            [annotation], schema_hook=_foreign_schema, ref_template=_REF + "{name}"
        )
    except (TypeError, NotImplementedError, ValueError, NameError) as error:
        raise DeclarationError(
            f"no JSON Schema for {annotation!r}: {error}",
            expected="a plain type, dataclass, msgspec Struct, Pydantic model or TypedDict",
        ) from error
    return _written_out(schema, definitions, ())


def _foreign_schema(kind: type[Any]) -> dict[str, Any]:
    if is_pydantic(kind):
        schema = cast("dict[str, Any]", kind.model_json_schema())
        return _written_out(schema, schema.get("$defs", {}), ())
    raise NotImplementedError(f"{kind.__qualname__} is not a record")


def _written_out(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> dict[str, Any]:
    """`schema` with every reference replaced; `inside` are the definitions that it stands in."""
    found: dict[str, Any] = {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(_REF)
        if name in inside:
            raise DeclarationError(
                f"{name} contains itself, so its JSON Schema cannot be written out",
                where=" > ".join((*inside, name)),
                remedy="leave the recursive field out, or give the tool a json_schema of your own",
            )
        found = _written_out(definitions[name], definitions, (*inside, name))
    for key, value in schema.items():
        if key == "$ref" or key in _DROPPED:
            continue
        found[key] = _plain(value) if key in _VERBATIM else _inner(key, value, definitions, inside)
    if "properties" in found:
        found.setdefault("additionalProperties", False)
    if not found.get("required", True):
        del found["required"]
    return found


def _inner(key: str, value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if key in ("properties", "patternProperties"):  # its keys are names, one of them may be title
        members = cast("dict[str, Any]", value)
        return {name: _inner("", one, definitions, inside) for name, one in members.items()}
    if isinstance(value, dict):
        return _written_out(cast("dict[str, Any]", value), definitions, inside)
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        return [_inner("", one, definitions, inside) for one in items]
    return value


def _plain(value: Any) -> Any:
    """`value` as JSON would give it back: tuples as lists, for instance."""
    return json.loads(msgspec.json.encode(value))

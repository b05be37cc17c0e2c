"""ToolInfo: what a model is told about a tool, and how it may choose among tools."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from pyeino.errors import DeclarationError


class ToolChoice(StrEnum):
    """Whether the model must not, may, or has to call a tool."""

    FORBIDDEN = "forbidden"
    ALLOWED = "allowed"
    FORCED = "forced"


class DataType(StrEnum):
    """The JSON types that a parameter can have."""

    OBJECT = "object"
    NUMBER = "number"
    INTEGER = "integer"
    STRING = "string"
    ARRAY = "array"
    NULL = "null"
    BOOLEAN = "boolean"


class ParameterInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One parameter of a tool: `items` describes an array's elements, `properties` an object's."""

    type: DataType
    description: str = ""
    enum: tuple[str, ...] = ()
    required: bool = False
    items: ParameterInfo | None = None
    properties: dict[str, ParameterInfo] | None = None


class ToolExample(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks, and the arguments (a JSON object) with which the tool helps them."""

    text: str
    arguments: dict[str, Any]


class ToolInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model is told about a tool.

    The input is described by `parameters` or by `json_schema`, never by both (DeclarationError);
    neither of them means a tool without input. An empty `parameters` is an object without members.
    `examples` help small models, which write better arguments after having seen some; models that
    are told of tools by a protocol without a place for examples are not shown them.
    """

    name: str
    description: str = ""
    parameters: dict[str, ParameterInfo] | None = None
    json_schema: dict[str, Any] | None = None
    examples: tuple[ToolExample, ...] = ()
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.parameters is not None and self.json_schema is not None:
            raise DeclarationError(
                f"tool {self.name!r} has both parameters and a JSON Schema",
                expected="one description of the input",
                remedy="leave out parameters or json_schema",
            )

    def input_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the input: built from `parameters`, or `json_schema` as it is.

        Keys are sorted, so that equal parameters give equal text. None for a tool without input.
        """
        if self.json_schema is not None:
            return self.json_schema
        if self.parameters is None:
            return None
        return _object_schema(self.parameters)


def _object_schema(parameters: dict[str, ParameterInfo]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _schema_of(parameters[name]) for name in sorted(parameters)},
    }
    required = sorted(name for name, parameter in parameters.items() if parameter.required)
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def _schema_of(parameter: ParameterInfo) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type.value}
    if parameter.properties is not None:
        schema.update(_object_schema(parameter.properties))
    if parameter.description:
        schema["description"] = parameter.description
    if parameter.enum:
        schema["enum"] = list(parameter.enum)
    if parameter.items is not None:
        schema["items"] = _schema_of(parameter.items)
    return schema

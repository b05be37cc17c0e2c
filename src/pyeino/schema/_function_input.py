"""FunctionInput: what a Python function takes, told to a model and read from its answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from pyeino.errors import DeclarationError, ParseError
from pyeino.schema._docstring import read_docstring
from pyeino.schema._json_schema import json_schema_of
from pyeino.schema._parser import convert
from pyeino.schema._records import field_names
from pyeino.schema._tool_info import ToolInfo

_REFUSED_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values",
    inspect.Parameter.VAR_KEYWORD: "takes any name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionInput:
    """The parameters of a function as a tool: `info` for the model, `parse` for its arguments."""

    info: ToolInfo
    annotations: dict[str, Any]
    required: frozenset[str]
    record: str | None

    def parse(self, arguments: str) -> dict[str, Any]:
        """Keyword arguments for the function from JSON text, converted to the annotated types.

        Parameters that are not in the text are left out, so that the function's defaults hold;
        empty text stands for no arguments. ParseError names the argument that is missing, unknown
        or of the wrong type, in words that help a model to try again.
        """
        where = f"arguments of {self.info.name}"
        try:
            values: Any = msgspec.json.decode(arguments) if arguments.strip() else {}
        except (msgspec.DecodeError, RecursionError) as error:
            raise ParseError(f"the text is not JSON: {error}", where=where) from error
        if type(values) is not dict:
            raise ParseError(
                "arguments are a JSON object", where=where, found=type(values).__name__
            )
        if self.record is not None:
            return {self.record: convert(values, self.annotations[self.record], where=where)}
        given = cast("dict[str, Any]", values)
        unknown = sorted(given.keys() - self.annotations.keys())
        missing = sorted(self.required - given.keys())
        if unknown or missing:
            raise ParseError(
                "arguments do not match the parameters",
                where=where,
                expected=", ".join(self.annotations) or "no arguments",
                found=f"missing {missing}, unknown {unknown}",
            )
        return {
            name: convert(value, self.annotations[name], where=f"{where}: {name}")
            for name, value in given.items()
        }


def function_input(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    exclude: Collection[str] = (),
) -> FunctionInput:
    """Read the parameters of `function` from its annotations and docstring.

    A single parameter that is a record (dataclass, msgspec Struct, Pydantic model, TypedDict) is
    the whole input: its fields are the arguments. Otherwise each parameter is one argument. Texts
    about parameters come from the docstring (Google, NumPy or Sphinx style) or from
    `Annotated[str, "text"]`. Parameters in `exclude` are left to the caller. Raises
    DeclarationError for a parameter that a model cannot fill in.
    """
    tool_name: str = name or getattr(function, "__name__", None) or type(function).__name__
    documented = read_docstring(function)
    parameters = _parameters(function, tool_name, exclude)
    hints = _hints(function, tool_name)
    annotations: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name not in hints:
            raise DeclarationError(
                f"parameter {parameter.name!r} has no annotation",
                where=f"tool {tool_name}",
                remedy="annotate it, for the model is told its type",
            )
        annotations[parameter.name] = hints[parameter.name]
    single = parameters[0].name if len(parameters) == 1 else None
    record = single if single is not None and _is_record(annotations[single]) else None
    if record is not None:
        schema = json_schema_of(annotations[record])
    else:
        schema = _object_of(parameters, annotations, documented.parameters)
    return FunctionInput(
        info=ToolInfo(
            name=tool_name,
            description=documented.description if description is None else description,
            json_schema=schema,
        ),
        annotations=annotations,
        required=frozenset(one.name for one in parameters if one.default is one.empty),
        record=record,
    )


def _parameters(
    function: Callable[..., Any], tool: str, exclude: Collection[str]
) -> list[inspect.Parameter]:
    found = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in exclude
    ]
    for parameter in found:
        if parameter.kind in _REFUSED_KINDS:
            raise DeclarationError(
                f"parameter {parameter} {_REFUSED_KINDS[parameter.kind]}",
                where=f"tool {tool}",
                expected="parameters that can be given by name",
            )
    return found


def _hints(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    target: Any = function
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        target = getattr(function, "func", None) or type(function).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"an annotation cannot be resolved: {error}",
            where=f"tool {tool}",
            remedy="import the name at run time, not under TYPE_CHECKING",
        ) from error


def _is_record(annotation: Any) -> bool:
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if not isinstance(kind, type):
        return False
    known = cast("type[Any]", kind)
    if issubclass(known, tuple):
        return False  # a NamedTuple is an array in JSON
    return is_typeddict(known) or field_names(known) is not None


def _object_of(
    parameters: list[inspect.Parameter], annotations: dict[str, Any], texts: dict[str, str]
) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for parameter in parameters:
        annotation = annotations[parameter.name]
        schema = json_schema_of(annotation)
        text = _annotated_text(annotation) or texts.get(parameter.name)
        if text:
            schema["description"] = text
        if parameter.default is not parameter.empty and _is_json(parameter.default):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    required = [one.name for one in parameters if one.default is one.empty]
    if required:
        whole["required"] = required
    return {**whole, "additionalProperties": False}


def _annotated_text(annotation: Any) -> str | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((one for one in annotation.__metadata__ if isinstance(one, str)), None)


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)

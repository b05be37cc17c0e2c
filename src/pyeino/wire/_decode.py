"""JSON bodies to records, with errors that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec

from pyeino.errors import ValidationError

MAX_JSON_DEPTH = 64

RecordT = TypeVar("RecordT")

_AT = re.compile(r"^(?P<text>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\]]*)\]")


def field_error(field: str, message: str, *, code: str = "INVALID_FIELD") -> ValidationError:
    """A 400 that names `field`, written as in `messages[0].content`.

    The metadata carries it as `field` and as the JSON pointer `pointer`.
    """
    metadata = {"field": field, "pointer": pointer_of(field)} if field else {}
    return ValidationError(code, message, metadata=metadata)


def pointer_of(field: str) -> str:
    """The JSON pointer (RFC 6901) of a field written as in `messages[0].content`."""
    steps = [
        name or ("*" if index == "..." else index) for name, index in _STEP.findall(f".{field}")
    ]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def decode_json(body: bytes, decoder: msgspec.json.Decoder[RecordT]) -> RecordT:
    """The record in `body`.

    Raises ValidationError INVALID_JSON when `body` is no JSON (NaN and Infinity are none) or is
    nested deeper than 64 levels, and INVALID_FIELD with the field's name when it does not fit.
    """
    if not body:
        raise ValidationError("INVALID_JSON", "The request body is empty; expected a JSON object")
    try:
        record = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise explain_mismatch(error) from None
    except msgspec.DecodeError as error:
        raise ValidationError(
            "INVALID_JSON", f"The request body is not valid JSON: {error}", cause=error
        ) from None
    except UnicodeDecodeError as error:
        raise ValidationError(
            "INVALID_JSON", "The request body is not valid UTF-8", cause=error
        ) from None
    except RecursionError as error:
        raise _too_deep(error) from None
    if _depth_exceeds(record, MAX_JSON_DEPTH):
        raise _too_deep(None)
    return record


def explain_mismatch(error: msgspec.ValidationError) -> ValidationError:
    """A 400 that names the field which `error` is about."""
    found = _AT.match(str(error))
    text, path = (found["text"], found["path"] or "$") if found else (str(error), "$")
    named = _NAMED.search(text)
    if named is not None:
        path = f"{path}.{named['name']}"
    field = path.removeprefix("$").removeprefix(".")
    where = f"{field}: " if field else ""
    return field_error(field, f"{where}{text}")


def _too_deep(cause: BaseException | None) -> ValidationError:
    return ValidationError(
        "INVALID_JSON",
        f"The request body is nested too deep; at most {MAX_JSON_DEPTH} levels are taken",
        cause=cause,
    )


def _depth_exceeds(value: object, left: int) -> bool:
    if left < 0:
        return True
    children: Any
    if isinstance(value, dict):
        children = cast("dict[str, object]", value).values()
    elif isinstance(value, list | tuple):
        children = cast("list[object]", value)
    elif isinstance(value, msgspec.Struct):
        children = (getattr(value, name) for name in value.__struct_fields__)
    else:
        return False
    return any(_depth_exceeds(child, left - 1) for child in children)

"""Query strings to records, with errors that name the parameter."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from pyeino.errors import ValidationError
from pyeino.wire._decode import explain_mismatch, field_error

MAX_PARAMETERS = 64

RecordT = TypeVar("RecordT")


def decode_query(query: bytes, record: type[RecordT]) -> RecordT:
    """The record whose fields are the parameters of `query`; numbers are read from their text.

    Raises ValidationError INVALID_FIELD for a parameter that is unknown, given twice or out of
    its bounds, and INVALID_QUERY when `query` is not UTF-8 or has more than 64 parameters.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:  # UnicodeError is one
        raise ValidationError(
            "INVALID_QUERY",
            f"The query is not UTF-8, or has more than {MAX_PARAMETERS} parameters",
            cause=error,
        ) from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise field_error(name[:100], f"{name[:100]}: given more than once")
        found[name] = value
    try:
        return msgspec.convert(found, record, strict=False)
    except msgspec.ValidationError as error:
        raise explain_mismatch(error) from None

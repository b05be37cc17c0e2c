"""Requests are checked before anything is stored or run; each error names its field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import NotFoundError, UnauthorizedError, ValidationError
from pyeino.service._limits import ServiceLimits
from pyeino.service._records import (
    CallContext,
    ChatOptions,
    ChatRequest,
    MultiTurnChatRequest,
)
from pyeino.service._transcript import check_transcript

DEFAULT_MODEL: Final = "default"
ROLES: Final = ("system", "user", "assistant", "tool")
_ID_LENGTH = 128
_STOPS = 16

AnyRequest = ChatRequest | MultiTurnChatRequest


def check_request(
    request: AnyRequest,
    call: CallContext,
    *,
    limits: ServiceLimits,
    models: Sequence[ModelInfo],
) -> None:
    """Raise for the first thing that is wrong with `request`.

    ValidationError INVALID_REQUEST with metadata {field, expected, found}; NotFoundError
    MODEL_NOT_FOUND; UnauthorizedError USER_NOT_ALLOWED (403) when it is not the principal's own.
    """
    _check_id("user_id", request.user_id)
    if call.user_id is not None and call.user_id != request.user_id:
        raise UnauthorizedError(
            "USER_NOT_ALLOWED", "user_id is not the caller's own", http_status=403
        )
    if request.session_id:
        _check_id("session_id", request.session_id)
    if call.message_id is not None:
        _check_id("message_id", call.message_id)
    if isinstance(request, ChatRequest):
        _check_text("message", request.message, limits.message_bytes)
    else:
        _check_messages(request, limits)
    _check_json("context", request.context, limits.context_bytes)
    if request.options is not None:
        _check_options(request.options, limits)
        _check_model(request.options.model, models)
    if call.model_options is not None:
        _check_model_options(call.model_options, limits)
        _check_model(call.model_options.model, models)


def _check_messages(request: MultiTurnChatRequest, limits: ServiceLimits) -> None:
    count = len(request.messages)
    if not 1 <= count <= limits.messages:
        raise _invalid("messages", f"1 to {limits.messages} messages", f"{count}")
    total = 0
    for index, message in enumerate(request.messages):
        field = f"messages[{index}]"
        if message.role not in ROLES:
            raise _invalid(f"{field}.role", f"one of {', '.join(ROLES)}", repr(message.role[:32]))
        may_be_empty = message.role in ("assistant", "tool")
        total += _check_text(
            f"{field}.content", message.content, limits.message_bytes, may_be_empty=may_be_empty
        )
        for number, made in enumerate(message.tool_calls):
            arguments = f"{field}.tool_calls[{number}].function.arguments"
            total += _check_text(
                arguments, made.function.arguments, limits.message_bytes, may_be_empty=True
            )
    if total > limits.message_bytes:
        raise _invalid(
            "messages", f"at most {limits.message_bytes} bytes of text in all", f"{total} bytes"
        )
    check_transcript(request.messages)
    if not any(message.role == "user" for message in request.messages):
        raise _invalid("messages", "at least one message with the role user", "none")


def _check_options(options: ChatOptions, limits: ServiceLimits) -> None:
    _check_range("options.temperature", options.temperature, 0, 2)
    _check_range("options.max_tokens", options.max_tokens, 1, limits.max_tokens)
    _check_range("options.top_k", options.top_k, 1, limits.top_k)
    if options.score_threshold is not msgspec.UNSET:
        _check_range("options.score_threshold", options.score_threshold, 0, 1)
    timeout = options.timeout
    if timeout is not None and not 0 < timeout <= limits.timeout:
        expected = f"more than 0 and at most {limits.timeout:g} seconds"
        raise _invalid("options.timeout", expected, f"{timeout:g}")
    if len(options.tools) > limits.tools:
        raise _invalid("options.tools", f"at most {limits.tools} names", f"{len(options.tools)}")
    for index, name in enumerate(options.tools):
        _check_id(f"options.tools[{index}]", name)
    _check_json("options.metadata", options.metadata, limits.metadata_bytes)


def _check_model(model: str | None, models: Sequence[ModelInfo]) -> None:
    known = [DEFAULT_MODEL, *(info.id for info in models if info.id != DEFAULT_MODEL)]
    if model is not None and model not in known:
        raise NotFoundError(
            "MODEL_NOT_FOUND",
            f"There is no model {model[:100]!r}; there are {', '.join(known)}",
            metadata={"field": "options.model", "found": model[:100], "available": known},
        )


def _check_model_options(options: ModelOptions, limits: ServiceLimits) -> None:
    tools = options.tools or ()
    if len(tools) > limits.tools:
        raise _invalid("tools", f"at most {limits.tools} tools", f"{len(tools)}")
    for index, info in enumerate(tools):
        described = {"description": info.description, "parameters": info.input_schema()}
        _check_json(f"tools[{index}]", described, limits.context_bytes)
    # The record has checked its own numbers; what is left are the bounds of this service.
    _check_range("max_tokens", options.max_tokens, 1, limits.max_tokens)
    stops = options.stop or ()
    if len(stops) > _STOPS or not all(stops):
        raise _invalid("stop", f"at most {_STOPS} strings, none of them empty", f"{len(stops)}")
    _check_json("response_format", options.response_format, limits.context_bytes)


def _check_id(field: str, value: str) -> None:
    if not value or len(value) > _ID_LENGTH or not value.isprintable() or value.isspace():
        found = "an empty string" if not value else f"{len(value)} characters: {value[:32]!r}"
        raise _invalid(field, f"1 to {_ID_LENGTH} printable characters", found)


def _check_text(field: str, text: str, limit: int, *, may_be_empty: bool = False) -> int:
    """Bytes of `text` in UTF-8, when it is text that every store and model can take."""
    if not may_be_empty and not text.strip():
        raise _invalid(field, "some text", "nothing" if not text else "white space only")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _invalid(field, "text that UTF-8 can hold", "half of a surrogate pair") from None
    if size > limit:
        raise _invalid(field, f"at most {limit} bytes", f"{size} bytes")
    if "\x00" in text:
        raise _invalid(field, "text without NUL characters", f"one at {text.index(chr(0))}")
    return size


def _check_json(field: str, value: dict[str, Any] | None, limit: int) -> None:
    if not value:
        return
    size = _size_of(value, lambda found: _invalid(field, "data that JSON can hold", found))
    if size > limit:
        raise _invalid(field, f"at most {limit} bytes of JSON", f"{size} bytes")


def _size_of(value: Any, refusal: Callable[[str], ValidationError]) -> int:
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise refusal(str(error)[:200]) from None


def _check_range(field: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise _invalid(field, f"{low:g} to {high:g}", f"{value:g}")


def _invalid(field: str, expected: str, found: str) -> ValidationError:
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )

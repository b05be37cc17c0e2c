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
    check_user(request.user_id, call)
    if request.session_id:
        check_id("session_id", request.session_id)
    if call.message_id is not None:
        check_id("message_id", call.message_id)
    if isinstance(request, ChatRequest):
        check_text("message", request.message, limits.message_bytes)
    else:
        _check_messages(request, limits)
    check_json("context", request.context, limits.context_bytes)
    if request.options is not None:
        _check_options(request.options, limits)
        _check_model(request.options.model, models)
    if call.model_options is not None:
        _check_model_options(call.model_options, limits)
        _check_model(call.model_options.model, models)


def check_user(user_id: str, call: CallContext | None) -> None:
    """Raise unless `user_id` is an id, and the principal's own where there is a principal."""
    check_id("user_id", user_id)
    if call is not None and call.user_id is not None and call.user_id != user_id:
        raise UnauthorizedError(
            "USER_NOT_ALLOWED", "user_id is not the caller's own", http_status=403
        )


def _check_messages(request: MultiTurnChatRequest, limits: ServiceLimits) -> None:
    count = len(request.messages)
    if not 1 <= count <= limits.messages:
        raise invalid("messages", f"1 to {limits.messages} messages", f"{count}")
    total = 0
    for index, message in enumerate(request.messages):
        field = f"messages[{index}]"
        if message.role not in ROLES:
            raise invalid(f"{field}.role", f"one of {', '.join(ROLES)}", repr(message.role[:32]))
        may_be_empty = message.role in ("assistant", "tool")
        total += check_text(
            f"{field}.content", message.content, limits.message_bytes, may_be_empty=may_be_empty
        )
        for number, made in enumerate(message.tool_calls):
            arguments = f"{field}.tool_calls[{number}].function.arguments"
            total += check_text(
                arguments, made.function.arguments, limits.message_bytes, may_be_empty=True
            )
    if total > limits.message_bytes:
        raise invalid(
            "messages", f"at most {limits.message_bytes} bytes of text in all", f"{total} bytes"
        )
    check_transcript(request.messages)
    if not any(message.role == "user" for message in request.messages):
        raise invalid("messages", "at least one message with the role user", "none")


def _check_options(options: ChatOptions, limits: ServiceLimits) -> None:
    _check_range("options.temperature", options.temperature, 0, 2)
    _check_range("options.max_tokens", options.max_tokens, 1, limits.max_tokens)
    _check_range("options.top_k", options.top_k, 1, limits.top_k)
    if options.score_threshold is not msgspec.UNSET:
        _check_range("options.score_threshold", options.score_threshold, 0, 1)
    timeout = options.timeout
    if timeout is not None and not 0 < timeout <= limits.timeout:
        expected = f"more than 0 and at most {limits.timeout:g} seconds"
        raise invalid("options.timeout", expected, f"{timeout:g}")
    if len(options.tools) > limits.tools:
        raise invalid("options.tools", f"at most {limits.tools} names", f"{len(options.tools)}")
    for index, name in enumerate(options.tools):
        check_id(f"options.tools[{index}]", name)
    check_json("options.metadata", options.metadata, limits.metadata_bytes)


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
        raise invalid("tools", f"at most {limits.tools} tools", f"{len(tools)}")
    for index, info in enumerate(tools):
        described = {"description": info.description, "parameters": info.input_schema()}
        check_json(f"tools[{index}]", described, limits.context_bytes)
    # The record has checked its own numbers; what is left are the bounds of this service.
    _check_range("max_tokens", options.max_tokens, 1, limits.max_tokens)
    stops = options.stop or ()
    if len(stops) > _STOPS or not all(stops):
        raise invalid("stop", f"at most {_STOPS} strings, none of them empty", f"{len(stops)}")
    check_json("response_format", options.response_format, limits.context_bytes)


def check_id(field: str, value: str) -> None:
    """Raise unless `value` is an id: 1 to 128 printable characters."""
    if not value or len(value) > _ID_LENGTH or not value.isprintable() or value.isspace():
        found = "an empty string" if not value else f"{len(value)} characters: {value[:32]!r}"
        raise invalid(field, f"1 to {_ID_LENGTH} printable characters", found)


def check_text(field: str, text: str, limit: int, *, may_be_empty: bool = False) -> int:
    """Bytes of `text` in UTF-8, when it is text that every store and model can take."""
    if not may_be_empty and not text.strip():
        raise invalid(field, "some text", "nothing" if not text else "white space only")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise invalid(field, "text that UTF-8 can hold", "half of a surrogate pair") from None
    if size > limit:
        raise invalid(field, f"at most {limit} bytes", f"{size} bytes")
    if "\x00" in text:
        raise invalid(field, "text without NUL characters", f"one at {text.index(chr(0))}")
    return size


def check_json(field: str, value: dict[str, Any] | None, limit: int) -> None:
    """Raise unless `value` is JSON of at most `limit` bytes."""
    if not value:
        return
    size = _size_of(value, lambda found: invalid(field, "data that JSON can hold", found))
    if size > limit:
        raise invalid(field, f"at most {limit} bytes of JSON", f"{size} bytes")


def _size_of(value: Any, refusal: Callable[[str], ValidationError]) -> int:
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise refusal(str(error)[:200]) from None


def _check_range(field: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise invalid(field, f"{low:g} to {high:g}", f"{value:g}")


def invalid(field: str, expected: str, found: str) -> ValidationError:
    """The error for a field that is not as it has to be."""
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )

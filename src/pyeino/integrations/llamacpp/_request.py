"""Messages and options as the engine wants them, checked before they get near it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pyeino.components import ModelOptions
from pyeino.errors import ValidationError
from pyeino.schema import Message, Role, TextPart

# What decides how the call itself is run; these have an option of their own or none on purpose.
RESERVED = frozenset(
    {
        "cache_prompt",
        "id_slot",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "n_cmpl",
        "n_predict",
        "prompt",
        "response_format",
        "return_progress",
        "stop",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
    }
)
MAX_MESSAGES = 4096
MAX_STOPS = 16
MAX_SETTINGS_BYTES = 64 * 1024
MAX_DEPTH = 64
# No token of the vocabularies in use stands for more bytes: what is longer cannot fit.
_MOST_BYTES_A_TOKEN = 128
_CONTROL_TOKEN = re.compile(r"<(?=\|[A-Za-z0-9_]{1,40}\|>)")
_ZERO_WIDTH_SPACE = "\u200b"
_LARGEST_SEED = 2**32 - 1  # this one means "random" to the engine


def build_request(
    messages: Sequence[Message], options: ModelOptions, *, context_length: int
) -> dict[str, Any]:
    """The engine's request for one call.

    Raises ValidationError: INVALID_MESSAGE, UNSUPPORTED_CONTENT,
    INVALID_OPTION, or CONTEXT_LENGTH_EXCEEDED where the length alone shows it.
    """
    if not messages:
        raise _invalid_message("expected at least one message, found none")
    if len(messages) > MAX_MESSAGES:
        raise _invalid_message(f"expected at most {MAX_MESSAGES} messages, found {len(messages)}")
    settings = _settings(options)
    _check_json(settings, "options", limit=MAX_SETTINGS_BYTES)
    turns = [_turn(message, f"messages[{index}]") for index, message in enumerate(messages)]
    size = _check_json(turns, "messages", limit=None)
    if size > context_length * _MOST_BYTES_A_TOKEN:
        raise context_error(size // _MOST_BYTES_A_TOKEN, context_length, at_least=True)
    return {
        **settings,
        "messages": turns,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }


def context_error(prompt_tokens: int, context_length: int, *, at_least: bool) -> ValidationError:
    """The prompt does not fit into a slot."""
    count = f"at least {prompt_tokens}" if at_least else f"{prompt_tokens}"
    return ValidationError(
        "CONTEXT_LENGTH_EXCEEDED",
        f"The prompt has {count} tokens and the model's context holds {context_length}, of which "
        "at least one is for the answer; shorten the messages",
        metadata={"prompt_tokens": prompt_tokens, "context_length": context_length},
    )


def _turn(message: Message, where: str) -> dict[str, Any]:
    try:
        role = Role(message.role)
    except ValueError as error:
        known = ", ".join(Role)
        raise _invalid_message(
            f"{where} has the role {str(message.role)[:40]!r}; expected one of {known}"
        ) from error
    turn: dict[str, Any] = {"role": str(role), "content": _text(message, where)}
    return turn


def _text(message: Message, where: str) -> str:
    """The text of a message, in which nothing can be taken for a control token of a template."""
    content = message.content
    if not _is_string(content):  # records are not checked when they are made in Python
        raise _invalid_message(
            f"{where} has content of type {type(content).__name__}; expected a string"
        )
    texts = [content] if content else []
    for part in (*message.user_input_multi_content, *message.assistant_output_multi_content):
        if not isinstance(part, TextPart):
            raise ValidationError(
                "UNSUPPORTED_CONTENT",
                f"{where} has a part of type {type(part).__name__}; this model reads text only",
                metadata={"field": where},
            )
        texts.append(part.text)
    return defuse("\n".join(texts))


def defuse(text: str) -> str:
    """Put a zero-width space into every `<|name|>`, so that text cannot open a turn of its own.

    The engine would read them as control tokens, and needs time that grows with their square.
    """
    return _CONTROL_TOKEN.sub("<" + _ZERO_WIDTH_SPACE, text)


def _settings(options: ModelOptions) -> dict[str, Any]:
    if reserved := sorted(RESERVED & options.extra.keys()):
        raise _invalid_option(
            f"extra.{reserved[0]}", "cannot be set through extra", "an option of the engine"
        )
    settings: dict[str, Any] = dict(options.extra)
    for name in ("temperature", "top_p", "max_tokens"):
        if (value := getattr(options, name)) is not None:
            settings[name] = value
    if options.seed is not None:
        settings["seed"] = options.seed % _LARGEST_SEED
        # Whether a prompt was worked off now or before shows in the last bits of the numbers:
        # without the cache the same seed gives the same answer.
        settings["cache_prompt"] = False
    if options.stop:
        settings["stop"] = _stops(options.stop)
    if options.response_format is not None:
        schema = options.response_format
        settings["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    return settings


def _stops(stop: Sequence[str]) -> list[str]:
    if len(stop) > MAX_STOPS or not all(_is_string(item) and item for item in stop):
        raise _invalid_option("stop", f"found {len(stop)}", f"1 to {MAX_STOPS} non-empty strings")
    return list(stop)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _check_json(value: Any, name: str, *, limit: int | None) -> int:
    """The size of `value` as JSON in bytes; raises when it is none, too deep, or above `limit`."""
    if (depth := _depth(value)) > MAX_DEPTH:
        raise _invalid_option(name, f"nested {depth} deep", f"at most {MAX_DEPTH} levels")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError as error:
        raise _invalid_message(
            f"{name} hold half of a surrogate pair, which is not valid Unicode text"
        ) from error
    except (TypeError, ValueError) as error:
        raise _invalid_option(name, str(error), "values that JSON can hold") from error
    if limit is not None and size > limit:
        raise _invalid_option(name, f"{size} bytes", f"at most {limit} bytes of settings")
    return size


def _depth(value: Any) -> int:
    """How deep lists and mappings are nested; looks no further than one level too many."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())  # pyright: ignore[reportUnknownArgumentType]  # JSON of any shape
            elif isinstance(item, list | tuple):
                inner.extend(item)  # pyright: ignore[reportUnknownArgumentType]  # JSON of any shape
        depth, level = depth + 1, inner
    return depth


def _invalid_message(problem: str) -> ValidationError:
    return ValidationError(
        "INVALID_MESSAGE", f"The messages cannot be used: {problem}", metadata={"field": "messages"}
    )


def _invalid_option(field: str, found: str, expected: str) -> ValidationError:
    return ValidationError(
        "INVALID_OPTION",
        f"{field} cannot be used: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )

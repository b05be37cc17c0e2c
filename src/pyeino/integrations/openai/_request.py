"""Messages and options to the body of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pyeino.components import ModelOptions
from pyeino.errors import ValidationError
from pyeino.schema import (
    AudioPart,
    FilePart,
    ImagePart,
    InputPart,
    MediaPart,
    Message,
    Role,
    TextPart,
    ToolChoice,
    ToolInfo,
    VideoPart,
)

_OWN_FIELDS = frozenset({"model", "messages", "stream", "stream_options", "n"})


def chat_body(
    messages: Sequence[Message],
    options: ModelOptions,
    *,
    stream: bool,
    max_tokens_field: str,
    stream_usage: bool = True,
) -> bytes:
    """The JSON body of POST /chat/completions.

    Raises ValidationError for messages that the protocol cannot carry, before anything is sent.
    """
    body = _settings(options, max_tokens_field)
    if not messages:
        raise ValidationError(
            "EMPTY_PROMPT", "A chat needs at least one message", metadata={"field": "messages"}
        )
    body["messages"] = [_message(message) for message in messages]
    if stream:
        body["stream"] = True
        if stream_usage:
            body["stream_options"] = {"include_usage": True}
    return encoded(body)


def encoded(body: dict[str, Any]) -> bytes:
    """`body` as JSON. Raises ValidationError for what JSON cannot carry."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as cause:
        raise ValidationError(
            "INVALID_TEXT",
            "A text holds half of a surrogate pair, which no JSON can carry",
            cause=cause,
        ) from cause
    except (TypeError, ValueError, RecursionError) as cause:
        raise ValidationError(
            "INVALID_OPTION",
            f"The options of a call cannot be written as JSON: {cause}",
            metadata={"field": "extra"},
            cause=cause,
        ) from cause


def _settings(options: ModelOptions, max_tokens_field: str) -> dict[str, Any]:
    body: dict[str, Any] = dict(options.extra)
    clash = sorted(_OWN_FIELDS & body.keys())
    if clash:
        raise ValidationError(
            "INVALID_OPTION",
            f"extra options cannot set {', '.join(clash)}",
            metadata={"field": f"extra.{clash[0]}"},
        )
    body["model"] = options.model
    settings = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        max_tokens_field: options.max_tokens,
        "stop": list(options.stop) if options.stop else None,
        "seed": options.seed,
    }
    body.update({name: value for name, value in settings.items() if value is not None})
    if options.response_format is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": options.response_format},
        }
    if options.tools:
        body.update(_tools(options, options.tools))
    return body


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role.value, "content": _content(message)}
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["content"] = body["content"] or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": call.type,
                "function": {
                    "name": call.function.name,
                    "arguments": call.function.arguments or "{}",
                },
            }
            for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        body["tool_call_id"] = message.tool_call_id
    return body


def _content(message: Message) -> str | list[dict[str, Any]]:
    parts = [_part(part) for part in message.user_input_multi_content]
    if parts:
        text = [{"type": "text", "text": message.content}] if message.content else []
        return text + parts
    # of what a model said, text is all that can be sent back
    said = message.assistant_output_multi_content
    return message.content or "".join(part.text for part in said if isinstance(part, TextPart))


def _part(part: InputPart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image: dict[str, Any] = {"url": _url(part)}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, VideoPart):
        return {"type": "video_url", "video_url": {"url": _url(part)}}
    if isinstance(part, AudioPart) and part.base64_data:
        kind = part.mime_type.partition("/")[2] or "wav"
        return {"type": "input_audio", "input_audio": {"data": part.base64_data, "format": kind}}
    if isinstance(part, FilePart) and part.base64_data:
        return {"type": "file", "file": {"filename": part.name or "file", "file_data": _url(part)}}
    raise ValidationError(
        "UNSUPPORTED_PART",
        f"An OpenAI-compatible endpoint cannot be sent a {type(part).__name__} like this",
        details="Audio and files go as base64_data; images and videos by url or base64_data.",
        metadata={"field": "messages"},
    )


def _url(part: MediaPart) -> str:
    if part.url:
        return part.url
    if part.base64_data:
        return f"data:{part.mime_type or 'application/octet-stream'};base64,{part.base64_data}"
    raise ValidationError(
        "UNSUPPORTED_PART",
        f"A {type(part).__name__} needs a url or base64_data",
        metadata={"field": "messages"},
    )


def _tools(options: ModelOptions, tools: Sequence[ToolInfo]) -> dict[str, Any]:
    """The tools on offer and how the model may choose.

    A narrower choice goes out as a shorter list: few endpoints know `allowed_tools`.
    """
    names = options.allowed_tools or ()
    if unknown := sorted(set(names) - {info.name for info in tools}):
        raise ValidationError(
            "INVALID_OPTION",
            f"allowed_tools names {', '.join(unknown)}, which is not among the tools",
            metadata={"field": "allowed_tools"},
        )
    offered = [info for info in tools if not names or info.name in names]
    body: dict[str, Any] = {"tools": [_tool(info) for info in offered]}
    if options.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = options.parallel_tool_calls
    if options.tool_choice is ToolChoice.FORBIDDEN:
        body["tool_choice"] = "none"
    elif options.tool_choice is ToolChoice.ALLOWED:
        body["tool_choice"] = "auto"
    elif options.tool_choice is ToolChoice.FORCED:
        one = {"type": "function", "function": {"name": offered[0].name}}
        body["tool_choice"] = one if len(offered) == 1 else "required"
    return body


def _tool(info: ToolInfo) -> dict[str, Any]:
    function: dict[str, Any] = {"name": info.name, "description": info.description}
    schema = info.input_schema()
    function["parameters"] = schema or {"type": "object", "properties": {}}
    if "strict" in info.extra:
        function["strict"] = info.extra["strict"]
    return {"type": "function", "function": function}

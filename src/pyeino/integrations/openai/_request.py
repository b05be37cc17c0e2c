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
    messages: Sequence[Message], options: ModelOptions, *, stream: bool, max_tokens_field: str
) -> bytes:
    """The JSON body of POST /chat/completions.

    Raises ValidationError for messages that the protocol cannot carry, before anything is sent.
    """
    if not messages:
        raise ValidationError(
            "EMPTY_PROMPT", "A chat needs at least one message", metadata={"field": "messages"}
        )
    body: dict[str, Any] = {name: value for name, value in options.extra.items()}
    clash = sorted(_OWN_FIELDS & body.keys())
    if clash:
        raise ValidationError(
            "INVALID_OPTION",
            f"extra options cannot set {', '.join(clash)}",
            metadata={"field": f"extra.{clash[0]}"},
        )
    body["model"] = options.model
    body["messages"] = [_message(message) for message in messages]
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
        body["tools"] = [_tool(info) for info in options.tools]
        body.update(_tool_choice(options))
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _message(message: Message) -> dict[str, Any]:
    parts = message.user_input_multi_content
    body: dict[str, Any] = {
        "role": message.role.value,
        "content": [_part(part) for part in parts] if parts else message.content,
    }
    if parts and message.content:
        body["content"].insert(0, {"type": "text", "text": message.content})
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": call.type,
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        body["tool_call_id"] = message.tool_call_id
    return body


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


def _tool(info: ToolInfo) -> dict[str, Any]:
    function: dict[str, Any] = {"name": info.name, "description": info.description}
    schema = info.input_schema()
    function["parameters"] = schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _tool_choice(options: ModelOptions) -> dict[str, Any]:
    names = options.allowed_tools or ()
    if options.tool_choice is ToolChoice.FORBIDDEN:
        return {"tool_choice": "none"}
    mode = "required" if options.tool_choice is ToolChoice.FORCED else "auto"
    if not names:
        return {} if options.tool_choice is None else {"tool_choice": mode}
    if mode == "required" and len(names) == 1:
        return {"tool_choice": {"type": "function", "function": {"name": names[0]}}}
    allowed = [{"type": "function", "function": {"name": name}} for name in names]
    return {
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    }

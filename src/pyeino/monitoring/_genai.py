"""What the GenAI conventions want to know of a call, read from what handlers are shown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from pyeino.callbacks import RunInfo, TraceInfo
from pyeino.monitoring import _conventions as names
from pyeino.schema import Message, TokenUsage

MODEL = "ChatModel"
EMBEDDER = "Embedder"
MEASURED = frozenset({MODEL, EMBEDDER})
"""The kinds whose calls are operations of a model."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


def model_trace_info(
    *,
    kind: str,
    name: str,
    provider: str,
    address: str = "",
    port: int | None = None,
    version: str = "",
) -> TraceInfo:
    """The TraceInfo of a model: `kind` ChatModel or Embedder, `name` as its provider calls it.

    `address` and `port` are of the server that is asked; leave them out for one in this process.
    """
    attributes: dict[str, Any] = {
        names.PROVIDER_NAME: names.PROVIDERS.get(provider, provider),
        names.REQUEST_MODEL: name,
    }
    if address:
        attributes[names.SERVER_ADDRESS] = address
    if port is not None:
        attributes[names.SERVER_PORT] = port
    return TraceInfo(
        component_type=kind, component_name=name, version=version, attributes=attributes
    )


def request_attributes(info: RunInfo, call: Any) -> dict[str, Any]:
    """The attributes of the call's request; {} for a component that is no GenAI operation."""
    operation = names.OPERATIONS.get(info.component)
    if operation is None:
        return {}
    found: dict[str, Any] = {names.OPERATION_NAME: operation}
    if operation == "invoke_workflow":
        found[names.WORKFLOW_NAME] = info.name
    elif operation == "execute_tool":
        found[names.TOOL_NAME] = info.name
        found[names.TOOL_TYPE] = "function"
        found[names.TOOL_CALL_ID] = getattr(call, "call_id", "") or None
    options = getattr(call, "options", None)
    if info.component in MEASURED and options is not None:
        for option, name in names.REQUEST_OPTIONS.items():
            value = getattr(options, option, None)
            if value is not None:
                found[name] = value
    return found


def request_content(info: RunInfo, call: Any) -> dict[str, Any]:
    """What was asked, for those who capture content."""
    if info.component == MODEL:
        messages = getattr(call, "messages", ())
        return {names.INPUT_MESSAGES: messages_json(messages)}
    if info.component == "Retriever":
        return {names.QUERY_TEXT: getattr(call, "query", None)}
    if info.component == "Tool":
        return {names.TOOL_ARGUMENTS: getattr(call, "arguments", None)}
    return {}


def response_content(info: RunInfo, output: Any) -> dict[str, Any]:
    """What was answered, for those who capture content."""
    if info.component == MODEL and isinstance(output, Message):
        return {names.OUTPUT_MESSAGES: messages_json((output,))}
    if info.component == "Tool":
        return {names.TOOL_RESULT: str(output)}
    return {}


def messages_json(messages: Any) -> str:
    """Messages in the conventions' own JSON form: a role and parts."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if not isinstance(message, Message):
            continue
        parts: list[dict[str, Any]] = []
        if message.content:
            parts.append({"type": "text", "content": message.content})
        parts.extend(
            {
                "type": "tool_call",
                "id": call.id,
                "name": call.function.name,
                "arguments": call.function.arguments,
            }
            for call in message.tool_calls
        )
        shown: dict[str, Any] = {"role": message.role.value, "parts": parts}
        if message.response_meta is not None and message.response_meta.finish_reason:
            shown["finish_reason"] = message.response_meta.finish_reason
        found.append(shown)
    return _encode(found).decode()


class Answer:
    """What is learned of a model's answer, from the whole of it or chunk by chunk."""

    __slots__ = ("_began", "_last", "chunks", "finish_reason", "first", "model", "usage")

    def __init__(self, began: float) -> None:
        """`began` is when the call did, by `time.perf_counter`."""
        self._began = began
        self._last = began
        self.chunks = 0
        self.first: float | None = None
        self.finish_reason = ""
        self.model = ""
        self.usage: TokenUsage | None = None

    def add(self, item: Any, *, streamed: bool = True) -> bool:
        """Take in a message or a chunk of one; True for the first chunk of a stream."""
        begins = streamed and self.first is None
        if streamed:
            self._last = time.perf_counter()
            self.chunks += 1
            if begins:
                self.first = self._last - self._began
        if isinstance(item, Message):
            meta = item.response_meta
            if meta is not None:
                self.finish_reason = meta.finish_reason or self.finish_reason
                self.usage = meta.usage or self.usage
            model = item.extra.get("model") if item.extra else None
            if isinstance(model, str):
                self.model = model
        return begins

    @property
    def after_first(self) -> float:
        """Seconds from the first chunk to the last one."""
        return 0.0 if self.first is None else self._last - self._began - self.first

    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the response."""
        found: dict[str, Any] = {
            names.RESPONSE_MODEL: self.model or None,
            names.TIME_TO_FIRST_CHUNK: self.first,
        }
        if self.finish_reason:
            found[names.FINISH_REASONS] = [self.finish_reason]
        usage = self.usage
        if usage is not None:
            found[names.INPUT_TOKENS] = usage.prompt_tokens
            found[names.OUTPUT_TOKENS] = usage.completion_tokens
            if cached := usage.prompt_token_details.cached_tokens:
                found[names.CACHED_TOKENS] = cached
            if reasoning := usage.completion_token_details.reasoning_tokens:
                found[names.REASONING_TOKENS] = reasoning
        return found

"""How a message looks in a log or a terminal; long base64 data is shown by its length only."""

from __future__ import annotations

from collections.abc import Iterable

from pyeino.schema._parts import (
    FilePart,
    ImagePart,
    InputPart,
    MediaPart,
    OutputPart,
    ReasoningPart,
    TextPart,
    ToolSearchResultPart,
)
from pyeino.schema._tool_call import ToolCall
from pyeino.schema._usage import ResponseMeta, TokenUsage


def part_lines(title: str, parts: Iterable[InputPart | OutputPart]) -> list[str]:
    """A title and one numbered line a part; nothing for no parts."""
    lines = [f"  [{index}] {_part_text(part)}" for index, part in enumerate(parts)]
    return [f"{title}:", *lines] if lines else []


def tool_call_lines(calls: Iterable[ToolCall]) -> list[str]:
    """One line a call, led by its index in the stream when it has one."""
    lines: list[str] = []
    for call in calls:
        index = f"index[{call.index}]: " if call.index is not None else ""
        lines.append(f"  {index}{call.id} {call.function.name}({call.function.arguments})")
    return ["tool_calls:", *lines] if lines else []


def meta_lines(meta: ResponseMeta | None) -> list[str]:
    """Why the answer ended and what it cost, as far as known."""
    if meta is None:
        return []
    lines = [f"finish_reason: {meta.finish_reason}"] if meta.finish_reason else []
    return [*lines, f"usage: {_usage_text(meta.usage)}"] if meta.usage else lines


def _usage_text(usage: TokenUsage) -> str:
    text = (
        f"{usage.prompt_tokens} prompt + {usage.completion_tokens} completion"
        f" = {usage.total_tokens} tokens"
    )
    if usage.prompt_token_details.cached_tokens:
        text += f", {usage.prompt_token_details.cached_tokens} cached"
    if usage.completion_token_details.reasoning_tokens:
        text += f", {usage.completion_token_details.reasoning_tokens} reasoning"
    return text


def _part_text(part: InputPart | OutputPart) -> str:
    if isinstance(part, TextPart):
        return f"text: {part.text}"
    if isinstance(part, ReasoningPart):
        signed = " (signed)" if part.signature else ""
        return f"reasoning{signed}: {part.text}"
    if isinstance(part, ToolSearchResultPart):
        return f"tool search result: {', '.join(tool.name for tool in part.tools) or '<empty>'}"
    kind = type(part).__name__.removesuffix("Part").lower()
    return f"{kind}: {_media_text(part)}"


def _media_text(part: MediaPart) -> str:
    facts: list[str] = []
    if isinstance(part, FilePart) and part.name:
        facts.append(f"name={part.name}")
    if part.url:
        facts.append(f"url={part.url}")
    if part.base64_data:
        facts.append(f"base64[{len(part.base64_data)} bytes]")
    if part.mime_type:
        facts.append(f"mime={part.mime_type}")
    if isinstance(part, ImagePart) and part.detail:
        facts.append(f"detail={part.detail}")
    return ", ".join(facts) or "<empty>"

"""How the chunks of a message add up; every rule takes time linear in the number of chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from pyeino.errors import ConcatError
from pyeino.schema._extra import concat_extra
from pyeino.schema._parts import AudioPart, InputPart, OutputPart, ReasoningPart, TextPart
from pyeino.schema._tool_call import FunctionCall, ToolCall
from pyeino.schema._usage import (
    CompletionTokenDetails,
    LogProbs,
    PromptTokenDetails,
    ResponseMeta,
    TokenUsage,
)

PartT = TypeVar("PartT")


class Chunk(Protocol):
    """The fields of a message, as concatenation reads them."""

    @property
    def role(self) -> Any: ...
    @property
    def content(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def user_input_multi_content(self) -> tuple[InputPart, ...]: ...
    @property
    def assistant_output_multi_content(self) -> tuple[OutputPart, ...]: ...
    @property
    def tool_calls(self) -> tuple[ToolCall, ...]: ...
    @property
    def tool_call_id(self) -> str: ...
    @property
    def tool_name(self) -> str: ...
    @property
    def reasoning_content(self) -> str: ...
    @property
    def response_meta(self) -> ResponseMeta | None: ...
    @property
    def extra(self) -> dict[str, Any]: ...


def concat_fields(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """The fields of the message that `chunks` add up to; see `Message.__concat__` for the rules."""
    return {
        "role": agreed((chunk.role for chunk in chunks), "role"),
        "content": "".join([chunk.content for chunk in chunks]),
        "name": agreed((chunk.name for chunk in chunks), "name"),
        "user_input_multi_content": concat_input_parts(
            [part for chunk in chunks for part in chunk.user_input_multi_content]
        ),
        "assistant_output_multi_content": concat_output_parts(
            [part for chunk in chunks for part in chunk.assistant_output_multi_content]
        ),
        "tool_calls": concat_tool_calls([call for chunk in chunks for call in chunk.tool_calls]),
        "tool_call_id": agreed((chunk.tool_call_id for chunk in chunks), "tool_call_id"),
        "tool_name": agreed((chunk.tool_name for chunk in chunks), "tool_name"),
        "reasoning_content": "".join([chunk.reasoning_content for chunk in chunks]),
        "response_meta": concat_meta([chunk.response_meta for chunk in chunks]),
        "extra": concat_extra([chunk.extra for chunk in chunks]),
    }


def agreed(values: Iterable[str], field: str) -> str:
    """The one non-empty value among `values`, "" when there is none."""
    found = ""
    for value in values:
        if not value or value == found:
            continue
        if found:
            raise ConcatError(
                f"chunks of one message have different values of {field}",
                expected=repr(str(found)),
                found=repr(str(value)),
                where=field,
                remedy="concatenate the chunks of one message at a time",
            )
        found = value
    return found


def concat_meta(metas: Sequence[ResponseMeta | None]) -> ResponseMeta | None:
    """Last finish reason, greatest usage, all log probabilities; None when no chunk has any."""
    present = [meta for meta in metas if meta is not None]
    if len(present) < 2:
        return present[0] if present else None
    reasons = [meta.finish_reason for meta in present if meta.finish_reason]
    usages = [meta.usage for meta in present if meta.usage is not None]
    logprobs = [meta.logprobs.content for meta in present if meta.logprobs is not None]
    return ResponseMeta(
        finish_reason=reasons[-1] if reasons else "",
        usage=_greatest_usage(usages) if usages else None,
        logprobs=(
            LogProbs(content=tuple(token for tokens in logprobs for token in tokens))
            if logprobs
            else None
        ),
    )


def _greatest_usage(usages: Sequence[TokenUsage]) -> TokenUsage:
    """Field by field the greatest: providers repeat a running total, so a sum would be wrong."""
    prompts = [usage.prompt_token_details for usage in usages]
    completions = [usage.completion_token_details for usage in usages]
    return TokenUsage(
        prompt_tokens=max(usage.prompt_tokens for usage in usages),
        completion_tokens=max(usage.completion_tokens for usage in usages),
        total_tokens=max(usage.total_tokens for usage in usages),
        prompt_token_details=PromptTokenDetails(
            cached_tokens=max(detail.cached_tokens for detail in prompts)
        ),
        completion_token_details=CompletionTokenDetails(
            reasoning_tokens=max(detail.reasoning_tokens for detail in completions)
        ),
    )


def concat_input_parts(parts: Sequence[InputPart]) -> tuple[InputPart, ...]:
    """Join neighbouring text parts (their extra is dropped then); keep the others as they are."""
    joined: list[InputPart] = []
    for run in _runs(parts, _same_text):
        if len(run) == 1:
            joined.append(run[0])
        else:
            text = "".join([part.text for part in run if isinstance(part, TextPart)])
            joined.append(TextPart(text=text))
    return tuple(joined)


def concat_output_parts(parts: Sequence[OutputPart]) -> tuple[OutputPart, ...]:
    """Join neighbouring parts of one kind and one streaming index; keep the others as they are.

    Text, reasoning, and audio by base64 can be joined: texts and base64 as texts, the last
    signature, the first mime type, all extras.
    """
    return tuple(
        run[0] if len(run) == 1 else _join_output(run) for run in _runs(parts, _same_output)
    )


def _runs(parts: Sequence[PartT], same: Callable[[PartT, PartT], bool]) -> list[list[PartT]]:
    """`parts` cut into runs of neighbours that belong together."""
    runs: list[list[PartT]] = []
    for part in parts:
        if runs and same(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _same_text(left: InputPart, right: InputPart) -> bool:
    return isinstance(left, TextPart) and isinstance(right, TextPart)


def _same_output(left: OutputPart, right: OutputPart) -> bool:
    return (
        type(left) is type(right)
        and left.streaming_index == right.streaming_index
        and _can_join(left)
        and _can_join(right)
    )


def _can_join(part: OutputPart) -> bool:
    if isinstance(part, AudioPart):
        return bool(part.base64_data) and not part.url
    return isinstance(part, TextPart | ReasoningPart)


def _join_output(run: Sequence[OutputPart]) -> OutputPart:
    first = run[0]
    extra = concat_extra([part.extra for part in run], where="assistant_output_multi_content.extra")
    if isinstance(first, TextPart):
        text = "".join([part.text for part in run if isinstance(part, TextPart)])
        return msgspec.structs.replace(first, text=text, extra=extra)
    if isinstance(first, ReasoningPart):
        thoughts = [part for part in run if isinstance(part, ReasoningPart)]
        signatures = [part.signature for part in thoughts if part.signature]
        return msgspec.structs.replace(
            first,
            text="".join([part.text for part in thoughts]),
            signature=signatures[-1] if signatures else "",
            extra=extra,
        )
    sounds = [part for part in run if isinstance(part, AudioPart)]
    mimes = [part.mime_type for part in sounds if part.mime_type]
    return AudioPart(
        base64_data="".join([part.base64_data for part in sounds]),
        mime_type=mimes[0] if mimes else "",
        extra=extra,
        streaming_index=first.streaming_index,
    )


def concat_tool_calls(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Add up the chunks of tool calls: calls without an index first, then by index.

    An index that comes again with another non-empty id begins a new call: some providers number
    every call of an answer 0.
    """
    whole = [call for call in calls if call.index is None]
    groups: list[list[ToolCall]] = []
    current: dict[int, list[ToolCall]] = {}
    by_id: dict[tuple[int, str], list[ToolCall]] = {}
    ids: dict[int, str] = {}
    for call in calls:
        if call.index is None:
            continue
        group = current.get(call.index)
        if call.id and group is not None and ids.get(call.index, "") not in ("", call.id):
            group = by_id.get((call.index, call.id))
        if group is None:
            fresh: list[ToolCall] = []
            group = fresh
            groups.append(group)
            ids[call.index] = ""
        group.append(call)
        current[call.index] = group
        if call.id:
            ids[call.index] = call.id
            by_id[call.index, call.id] = group
    joined = [_join_calls(group) for group in groups]
    joined.sort(key=lambda call: call.index or 0)  # stable: calls of one index stay in order
    return (*whole, *joined)


def _join_calls(group: Sequence[ToolCall]) -> ToolCall:
    first = group[0]
    if len(group) == 1:
        return first
    where = f"tool_calls[index {first.index}]"
    return ToolCall(
        index=first.index,
        id=agreed((call.id for call in group), f"{where}.id"),
        type=agreed((call.type for call in group), f"{where}.type"),
        function=FunctionCall(
            name=agreed((call.function.name for call in group), f"{where}.function.name"),
            arguments="".join([call.function.arguments for call in group]),
        ),
        extra=dict(first.extra),
    )

"""What travels around the loop of the tool chain: the conversation so far, and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from pyeino.components import ModelOptions
from pyeino.schema import (
    CompletionTokenDetails,
    Message,
    PromptTokenDetails,
    ResponseMeta,
    TextPart,
    TokenUsage,
    ToolCall,
    ToolChoice,
    ToolInfo,
)

RESULT_LENGTH: Final = 4_096
_GAP: Final = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """One pass of the loop: the model is asked with `messages` and may call `tools`.

    `round` counts how often tools have been run, at most `max_rounds` times; `forced` makes the
    first pass call one of them. `spoken` is what the model has said before calls and nobody has
    been given yet; `gap` says that something was given before it. `calls` are told to the caller.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolInfo, ...]
    max_rounds: int
    forced: bool = False
    round: int = 0
    usage: TokenUsage | None = None
    calls: tuple[dict[str, Any], ...] = ()
    spoken: str = ""
    gap: bool = False

    @property
    def model_options(self) -> ModelOptions:
        """The options of this pass. After the last round the model has to answer in words."""
        choice = ToolChoice.ALLOWED
        if self.round >= self.max_rounds:
            choice = ToolChoice.FORBIDDEN
        elif self.forced and self.round == 0:
            choice = ToolChoice.FORCED
        return ModelOptions(tools=self.tools, tool_choice=choice)

    @property
    def lead(self) -> str:
        """What stands before the next text: all that was said and not given, and gaps."""
        said = f"{self.spoken}{_GAP}" if self.spoken else ""
        return f"{_GAP}{said}" if self.gap else said

    def after(
        self,
        said: Message,
        answers: Sequence[Message],
        *,
        calls: Sequence[dict[str, Any]],
        given: bool,
    ) -> LoopState:
        """The next pass: `said` with its calls and an answer to each, told of as `calls`.

        `given` says that the text of `said`, and what was said before it, has been handed out.
        """
        spoken = self.spoken
        if said.content.strip() and not given:
            spoken = f"{spoken}{_GAP}{said.content}" if spoken else said.content
        asked = msgspec.structs.replace(said, response_meta=None, extra={})
        return replace(
            self,
            messages=(*self.messages, asked, *answers),
            round=self.round + 1,
            usage=add_usage(self.usage, said),
            calls=(*self.calls, *calls),
            spoken="" if given else spoken,
            gap=self.gap or given,
        )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A pass of the loop, or a chunk of one: `state` once, then what the model says."""

    state: LoopState | None = None
    said: Message | None = None

    @classmethod
    def __concat__(cls, items: Sequence[Step]) -> Step:
        """The one state, and the whole message."""
        said = [item.said for item in items if item.said is not None]
        return cls(
            state=next((item.state for item in items if item.state is not None), None),
            said=Message.__concat__(said) if said else None,
        )

    def begun(self) -> LoopState:
        """The state; a Step that the loop has made always has one."""
        if self.state is None:
            raise TypeError("a step of the tool loop came without its state")
        return self.state


def add_usage(total: TokenUsage | None, said: Message) -> TokenUsage | None:
    """`total` and what `said` has cost; None while no model has said."""
    new = said.response_meta.usage if said.response_meta is not None else None
    if total is None or new is None:
        return total or new
    return TokenUsage(
        prompt_tokens=total.prompt_tokens + new.prompt_tokens,
        completion_tokens=total.completion_tokens + new.completion_tokens,
        total_tokens=total.total_tokens + new.total_tokens,
        prompt_token_details=PromptTokenDetails(
            cached_tokens=total.prompt_token_details.cached_tokens
            + new.prompt_token_details.cached_tokens
        ),
        completion_token_details=CompletionTokenDetails(
            reasoning_tokens=total.completion_token_details.reasoning_tokens
            + new.completion_token_details.reasoning_tokens
        ),
    )


def with_ids(calls: Sequence[ToolCall], *, round: int) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own: some providers give none, or one for all of them."""
    seen: set[str] = set()
    made: list[ToolCall] = []
    for index, call in enumerate(calls):
        name = call.id if call.id and call.id not in seen else f"call_{round}_{index}"
        seen.add(name)
        made.append(msgspec.structs.replace(call, id=name, index=None))
    return tuple(made)


def told(call: ToolCall, answer: Message, errors: Mapping[str, str]) -> dict[str, Any]:
    """A call as the caller of the chain is told of it: {id, name, arguments, result, error?}."""
    parts = [one.text for one in answer.user_input_multi_content if isinstance(one, TextPart)]
    result = "".join([answer.content, *parts])
    if len(result) > RESULT_LENGTH:
        result = result[: RESULT_LENGTH - 1] + "…"
    record = {
        "id": call.id,
        "name": call.function.name,
        "arguments": call.function.arguments,
        "result": result,
    }
    return {**record, "error": errors[call.id]} if call.id in errors else record


def final_meta(said: Message, state: LoopState) -> tuple[ResponseMeta, dict[str, Any]]:
    """What the last chunk of the answer carries: the usage of every pass, and the calls made."""
    meta = said.response_meta or ResponseMeta()
    meta = msgspec.structs.replace(meta, usage=add_usage(state.usage, said))
    return meta, {**said.extra, "tool_calls": list(state.calls)}

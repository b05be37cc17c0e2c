"""Tool calls by a model whose template knows none: its choice and its arguments are constrained.

What is constrained has the right form for sure, and the sense that the model is able to: a very
small one picks the right tool seldom and copies arguments best from examples (`ToolInfo.examples`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from pyeino.components import ModelOptions
from pyeino.errors import ValidationError
from pyeino.integrations.llamacpp._tool_prompts import (
    ANSWER,
    argument_prompt,
    argument_schema,
    asked_to_answer,
    choice_prompt,
    in_words,
)
from pyeino.schema import (
    FunctionCall,
    Message,
    PromptTokenDetails,
    ResponseMeta,
    Role,
    TokenUsage,
    ToolCall,
    ToolChoice,
    ToolInfo,
)

CHOICE_TOKENS: Final = 64

Say = Callable[[Sequence[Message], ModelOptions], AsyncGenerator[Message]]
"""One generation: the chunks of the answer to messages under options that name no tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPlan:
    """The tools that the model may call now; `forced` when it has to call one of them."""

    tools: tuple[ToolInfo, ...]
    forced: bool


def plan_tools(messages: Sequence[Message], options: ModelOptions) -> ToolPlan | None:
    """What the options of a call say about tools; None when the model answers in words.

    A model that may choose is not offered a tool again which has just answered: small ones would
    never stop calling it. Raises ValidationError INVALID_OPTION.
    """
    tools, allowed = options.tools or (), options.allowed_tools
    known = {info.name for info in tools}
    if unknown := sorted(set(allowed or ()) - known):
        raise ValidationError(
            "INVALID_OPTION",
            f"allowed_tools names {unknown[0][:64]!r}, which is not among the tools",
            metadata={"field": "allowed_tools", "found": unknown[0][:64]},
        )
    if options.tool_choice is ToolChoice.FORBIDDEN:
        return None
    offered = tuple(info for info in tools if not allowed or info.name in allowed)
    if options.tool_choice is ToolChoice.FORCED:
        return ToolPlan(tools=offered, forced=True) if offered else None
    answered = _just_answered(messages)
    offered = tuple(info for info in offered if info.name not in answered)
    return ToolPlan(tools=offered, forced=False) if offered else None


def _just_answered(messages: Sequence[Message]) -> set[str]:
    """The tools that were called since the last message of the user."""
    names: set[str] = set()
    for message in reversed(messages):
        if message.role is Role.USER:
            break
        names |= {call.function.name for call in message.tool_calls}
    return names


class ToolTurn:
    """One call of the model with tools on offer: a choice, if there is one, then what it chose."""

    def __init__(
        self, say: Say, plan: ToolPlan, messages: Sequence[Message], options: ModelOptions
    ) -> None:
        self._say = say
        self._plan = plan
        self._messages = messages
        self._told = in_words(messages)
        self._options = replace(options, tools=None, tool_choice=None, allowed_tools=None)
        self._spent: TokenUsage | None = None

    async def chunks(self) -> AsyncGenerator[Message]:
        """The chunks of the answer: text, or one call; the last one has the usage of all."""
        chosen = await self._choose()
        source = self._words() if chosen is None else self._call(chosen)
        async with aclosing(source):
            async for chunk in source:
                yield chunk

    async def _choose(self) -> ToolInfo | None:
        """The tool to call, or None for an answer in words."""
        tools, forced = self._plan.tools, self._plan.forced
        if forced and len(tools) == 1:
            return tools[0]
        by_name: dict[str, ToolInfo | None] = {info.name: info for info in tools}
        if not forced:
            by_name = {_free_word(by_name): None, **by_name}
        options = self._constrained({"enum": list(by_name)}, max_tokens=CHOICE_TOKENS)
        said = ""
        prompt = choice_prompt(self._told, tools, answer=None if forced else next(iter(by_name)))
        async with aclosing(self._say(prompt, options)) as source:
            async for chunk in source:
                said += chunk.content
                self._spend(chunk)
        # cut off by the context, it may be no whole name: the first one stands for "unclear"
        return by_name.get(_text_in(said), next(iter(by_name.values())))

    async def _words(self) -> AsyncGenerator[Message]:
        async with aclosing(self._say(asked_to_answer(self._messages), self._options)) as source:
            async for chunk in source:
                yield self._spend(chunk)

    async def _call(self, info: ToolInfo) -> AsyncGenerator[Message]:
        options = self._constrained(argument_schema(info), max_tokens=self._options.max_tokens)
        call = ToolCall(
            index=0, id=f"call_{secrets.token_hex(12)}", function=FunctionCall(name=info.name)
        )
        yield Message(role=Role.ASSISTANT, content="", tool_calls=(call,))
        try:
            async with aclosing(self._say(argument_prompt(self._told, info), options)) as source:
                async for chunk in source:
                    yield _as_arguments(self._spend(chunk))
        except ValidationError as error:
            if error.metadata.get("field") != "response_format":
                raise
            raise ValidationError(
                "INVALID_OPTION",
                f"The parameters of the tool {info.name!r} are no JSON Schema that this model can "
                "follow",
                details=error.details,
                metadata={"field": "tools"},
                cause=error,
            ) from error

    def _constrained(self, schema: dict[str, Any], *, max_tokens: int | None) -> ModelOptions:
        """Options under which the model writes JSON of `schema`, likeliest token first."""
        return replace(
            self._options,
            temperature=0.0,
            stop=None,
            max_tokens=max_tokens,
            response_format=schema,
        )

    def _spend(self, chunk: Message) -> Message:
        """Add the usage in `chunk`; it goes on with the sum."""
        meta = chunk.response_meta
        if meta is None or meta.usage is None:
            return chunk
        self._spent = meta.usage if self._spent is None else _sum(self._spent, meta.usage)
        return replace(chunk, response_meta=replace(meta, usage=self._spent))


def _as_arguments(chunk: Message) -> Message:
    """A chunk of constrained text as one of a call."""
    meta = chunk.response_meta
    if meta is not None and meta.finish_reason == "stop":
        meta = ResponseMeta(finish_reason="tool_calls", usage=meta.usage)
    piece = ToolCall(index=0, function=FunctionCall(arguments=chunk.content))
    return replace(
        chunk, content="", tool_calls=(piece,) if chunk.content else (), response_meta=meta
    )


def _free_word(names: dict[str, ToolInfo | None]) -> str:
    """The word for an answer without a tool; no tool has it for its name."""
    word = ANSWER
    while word in names:
        word = f"{word}_"
    return word


def _text_in(said: str) -> str:
    try:
        found = json.loads(said)
    except ValueError:
        return ""
    return found if isinstance(found, str) else ""


def _sum(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    cached = one.prompt_token_details.cached_tokens + other.prompt_token_details.cached_tokens
    return TokenUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        total_tokens=one.total_tokens + other.total_tokens,
        prompt_token_details=PromptTokenDetails(cached_tokens=cached),
    )

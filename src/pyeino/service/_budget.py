"""Tokens that a caller may spend: reserved before a run, settled after it, however it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from pyeino.components import ModelOptions
from pyeino.service._finally import finish_anyway
from pyeino.service._outcome import Answer
from pyeino.service._records import ChatMessage, ChatOptions, ChatRequest, MultiTurnChatRequest

_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 4


class TokenBudget(Protocol):
    """What one request may spend; made for the request, and used for it only."""

    async def reserve(self, *, prompt_tokens: int, max_tokens: int | None) -> None:
        """Set aside what the run may cost at most; RateLimitError (429) when it is not there.

        `max_tokens` is the bound of the answer; None: the server's own.
        """
        ...

    async def settle(self, tokens: int) -> None:
        """The run has cost `tokens`: give back the rest, or take what is missing."""
        ...


class Spending:
    """The budget of one run. `settle` may be called in every case; without a budget nothing is."""

    def __init__(self, budget: TokenBudget | None) -> None:
        self._budget = budget
        self._prompt = 0
        self._reserved = False

    async def reserve(
        self,
        request: ChatRequest | MultiTurnChatRequest,
        *,
        options: ChatOptions,
        callers: ModelOptions | None = None,
    ) -> None:
        """Set aside what `request` may cost; whole even when cancelled.

        `callers` are the options that the door brings; those of the request go before them.
        """
        budget = self._budget
        if budget is None:
            return
        self._prompt = estimate_prompt(request, callers)
        bound = options.max_tokens
        if bound is None and callers is not None:
            bound = callers.max_tokens

        async def step() -> None:
            await budget.reserve(prompt_tokens=self._prompt, max_tokens=bound)
            self._reserved = True

        await finish_anyway(step(), name="reserve tokens")

    async def settle(self, answer: Answer, *, completed: bool, given_up: bool = False) -> None:
        """Settle with what `answer` cost: the model's own count, else an estimate.

        Of a run that broke off the model's count may be of its first round only, so the greater
        of the two counts. One that was `given_up` while the model was at work (its reader left, its
        time was over) has cost its prompt at least, else that would be free for whoever never
        waits. Any other run that did not complete and said nothing has cost nothing that is known.
        """
        budget = self._budget
        if budget is None or not self._reserved:
            return
        self._reserved = False
        usage = answer.token_usage
        if usage is not None and completed:
            cost = usage.total_tokens
        else:
            cost = 0 if usage is None else usage.total_tokens
            if completed or given_up or answer.parts or answer.thoughts or answer.asked_calls:
                cost = max(cost, self._prompt + estimate_answer(answer))
        # A server may count anything: nobody is given more back than was set aside.
        await finish_anyway(budget.settle(max(0, cost)), name="settle tokens")


def estimate_answer(answer: Answer) -> int:
    """About how many tokens the model has written: text, reasoning and calls of tools."""
    called = "".join(
        part for one in answer.asked_calls for part in (one.function.name, one.function.arguments)
    )
    return sum(map(estimate_tokens, (answer.content, answer.reasoning, called)))


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is: one for each four bytes of UTF-8, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def estimate_prompt(
    request: ChatRequest | MultiTurnChatRequest, options: ModelOptions | None = None
) -> int:
    """About how many tokens `request` itself brings; history and documents come on top.

    That is its texts, the calls of tools in them, its context, and the tools of its `options`.
    """
    if isinstance(request, ChatRequest):
        total = estimate_tokens(request.message) + _PER_MESSAGE
    else:
        total = sum(map(_estimate_message, request.messages))
    if request.context:
        total += _estimate_data(request.context)
    tools = (options.tools or ()) if options is not None else ()
    return total + sum(
        estimate_tokens(one.name + one.description) + _estimate_data(one.input_schema() or {})
        for one in tools
    )


def _estimate_message(message: ChatMessage) -> int:
    called = sum(
        estimate_tokens(one.function.name + one.function.arguments) for one in message.tool_calls
    )
    return estimate_tokens(message.content) + _PER_MESSAGE + called


def _estimate_data(data: Mapping[str, Any]) -> int:
    return -(-len(msgspec.json.encode(data)) // _BYTES_PER_TOKEN)

"""Tokens that a caller may spend: reserved before a run, settled after it, however it ends."""

from __future__ import annotations

from typing import Protocol

from pyeino.service._finally import finish_anyway
from pyeino.service._outcome import Answer
from pyeino.service._records import ChatOptions, ChatRequest, MultiTurnChatRequest

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
        max_tokens: int | None,
    ) -> None:
        """Set aside what `request` may cost; whole even when cancelled."""
        budget = self._budget
        if budget is None:
            return
        self._prompt = estimate_prompt(request)
        bound = options.max_tokens if options.max_tokens is not None else max_tokens

        async def step() -> None:
            await budget.reserve(prompt_tokens=self._prompt, max_tokens=bound)
            self._reserved = True

        await finish_anyway(step(), name="reserve tokens")

    async def settle(self, answer: Answer, *, completed: bool, left: bool = False) -> None:
        """Settle with what `answer` cost: the model's own count, else an estimate.

        Of a run that broke off the model's count may be of its first round only, so the greater
        of the two counts. A reader who `left` while the model was at work has cost their prompt at
        least. Any other run that did not complete and said nothing has cost nothing that is known.
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
            if completed or left or answer.parts or answer.thoughts or answer.asked_calls:
                cost = max(cost, self._prompt + estimate_answer(answer))
        await finish_anyway(budget.settle(cost), name="settle tokens")


def estimate_answer(answer: Answer) -> int:
    """About how many tokens the model has written: text, reasoning and calls of tools."""
    called = "".join(
        part for one in answer.asked_calls for part in (one.function.name, one.function.arguments)
    )
    return sum(map(estimate_tokens, (answer.content, answer.reasoning, called)))


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is: one for each four bytes of UTF-8, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def estimate_prompt(request: ChatRequest | MultiTurnChatRequest) -> int:
    """About how many tokens `request` itself brings; history and documents come on top."""
    if isinstance(request, ChatRequest):
        return estimate_tokens(request.message) + _PER_MESSAGE
    return sum(estimate_tokens(one.content) + _PER_MESSAGE for one in request.messages)

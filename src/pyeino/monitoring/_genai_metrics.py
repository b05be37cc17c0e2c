"""GenAIMetrics: the metrics of the GenAI conventions, from calls of models and embedders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyeino.callbacks import RunInfo
from pyeino.monitoring import _conventions as names
from pyeino.monitoring import _families as families
from pyeino.monitoring._genai import Answer

if TYPE_CHECKING:
    from pyeino.monitoring._series import Series


class GenAIMetrics:
    """Records one operation of a model: how long, how many tokens, how soon the first.

    A model with no `server.address` runs in this process: it is its own server, and counts in the
    `gen_ai_server_*` families too.
    """

    def __init__(self, by_name: Mapping[str, Series]) -> None:
        self._tokens = by_name[families.GENAI_TOKENS.name]
        self._duration = by_name[families.GENAI_DURATION.name]
        self._first_chunk = by_name[families.GENAI_FIRST_CHUNK.name]
        self._per_chunk = by_name[families.GENAI_PER_CHUNK.name]
        self._server_duration = by_name[families.GENAI_SERVER_DURATION.name]
        self._first_token = by_name[families.GENAI_FIRST_TOKEN.name]
        self._per_token = by_name[families.GENAI_PER_TOKEN.name]

    def observe(
        self,
        info: RunInfo,
        answer: Answer,
        *,
        duration: float,
        error_type: str = "",
        asked: str | None = None,
    ) -> None:
        """Record a call of `info` that took `duration` seconds; `asked` is the model it named."""
        known: Mapping[str, object] = {} if info.trace is None else info.trace.attributes
        labels = (
            names.OPERATIONS.get(info.component, ""),
            str(known.get(names.PROVIDER_NAME, "")),
            asked or str(known.get(names.REQUEST_MODEL, "")),
            answer.model,
        )
        here = names.SERVER_ADDRESS not in known
        self._duration[(*labels, error_type)].observe(duration)
        if here:
            self._server_duration[(*labels, error_type)].observe(duration)
        self._observe_tokens(labels, answer)
        if answer.first is not None:
            self._first_chunk[labels].observe(answer.first)
            if answer.chunks > 1:
                self._per_chunk[labels].observe(answer.after_first / (answer.chunks - 1))
            if here:
                self._observe_speed(labels, answer, answer.first)

    def _observe_tokens(self, labels: tuple[str, ...], answer: Answer) -> None:
        if answer.usage is not None:
            self._tokens[(*labels, "input")].observe(answer.usage.prompt_tokens)
            self._tokens[(*labels, "output")].observe(answer.usage.completion_tokens)

    def _observe_speed(self, labels: tuple[str, ...], answer: Answer, first: float) -> None:
        self._first_token[labels].observe(first)
        written = answer.usage.completion_tokens if answer.usage else answer.chunks
        if written > 1:
            self._per_token[labels].observe(answer.after_first / (written - 1))

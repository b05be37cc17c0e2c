"""What the service says about a run that has ended: metrics and one log line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyeino.errors import node_path
from pyeino.monitoring import Logger, Metrics
from pyeino.schema import TokenUsage as ModelUsage
from pyeino.service._outcome import Outcome
from pyeino.stores import MessageStatus


class Stage(StrEnum):
    """How far a run had come; the value is the label that its error is counted under."""

    CHECK = "invalid_request"
    BUDGET = "rate_limit_exceeded"
    SELECTION = "chain_selection_error"
    HISTORY = "message_history_error"
    EXECUTION = "chain_execution_error"


_MESSAGES = {
    Stage.CHECK: "Chat request refused",
    Stage.BUDGET: "Chat request over its limit",
    Stage.SELECTION: "Chain selection failed",
    Stage.HISTORY: "Failed to open the session",
    Stage.EXECUTION: "Chain execution failed",
}
_LABELS = {
    MessageStatus.COMPLETED: "ok",
    MessageStatus.FAILED: "error",
    MessageStatus.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The facts about an ended run that its outcome does not hold."""

    stage: Stage
    user_id: str
    request_id: str
    usage: ModelUsage | None
    model: str

    def tell(self, outcome: Outcome, *, logger: Logger, metrics: Metrics) -> None:
        """Count, measure and log; the latency is observed in every outcome."""
        metrics.observe_chat_latency(outcome.process_time, _LABELS[outcome.status])
        self._count_tokens(metrics)
        fields: dict[str, Any] = {
            "user_id": self.user_id,
            "session_id": outcome.metadata.get("session_id", ""),
            "message_id": outcome.message_id,
            "chain": outcome.metadata.get("chain", ""),
            "duration": outcome.process_time,
        }
        if self.request_id:
            fields["request_id"] = self.request_id
        error = outcome.error
        if error is None:
            usage = outcome.token_usage
            fields["reason"] = outcome.metadata.get("chain_reason", "")
            fields["finish_reason"] = outcome.finish_reason
            fields["completion_tokens"] = usage.completion_tokens if usage else 0
            if called := outcome.metadata.get("tool_calls"):
                fields["tools"] = [
                    call["name"][:64] for call in called
                ]  # never what they were given
            completed = outcome.status is MessageStatus.COMPLETED
            logger.info("Chat completed" if completed else "Chat cancelled", **fields)
            return
        metrics.inc_chat_errors(str(self.stage))
        path = " > ".join(node_path(error) or node_path(error.cause or error))
        fields |= {"error": error, "code": error.code}
        if path:
            fields["node"] = path
        # A request that has to change is the caller's business, not the operator's.
        log = logger.error if error.http_status >= 500 else logger.warn
        log(_MESSAGES[self.stage], **fields)

    def _count_tokens(self, metrics: Metrics) -> None:
        usage = self.usage
        if usage is None:
            return
        counts = {
            "prompt": usage.prompt_tokens,
            "completion": usage.completion_tokens,
            "cached": usage.prompt_token_details.cached_tokens,
            "reasoning": usage.completion_token_details.reasoning_tokens,
        }
        for kind, count in counts.items():
            metrics.inc_token_usage(self.model, kind, count)

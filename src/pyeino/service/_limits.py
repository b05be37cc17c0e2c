"""ServiceLimits: how much one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Bounds on requests; sizes in bytes of UTF-8, times in seconds. All are at least 1.

    `timeout` is the deadline of a run over all its tries; a request may ask for less.
    `store_timeout` is how long one step of saving history may take. `active_runs` is how many
    runs may be under way at a time; one more is refused with QUEUE_FULL (429).
    """

    message_bytes: int = 256 * 1024
    messages: int = 256
    context_bytes: int = 64 * 1024
    metadata_bytes: int = 16 * 1024
    history_messages: int = 40
    max_tokens: int = 131_072
    top_k: int = 100
    tools: int = 64
    timeout: float = 300.0
    store_timeout: float = 10.0
    active_runs: int = 1024

    def __post_init__(self) -> None:
        """Refuse bounds that would refuse everything."""
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0.0 if field.name.endswith("timeout") else 1
            if not value >= least or value == 0:
                raise ValueError(f"limits.{field.name} must be more than 0, found {value}")
        if self.history_messages > 500:
            raise ValueError(
                f"limits.history_messages must be at most 500, found {self.history_messages}"
            )

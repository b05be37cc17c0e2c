"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pyeino.errors import DeclarationError

_RETRIED = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is tried again before anything of it has arrived.

    After try n (from 0) the wait is min(`base_delay`·2ⁿ, `max_delay`) seconds less up to a quarter
    at random. A provider that names its own wait is believed up to `max_retry_after` seconds; one
    that names a longer one is not tried again. `x-should-retry: true|false` overrides the status.
    The rules are those that OpenAI's own clients follow.
    """

    max_retries: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 120.0

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.base_delay < 0 or self.max_delay < 0:
            raise DeclarationError(
                "a retry policy is out of range", expected="numbers of at least 0", found=str(self)
            )

    def delay(self, attempt: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after try `attempt` failed; None when it is not worth it."""
        if attempt >= self.max_retries:
            return None
        named = retry_after(headers)
        if named is not None:
            return named if named <= self.max_retry_after else None
        longest = min(self.base_delay * 2**attempt, self.max_delay)
        return longest * (1 - 0.25 * random.random())  # noqa: S311 - spreads load, hides nothing


def may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a call that was answered with `status` may be made again."""
    told = headers.get("x-should-retry", "").lower()
    if told in ("true", "false"):
        return told == "true"
    return status in _RETRIED or status >= 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: retry-after-ms, else retry-after (number or date)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None

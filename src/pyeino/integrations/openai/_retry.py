"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import email.utils
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyeino.errors import DeclarationError

_RETRIED = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is tried again before anything of it has arrived.

    After try n (from 0) the wait is min(`base_delay`·2ⁿ, `max_delay`) seconds less up to a quarter
    at random. A provider that names its own wait is believed up to `max_retry_after` seconds; one
    that names a longer one is not tried again. `x-should-retry: true|false` overrides the status.
    The rules are those that OpenAI's own clients follow, but for that longer wait and for a quota
    that is used up (429 insufficient_quota), which no waiting mends.
    """

    max_retries: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 120.0

    def __post_init__(self) -> None:
        """Raises DeclarationError for a number below 0 (or no number at all)."""
        numbers = (self.max_retries, self.base_delay, self.max_delay, self.max_retry_after)
        if not all(number >= 0 for number in numbers):
            raise DeclarationError(
                "a retry policy is out of range", expected="numbers of at least 0", found=str(self)
            )

    def delay(self, attempt: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after try `attempt` failed; None when it is not worth it."""
        if attempt >= self.max_retries:
            return None
        named = retry_after(headers)
        if named:  # a wait of 0 would be no back-off at all
            return named if named <= self.max_retry_after else None
        longest = min(math.ldexp(self.base_delay, min(attempt, 64)), self.max_delay)
        return longest * (1 - 0.25 * random.random())  # noqa: S311 - spreads load, hides nothing  # nosec B311


def may_retry(status: int, headers: Mapping[str, str], told: Mapping[str, Any]) -> bool:
    """Whether a call that was answered with `status` may be made again."""
    wish = headers.get("x-should-retry", "").strip().lower()
    if wish in ("true", "false"):
        return wish == "true"
    if "insufficient_quota" in (told.get("code"), told.get("type")):
        return False
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
        date = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, date - time.time())


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None

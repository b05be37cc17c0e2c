"""with_retry: calls that failed for a passing reason are made again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pyeino.components._wrapping import Around, ComponentT, Open, Request, Run, wrap
from pyeino.errors import AppError, DeclarationError, ExternalError, RateLimitError

T = TypeVar("T")

_TIMEOUT_STATUS = 504
_LASTING = frozenset({"PROVIDER_REFUSED_KEY", "PROVIDER_REFUSED_REQUEST", "PROVIDER_NOT_FOUND"})


def is_transient(error: Exception) -> bool:
    """True when the same call may succeed a little later.

    ExternalError (but not a refused key or request), RateLimitError, InternalError with status
    504 and TimeoutError are; a ValidationError and everything else is not.
    """
    if isinstance(error, ExternalError):
        return error.code not in _LASTING
    if isinstance(error, AppError):
        return isinstance(error, RateLimitError) or error.http_status == _TIMEOUT_STATUS
    return isinstance(error, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a call is made, and how long to wait in between.

    `attempts` ≥ 1 counts the first call too. Before attempt n+1 the wait is `base_delay`·2ⁿ⁻¹
    seconds, at most `max_delay`, of which up to the share `jitter` (0..1) is left off at random.
    An error with metadata `retry_after` (seconds) is waited for that long; when that is more than
    `max_retry_after` the error is raised at once. `retry_on` says which errors are worth it.
    Raises DeclarationError for numbers out of their range.
    """

    attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    jitter: float = 0.5
    max_retry_after: float = 60.0
    retry_on: Callable[[Exception], bool] = is_transient

    def __post_init__(self) -> None:
        numbers = (self.base_delay, self.max_delay, self.max_retry_after)
        if self.attempts < 1 or min(numbers) < 0 or not 0 <= self.jitter <= 1:
            raise DeclarationError(
                "a retry policy is out of range",
                expected="attempts ≥ 1, delays ≥ 0 seconds, jitter 0..1",
                found=str(self),
            )

    def delay(self, attempt: int, error: Exception, *, chance: float) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1) failed; None to give up.

        `chance` is a random number in 0..1, which is the share of the jitter that is left off.
        """
        if attempt >= self.attempts or not self.retry_on(error):
            return None
        named = _retry_after(error)
        if named is not None:
            return named if named <= self.max_retry_after else None
        # A float power is bounded before it is made: 2.0**2000 would be an OverflowError.
        longest = min(self.base_delay * 2.0 ** min(attempt - 1, 64), self.max_delay)
        return longest * (1 - self.jitter * chance)


def with_retry(
    component: ComponentT,
    policy: RetryPolicy | None = None,
    *,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> ComponentT:
    """`component` that calls again after a passing failure, as `policy` says.

    A stream is opened again only while nothing of it has been given: an error after the first
    chunk is raised. The last error is raised as it is, with a note of how often it was tried.
    `sleep` and `chance` (0..1) are there for tests.
    """
    return wrap(component, _Retry(component, policy or RetryPolicy(), sleep=sleep, chance=chance))


class _Retry(Around):
    __slots__ = ("_chance", "_component", "_policy", "_sleep")

    def __init__(
        self,
        component: Any,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[Any]],
        chance: Callable[[], float],
    ) -> None:
        self._component = component
        self._policy = policy
        self._sleep = sleep
        self._chance = chance

    async def call(self, request: Request, run: Run[T]) -> T:
        attempt = 1
        while True:
            try:
                return await run(self._component, request.options)
            except Exception as error:
                delay = self._delay(attempt, error)
                if delay is None:
                    raise
            await self._sleep(delay)
            attempt += 1

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        attempt = 1
        while True:
            begun = False
            try:
                async with open_(self._component, request.options) as source:
                    async for chunk in source:
                        begun = True
                        yield chunk
                return
            except Exception as error:
                delay = None if begun else self._delay(attempt, error)
                if delay is None:
                    raise
            await self._sleep(delay)
            attempt += 1

    def _delay(self, attempt: int, error: Exception) -> float | None:
        delay = self._policy.delay(attempt, error, chance=self._chance())
        if delay is None and attempt > 1:
            error.add_note(f"tried {attempt} times")
        return delay


def _retry_after(error: Exception) -> float | None:
    named = error.metadata.get("retry_after") if isinstance(error, AppError) else None
    return float(named) if isinstance(named, int | float) and named >= 0 else None

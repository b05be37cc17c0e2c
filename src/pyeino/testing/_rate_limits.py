"""What every store of rate limits has to pass.

@pytest.mark.parametrize("check", RATE_LIMIT_CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check, replicas):
    await check(replicas)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pyeino.stores import RateLimitStore
from pyeino.testing._expect import expect, expect_equal, expect_error

RateLimitCheck = Callable[[Sequence[RateLimitStore]], Awaitable[None]]
"""Given one or more replicas: objects that share their buckets."""

_PATIENCE = 30.0
_NEVER = 1e-6  # tokens a second: none comes while a check runs


async def check_a_bucket_starts_full(replicas: Sequence[RateLimitStore]) -> None:
    """As many pass at once as the burst says, then the time to wait is told."""
    store = replicas[0]
    left = [(await store.acquire("k", rate=_NEVER, burst=3)).remaining for _ in range(3)]
    expect_equal(left, [2, 1, 0], "each call takes one token")
    refused = await store.acquire("k", rate=_NEVER, burst=3)
    expect_equal((refused.allowed, refused.remaining), (False, 0), "an empty bucket refuses")
    expect(0.9e6 < refused.retry_after <= 1e6, "the wait is what one token takes")
    other = await store.acquire("other", rate=_NEVER, burst=3)
    expect(other.allowed, "another key has another bucket")
    expect_equal(other.retry_after, 0.0, "who is allowed need not wait")


async def check_several_tokens(replicas: Sequence[RateLimitStore]) -> None:
    """A call takes all of its tokens or none."""
    store = replicas[0]
    first = await store.acquire("k", rate=_NEVER, burst=5, n=3)
    expect_equal((first.allowed, first.remaining), (True, 2), "three of five are taken")
    second = await store.acquire("k", rate=_NEVER, burst=5, n=3)
    expect_equal((second.allowed, second.remaining), (False, 2), "a refusal takes nothing")
    third = await store.acquire("k", rate=_NEVER, burst=5, n=2)
    expect_equal((third.allowed, third.remaining), (True, 0), "what is left can be taken")


async def check_tokens_come_back(replicas: Sequence[RateLimitStore]) -> None:
    """Tokens come by time, never more than the burst, and the wait that is told is enough."""
    store = replicas[0]
    rate, burst = 50.0, 2
    expect((await store.acquire("k", rate=rate, burst=burst, n=2)).allowed, "it starts full")
    async with asyncio.timeout(_PATIENCE):
        while not (decision := await store.acquire("k", rate=rate, burst=burst)).allowed:
            expect(0 < decision.retry_after <= 1 / rate, "the wait is bounded by the rate")
            await asyncio.sleep(decision.retry_after)
    await asyncio.sleep(0.2)
    last = await store.acquire("k", rate=rate, burst=burst)
    expect_equal(last.remaining, 1, "a rest fills the bucket to the burst and no further")


async def check_bad_arguments(replicas: Sequence[RateLimitStore]) -> None:
    """Numbers that no bucket can have are refused."""
    store = replicas[0]
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        call = store.acquire("k", rate=rate, burst=1)
        await expect_error(call, "INVALID_REQUEST", f"a rate of {rate} is refused")
    for burst, n in ((0, 1), (2, 0), (2, -1), (2, 3)):
        call = store.acquire("k", rate=1.0, burst=burst, n=n)
        await expect_error(call, "INVALID_REQUEST", f"burst {burst} with n {n} is refused")
    await expect_error(store.acquire("", rate=1.0, burst=1), "INVALID_REQUEST", "a key has text")


async def check_a_changed_limit(replicas: Sequence[RateLimitStore]) -> None:
    """A smaller burst counts at once."""
    store = replicas[0]
    expect((await store.acquire("k", rate=_NEVER, burst=100)).allowed, "it starts full")
    decision = await store.acquire("k", rate=_NEVER, burst=2)
    expect_equal((decision.allowed, decision.remaining), (True, 1), "the new burst bounds it")


async def check_no_over_admission(replicas: Sequence[RateLimitStore]) -> None:
    """Of a thousand calls at once over all replicas exactly the burst passes, at any rate ≈ 0."""
    async with asyncio.timeout(_PATIENCE):
        decisions = await asyncio.gather(
            *(
                replicas[number % len(replicas)].acquire("k", rate=_NEVER, burst=137)
                for number in range(1_000)
            )
        )
    allowed = sum(decision.allowed for decision in decisions)
    expect_equal(allowed, 137, "as many pass as the bucket held, no more and no fewer")


async def check_the_rate_over_time(replicas: Sequence[RateLimitStore]) -> None:
    """Callers that never rest get rate × time + burst at the most, on all replicas together."""
    rate, burst = 200.0, 10
    began = time.monotonic()
    until = began + 0.3

    async def hammer(store: RateLimitStore) -> int:
        passed = 0
        while time.monotonic() < until:
            passed += (await store.acquire("k", rate=rate, burst=burst)).allowed
            await asyncio.sleep(0)
        return passed

    async with asyncio.timeout(_PATIENCE):
        passed = sum(await asyncio.gather(*(hammer(store) for store in list(replicas) * 4)))
    most = burst + rate * (time.monotonic() - began) + 1
    expect(passed <= most, f"at most {most:.0f} pass, found {passed}")
    expect(passed >= burst, "the burst passes")


async def check_settling_gives_back(replicas: Sequence[RateLimitStore]) -> None:
    """What was reserved and not used can be taken again, up to the burst, on every replica."""
    first, last = replicas[0], replicas[-1]
    expect((await first.acquire("k", rate=_NEVER, burst=10, n=8)).allowed, "it starts full")
    settled = await last.settle("k", rate=_NEVER, burst=10, reserved=8, used=3)
    expect_equal((settled.allowed, settled.remaining), (True, 7), "five of eight come back")
    again = await first.acquire("k", rate=_NEVER, burst=10, n=7)
    expect_equal((again.allowed, again.remaining), (True, 0), "what came back can be taken")
    full = await last.settle("k", rate=_NEVER, burst=10, reserved=100, used=0)
    expect_equal(full.remaining, 10, "no more comes back than the burst")
    unknown = await first.settle("new", rate=_NEVER, burst=10, reserved=5, used=0)
    expect_equal(unknown.remaining, 10, "a bucket that was forgotten is full")


async def check_settling_takes_more(replicas: Sequence[RateLimitStore]) -> None:
    """What was used on top is taken, into debt where it has to, and the debt has an end."""
    first, last = replicas[0], replicas[-1]
    expect((await first.acquire("k", rate=_NEVER, burst=10, n=4)).allowed, "it starts full")
    settled = await last.settle("k", rate=_NEVER, burst=10, reserved=4, used=9)
    expect_equal(settled.remaining, 1, "five more are taken")
    settled = await last.settle("k", rate=_NEVER, burst=10, reserved=0, used=6)
    expect_equal(settled.remaining, 0, "a debt shows as nothing left")
    refused = await first.acquire("k", rate=_NEVER, burst=10)
    expect(not refused.allowed, "nobody passes while there is a debt")
    expect(5.9e6 < refused.retry_after <= 6e6, "the debt counts in the time to wait")
    await last.settle("k", rate=_NEVER, burst=10, reserved=0, used=1_000_000)
    refused = await first.acquire("k", rate=_NEVER, burst=10)
    expect(refused.retry_after <= 11e6, "the debt is one burst at the most")
    for reserved, used in ((-1, 0), (0, -1)):
        call = first.settle("k", rate=1.0, burst=10, reserved=reserved, used=used)
        await expect_error(call, "INVALID_REQUEST", f"settling {reserved}, {used} is refused")


RATE_LIMIT_CHECKS: Final[tuple[RateLimitCheck, ...]] = (
    check_a_bucket_starts_full,
    check_several_tokens,
    check_tokens_come_back,
    check_bad_arguments,
    check_a_changed_limit,
    check_no_over_admission,
    check_the_rate_over_time,
    check_settling_gives_back,
    check_settling_takes_more,
)
"""Every check; each wants replicas whose buckets are new."""

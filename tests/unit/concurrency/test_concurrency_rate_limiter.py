"""RateLimiter: never more than rate × time + burst, in order, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.concurrency import ClosedError, RateLimiter
from pyeino.testing import ManualClock


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_g60_a_rate_has_to_be_positive_and_finite(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        RateLimiter(rate, 1)


@pytest.mark.parametrize("burst", [0, -3])
def test_g60_a_burst_is_at_least_one(burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        RateLimiter(1, burst)


async def test_g60_very_high_rates_work_and_no_task_is_made() -> None:
    before = asyncio.all_tasks()
    limiter = RateLimiter(5e9, 3)
    for _ in range(100):
        await limiter.wait()
    assert asyncio.all_tasks() == before


def test_g60_tokens_come_by_the_clock_however_late_somebody_looks() -> None:
    clock = ManualClock()
    limiter = RateLimiter(10, 5, clock=clock)
    assert [limiter.try_acquire() for _ in range(6)] == [True] * 5 + [False]
    clock.advance(0.3)
    assert [limiter.try_acquire() for _ in range(4)] == [True] * 3 + [False]
    clock.advance(1_000)
    assert limiter.available == 5
    assert clock.pending == 0


async def test_g60_closing_twice_is_fine() -> None:
    limiter = RateLimiter(1, 1)
    limiter.close()
    limiter.close()
    assert limiter.closed


async def test_g61_waiters_are_served_first_come_first_served() -> None:
    clock = ManualClock()
    limiter = RateLimiter(1, 3, clock=clock)
    assert limiter.try_acquire(3)
    served: list[str] = []

    async def take(name: str, n: int) -> None:
        await limiter.wait(n)
        served.append(name)

    async with asyncio.TaskGroup() as group:
        for name, n in (("large", 3), ("small", 1), ("middle", 2)):
            group.create_task(take(name, n))
            await _settle()
        assert limiter.waiting == 3
        assert not limiter.try_acquire(), "who does not wait does not overtake"
        for expected in ([], [], ["large"], ["large", "small"]):
            clock.advance(1)
            await _settle()
            assert served == expected
        clock.advance(2)
    assert served == ["large", "small", "middle"]
    assert clock.pending == 0


async def test_g61_more_than_the_burst_is_an_error() -> None:
    limiter = RateLimiter(1, 2)
    for n in (0, -1, 3):
        with pytest.raises(ValueError, match="1 to 2"):
            limiter.try_acquire(n)
        with pytest.raises(ValueError, match="1 to 2"):
            await limiter.wait(n)


async def test_g61_waiting_has_a_bound() -> None:
    clock = ManualClock()
    limiter = RateLimiter(1, 1, clock=clock)
    await limiter.wait(timeout=0)
    with pytest.raises(TimeoutError):
        await limiter.wait(timeout=0)
    late = asyncio.create_task(limiter.wait(timeout=0.5))
    behind = asyncio.create_task(limiter.wait(timeout=5))
    await _settle()
    clock.advance(0.5)
    await _settle()
    with pytest.raises(TimeoutError, match=r"0\.5 seconds"):
        await late
    clock.advance(0.5)
    await behind
    assert (limiter.waiting, clock.pending) == (0, 0)


async def test_g61_close_wakes_who_waits_with_an_error() -> None:
    limiter = RateLimiter(0.001, 1)
    await limiter.wait()
    waiting = [asyncio.create_task(limiter.wait()) for _ in range(3)]
    await _settle()
    limiter.close()
    for task in waiting:
        with pytest.raises(ClosedError):
            await task
    with pytest.raises(ClosedError):
        await limiter.wait()
    with pytest.raises(ClosedError):
        limiter.try_acquire()


async def test_a_cancelled_waiter_leaves_the_queue_and_takes_nothing() -> None:
    clock = ManualClock()
    limiter = RateLimiter(1, 2, clock=clock)
    assert limiter.try_acquire(2)
    first = asyncio.create_task(limiter.wait(2))
    second = asyncio.create_task(limiter.wait(1))
    await _settle()
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    clock.advance(1)
    await second
    assert limiter.available == 0


async def test_tokens_handed_over_in_the_tick_of_a_cancellation_go_to_the_next() -> None:
    clock = ManualClock()
    limiter = RateLimiter(1, 1, clock=clock)
    assert limiter.try_acquire()
    first = asyncio.create_task(limiter.wait())
    second = asyncio.create_task(limiter.wait())
    await _settle()
    clock.advance(1)  # grants the first ...
    first.cancel()  # ... which is cancelled before it runs on
    async with asyncio.timeout(30):
        await second
    assert first.cancelled()


async def test_the_system_clock_lets_waiters_through() -> None:
    limiter = RateLimiter(1_000, 1)
    async with asyncio.timeout(30):
        for _ in range(20):
            await limiter.wait()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.floats(0, 3)),
        st.tuples(st.just("try"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(1, 4)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
    ),
    max_size=40,
)


@given(rate=st.floats(0.2, 50), steps=_STEPS)
def test_never_more_than_rate_times_time_plus_burst(
    rate: float, steps: list[tuple[str, float]]
) -> None:
    asyncio.run(_hold_the_bound(rate, steps))


async def _advance(clock: ManualClock, seconds: float) -> None:
    """Stop at each timer, so that who is let through notes the moment at which it was."""
    until = clock.monotonic() + seconds
    while (due := clock.next_due) is not None and clock.monotonic() + due <= until:
        clock.advance(due)
        await _settle()
    clock.advance(until - clock.monotonic())
    await _settle()


async def _hold_the_bound(rate: float, steps: list[tuple[str, float]]) -> None:
    clock = ManualClock(now=0)
    limiter = RateLimiter(rate, 4, clock=clock)
    taken: list[tuple[float, int]] = []
    order: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def wait(number: int, n: int) -> None:
        await limiter.wait(n)
        taken.append((clock.monotonic(), n))
        order.append(number)

    for step, amount in steps:
        match step:
            case "advance":
                await _advance(clock, amount)
            case "try":
                if limiter.try_acquire(int(amount)):
                    taken.append((clock.monotonic(), int(amount)))
            case "wait":
                tasks.append(asyncio.create_task(wait(len(tasks), int(amount))))
            case _:
                if tasks:
                    tasks[int(amount) % len(tasks)].cancel()
        await _settle()
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            seconds = taken[end][0] - taken[start][0]
            total = sum(n for _, n in taken[start : end + 1])
            assert total <= 4 + rate * seconds + 1e-6
    assert order == sorted(order)
    await _advance(clock, 4 * (len(tasks) + 1) / rate + 1)
    assert all(task.done() for task in tasks), "everybody who was not cancelled got through"
    assert limiter.waiting == 0

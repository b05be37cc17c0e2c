"""SingleFlight: one call for many callers, and nobody's cancellation is another's."""

from __future__ import annotations

import asyncio

import pytest

from pyeino.concurrency import SingleFlight


class _Work:
    """Counts its calls and waits for `release`."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.release = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        call = self.calls
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return call


async def _ticks(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_g70_many_callers_share_one_call() -> None:
    flights, work = SingleFlight[int](), _Work()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        tasks = [group.create_task(flights.run("k", work)) for _ in range(100)]
        other = group.create_task(flights.run("other", work))
        await _ticks()
        assert work.calls == 2
        work.release.set()
    assert {task.result() for task in tasks} == {1}
    assert other.result() == 2
    assert len(flights) == 0


async def test_g70_the_first_callers_cancellation_is_not_the_others() -> None:
    flights, work = SingleFlight[int](), _Work()
    async with asyncio.timeout(30):
        leader = asyncio.create_task(flights.run("k", work))
        await _ticks()
        followers = [asyncio.create_task(flights.run("k", work)) for _ in range(3)]
        await _ticks()
        leader.cancel()
        await _ticks()
        assert leader.cancelled()
        work.release.set()
        assert await asyncio.gather(*followers) == [1, 1, 1]
    assert (work.calls, work.cancelled) == (1, 0)


async def test_g70_the_call_ends_with_its_last_caller() -> None:
    flights, work = SingleFlight[int](), _Work()
    async with asyncio.timeout(30):
        callers = [asyncio.create_task(flights.run("k", work)) for _ in range(3)]
        await _ticks()
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        assert work.cancelled == 1
        assert len(flights) == 0
        work.release.set()
        assert await flights.run("k", work) == 2, "who comes later begins anew"


async def test_a_new_caller_does_not_join_a_call_that_is_being_cancelled() -> None:
    flights, work = SingleFlight[int](), _Work()
    hold = asyncio.Event()

    async def slow_to_end() -> int:
        try:
            return await work()
        finally:
            await hold.wait()

    async with asyncio.timeout(30):
        first = asyncio.create_task(flights.run("k", slow_to_end))
        await _ticks()
        first.cancel()
        await _ticks()
        second = asyncio.create_task(flights.run("k", work))
        await _ticks()
        assert not first.done(), "the last caller waits for the end of its call"
        hold.set()
        work.release.set()
        assert await second == 2
        await asyncio.wait([first])
        assert first.cancelled()


async def test_an_error_reaches_all_and_is_not_kept() -> None:
    flights = SingleFlight[int]()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise KeyError("no")

    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(
            *(flights.run("k", fail) for _ in range(3)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [KeyError] * 3

        async def good() -> int:
            return 7

        assert await flights.run("k", good) == 7


async def test_an_error_that_nobody_waits_for_any_more_is_no_warning() -> None:
    flights, begun = SingleFlight[int](), asyncio.Event()

    async def fail_when_cancelled() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("no") from None
        return 1

    async with asyncio.timeout(30):
        caller = asyncio.create_task(flights.run("k", fail_when_cancelled))
        await begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_cancelling_again_reaches_the_call_again_and_still_waits_for_its_end() -> None:
    flights, work = SingleFlight[int](), _Work()
    ended: list[str] = []

    async def slow_to_end() -> int:
        try:
            return await work()
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                await _ticks()
                ended.append("call")

    async with asyncio.timeout(30):
        caller = asyncio.create_task(flights.run("k", slow_to_end))
        await _ticks()
        for _ in range(2):
            caller.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.wait([caller])
    assert caller.cancelled()
    assert ended == ["call"]

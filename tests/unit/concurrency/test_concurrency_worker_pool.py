"""WorkerPool: exactly one result a job, bounds that hold, and a close that never hangs."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.concurrency import Job, JobCancelledError, Result, WorkerPool

_request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def _forever(number: int) -> int:
    await asyncio.Event().wait()
    return number


def _job(number: int, fn: object = _double) -> Job[int, int]:
    return Job(id=str(number), data=number, fn=fn)  # type: ignore[arg-type]


async def _rest(pool: WorkerPool[int, int]) -> list[Result[int]]:
    async with asyncio.timeout(30):
        return [result async for result in pool.results()]


async def test_jobs_run_and_results_carry_their_ids() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](2) as pool:
        assert all(pool.submit(_job(number)) for number in range(4))
    found = {result.id: (result.data, result.error) for result in await _rest(pool)}
    assert found == {str(number): (2 * number, None) for number in range(4)}


async def test_g55_closing_an_idle_pool_runs_no_empty_job() -> None:
    pool = WorkerPool[int, int](3)
    async with asyncio.timeout(30):
        await pool.close()
    assert await _rest(pool) == []
    async with asyncio.timeout(30), WorkerPool[int, int](3):
        await asyncio.sleep(0)


async def test_g56_full_and_closed_are_both_false_but_told_apart() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](1) as pool:
        accepted = [pool.submit(_job(number, _forever)) for number in range(4)]
        assert accepted == [True, True, True, False], "one runs, two wait, no more is taken"
        assert not pool.closed
        await pool.close(drain=False)
        assert pool.closed
        assert not pool.submit(_job(9))
        assert not await pool.put(_job(9))


async def test_g56_submit_during_close_never_raises() -> None:
    async with asyncio.timeout(30):
        pool = WorkerPool[int, int](2)
        refused = 0

        async def feed() -> None:
            nonlocal refused
            for number in range(50):
                refused += not pool.submit(_job(number))
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            await asyncio.sleep(0)
            await pool.close()
        assert refused


@pytest.mark.parametrize("drain", [True, False])
async def test_g57_every_accepted_job_gives_exactly_one_result(drain: bool) -> None:
    async def slow(number: int) -> int:
        for _ in range(number):
            await asyncio.sleep(0)
        return number

    async with asyncio.timeout(30):
        pool = WorkerPool[int, int](3)
        accepted = [str(number) for number in range(9) if pool.submit(_job(number, slow))]
        await asyncio.sleep(0)
        await asyncio.gather(pool.close(drain=drain), pool.close(drain=drain), pool.close())
        await pool.close()
    results = await _rest(pool)
    assert sorted(result.id for result in results) == accepted
    if drain:
        assert all(result.error is None for result in results)
    else:
        assert any(isinstance(result.error, JobCancelledError) for result in results)


async def test_g57_a_close_that_drains_may_be_cut_short() -> None:
    async with asyncio.timeout(30):
        pool = WorkerPool[int, int](1)
        for number in range(3):
            assert pool.submit(_job(number, _forever))
        await pool.close(timeout=0)
        assert len(await _rest(pool)) == 3

        pool = WorkerPool[int, int](1)
        assert pool.submit(_job(0, _forever))
        draining = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        await pool.close(drain=False)
        await draining


async def test_g57_a_cancelled_close_still_joins_everything() -> None:
    ended: list[int] = []

    async def stubborn(number: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            ended.append(number)
        return number

    async with asyncio.timeout(30):
        pool = WorkerPool[int, int](1)
        assert pool.submit(_job(1, stubborn))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        for _ in range(2):
            closing.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([closing])
        assert closing.cancelled()
    assert ended == [1]
    assert pool.running == 0


async def test_g57_a_job_may_close_its_pool() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](2) as pool:

        async def closing(number: int) -> int:
            await pool.close()
            return number

        assert pool.submit(_job(1, closing))
        assert pool.submit(_job(2, closing))
    assert {result.data for result in await _rest(pool)} == {1, 2}


async def test_g58_nobody_reading_stalls_the_jobs_but_not_the_close() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](2) as pool:
        accepted = 0
        for number in range(200):
            accepted += pool.submit(_job(number))
            await asyncio.sleep(0)
        assert accepted == 4 + 4, "4 results and 4 waiting jobs: then it is full"
        assert (pool.running, pool.waiting) == (0, 4)
        reader = pool.results()
        await anext(reader)
        await asyncio.sleep(0)
        assert pool.submit(_job(200)), "who reads makes room"
    assert len(await _rest(pool)) == accepted, "one more was taken, one was read"


async def test_g58_put_waits_for_room_while_another_task_reads() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](2) as pool:

        async def feed() -> None:
            for number in range(300):
                assert await pool.put(_job(number))
            await pool.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            total = [result.data async for result in pool.results()]
    assert sorted(data for data in total if data is not None) == [2 * n for n in range(300)]


async def test_g59_what_a_job_raises_is_the_error_of_its_result() -> None:
    class OwnInterrupt(BaseException):
        pass

    async def interrupted(number: int) -> int:
        raise OwnInterrupt

    async def cancels_itself(number: int) -> int:
        raise asyncio.CancelledError

    def no_coroutine(number: int) -> int:
        return 1 // number

    async with asyncio.timeout(30), WorkerPool[int, int](2) as pool:
        jobs = [
            Job(id="interrupt", data=0, fn=interrupted),
            Job(id="cancel", data=0, fn=cancels_itself),
            Job(id="sync", data=0, fn=no_coroutine),  # type: ignore[arg-type]
            Job(id="good", data=1, fn=_double),
        ]
        assert all(pool.submit(job) for job in jobs)
    found = {result.id: result for result in await _rest(pool)}
    assert isinstance(found["interrupt"].error, OwnInterrupt)
    assert isinstance(found["cancel"].error, JobCancelledError)
    assert isinstance(found["sync"].error, ZeroDivisionError)
    assert found["good"].data == 2


def test_g59_workers_are_at_least_one() -> None:
    for workers in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            WorkerPool(workers)


async def test_an_error_in_the_with_block_cancels_the_jobs() -> None:
    pool = WorkerPool[int, int](1)

    async def fail() -> None:
        async with pool:
            assert pool.submit(_job(1, _forever))
            raise KeyError

    async with asyncio.timeout(30):
        with pytest.raises(KeyError):
            await fail()
    (result,) = await _rest(pool)
    assert isinstance(result.error, JobCancelledError)


async def test_a_job_runs_in_the_context_of_its_submitter() -> None:
    async def read(number: int) -> str:
        own = _request.get()
        _request.set("changed by a job")
        return own

    async with asyncio.timeout(30), WorkerPool[int, str](1) as pool:
        for name in ("a", "b"):
            _request.set(name)
            assert pool.submit(Job(id=name, data=0, fn=read))
    assert [result.data async for result in pool.results()] == ["a", "b"]
    assert _request.get() == "b"


async def test_a_cancelled_reader_loses_no_result() -> None:
    async with asyncio.timeout(30), WorkerPool[int, int](1) as pool:
        reader = asyncio.create_task(anext(pool.results()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert pool.submit(_job(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
    left = await _rest(pool)
    assert len(left) + (not reader.cancelled()) == 1


_STEPS = st.lists(st.sampled_from(["good", "bad", "slow", "read", "tick", "close"]), max_size=60)


@given(workers=st.integers(1, 3), steps=_STEPS, drain=st.booleans())
def test_accepted_jobs_and_results_always_agree(
    workers: int, steps: list[str], drain: bool
) -> None:
    asyncio.run(_hold_the_promises(workers, steps, drain=drain))


async def _hold_the_promises(workers: int, steps: list[str], *, drain: bool) -> None:
    running = 0

    async def work(kind: str) -> str:
        nonlocal running
        running += 1
        assert running <= workers
        try:
            for _ in range(3 if kind == "slow" else 0):
                await asyncio.sleep(0)
            if kind == "bad":
                raise ValueError
            return kind
        finally:
            running -= 1

    pool = WorkerPool[str, str](workers)
    accepted: list[str] = []
    found: list[str] = []
    reader = pool.results()
    for number, step in enumerate(steps):
        if step in ("good", "bad", "slow"):
            if pool.submit(Job(id=str(number), data=step, fn=work)):
                accepted.append(str(number))
        elif step == "close":
            await pool.close(drain=drain)
        elif step == "tick":
            await asyncio.sleep(0)
        elif len(accepted) > len(found):
            found.append((await anext(reader)).id)
        assert pool.waiting <= 2 * workers
        assert len(pool._results) <= (5 if pool.closed else 2) * workers  # type: ignore[attr-defined]
    await pool.close(drain=drain)
    found += [result.id async for result in reader]
    assert Counter(found) == Counter(accepted)

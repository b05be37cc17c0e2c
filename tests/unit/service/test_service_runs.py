"""RunManager: one owner for every run."""

from __future__ import annotations

import asyncio

import pytest

from pyeino.errors import DeclarationError, InternalError, RateLimitError
from pyeino.service import Run, RunManager, StopReason
from pyeino.service._finally import finish_anyway


async def _done(run: Run[str]) -> str:
    await asyncio.sleep(0)
    return "done"


async def test_outcome_is_what_the_body_gives() -> None:
    async with RunManager[str](limit=2) as manager:
        run = manager.start(_done, name="run")
        assert manager.active == 1
        assert await run.wait() == "done"
        assert manager.active == 0
        assert await run.wait() == "done"


async def test_stopped_before_its_first_step() -> None:
    async with RunManager[str](limit=2) as manager:
        run = manager.start(_done, name="run")
        run.stop(StopReason.SERVER_STOPPED)
        with pytest.raises(InternalError, match="SERVER_STOPPED"):
            await run.wait()
        assert manager.active == 0


async def test_sealed_run_is_not_stopped() -> None:
    release = asyncio.Event()

    async def sealed(run: Run[str]) -> str:
        run.seal()
        await release.wait()
        return "kept"

    async with RunManager[str](limit=2) as manager:
        run = manager.start(sealed, name="run")
        await asyncio.sleep(0)
        leaving = asyncio.create_task(run.leave())
        await asyncio.sleep(0)
        assert not leaving.done()
        release.set()
        await leaving
        assert await run.wait() == "kept"
        assert run.stop_reason is None


async def test_first_reason_counts() -> None:
    async def wait(run: Run[str]) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert run.stop_reason is not None
            return run.stop_reason.name
        return "never"

    async with RunManager[str](limit=2) as manager:
        run = manager.start(wait, name="run")
        await asyncio.sleep(0)
        run.stop(StopReason.READER_LEFT)
        run.stop(StopReason.SERVER_STOPPED)
        assert await run.wait() == "READER_LEFT"


async def test_waiter_that_is_cancelled_leaves_the_run_alone() -> None:
    release = asyncio.Event()

    async def wait(run: Run[str]) -> str:
        await release.wait()
        return "done"

    async with RunManager[str](limit=2) as manager:
        run = manager.start(wait, name="run")
        waiter = asyncio.create_task(run.wait())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait((waiter,))
        release.set()
        assert await run.wait() == "done"


async def test_broken_body_ends_its_own_run_only() -> None:
    async def broken(run: Run[str]) -> str:
        raise KeyError("bug")

    async with RunManager[str](limit=2) as manager:
        other = manager.start(_done, name="other")
        run = manager.start(broken, name="run")
        with pytest.raises(InternalError, match="UNKNOWN_ERROR"):
            await run.wait()
        assert await other.wait() == "done"


async def test_leaving_the_manager_waits_for_every_run() -> None:
    ended: list[str] = []

    async def slow_to_end(run: Run[str]) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.001)
            ended.append("ended")
        return "never"

    async with RunManager[str](limit=4) as manager:
        for number in range(3):
            manager.start(slow_to_end, name=f"run {number}")
        await asyncio.sleep(0)
    assert ended == ["ended"] * 3


async def test_start_is_refused_when_closed_draining_or_full() -> None:
    manager = RunManager[str](limit=1)
    with pytest.raises(DeclarationError, match="not open"):
        manager.start(_done, name="run")
    async with manager:
        with pytest.raises(DeclarationError, match="open already"):
            await manager.__aenter__()
        manager.start(_done, name="run")
        with pytest.raises(RateLimitError, match="QUEUE_FULL"):
            manager.start(_done, name="run")
        await manager.drain()
        with pytest.raises(InternalError, match="SERVER_DRAINING"):
            manager.start(_done, name="run")
    async with manager:
        assert await manager.start(_done, name="run").wait() == "done"


async def test_finish_anyway_outlives_every_cancel() -> None:
    release = asyncio.Event()
    steps: list[str] = []

    async def step() -> str:
        await release.wait()
        steps.append("done")
        return "result"

    task = asyncio.create_task(finish_anyway(step(), name="step"))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert steps == ["done"]


async def test_finish_anyway_gives_result_and_error() -> None:
    async def fine() -> int:
        return 1

    async def broken() -> int:
        raise KeyError("bug")

    assert await finish_anyway(fine(), name="fine") == 1
    with pytest.raises(KeyError):
        await finish_anyway(broken(), name="broken")

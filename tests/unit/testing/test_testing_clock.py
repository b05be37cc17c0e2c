"""run_in_virtual_time: hours pass at once, in the right order."""

from __future__ import annotations

import asyncio

import pytest

from pyeino.testing import run_in_virtual_time


def test_time_jumps_from_timer_to_timer() -> None:
    async def main() -> list[tuple[str, float]]:
        order: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append((name, loop.time()))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 7200.0), ("soon", 0.5), ("day", 86400.0)):
                group.create_task(wait(name, seconds))
        return order

    assert run_in_virtual_time(main()) == [
        ("soon", pytest.approx(0.5)),
        ("late", pytest.approx(7200.0)),
        ("day", pytest.approx(86400.0)),
    ]


def test_time_outs_follow_it_and_results_come_out() -> None:
    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        return f"{asyncio.get_running_loop().time():.0f}"

    assert run_in_virtual_time(main()) == "3600"

"""The line before the slots: order, bounds, and no slot lost whatever happens."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import AppError
from pyeino.integrations.llamacpp._gate import SlotGate


async def test_slots_go_out_in_order_of_arrival() -> None:
    gate = SlotGate(1, max_queue=10, queue_timeout=30)
    await gate.enter()
    order: list[int] = []

    async def come(number: int) -> None:
        await gate.enter()
        order.append(number)
        gate.leave()

    tasks = [asyncio.create_task(come(number)) for number in range(5)]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert gate.free == 1


async def test_a_slot_that_meets_a_cancel_goes_to_the_next() -> None:
    gate = SlotGate(1, max_queue=10, queue_timeout=30)
    await gate.enter()
    first, second = (asyncio.create_task(gate.enter()) for _ in "ab")
    await asyncio.sleep(0)
    gate.leave()  # the slot is on its way to the first
    first.cancel()
    await asyncio.wait({first, second})
    assert first.cancelled()
    assert second.exception() is None
    gate.leave()
    assert (gate.free, gate.waiting) == (1, 0)


async def test_retry_after_follows_what_calls_take() -> None:
    gate = SlotGate(2, max_queue=10, queue_timeout=30)
    for _ in range(30):
        gate.note(40)
    slow = gate.retry_after()
    for _ in range(30):
        gate.note(0.1)
    assert slow > 10 > gate.retry_after() >= 1


@given(
    slots=st.integers(1, 3),
    steps=st.lists(st.sampled_from(["come", "leave", "cancel", "turn"]), max_size=40),
)
def test_slots_are_neither_lost_nor_doubled(slots: int, steps: list[str]) -> None:
    async def run() -> None:
        gate = SlotGate(slots, max_queue=4, queue_timeout=30)
        tasks: list[asyncio.Task[None]] = []
        left = 0

        def inside() -> int:
            return sum(t.done() and not t.cancelled() and not t.exception() for t in tasks) - left

        for step in steps:
            if step == "come":
                tasks.append(asyncio.create_task(gate.enter()))
            elif step == "cancel" and tasks:
                tasks[-1].cancel()
            elif step == "leave" and inside():
                gate.leave()
                left += 1
            else:
                await asyncio.sleep(0)
            assert inside() <= slots
            assert gate.waiting <= 4
        await asyncio.sleep(0)
        gate.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        while inside():
            gate.leave()
            left += 1
        assert gate.free == slots
        errors = [t.exception() for t in tasks if not t.cancelled()]
        assert all(error is None or isinstance(error, AppError) for error in errors)

    asyncio.run(run())

"""Any interleaving of reads, copies, merges, errors, cancels and early closes.

What is held in each: nothing lost, nothing doubled, nothing left open, no task left over.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import StreamClosedError
from pyeino.streams import SourceEnd, Stream, merge, merge_named, pipe

Item = int | None
"""What a source gives: a number, or None for an item that failed."""


class Broken(Exception):
    """An item that failed."""


@dataclass(frozen=True)
class Plan:
    """One source: its kind, its items, how often it lets others run before each of them."""

    kind: str
    items: tuple[Item, ...]
    pauses: tuple[int, ...]

    def expected(self) -> list[Item]:
        """What a reader sees that reads to the end."""
        if self.kind == "generator" and None in self.items:
            return list(self.items[: self.items.index(None) + 1])
        if self.kind == "array":
            return [item for item in self.items if item is not None]
        return list(self.items)


plans = st.builds(
    Plan,
    kind=st.sampled_from(["generator", "iterator", "pipe", "array"]),
    items=st.lists(st.one_of(st.integers(0, 99), st.integers(0, 99), st.none()), max_size=8).map(
        tuple
    ),
    pauses=st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple),
)


class World:
    """Makes streams from plans, and counts what is open."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.open = 0
        self.writers: list[asyncio.Task[None]] = []

    async def pause(self, most: int = 3) -> None:
        for _ in range(self.random.randint(0, most)):
            await asyncio.sleep(0)

    def make(self, plan: Plan) -> Stream[int]:
        if plan.kind == "array":
            return Stream.of(item for item in plan.items if item is not None)
        if plan.kind == "generator":
            return Stream.from_iterator(self._generate(plan))
        if plan.kind == "iterator":
            return Stream.from_iterator(_Iterator(self, plan))
        writer, stream = pipe(self.random.randint(1, 3))

        async def write() -> None:
            for number, item in enumerate(plan.items):
                await self.wait(plan, number)
                gone = await (writer.send_error(Broken()) if item is None else writer.send(item))
                if gone:
                    break
            writer.close()

        self.writers.append(asyncio.create_task(write()))
        return stream

    async def wait(self, plan: Plan, number: int) -> None:
        for _ in range(plan.pauses[number % len(plan.pauses)]):
            await asyncio.sleep(0)

    async def _generate(self, plan: Plan) -> AsyncIterator[int]:
        self.open += 1
        try:
            for number, item in enumerate(plan.items):
                await self.wait(plan, number)
                if item is None:
                    raise Broken
                yield item
        finally:
            self.open -= 1

    async def check_all_closed(self) -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*self.writers)
        assert self.open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}


class _Iterator:
    """A class that can go on after an error; its items survive a cancelled read."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._next = 0
        self._open = False

    def __aiter__(self) -> _Iterator:
        return self

    async def __anext__(self) -> int:
        if not self._open:
            self._open = True
            self._world.open += 1
        await self._world.wait(self._plan, self._next)
        if self._next == len(self._plan.items):
            raise StopAsyncIteration
        item = self._plan.items[self._next]
        self._next += 1
        if item is None:
            raise Broken
        return item

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        if self._open:
            self._open = False
            self._world.open -= 1


async def read(world: World, stream: Stream[Any], limit: int | None = None) -> list[Any]:
    """Read up to `limit` items, pausing at random, then close; None stands for a failed item."""
    seen: list[Any] = []
    async with stream:
        while limit is None or len(seen) < limit:
            await world.pause()
            try:
                seen.append(await anext(stream))
            except StopAsyncIteration:
                break
            except Broken:
                seen.append(None)
    return seen


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


seeds = st.integers(0, 2**32)
limits = st.one_of(st.none(), st.integers(0, 5))


@given(plans, limits, seeds)
def test_one_reader(plan: Plan, limit: int | None, seed: int) -> None:
    async def main() -> None:
        world = World(seed)
        assert await read(world, world.make(plan), limit) == plan.expected()[:limit]
        await world.check_all_closed()

    run(main())


@given(plans, st.lists(limits, min_size=1, max_size=4), seeds)
def test_copies_see_the_same(plan: Plan, readers: list[int | None], seed: int) -> None:
    async def main() -> None:
        world = World(seed)
        copies = world.make(plan).copy(len(readers))
        results = await asyncio.gather(
            *(read(world, copy, limit) for copy, limit in zip(copies, readers, strict=True))
        )
        for result, limit in zip(results, readers, strict=True):
            assert result == plan.expected()[:limit]
        await world.check_all_closed()

    run(main())


@given(plans, st.integers(0, 5), seeds)
def test_copies_of_copies_with_a_map_between(plan: Plan, before: int, seed: int) -> None:
    async def main() -> None:
        world = World(seed)
        one, two = world.make(plan).map(lambda item: item + 1).copy(2)
        seen: list[Item] = []
        for _ in range(before):
            try:
                seen.append(await anext(one))
            except StopAsyncIteration:
                break
            except Broken:
                seen.append(None)
        expected = [None if item is None else item + 1 for item in plan.expected()]
        inner = one.copy(2)
        results = await asyncio.gather(*(read(world, child) for child in (*inner, two)))
        assert [seen + results[0], seen + results[1], results[2]] == [expected] * 3
        await world.check_all_closed()

    run(main())


@given(plans, st.integers(2, 4), seeds)
def test_cancelled_reads_of_copies_lose_nothing(plan: Plan, count: int, seed: int) -> None:
    async def patient(world: World, stream: Stream[int]) -> list[Item]:
        """Reads to the end, cancelling its own reads at random and asking again."""
        seen: list[Item] = []
        async with stream:
            while True:
                reading = asyncio.create_task(stream.__anext__())
                await world.pause()
                if world.random.random() < 0.5:
                    reading.cancel()
                try:
                    seen.append(await reading)
                except asyncio.CancelledError:
                    continue
                except StopAsyncIteration:
                    return seen
                except Broken:
                    seen.append(None)

    async def main() -> None:
        world = World(seed)
        copies = world.make(plan).copy(count)
        async with asyncio.timeout(30):
            results = await asyncio.gather(*(patient(world, copy) for copy in copies))
        assert results == [plan.expected()] * count
        await world.check_all_closed()

    # An array is read by its cursor, a pipe directly, the others by a task: all are held.
    run(main())


@given(st.lists(plans, max_size=4), limits, seeds)
def test_merge(sources: list[Plan], limit: int | None, seed: int) -> None:
    async def main() -> None:
        world = World(seed)
        merged = merge([world.make(p) for p in sources], capacity=world.random.randint(1, 4))
        seen = await read(world, merged, limit)
        everything = Counter(item for plan in sources for item in plan.expected())
        if limit is None:
            assert Counter(seen) == everything
        else:
            assert not Counter(seen) - everything
        await world.check_all_closed()

    run(main())


@given(st.lists(plans, max_size=4), st.booleans(), seeds)
def test_named_merge_keeps_order_and_tells_ends(
    sources: list[Plan], copied: bool, seed: int
) -> None:
    async def main() -> None:
        world = World(seed)
        named = {str(number): world.make(plan) for number, plan in enumerate(sources)}
        merged = merge_named(named, capacity=world.random.randint(1, 4))
        readers = merged.copy(2) if copied else (merged,)
        for events in await asyncio.gather(*(read(world, reader) for reader in readers)):
            for name, plan in zip(named, sources, strict=True):
                items = [e[1] for e in events if isinstance(e, tuple) and e[0] == name]
                assert items == [item for item in plan.expected() if item is not None]
                ends = [i for i, e in enumerate(events) if e == SourceEnd(name=name)]
                assert len(ends) == 1
                later = [e for e in events[ends[0] :] if isinstance(e, tuple) and e[0] == name]
                assert later == []
            failed = sum(item is None for plan in sources for item in plan.expected())
            assert events.count(None) == failed
        await world.check_all_closed()

    run(main())


@given(st.lists(plans, min_size=1, max_size=3), st.integers(0, 12), seeds)
def test_close_and_cancel_at_any_moment_leave_nothing_open(
    sources: list[Plan], moment: int, seed: int
) -> None:
    async def main() -> None:
        world = World(seed)
        merged = merge([world.make(plan) for plan in sources]).map(lambda item: item)
        streams = merged.copy(world.random.randint(1, 3))
        readers = [asyncio.create_task(read(world, stream)) for stream in streams]
        for _ in range(moment):
            await asyncio.sleep(0)
        closers: list[asyncio.Task[None]] = []
        for stream, reader in zip(streams, readers, strict=True):
            if world.random.random() < 0.3:
                reader.cancel()
            closers.append(asyncio.create_task(stream.aclose()))
            if world.random.random() < 0.3:
                await asyncio.sleep(0)  # a task cancelled before its first step closes nothing
                await world.pause()
                closers[-1].cancel()
        async with asyncio.timeout(30):
            results = await asyncio.gather(*readers, *closers, return_exceptions=True)
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, StreamClosedError)
        assert all(stream.closed for stream in streams)
        await world.check_all_closed()

    run(main())


@given(
    st.integers(1, 3),
    st.lists(st.lists(st.integers(), max_size=6), min_size=1, max_size=4),
    seeds,
)
def test_pipe_with_many_senders_some_of_them_cancelled(
    capacity: int, batches: list[list[int]], seed: int
) -> None:
    async def main() -> None:
        world = World(seed)
        writer, stream = pipe(capacity)
        sent: list[list[tuple[int, int]]] = [[] for _ in batches]

        async def send(number: int) -> None:
            for item in batches[number]:
                await world.pause()
                await writer.send((number, item))
                sent[number].append((number, item))

        async def write_all() -> None:
            tasks = [asyncio.create_task(send(number)) for number in range(len(batches))]
            await world.pause(8)
            for task in tasks:
                if world.random.random() < 0.4:
                    task.cancel()
            await asyncio.wait(tasks)
            writer.close()

        async with asyncio.timeout(30):
            _, seen = await asyncio.gather(write_all(), read(world, stream))
        for number, items in enumerate(sent):
            assert [item for item in seen if item[0] == number] == items
        await world.check_all_closed()

    run(main())

"""BoundedPool: never more than its size, in order, and nothing doubtful is lent again."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyeino.concurrency import BoundedPool, ClosedError


class _Maker:
    """Makes numbers; remembers which were disposed of."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.disposed: list[int] = []
        self.made: list[int] = []

    async def make(self) -> int:
        await asyncio.sleep(0)
        self.made.append(next(self._numbers))
        return self.made[-1]

    async def dispose(self, thing: int) -> None:
        await asyncio.sleep(0)
        self.disposed.append(thing)


async def test_g51_things_are_made_when_needed_reused_and_disposed_of_at_the_end() -> None:
    maker = _Maker()
    async with asyncio.timeout(30):
        async with BoundedPool(maker.make, 2, dispose=maker.dispose) as pool:
            async with pool.take() as first, pool.take() as second:
                assert (first, second, pool.lent) == (1, 2, 2)
            async with pool.take() as again:
                assert again in (1, 2)
            assert (pool.lent, pool.idle, maker.made) == (0, 2, [1, 2])
        await pool.close()
    assert sorted(maker.disposed) == [1, 2]


async def test_g51_what_comes_back_is_reset_before_somebody_else_gets_it() -> None:
    async def make() -> dict[str, str]:
        return {}

    pool = BoundedPool(make, 1, reset=lambda thing: thing.clear())
    async with pool.take() as thing:
        thing["user"] = "ann"
    async with pool.take() as thing:
        assert thing == {}


async def test_g51_after_an_error_the_thing_is_not_lent_again() -> None:
    maker = _Maker()
    async with BoundedPool(maker.make, 1, dispose=maker.dispose) as pool:
        with pytest.raises(KeyError):
            async with pool.take():
                raise KeyError
        assert maker.disposed == [1]
        async with pool.take() as thing:
            assert thing == 2


async def test_g51_a_failing_reset_disposes_of_the_thing() -> None:
    maker = _Maker()

    def reset(thing: int) -> None:
        if thing == 1:
            raise KeyError

    async with BoundedPool(maker.make, 1, reset=reset, dispose=maker.dispose) as pool:
        with pytest.raises(KeyError):
            async with pool.take():
                pass
        assert (maker.disposed, pool.lent) == ([1], 0)
        async with pool.take() as thing:
            assert thing == 2


async def test_waiters_are_served_in_order_and_a_cancelled_one_is_skipped() -> None:
    maker = _Maker()
    served: list[str] = []

    async def use(name: str) -> None:
        async with pool.take():
            served.append(name)

    async with asyncio.timeout(30), BoundedPool(maker.make, 1) as pool:
        async with pool.take():
            tasks = []
            for name in "abc":
                tasks.append(asyncio.create_task(use(name)))
                await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.wait([tasks[1]])
        await asyncio.wait(tasks)
    assert served == ["a", "c"]
    assert (pool.lent, maker.made) == (0, [1])


async def test_a_place_handed_over_in_the_tick_of_a_cancellation_is_not_lost() -> None:
    maker = _Maker()
    async with asyncio.timeout(30), BoundedPool(maker.make, 1) as pool:
        waiting: asyncio.Task[None]

        async def use() -> None:
            async with pool.take():
                await asyncio.sleep(0)

        async with pool.take():
            waiting = asyncio.create_task(use())
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert pool.lent == 0
        await use()


async def test_a_failing_make_gives_the_place_back() -> None:
    attempts = itertools.count()

    async def make() -> int:
        if next(attempts) == 0:
            raise OSError("no")
        return 1

    async with BoundedPool(make, 1) as pool:
        with pytest.raises(OSError, match="no"):
            async with pool.take():
                pass
        async with pool.take(timeout=30) as thing:
            assert thing == 1


async def test_waiting_has_a_bound_and_close_ends_it() -> None:
    maker = _Maker()
    async with asyncio.timeout(30):
        pool = BoundedPool(maker.make, 1, dispose=maker.dispose)
        async with pool.take():
            with pytest.raises(TimeoutError):
                async with pool.take(timeout=0.001):
                    pass

            async def wait() -> None:
                async with pool.take():
                    pass

            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            await pool.close()
            with pytest.raises(ClosedError):
                await waiting
        assert maker.disposed == [1], "what was lent is disposed of when it comes back"
        with pytest.raises(ClosedError):
            async with pool.take():
                pass


def test_a_size_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BoundedPool(_Maker().make, 0)


class _PoolMachine(RuleBasedStateMachine):
    """Random users that borrow, fail, are cancelled and give back."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.maker = _Maker()
        self.pool = BoundedPool(self.maker.make, 3, dispose=self.maker.dispose)
        self.users: list[tuple[asyncio.Task[None], asyncio.Event, list[bool]]] = []
        self.holding: set[int] = set()

    def _run(self, action: object = None) -> None:
        async def steps() -> None:
            if callable(action):
                action()
            for _ in range(25):  # dispose of one, hand its place on, make another: for each user
                await asyncio.sleep(0)

        self.runner.run(steps())

    @rule()
    def borrow(self) -> None:
        def begin() -> None:
            release, fails = asyncio.Event(), [False]

            async def use() -> None:
                async with self.pool.take() as thing:
                    assert thing not in self.holding
                    assert thing not in self.maker.disposed
                    self.holding.add(thing)
                    try:
                        await release.wait()
                    finally:
                        self.holding.discard(thing)
                    if fails[0]:
                        raise ValueError

            self.users.append((asyncio.create_task(use()), release, fails))

        self._run(begin)

    @rule(index=st.integers(0, 100), fails=st.booleans())
    def give_back(self, index: int, fails: bool) -> None:
        if self.users:
            _, release, failing = self.users[index % len(self.users)]
            failing[0] = fails
            self._run(release.set)

    @rule(index=st.integers(0, 100))
    def cancel(self, index: int) -> None:
        if self.users:
            self._run(self.users[index % len(self.users)][0].cancel)

    @invariant()
    def the_places_add_up(self) -> None:
        assert len(self.holding) <= 3
        assert self.pool.lent == len(self.holding)
        waiting = [task for task, release, _ in self.users if not task.done()]
        assert len(self.holding) == min(3, len(waiting))

    def teardown(self) -> None:
        async def end() -> None:
            tasks = [task for task, _, _ in self.users]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.pool.close()

        self.runner.run(end())
        self.runner.close()
        assert sorted(self.maker.disposed) == self.maker.made


TestPoolMachine = _PoolMachine.TestCase

"""Sources of one's own: their close runs once the pulls are over, and is not cut short by ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pyeino.streams import Source, Stream, merge


class SlowToClose(Source[int]):
    """Ends at once; its close takes steps, any of which a cancel would cut short."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.closed = False

    def puller(self) -> Callable[[], Awaitable[int]]:
        return self._pull

    async def _pull(self) -> int:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self.closing.is_set():
            self.closing.set()
            for _ in range(5):
                await asyncio.sleep(0)
            self.closed = True

    def abandon(self) -> None:
        self.closed = True


def plain(stream: Stream[int]) -> Stream[int]:
    return stream


def merged(stream: Stream[int]) -> Stream[int]:
    return merge([stream, Stream.of([])])


def copied(stream: Stream[int]) -> Stream[int]:
    return stream.copy(2)[0]


@pytest.mark.parametrize("wrap", [plain, merged, copied])
async def test_a_close_during_the_close_at_the_end_waits_for_it(
    wrap: Callable[[Stream[int]], Stream[int]],
) -> None:
    source = SlowToClose()
    stream = wrap(Stream(source))
    reader = asyncio.create_task(anext(stream, None))
    async with asyncio.timeout(30):
        await source.closing.wait()
        await stream.aclose()
        await asyncio.wait([reader])
    assert source.closed
    assert stream.closed

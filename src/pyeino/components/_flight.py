"""Streams under way: equal calls that overlap read one source."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

from pyeino.concurrency import own_error
from pyeino.streams import Stream


class StreamFlights:
    """The streams under way, by key: whoever comes later starts at the first chunk too.

    The source is read as fast as its fastest reader reads, and closed with the last reader.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str, _Shared] = {}

    async def join(self, key: str, open_: Callable[[], Stream[Any]]) -> AsyncGenerator[Any, None]:
        """The chunks of `open_`, or those of the stream that is open already for this key."""
        shared = self._open.get(key)
        if shared is None:
            shared = self._open[key] = _Shared(open_())
        try:
            async with shared.reader() as reader:
                async for chunk in reader:
                    yield chunk
        except Exception as error:
            if not shared.joined:
                raise
            raise own_error(error) from error.__cause__
        finally:
            shared.readers -= 1
            if not shared.readers:
                del self._open[key]
                await shared.rest.aclose()


class _Shared:
    """One open stream: `rest` is a copy that nobody reads, from which each new reader splits."""

    __slots__ = ("joined", "readers", "rest")

    def __init__(self, stream: Stream[Any]) -> None:
        self.rest = stream
        self.readers = 0
        self.joined = False  # True once there was a second reader

    def reader(self) -> Stream[Any]:
        """A stream of all chunks from the first on; its reader takes itself off `readers`."""
        self.joined = self.joined or self.readers > 0
        self.readers += 1
        # No bound on the lag: `rest` has to hold the whole answer, as the cache will.
        reader, self.rest = self.rest.copy(2, max_lag=sys.maxsize)
        return reader

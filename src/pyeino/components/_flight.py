"""Single flight: equal calls that overlap are made once."""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pyeino.streams import Stream


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Flights:
    """The calls under way, by key. Nobody but the callers themselves does the work.

    The first caller of a key makes the call, the others wait for what it gets, also if that is an
    error. When the first one is cancelled, one of the others makes the call anew.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[str, asyncio.Future[Any]] = {}

    async def join(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """What `make` gives, or what it gives to whoever is at it already."""
        while (call := self._calls.get(key)) is not None:
            await asyncio.wait((call,))  # not `await call`: our cancel must not cancel the call
            if not call.cancelled():
                return _settled(call.result())
        call = self._calls[key] = asyncio.get_running_loop().create_future()
        try:
            value = await make()
        except Exception as error:
            call.set_result(_Failed(_own(error)))
            raise
        else:
            call.set_result(value)
            return value
        finally:
            del self._calls[key]
            call.cancel()  # does nothing unless we were cancelled


def _settled(result: Any) -> Any:
    if isinstance(result, _Failed):
        raise _own(result.error)
    return result


def _own(error: Exception) -> Exception:
    """A copy for one more caller: what is noted on an error on its way up belongs to one caller."""
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - an exception class that cannot be copied
        return error
    if hasattr(own, "__notes__"):
        own.__notes__ = list(own.__notes__)
    own.__cause__ = error.__cause__
    return own.with_traceback(error.__traceback__)


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
            raise _own(error) from error.__cause__
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

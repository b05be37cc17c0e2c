"""One function over every item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, TypeVar, cast

from pyeino.streams._source import Source

U = TypeVar("U")

_AWAITED = (CoroutineType, asyncio.Future)


class SkipItem(BaseException):
    """Raise it in a function given to `Stream.map` to drop the item.

    It is no Exception, so that an `except Exception` in that function lets it pass.
    """


class MapSource(Source[U]):
    """Applies a function to each item of the source below."""

    __slots__ = ("_below", "_ended", "_function", "_on_end", "_pull_below")

    def __init__(
        self,
        below: Source[Any],
        function: Callable[[Any], Any],
        *,
        on_error: Callable[[Exception], Exception | None] | None,
        on_end: Callable[[], Any] | None,
    ) -> None:
        self._below = below
        self._pull_below: Callable[[], Awaitable[Any]] = below.puller()
        if on_error is not None:
            self._pull_below = _with_errors_passed(self._pull_below, on_error)
        self._function = function
        self._on_end = on_end
        self._ended = False

    def puller(self) -> Callable[[], Awaitable[U]]:
        return self._pull if self._on_end is None else self._pull_to_hook

    async def _pull(self) -> U:
        while True:
            item = await self._pull_below()
            try:
                mapped: U = self._function(item)
                if isinstance(mapped, _AWAITED):
                    return cast("U", await mapped)
                return mapped
            except SkipItem:
                continue
            except StopAsyncIteration as error:
                raise _mistaken_end("function") from error

    async def _pull_to_hook(self) -> U:
        if not self._ended:
            try:
                return await self._pull()
            except StopAsyncIteration:
                self._ended = True
        hook, self._on_end = self._on_end, None
        if hook is None:
            raise StopAsyncIteration
        try:
            last: U | None = hook()
            if isinstance(last, _AWAITED):
                last = cast("U | None", await last)
        except SkipItem:
            last = None
        except StopAsyncIteration as error:
            raise _mistaken_end("on_end") from error
        if last is None:
            raise StopAsyncIteration
        return last

    async def aclose(self) -> None:
        await self._below.aclose()

    def abandon(self) -> None:
        self._below.abandon()

    @property
    def finished(self) -> bool:
        # After the end below, an error came from on_end: one read more finds the end.
        return not self._ended and self._below.finished


def _with_errors_passed(
    pull: Callable[[], Awaitable[Any]], on_error: Callable[[Exception], Exception | None]
) -> Callable[[], Awaitable[Any]]:
    async def pull_below() -> Any:
        while True:
            try:
                return await pull()
            except StopAsyncIteration:
                raise
            except Exception as error:
                instead = on_error(error)
                if instead is error:
                    raise
                if instead is not None:
                    raise instead from error

    return pull_below


def _mistaken_end(where: str) -> RuntimeError:
    return RuntimeError(
        f"the {where} given to map raised StopAsyncIteration; raise SkipItem to drop an item"
    )

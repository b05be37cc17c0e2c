"""A stream with handlers watching: each is shown every item that the reader is given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.errors import StreamClosedError, StreamLagError
from pyeino.streams import Source, Stream

Told = list[tuple[Handler, Any]]
"""Handlers with the token that each gave at the start, in the order of the list."""

_MAX_LAG = 10_000
"""Items that a handler may be behind the reader before its copy fails with StreamLagError."""


def scoped(told: Told) -> Told:
    """Those of `told` that have something to enter; most handlers do not."""
    return [(handler, token) for handler, token in told if type(handler).scope is not Handler.scope]


def entered(scopes: Told) -> ExitStack:
    """The scopes of a call, entered for as long as the `with`: the outermost handler's first."""
    stack = ExitStack()
    try:
        for handler, token in scopes:
            scope = handler.scope(token)
            if scope is not None:
                stack.enter_context(scope)
    except BaseException:
        stack.close()
        raise
    return stack


class WatchedSource(Source[Any]):
    """Hands on a stream, shows each item to the handlers, and owns the tasks they read in.

    A handler never slows the reader down and never keeps a generation alive: when the reader
    leaves, its copy ends with StreamClosedError.
    """

    __slots__ = ("_info", "_main", "_scopes", "_tasks", "_told", "_views")

    def __init__(self, main: Stream[Any], told: Told, info: RunInfo) -> None:
        self._main = main
        self._told = told
        self._scopes = scoped(told)
        self._info = info
        self._views: list[_View] = []
        self._tasks: list[asyncio.Task[None]] = []

    def puller(self) -> Callable[[], Awaitable[Any]]:
        """One item of the stream."""
        return self._pull

    async def _pull(self) -> Any:
        if not self._tasks:
            self._start()
        try:
            if self._scopes:
                with entered(self._scopes):
                    item = await self._main.__anext__()
            else:
                item = await self._main.__anext__()
        except StopAsyncIteration:
            await self._finish(None)
            raise
        except Exception as error:
            for view in self._views:
                view.show(error, failed=True)
            raise
        for view in self._views:
            view.show(item)
        return item

    def _start(self) -> None:
        for handler, token in self._told:
            view = _View()
            self._views.append(view)
            name = f"callback of {self._info.name}"
            task = asyncio.create_task(self._watch(handler, view, token), name=name)
            task.add_done_callback(self._told_at_least(handler, view, token))
            self._tasks.append(task)

    def _told_at_least(
        self, handler: Handler, view: _View, token: Any
    ) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            # Cancelled before its first step: the handler has been told of a start only.
            if task.cancelled() and not view.begun:
                handler.on_cancel(self._info, token)

        return ended

    async def _watch(self, handler: Handler, view: _View, token: Any) -> None:
        view.begun = True
        async with Stream(view) as stream:
            await handler.on_end_with_stream_output(self._info, stream, token)

    async def _finish(self, error: BaseException | None) -> None:
        for view in self._views:
            view.end(error)
        await asyncio.gather(*self._tasks)

    async def aclose(self) -> None:
        """Close the stream, end every copy, and wait for the handlers to return."""
        try:
            with entered(self._scopes):
                await self._main.aclose()
        finally:
            if not self._tasks:
                self._start()
            await self._finish(StreamClosedError("the reader of the stream has left"))

    def abandon(self) -> None:
        """Stop the handlers: there is nobody left to wait for them.

        The collector may run in any thread, so the loop is asked to do it.
        """
        for task in self._tasks:
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)


class _View(Source[Any]):
    """What one handler reads: filled without waiting, bounded, dropped when it lags too far."""

    __slots__ = ("_end", "_ended", "_items", "_wake", "begun")

    def __init__(self) -> None:
        self._items: deque[tuple[Any, bool]] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._end: BaseException | None = None
        self.begun = False

    def show(self, item: Any, *, failed: bool = False) -> None:
        """Add an item, or an error that the reader was given instead of one."""
        if self._ended:
            return
        if len(self._items) >= _MAX_LAG:
            self._items.clear()
            self.end(StreamLagError(f"the handler was more than {_MAX_LAG} items behind"))
            return
        self._items.append((item, failed))
        self._wake.set()

    def end(self, error: BaseException | None) -> None:
        """No more items: a normal end, or `error` after those that are still waiting."""
        if not self._ended:
            self._ended, self._end = True, error
            self._wake.set()

    def puller(self) -> Callable[[], Awaitable[Any]]:
        """One item, as soon as the reader has had it."""
        return self._pull

    async def _pull(self) -> Any:
        while not self._items:
            if self._ended:
                error, self._end = self._end, None
                raise error or StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        item, failed = self._items.popleft()
        if failed:
            raise item
        return item

    async def aclose(self) -> None:
        """The handler has seen enough."""
        self.abandon()

    def abandon(self) -> None:
        """Take no more items."""
        self._ended = True
        self._items.clear()

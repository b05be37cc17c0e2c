"""Handlers around the native shapes of a node: what is derived from them is told the same way.

Start moments run from the last handler to the first, end and error moments from the first to the
last, so that the first handler is the outermost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.compose._context import RunContext
from pyeino.compose._shapes import CollectCall, Shapes, StreamCall, TransformCall, ValueCall
from pyeino.streams import Source, Stream

_Told = list[tuple[Handler, Any]]


def observe(shapes: Shapes, info: RunInfo) -> Shapes:
    """The same shapes, each telling the handlers of the run it is called in."""
    return Shapes(
        invoke=None if shapes.invoke is None else _told_invoke(shapes.invoke, info),
        stream=None if shapes.stream is None else _told_stream(shapes.stream, info),
        collect=None if shapes.collect is None else _told_collect(shapes.collect, info),
        transform=None if shapes.transform is None else _told_transform(shapes.transform, info),
    )


def _told_invoke(invoke: ValueCall, info: RunInfo) -> ValueCall:
    async def call(item: Any, context: RunContext) -> Any:
        told = tell_start(context.handlers, info, item)
        return await tell_result(told, info, invoke(item, context))

    return call


def _told_stream(stream: StreamCall, info: RunInfo) -> StreamCall:
    def call(item: Any, context: RunContext) -> Stream[Any]:
        told = tell_start(context.handlers, info, item)
        return tell_stream(told, info, lambda: stream(item, context))

    return call


def _told_collect(collect: CollectCall, info: RunInfo) -> CollectCall:
    async def call(source: Stream[Any], context: RunContext) -> Any:
        told = tell_stream_start(context.handlers, info)
        return await tell_result(told, info, collect(source, context))

    return call


def _told_transform(transform: TransformCall, info: RunInfo) -> TransformCall:
    def call(source: Stream[Any], context: RunContext) -> Stream[Any]:
        told = tell_stream_start(context.handlers, info)
        return tell_stream(told, info, lambda: transform(source, context))

    return call


def tell_start(handlers: Sequence[Handler], info: RunInfo, item: Any) -> _Told:
    """Tell of a value going in; gives each handler with its token, in the order of the list."""
    told = [(handler, handler.on_start(info, item)) for handler in reversed(handlers)]
    return told[::-1]


def tell_stream_start(handlers: Sequence[Handler], info: RunInfo) -> _Told:
    """Tell of a stream going in."""
    told = [(handler, handler.on_start_with_stream_input(info)) for handler in reversed(handlers)]
    return told[::-1]


async def tell_result(told: _Told, info: RunInfo, call: Awaitable[Any]) -> Any:
    """Await a call and tell of its value or its error."""
    try:
        output = await call
    except Exception as error:
        tell_error(told, info, error)
        raise
    for handler, token in told:
        handler.on_end(info, output, token)
    return output


def tell_error(told: _Told, info: RunInfo, error: Exception) -> None:
    """Tell of a failure before there was an output."""
    for handler, token in told:
        handler.on_error(info, error, token)


def tell_stream(told: _Told, info: RunInfo, call: Callable[[], Stream[Any]]) -> Stream[Any]:
    """Tell of a stream coming out: every handler reads a copy of its own."""
    try:
        output = call()
    except Exception as error:
        tell_error(told, info, error)
        raise
    if not told:
        return output
    main, *copies = output.copy(len(told) + 1)
    return Stream(_WatchedSource(main, copies, told, info))


class _WatchedSource(Source[Any]):
    """Hands on a stream and owns the tasks in which handlers read their copies.

    When the reader leaves, the copies are closed: a handler never keeps a generation alive.
    """

    __slots__ = ("_copies", "_info", "_main", "_tasks", "_told")

    def __init__(
        self, main: Stream[Any], copies: Sequence[Stream[Any]], told: _Told, info: RunInfo
    ) -> None:
        self._main = main
        self._copies = copies
        self._told = told
        self._info = info
        self._tasks: list[asyncio.Task[None]] | None = None

    def puller(self) -> Callable[[], Awaitable[Any]]:
        """One item of the node's stream."""
        return self._pull

    async def _pull(self) -> Any:
        if self._tasks is None:
            self._tasks = [
                asyncio.create_task(
                    self._watch(handler, copy, token), name=f"callback of {self._info.name}"
                )
                for (handler, token), copy in zip(self._told, self._copies, strict=True)
            ]
        try:
            return await self._main.__anext__()
        except StopAsyncIteration:
            await asyncio.gather(*self._tasks)
            raise

    async def _watch(self, handler: Handler, copy: Stream[Any], token: Any) -> None:
        async with copy:
            await handler.on_end_with_stream_output(self._info, copy, token)

    async def aclose(self) -> None:
        """Close the stream and every copy, and wait for the handlers to return."""
        try:
            await self._main.aclose()
        finally:
            for copy in self._copies:
                await copy.aclose()
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def abandon(self) -> None:
        """The loop cancels what still reads a copy when it ends."""
        for task in self._tasks or ():
            task.cancel()

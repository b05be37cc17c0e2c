"""Handlers around the native shapes of a node: what is derived from them is told the same way.

Start moments run from the last handler to the first, end and error moments from the first to the
last, so that the first handler is the outermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.compose._context import RunContext
from pyeino.compose._shapes import CollectCall, Shapes, StreamCall, TransformCall, ValueCall
from pyeino.compose._watched import Told, WatchedSource, entered, scoped
from pyeino.streams import Stream

Describe = Callable[[Any, RunContext], Any]
"""From what a component is called with to what handlers are shown of it."""


def observe(shapes: Shapes, info: RunInfo, *, describe: Describe | None = None) -> Shapes:
    """The same shapes, each telling the handlers of the run it is called in.

    `describe` makes what handlers are shown of a value that goes in; without it, the value.
    """
    shown = describe or _as_it_is
    return Shapes(
        invoke=None if shapes.invoke is None else _told_invoke(shapes.invoke, info, shown),
        stream=None if shapes.stream is None else _told_stream(shapes.stream, info, shown),
        collect=None if shapes.collect is None else _told_collect(shapes.collect, info),
        transform=None if shapes.transform is None else _told_transform(shapes.transform, info),
    )


def _as_it_is(item: Any, context: RunContext) -> Any:
    return item


def _told_invoke(invoke: ValueCall, info: RunInfo, shown: Describe) -> ValueCall:
    async def call(item: Any, context: RunContext) -> Any:
        told = tell_start(context.handlers, info, shown(item, context))
        return await tell_result(told, info, invoke(item, context))

    return call


def _told_stream(stream: StreamCall, info: RunInfo, shown: Describe) -> StreamCall:
    def call(item: Any, context: RunContext) -> Stream[Any]:
        told = tell_start(context.handlers, info, shown(item, context))
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


def tell_start(handlers: Sequence[Handler], info: RunInfo, item: Any) -> Told:
    """Tell of a value going in; gives each handler with its token, in the order of the list."""
    told = [(handler, handler.on_start(info, item)) for handler in reversed(handlers)]
    return told[::-1]


def tell_stream_start(handlers: Sequence[Handler], info: RunInfo) -> Told:
    """Tell of a stream going in."""
    told = [(handler, handler.on_start_with_stream_input(info)) for handler in reversed(handlers)]
    return told[::-1]


async def tell_result(told: Told, info: RunInfo, call: Awaitable[Any]) -> Any:
    """Await a call and tell of its value, its error or that it was cancelled."""
    scopes = scoped(told)
    try:
        if scopes:
            with entered(scopes):
                output = await call
        else:
            output = await call
    except Exception as error:
        tell_error(told, info, error)
        raise
    except BaseException:
        for handler, token in told:
            handler.on_cancel(info, token)
        raise
    for handler, token in told:
        handler.on_end(info, output, token)
    return output


def tell_error(told: Told, info: RunInfo, error: Exception) -> None:
    """Tell of a failure before there was an output."""
    for handler, token in told:
        handler.on_error(info, error, token)


def tell_stream(told: Told, info: RunInfo, call: Callable[[], Stream[Any]]) -> Stream[Any]:
    """Tell of a stream coming out: every handler is shown what its reader is given."""
    try:
        with entered(scoped(told)):
            output = call()
    except Exception as error:
        tell_error(told, info, error)
        raise
    return Stream(WatchedSource(output, told, info)) if told else output

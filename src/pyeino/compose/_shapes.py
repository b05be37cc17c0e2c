"""Shapes: what a node can do by itself, and how the two modes are derived from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pyeino.compose._context import RunContext
from pyeino.errors import DeclarationError
from pyeino.streams import Stream

ValueCall = Callable[[Any, RunContext], Awaitable[Any]]
FlowCall = Callable[[Stream[Any], RunContext], Awaitable[Stream[Any]]]
StreamCall = Callable[[Any, RunContext], Stream[Any]]
CollectCall = Callable[[Stream[Any], RunContext], Awaitable[Any]]
TransformCall = Callable[[Stream[Any], RunContext], Stream[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The native shapes of a node; at least one of them is there."""

    invoke: ValueCall | None = None
    stream: StreamCall | None = None
    collect: CollectCall | None = None
    transform: TransformCall | None = None

    @property
    def names(self) -> str:
        """The native shapes by name, for people."""
        found = [
            name for name in ("invoke", "stream", "collect", "transform") if getattr(self, name)
        ]
        return " + ".join(found)


def derive_value(shapes: Shapes) -> ValueCall:
    """Value to value, from the first that is there: invoke, stream, collect, transform."""
    invoke, stream = shapes.invoke, shapes.stream
    collect, transform = shapes.collect, shapes.transform
    if invoke is not None:
        return invoke
    if stream is not None:

        async def from_stream(item: Any, context: RunContext) -> Any:
            return await stream(item, context).concat()

        return from_stream
    if collect is not None:

        async def from_collect(item: Any, context: RunContext) -> Any:
            async with Stream.of([item]) as boxed:
                return await collect(boxed, context)

        return from_collect
    if transform is None:
        raise DeclarationError("a node needs at least one shape")

    async def from_transform(item: Any, context: RunContext) -> Any:
        return await transform(Stream.of([item]), context).concat()

    return from_transform


def derive_flow(shapes: Shapes) -> FlowCall:
    """Stream to stream, from the first that is there: transform, stream, collect, invoke.

    What can only begin with a whole value waits for it here, so that the scheduler sees the node's
    error; what streams returns at once and works as it is read.
    """
    invoke, stream = shapes.invoke, shapes.stream
    collect, transform = shapes.collect, shapes.transform
    if transform is not None:

        async def from_transform(source: Stream[Any], context: RunContext) -> Stream[Any]:
            return transform(source, context)

        return from_transform
    if stream is not None:

        async def from_stream(source: Stream[Any], context: RunContext) -> Stream[Any]:
            return stream(await source.concat(), context)

        return from_stream
    if collect is not None:

        async def from_collect(source: Stream[Any], context: RunContext) -> Stream[Any]:
            async with source:
                return Stream.of([await collect(source, context)])

        return from_collect
    if invoke is None:
        raise DeclarationError("a node needs at least one shape")

    async def from_invoke(source: Stream[Any], context: RunContext) -> Stream[Any]:
        return Stream.of([await invoke(await source.concat(), context)])

    return from_invoke

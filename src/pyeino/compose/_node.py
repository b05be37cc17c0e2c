"""make_node(): whatever a user hands in as a node, made into what the engine runs."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from pyeino.callbacks import RunInfo
from pyeino.compose._component_node import component_spec
from pyeino.compose._context import RunContext
from pyeino.compose._lambda import Lambda, make_lambda
from pyeino.compose._shapes import CollectCall, Shapes, StreamCall, TransformCall, ValueCall
from pyeino.compose._spec import Nested, NodeSpec, spec_of, type_name_of
from pyeino.errors import DeclarationError
from pyeino.streams import Stream


@runtime_checkable
class _FourShapes(Protocol):
    def invoke(self, input: Any, /, *, options: Any) -> Any: ...
    def stream(self, input: Any, /, *, options: Any) -> Any: ...
    def collect(self, stream: Any, /, *, options: Any) -> Any: ...
    def transform(self, stream: Any, /, *, options: Any) -> Any: ...


def make_node(name: str, node: Any, *, blocking: bool = False) -> NodeSpec:
    """Adapt a component, function, Lambda, compiled graph or any Runnable to a NodeSpec."""
    whole: Any = node  # the checks below would narrow it to types with unknown arguments
    if isinstance(node, Nested):
        return _nested(name, node)
    if isinstance(node, Lambda):
        return _from_lambda(name, whole)
    component = component_spec(name, node)
    if component is not None:
        return component
    if isinstance(node, _FourShapes):
        return _foreign_runnable(name, node)
    if callable(node):
        return _from_lambda(name, make_lambda(node, blocking=blocking))
    raise DeclarationError(
        f"{name!r} cannot be a node",
        expected="a component, a function, a Lambda, a compiled graph or a Runnable",
        found=type(node).__name__,
        remedy="pass a function that wraps it",
    )


def passthrough(name: str) -> NodeSpec:
    """A node that hands on what it gets; no handler is told of it."""

    async def hand_on(item: Any, context: RunContext) -> Any:
        return item

    return NodeSpec(
        name=name,
        kind="Passthrough",
        type_name="Passthrough",
        input_type=Any,
        output_type=Any,
        native="invoke + transform",
        value=hand_on,
        flow=hand_on,
        watched_value=hand_on,
        watched_flow=hand_on,
    )


def _nested(name: str, graph: Nested) -> NodeSpec:
    async def value(item: Any, context: RunContext) -> Any:
        return await graph.run_value(item, context.inner(name))

    async def flow(stream: Stream[Any], context: RunContext) -> Stream[Any]:
        return await graph.run_flow(stream, context.inner(name))

    return NodeSpec(
        name=name,
        kind=graph.kind,
        type_name=graph.name or graph.kind,
        input_type=graph.input_type,
        output_type=graph.output_type,
        native="invoke + transform",
        value=value,
        flow=flow,
        watched_value=value,
        watched_flow=flow,
        nested=graph,
    )


def _foreign_runnable(name: str, runnable: Any) -> NodeSpec:
    async def invoke(item: Any, context: RunContext) -> Any:
        return await runnable.invoke(item, options=context.options_of(name))

    def transform(source: Stream[Any], context: RunContext) -> Stream[Any]:
        output: Stream[Any] = runnable.transform(source, options=context.options_of(name))
        return output

    return spec_of(
        Shapes(invoke=invoke, transform=transform),
        info=RunInfo(name=name, type=type_name_of(runnable), component="Runnable"),
        input_type=getattr(runnable, "input_type", Any),
        output_type=getattr(runnable, "output_type", Any),
    )


def _from_lambda(name: str, function: Lambda[Any, Any]) -> NodeSpec:
    plain = None if function.invoke is None else (function.invoke, function.is_async)
    return spec_of(
        _lambda_shapes(function),
        info=RunInfo(name=name, type=function.type_name, component=function.component),
        input_type=function.input_type,
        output_type=function.output_type,
        plain=plain,
    )


def _lambda_shapes(function: Lambda[Any, Any]) -> Shapes:
    return Shapes(
        invoke=None if function.invoke is None else _invoke_shape(function.invoke),
        stream=None if function.stream is None else _stream_shape(function.stream),
        collect=None if function.collect is None else _collect_shape(function.collect),
        transform=None if function.transform is None else _transform_shape(function.transform),
    )


def _invoke_shape(invoke: Callable[[Any], Any]) -> ValueCall:
    async def call(item: Any, context: RunContext) -> Any:
        output = invoke(item)
        return await output if inspect.isawaitable(output) else output

    return call


def _stream_shape(stream: Callable[[Any], AsyncIterator[Any]]) -> StreamCall:
    def call(item: Any, context: RunContext) -> Stream[Any]:
        return _opened(stream(item))

    return call


def _collect_shape(collect: Callable[[Stream[Any]], Awaitable[Any]]) -> CollectCall:
    async def call(source: Stream[Any], context: RunContext) -> Any:
        return await collect(source)

    return call


def _transform_shape(transform: Callable[[Stream[Any]], AsyncIterator[Any]]) -> TransformCall:
    def call(source: Stream[Any], context: RunContext) -> Stream[Any]:
        return _opened(transform(source), source)

    return call


def _opened(source: AsyncIterator[Any], upstream: Stream[Any] | None = None) -> Stream[Any]:
    """What a user's function gave, as a Stream that closes `upstream` when it is closed."""
    given: Any = source
    opened: Stream[Any] = given
    if isinstance(source, Stream) and upstream is None:
        return opened
    on_close = None if upstream is None else upstream.aclose
    return Stream.from_iterator(given, on_close=on_close)

"""What the engine knows of a node: its kind, its types, and its two ways of being called."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from pyeino.callbacks import RunInfo
from pyeino.components import ChatModel, ChatTemplate, ModelOptions
from pyeino.compose._context import RunContext
from pyeino.compose._lambda import Lambda, make_lambda
from pyeino.compose._observe import observe
from pyeino.compose._shapes import (
    CollectCall,
    FlowCall,
    Shapes,
    StreamCall,
    TransformCall,
    ValueCall,
    derive_flow,
    derive_value,
)
from pyeino.errors import DeclarationError, GraphRunError
from pyeino.schema import Message
from pyeino.streams import SkipItem, Stream


@runtime_checkable
class Nested(Protocol):
    """A compiled graph inside a graph: it runs under the context of the outer run."""

    input_type: Any
    output_type: Any
    kind: str
    name: str

    async def run_value(self, value: Any, context: RunContext) -> Any:
        """Value in, value out."""
        ...

    async def run_flow(self, stream: Stream[Any], context: RunContext) -> Stream[Any]:
        """Stream in, stream out."""
        ...


@runtime_checkable
class _FourShapes(Protocol):
    def invoke(self, input: Any, /) -> Any: ...
    def stream(self, input: Any, /) -> Any: ...
    def collect(self, stream: Any, /) -> Any: ...
    def transform(self, stream: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node, ready to be called in value mode and in stream mode, watched or not.

    `plain` is set when the node is an undecorated function from value to value: (function,
    is_async). The planner calls it without going through `value`.
    """

    name: str
    kind: str
    type_name: str
    input_type: Any
    output_type: Any
    native: str
    value: ValueCall
    flow: FlowCall
    watched_value: ValueCall
    watched_flow: FlowCall
    plain: tuple[Callable[..., Any], bool] | None = None
    nested: Nested | None = None


def make_node(name: str, node: Any, *, blocking: bool = False) -> NodeSpec:
    """Adapt a component, function, Lambda, compiled graph or any Runnable to a NodeSpec."""
    whole: Any = node  # the checks below would narrow it to types with unknown arguments
    if isinstance(node, Nested):
        return _nested(name, node)
    if isinstance(node, Lambda):
        return _from_lambda(name, whole)
    if isinstance(node, ChatModel):
        return _chat_model(name, node)
    if isinstance(node, ChatTemplate) and not isinstance(node, str):  # str has a format() too
        return _chat_template(name, node)
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


def spec_of(
    shapes: Shapes,
    *,
    info: RunInfo,
    input_type: Any,
    output_type: Any,
    plain: tuple[Callable[..., Any], bool] | None = None,
) -> NodeSpec:
    """A NodeSpec from native shapes: both modes derived, and both again with handlers watching."""
    watched = observe(shapes, info)
    return NodeSpec(
        name=info.name,
        kind=info.component,
        type_name=info.type,
        input_type=input_type,
        output_type=output_type,
        native=shapes.names,
        value=derive_value(shapes),
        flow=derive_flow(shapes),
        watched_value=derive_value(watched),
        watched_flow=derive_flow(watched),
        plain=plain,
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


def with_keys(spec: NodeSpec, *, input_key: str | None, output_key: str | None) -> NodeSpec:
    """Pick the node's input out of a dict, wrap its output in one, or both."""
    if input_key is not None:
        spec = replace(
            spec,
            input_type=dict[str, Any],
            plain=None,
            value=_picking_value(spec.value, input_key),
            flow=_picking_flow(spec.flow, input_key),
            watched_value=_picking_value(spec.watched_value, input_key),
            watched_flow=_picking_flow(spec.watched_flow, input_key),
        )
    if output_key is not None:
        spec = replace(
            spec,
            output_type=dict[str, Any],
            plain=None,
            value=_wrapping_value(spec.value, output_key),
            flow=_wrapping_flow(spec.flow, output_key),
            watched_value=_wrapping_value(spec.watched_value, output_key),
            watched_flow=_wrapping_flow(spec.watched_flow, output_key),
        )
    return spec


def _picking_value(inner: ValueCall, key: str) -> ValueCall:
    async def value(item: Any, context: RunContext) -> Any:
        if not isinstance(item, Mapping) or key not in item:
            raise GraphRunError(
                f"cannot find input key {key!r}",
                code="INPUT_KEY",
                expected=f"a mapping with the key {key!r}",
                found=_keys_of(item),
                remedy="give the predecessor an output_key, or map its result to this key",
            )
        return await inner(item[key], context)

    return value


def _picking_flow(inner: FlowCall, key: str) -> FlowCall:
    def pick(chunk: Mapping[str, Any]) -> Any:
        if key not in chunk:
            raise SkipItem
        return chunk[key]

    async def flow(stream: Stream[Any], context: RunContext) -> Stream[Any]:
        return await inner(stream.map(pick), context)

    return flow


def _wrapping_value(inner: ValueCall, key: str) -> ValueCall:
    async def value(item: Any, context: RunContext) -> Any:
        return {key: await inner(item, context)}

    return value


def _wrapping_flow(inner: FlowCall, key: str) -> FlowCall:
    def wrap(chunk: Any) -> dict[str, Any]:
        return {key: chunk}

    async def flow(stream: Stream[Any], context: RunContext) -> Stream[Any]:
        return (await inner(stream, context)).map(wrap)

    return flow


def _keys_of(item: Any) -> str:
    mapping: Any = item
    if isinstance(item, Mapping):
        keys = sorted(str(key) for key in mapping)
        return f"the keys {keys[:20]}"
    return type(item).__name__


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


def _chat_model(name: str, model: ChatModel) -> NodeSpec:
    async def invoke(messages: Sequence[Message], context: RunContext) -> Message:
        return await model.generate(messages, options=context.for_node(name, ModelOptions))

    def stream(messages: Sequence[Message], context: RunContext) -> Stream[Message]:
        return model.stream(messages, options=context.for_node(name, ModelOptions))

    return spec_of(
        Shapes(invoke=invoke, stream=stream),
        info=RunInfo(name=name, type=type_name_of(model), component="ChatModel"),
        input_type=Sequence[Message],
        output_type=Message,
    )


def _chat_template(name: str, template: ChatTemplate) -> NodeSpec:
    async def invoke(variables: Mapping[str, Any], context: RunContext) -> list[Message]:
        return template.format(variables)

    return spec_of(
        Shapes(invoke=invoke),
        info=RunInfo(name=name, type=type_name_of(template), component="ChatTemplate"),
        input_type=Mapping[str, Any],
        output_type=list[Message],
        plain=(template.format, False),
    )


def _foreign_runnable(name: str, runnable: Any) -> NodeSpec:
    async def invoke(item: Any, context: RunContext) -> Any:
        return await runnable.invoke(item)

    def transform(source: Stream[Any], context: RunContext) -> Stream[Any]:
        output: Stream[Any] = runnable.transform(source)
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
        info=RunInfo(name=name, type=function.type_name, component="Lambda"),
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


def type_name_of(component: Any) -> str:
    """The implementation name of a component: its `get_type()`, else its class."""
    get_type = getattr(component, "get_type", None)
    return str(get_type()) if callable(get_type) else type(component).__name__

"""Input and output keys: a node that takes its input out of a dict, or puts its output in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyeino.compose._context import RunContext
from pyeino.compose._shapes import FlowCall, ValueCall
from pyeino.compose._spec import NodeSpec
from pyeino.errors import GraphRunError
from pyeino.streams import SkipItem, SourceEnd, Stream


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
    def pick(chunk: Mapping[str, Any] | SourceEnd) -> Any:
        if isinstance(chunk, SourceEnd):
            return chunk
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
    def wrap(chunk: Any) -> Any:
        return chunk if isinstance(chunk, SourceEnd) else {key: chunk}

    async def flow(stream: Stream[Any], context: RunContext) -> Stream[Any]:
        return (await inner(stream, context)).map(wrap)

    return flow


def _keys_of(item: Any) -> str:
    mapping: Any = item
    if isinstance(item, Mapping):
        keys = sorted(str(key) for key in mapping)
        return f"the keys {keys[:20]}"
    return type(item).__name__

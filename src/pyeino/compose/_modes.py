"""The two modes of the engine: values through every node, or streams through every node."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pyeino.compose._context import RunContext
from pyeino.compose._guard import Check
from pyeino.compose._plan import PlanBranch, PlanNode
from pyeino.compose._sources import noted
from pyeino.errors import GraphRunError
from pyeino.streams import SourceEnd, Stream, merge, merge_named

Merge = Callable[[Sequence[Any]], Any]

_merges: dict[type[Any], Merge] = {}


def register_merge(kind: type[Any], function: Callable[[Sequence[Any]], Any]) -> None:
    """Say how several values of exactly `kind` that meet at one node become one.

    Mappings merge by their keys without being told. In stream mode the streams are interleaved
    and `function` is not called: their chunks add up by the concatenation of `kind`. Call it at
    start-up.
    """
    _merges[kind] = function


class Mode(Protocol):
    """What the scheduler needs to know of the things it moves."""

    async def call(self, node: PlanNode, item: Any, context: RunContext) -> Any:
        """Run a node on what has arrived."""
        ...

    def check(self, item: Any, check: Check | None) -> Any:
        """The item, guarded by a check."""
        ...

    def split(self, item: Any, count: int) -> Sequence[Any]:
        """`count` (≥ 1) independent readings of one item."""
        ...

    def join(self, node: PlanNode, items: Mapping[str, Any]) -> Any:
        """One input out of what predecessors gave, by name, in their order of declaration.

        There is at least one, but for a node with an assembly.
        """
        ...

    async def decide(self, branch: PlanBranch, item: Any) -> Any:
        """What the condition says; it is given a reading of its own."""
        ...

    async def release(self, item: Any) -> None:
        """Let go of an item that nobody will read."""
        ...


class ValueMode:
    """Values: every reading is the same object, which nodes do not change."""

    async def call(self, node: PlanNode, item: Any, context: RunContext) -> Any:
        """Run a node in its value shape."""
        if context.watched:
            return await node.watched_value(item, context.at(node.name))
        return await node.value(item, context)

    def check(self, item: Any, check: Check | None) -> Any:
        """The value itself."""
        return item if check is None else check(item)

    def split(self, item: Any, count: int) -> Sequence[Any]:
        """The same object each time."""
        return [item] * count

    def join(self, node: PlanNode, items: Mapping[str, Any]) -> Any:
        """A single value as it is, mappings by key, other types by their registered merge."""
        if node.assembly is not None:
            return node.assembly.of_values(items)
        return _merge_values(node, list(items.values()))

    async def decide(self, branch: PlanBranch, item: Any) -> Any:
        """Ask the condition about the value, boxed when it takes a stream."""
        given = self.check(item, branch.check)
        if not branch.takes_stream:
            return await _ask(branch, given)
        async with Stream.of([given]) as boxed:
            return await _ask(branch, boxed)

    async def release(self, item: Any) -> None:
        """Values hold nothing."""


class FlowMode:
    """Streams: each reading is a copy, and each copy is read to its end or closed."""

    async def call(self, node: PlanNode, item: Stream[Any], context: RunContext) -> Any:
        """Run a node in its stream shape; its input is closed when it fails."""
        try:
            if context.watched:
                output = await node.watched_flow(item, context.at(node.name))
            else:
                output = await node.flow(item, context)
        except BaseException:
            await item.aclose()
            raise
        return noted(output, node.name, context)

    def check(self, item: Stream[Any], check: Check | None) -> Any:
        """The stream, each chunk checked as it is read."""
        return item if check is None else item.map(check)

    def split(self, item: Stream[Any], count: int) -> Sequence[Any]:
        """Copies over one source."""
        return [item] if count == 1 else item.copy(count)

    def join(self, node: PlanNode, items: Mapping[str, Any]) -> Any:
        """The streams interleaved in the order of arrival, each end marked where that is asked."""
        if node.assembly is not None:
            return node.assembly.of_streams(items, marks_ends=node.marks_ends)
        if len(items) == 1 and not node.marks_ends:
            return next(iter(items.values()))

        def mergeable(chunk: Any) -> Any:
            kind: type[Any] = chunk.__class__
            if issubclass(kind, Mapping | SourceEnd) or kind in _merges:
                return chunk
            raise GraphRunError(
                f"{len(items)} streams meet at {node.name!r} and cannot be merged",
                code="CANNOT_MERGE",
                expected="chunks that are mappings, or of a type with a registered merge",
                found=kind.__name__,
                where=node.name,
                remedy="give the predecessors output keys, or register_merge() their type",
            )

        streams = {
            name: item.map(mergeable) if len(items) > 1 else item for name, item in items.items()
        }
        if node.marks_ends:
            return merge_named(streams).map(_item_or_end)
        return merge(list(streams.values()))

    async def decide(self, branch: PlanBranch, item: Stream[Any]) -> Any:
        """Ask the condition about its own copy, concatenated when it takes a value."""
        given = self.check(item, branch.check)
        async with given:
            return await _ask(branch, given if branch.takes_stream else await given.concat())

    async def release(self, item: Stream[Any]) -> None:
        """Close a stream that nobody will read."""
        await item.aclose()


def _merge_values(node: PlanNode, items: Sequence[Any]) -> Any:
    first = items[0]
    if len(items) == 1:
        return first
    kinds: set[type[Any]] = {type(item) for item in items}
    if len(kinds) == 1 and type(first) in _merges:
        return _merges[type(first)](items)
    if all(isinstance(item, Mapping) for item in items):
        return _join_mappings(node, items)
    raise GraphRunError(
        f"{len(items)} values meet at {node.name!r} and cannot be merged",
        code="CANNOT_MERGE",
        expected="mappings with different keys, or one type with a registered merge",
        found=", ".join(sorted(kind.__name__ for kind in kinds)),
        where=node.name,
        remedy="give the predecessors output keys, or register_merge() their type",
    )


def _item_or_end(item: tuple[str, Any] | SourceEnd) -> Any:
    return item if isinstance(item, SourceEnd) else item[1]


async def _ask(branch: PlanBranch, given: Any) -> Any:
    answer = branch.condition(given)
    return await answer if branch.is_async or inspect.isawaitable(answer) else answer


def _join_mappings(node: PlanNode, items: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    joined: dict[Any, Any] = {}
    for item in items:
        for key, value in item.items():
            if key in joined:
                raise GraphRunError(
                    f"two predecessors of {node.name!r} gave the key {key!r}",
                    code="DUPLICATE_KEY",
                    where=node.name,
                    remedy="give each predecessor its own output_key",
                )
            joined[key] = value
    return joined

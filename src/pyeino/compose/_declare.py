"""Graph: what a user declares; nothing is run or refused here beyond a wrong Python call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, overload

from pyeino.components import ChatModel, ChatTemplate
from pyeino.compose._compiled import Compiled
from pyeino.compose._declaration import (
    END,
    START,
    BranchSpec,
    Declaration,
    Trigger,
    add_node,
)
from pyeino.compose._keys import with_keys
from pyeino.compose._lambda import Lambda
from pyeino.compose._node import make_node, passthrough
from pyeino.compose._runnable import Runnable
from pyeino.schema import Message
from pyeino.streams import Stream

InT = TypeVar("InT")
OutT = TypeVar("OutT")
ValueT = TypeVar("ValueT")
NodeInT = TypeVar("NodeInT")
NodeOutT = TypeVar("NodeOutT")
TakesT_contra = TypeVar("TakesT_contra", contravariant=True)
GivesT_co = TypeVar("GivesT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Handle(Generic[TakesT_contra, GivesT_co]):
    """A node of a graph under its name, with its types for the type checker.

    A node that gives a list may lead to one that takes a Sequence, as a function may.
    """

    name: str

    def __str__(self) -> str:
        return self.name


class Graph(Generic[InT, OutT]):
    """A graph from START to END, declared node by node and edge by edge.

    Names that START and END use are reserved. Nothing is checked until `compile()`, which reports
    every problem at once; the declaration stays usable and can be compiled again.
    """

    def __init__(self, input_type: type[InT], output_type: type[OutT]) -> None:
        self._declaration = Declaration(input_type=input_type, output_type=output_type)
        self.start: Handle[Any, InT] = Handle(START)
        self.end: Handle[OutT, Any] = Handle(END)

    # The order of these overloads is the order in which a type checker tries them: components
    # first, then what takes a stream (whose parameter would also do for a value of any type),
    # then what takes a value; async before sync.
    @overload
    def add(
        self,
        name: str,
        node: ChatModel,
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[Sequence[Message], Message]: ...
    @overload
    def add(
        self,
        name: str,
        node: ChatTemplate,
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[Mapping[str, Any], list[Message]]: ...
    @overload
    def add(
        self,
        name: str,
        node: Runnable[NodeInT, NodeOutT] | Lambda[NodeInT, NodeOutT],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self,
        name: str,
        node: Callable[[Stream[NodeInT]], AsyncIterator[NodeOutT]],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self,
        name: str,
        node: Callable[[Stream[NodeInT]], Awaitable[NodeOutT]],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self,
        name: str,
        node: Callable[[NodeInT], AsyncIterator[NodeOutT]],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self,
        name: str,
        node: Callable[[NodeInT], Awaitable[NodeOutT]],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
    ) -> Handle[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self,
        name: str,
        node: Callable[[NodeInT], NodeOutT],
        *,
        input_key: str | None = None,
        output_key: str | None = None,
        blocking: bool = False,
    ) -> Handle[NodeInT, NodeOutT]: ...
    def add(
        self,
        name: str,
        node: Any,
        *,
        input_key: str | None = None,
        output_key: str | None = None,
        blocking: bool = False,
    ) -> Handle[Any, Any]:
        """Add a node: a component, a function in any of the four shapes, a graph, a Runnable.

        `input_key` picks the node's input out of a dict, `output_key` wraps its output in one;
        `blocking=True` runs a sync function in a worker thread.
        """
        spec = with_keys(
            make_node(name, node, blocking=blocking), input_key=input_key, output_key=output_key
        )
        add_node(self._declaration, spec)
        return Handle(name)

    def passthrough(self, name: str) -> Handle[Any, Any]:
        """Add a node that hands on what it gets: a place for edges and branches to meet."""
        add_node(self._declaration, passthrough(name))
        return Handle(name)

    @overload
    def edge(self, source: Handle[Any, ValueT], target: Handle[ValueT, Any]) -> None: ...
    @overload
    def edge(self, source: str, target: str | Handle[Any, Any]) -> None: ...
    @overload
    def edge(self, source: Handle[Any, Any], target: str) -> None: ...
    def edge(self, source: str | Handle[Any, Any], target: str | Handle[Any, Any]) -> None:
        """Send what `source` gives to `target`."""
        self._declaration.edges.append((str(source), str(target)))

    def branch(
        self,
        source: str | Handle[Any, ValueT],
        condition: Callable[[ValueT], Any] | Callable[[Stream[ValueT]], Any],
        ends: Mapping[Any, str | Handle[Any, Any]] | Iterable[str | Handle[Any, Any]],
    ) -> None:
        """Send what `source` gives to the ends that `condition` picks.

        `condition` is sync or async, takes the value or its own copy of the stream (by the
        annotation of its parameter), and returns one key of `ends` or a list of keys; an empty
        list picks nothing. `ends` given as names is a mapping of each name to itself.
        """
        given: Any = ends
        pairs = given.items() if isinstance(ends, Mapping) else ((str(one), one) for one in given)
        table: dict[Any, str] = {key: str(target) for key, target in pairs}
        self._declaration.branches.append(BranchSpec.of(str(source), condition, table))

    def compile(
        self,
        *,
        name: str = "",
        trigger: Literal["any", "all"] = "any",
        max_steps: int | None = None,
        source_ends: Iterable[str | Handle[Any, Any]] = (),
    ) -> Compiled[InT, OutT]:
        """Check the whole declaration and freeze it into something that runs.

        `trigger="any"` runs a node as soon as any predecessor gave something, in steps, cycles
        allowed, at most `max_steps` steps (default: nodes + 10). `trigger="all"` waits for every
        predecessor that was not skipped, runs eagerly, and allows no cycle. In stream mode the
        nodes in `source_ends` are sent a `SourceEnd` with the name of each predecessor whose
        stream has ended, among the chunks.
        Raises CompileError with every problem found.
        """
        return Compiled.of(
            self._declaration,
            name=name,
            trigger=Trigger(trigger),
            max_steps=max_steps,
            source_ends={str(node) for node in source_ends},
        )

"""Workflow: nodes that say what they need of whom, field by field."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

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
from pyeino.compose._fields import Path
from pyeino.compose._lambda import Lambda
from pyeino.compose._mapping import Link, maps_of, path_of, path_text
from pyeino.compose._node import make_node
from pyeino.compose._runnable import Runnable
from pyeino.errors import Problem
from pyeino.schema import Message
from pyeino.streams import Stream

InT = TypeVar("InT")
OutT = TypeVar("OutT")
ValueT = TypeVar("ValueT")
NodeInT = TypeVar("NodeInT")
NodeOutT = TypeVar("NodeOutT")
TakesT_contra = TypeVar("TakesT_contra", contravariant=True)
GivesT_co = TypeVar("GivesT_co", covariant=True)

# Mapping is invariant in its keys: a union there would refuse a plain dict[str, str].
Fields: TypeAlias = Mapping[Any, str | Path]
"""Where each part goes: `{"from": "to"}`; tuples of names reach inside, WHOLE is everything.

A function of the source's value in the place of the first name makes the part out of it.
"""


class WorkflowNode(Generic[TakesT_contra, GivesT_co]):
    """A node of a workflow under its name: say here where its input comes from.

    A node runs when everything it names was run or skipped, unless all that lets it run was
    skipped. Every method returns the node itself.
    """

    __slots__ = ("_declaration", "name")

    def __init__(self, declaration: Declaration, name: str) -> None:
        """Internal; use `add()` and `end()` of a Workflow."""
        self._declaration = declaration
        self.name = name

    def __str__(self) -> str:
        return self.name

    @overload
    def input(
        self: WorkflowNode[ValueT, Any], source: WorkflowNode[Any, ValueT], *, control: bool = True
    ) -> WorkflowNode[TakesT_contra, GivesT_co]: ...
    @overload
    def input(
        self, source: str, fields: Fields | None = None, *, control: bool = True
    ) -> WorkflowNode[TakesT_contra, GivesT_co]: ...
    @overload
    def input(
        self, source: WorkflowNode[Any, Any], fields: Fields, *, control: bool = True
    ) -> WorkflowNode[TakesT_contra, GivesT_co]: ...
    def input(
        self,
        source: str | WorkflowNode[Any, Any],
        fields: Fields | None = None,
        *,
        control: bool = True,
    ) -> WorkflowNode[Any, Any]:
        """Take parts of what `source` gives, or without `fields` all of it as the whole input.

        `{"from": "to"}` maps fields of dataclasses, msgspec Structs, Pydantic models, TypedDicts
        and keys of mappings. `control=False` waits for `source` and takes its data, and leaves it
        to other inputs, dependencies or branches whether the node runs: needed behind a branch.
        """
        link = self._link(str(source), control=control)
        link.maps.extend(maps_of(fields))
        return self

    def depends_on(
        self, source: str | WorkflowNode[Any, Any]
    ) -> WorkflowNode[TakesT_contra, GivesT_co]:
        """Run after `source`, without taking anything of what it gives."""
        self._link(str(source), control=True)
        return self

    def value(self, field: str | Path, constant: Any) -> WorkflowNode[TakesT_contra, GivesT_co]:
        """Put the same constant into a field of every input. The node does not change it."""
        values = self._declaration.values.setdefault(self.name, {})
        path = path_of(field)
        if path in values:
            self._declaration.problems.append(
                Problem(
                    code="MAPPING_CONFLICT",
                    path=(self.name,),
                    message=f"{self.name!r} has two constants for {path_text(path)}",
                    expected="one source for each place",
                    found=f"{values[path]!r} and {constant!r}",
                    remedy="drop one of them",
                )
            )
        values[path] = constant
        return self

    def branch(
        self,
        condition: Callable[[GivesT_co], Any] | Callable[[Stream[GivesT_co]], Any],
        ends: Mapping[Any, str | WorkflowNode[Any, Any]] | Iterable[str | WorkflowNode[Any, Any]],
    ) -> WorkflowNode[TakesT_contra, GivesT_co]:
        """Let those of `ends` run that `condition` picks, looking at what this node gives.

        It is asked as in `Graph.branch`. The ends are sent no data: each says with `input(...,
        control=False)` what it takes.
        """
        given: Any = ends
        pairs = given.items() if isinstance(ends, Mapping) else ((str(one), one) for one in given)
        table: dict[Any, str] = {key: str(target) for key, target in pairs}
        self._declaration.branches.append(BranchSpec.of(self.name, condition, table))
        return self

    def _link(self, source: str, *, control: bool) -> Link:
        place = (source, self.name)
        link = self._declaration.links.get(place)
        if link is None:
            self._declaration.edges.append(place)
            link = self._declaration.links[place] = Link(control=control)
        link.control = link.control or control
        return link


class Workflow(Generic[InT, OutT]):
    """Nodes that name their inputs: `w.add("tax", tax).input("price", {"total": "net"})`.

    Data may go by other ways than control: an input brings both unless it says `control=False`,
    a dependency and a branch bring control alone. There are no cycles; nodes that do not wait for
    each other run side by side. `w.end()` is where the output is put together. Nothing is checked
    until `compile()`, which reports every problem at once; the declaration stays usable.
    """

    def __init__(self, input_type: type[InT], output_type: type[OutT]) -> None:
        self._declaration = Declaration(
            input_type=input_type, output_type=output_type, kind="Workflow", mapped=True
        )
        self.start: WorkflowNode[Any, InT] = WorkflowNode(self._declaration, START)
        self._end: WorkflowNode[OutT, Any] = WorkflowNode(self._declaration, END)

    # Ordered as the overloads of Graph.add, for the same reason.
    @overload
    def add(self, name: str, node: ChatModel) -> WorkflowNode[Sequence[Message], Message]: ...
    @overload
    def add(
        self, name: str, node: ChatTemplate
    ) -> WorkflowNode[Mapping[str, Any], list[Message]]: ...
    @overload
    def add(
        self, name: str, node: Runnable[NodeInT, NodeOutT] | Lambda[NodeInT, NodeOutT]
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self, name: str, node: Callable[[Stream[NodeInT]], AsyncIterator[NodeOutT]]
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self, name: str, node: Callable[[Stream[NodeInT]], Awaitable[NodeOutT]]
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self, name: str, node: Callable[[NodeInT], AsyncIterator[NodeOutT]]
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self, name: str, node: Callable[[NodeInT], Awaitable[NodeOutT]]
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    @overload
    def add(
        self, name: str, node: Callable[[NodeInT], NodeOutT], *, blocking: bool = False
    ) -> WorkflowNode[NodeInT, NodeOutT]: ...
    def add(self, name: str, node: Any, *, blocking: bool = False) -> WorkflowNode[Any, Any]:
        """Add a node: a component, a function in any of the four shapes, a graph, a Runnable.

        `blocking=True` runs a sync function in a worker thread.
        """
        add_node(self._declaration, make_node(name, node, blocking=blocking))
        return WorkflowNode(self._declaration, name)

    def end(self) -> WorkflowNode[OutT, Any]:
        """The end, which takes inputs as a node does: they are the output of the workflow."""
        return self._end

    def branch(
        self,
        source: str | WorkflowNode[Any, ValueT],
        condition: Callable[[ValueT], Any] | Callable[[Stream[ValueT]], Any],
        ends: Mapping[Any, str | WorkflowNode[Any, Any]] | Iterable[str | WorkflowNode[Any, Any]],
    ) -> None:
        """`branch` of the node `source`, also for START."""
        node: WorkflowNode[Any, Any] = WorkflowNode(self._declaration, str(source))
        node.branch(cast("Callable[[Any], Any]", condition), ends)

    def compile(
        self,
        *,
        name: str = "",
        source_ends: Iterable[str | WorkflowNode[Any, Any]] = (),
    ) -> Compiled[InT, OutT]:
        """Check the whole declaration, every field of it, and freeze it into something that runs.

        In stream mode the nodes in `source_ends` are sent a `SourceEnd` with the name of each
        predecessor whose stream has ended; that needs an input that is a mapping.
        Raises CompileError with every problem found.
        """
        return Compiled.of(
            self._declaration,
            name=name,
            trigger=Trigger.ALL,
            max_steps=None,
            source_ends={str(node) for node in source_ends},
        )

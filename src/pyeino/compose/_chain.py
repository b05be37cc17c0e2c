"""Chain: nodes one after the other, with parallel stretches and branches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from pyeino.components import ChatModel, ChatTemplate
from pyeino.compose._compiled import Compiled
from pyeino.compose._declaration import END, START, BranchSpec, Declaration, Trigger
from pyeino.compose._keys import with_keys
from pyeino.compose._lambda import Lambda
from pyeino.compose._node import make_node, passthrough
from pyeino.compose._runnable import Runnable
from pyeino.compose._spec import NodeSpec
from pyeino.errors import Problem
from pyeino.schema import Message
from pyeino.streams import Stream

StartT = TypeVar("StartT")
InT = TypeVar("InT")
OutT_co = TypeVar("OutT_co", covariant=True)
NextT = TypeVar("NextT")


class Chain(Generic[InT, OutT_co]):
    """Nodes in a row: `Chain(Question).then(normalise).then(model).compile(name="answer")`.

    `Chain(T)` begins with values of type T. Each call returns the chain itself, typed anew; what
    it gives is what the next node takes. Nothing is checked until `compile()`, which reports every
    problem at once. Unnamed nodes are called by their function or component, numbered when needed.
    """

    def __init__(self: Chain[StartT, StartT], input_type: type[StartT]) -> None:
        self._declaration = Declaration(input_type=input_type, output_type=Any, kind="Chain")
        self._open: list[str] = [START]
        self._fanned = False

    # The order of these overloads is the order in which a type checker tries them: components
    # first, then what takes a value (async before sync, so that an await is not taken for a
    # value), then what takes a stream, where a lambda without annotations must not end up.
    @overload
    def then(
        self: Chain[InT, Sequence[Message]], node: ChatModel, *, name: str | None = None
    ) -> Chain[InT, Message]: ...
    @overload
    def then(
        self: Chain[InT, Mapping[str, Any]], node: ChatTemplate, *, name: str | None = None
    ) -> Chain[InT, list[Message]]: ...
    @overload
    def then(
        self,
        node: Runnable[OutT_co, NextT] | Lambda[OutT_co, NextT],
        *,
        name: str | None = None,
    ) -> Chain[InT, NextT]: ...
    @overload
    def then(
        self, node: Callable[[OutT_co], AsyncIterator[NextT]], *, name: str | None = None
    ) -> Chain[InT, NextT]: ...
    @overload
    def then(
        self, node: Callable[[OutT_co], Awaitable[NextT]], *, name: str | None = None
    ) -> Chain[InT, NextT]: ...
    @overload
    def then(
        self,
        node: Callable[[OutT_co], NextT],
        *,
        name: str | None = None,
        blocking: bool = False,
    ) -> Chain[InT, NextT]: ...
    @overload
    def then(
        self,
        node: Callable[[Stream[OutT_co]], AsyncIterator[NextT]],
        *,
        name: str | None = None,
    ) -> Chain[InT, NextT]: ...
    @overload
    def then(
        self, node: Callable[[Stream[OutT_co]], Awaitable[NextT]], *, name: str | None = None
    ) -> Chain[InT, NextT]: ...
    def then(
        self, node: Any, *, name: str | None = None, blocking: bool = False
    ) -> Chain[InT, Any]:
        """Add one node: a component, a function in any of the four shapes, a graph, a Runnable.

        `blocking=True` runs a sync function in a worker thread.
        """
        spec = self._node(node, name, blocking=blocking)
        self._declaration.nodes[spec.name] = spec
        self._join(spec.name)
        self._open, self._fanned = [spec.name], False
        return self

    def parallel(self, nodes: Mapping[str, Any]) -> Chain[InT, dict[str, Any]]:
        """Run at least two nodes on the same input; they give a dict with a key for each."""
        if len(nodes) < 2:
            self._problem("PARALLEL_SIZE", "a parallel needs at least two nodes", found=len(nodes))
        self._one_end("a parallel")
        opened: list[str] = []
        for key, node in nodes.items():
            spec = with_keys(self._node(node, key), input_key=None, output_key=key)
            self._declaration.nodes[spec.name] = spec
            self._join(spec.name)
            opened.append(spec.name)
        self._open, self._fanned = opened, True
        return cast("Chain[InT, dict[str, Any]]", self)

    def branch(
        self,
        condition: Callable[[OutT_co], Any] | Callable[[Stream[OutT_co]], Any],
        nodes: Mapping[Any, Any],
    ) -> Chain[InT, Any]:
        """Run the nodes whose keys `condition` picks; all of them lead to what comes next.

        `condition` takes the value, or its own copy of the stream when its parameter is annotated
        so, and returns one key or a list of keys. A single pick gives that node's output; several
        have to be mergeable (mappings with different keys).
        """
        if len(nodes) < 2:
            self._problem("BRANCH_SIZE", "a branch needs at least two nodes", found=len(nodes))
        self._one_end("a branch")
        ends: dict[Any, str] = {}
        for key, node in nodes.items():
            spec = self._node(node, str(key))
            self._declaration.nodes[spec.name] = spec
            ends[key] = spec.name
        self._declaration.branches.append(BranchSpec.of(self._open[0], condition, ends))
        self._open, self._fanned = list(ends.values()), True
        return self

    def passthrough(self) -> Chain[InT, OutT_co]:
        """Let several open ends meet before the next parallel or branch."""
        spec = passthrough(self._unique("passthrough"))
        self._declaration.nodes[spec.name] = spec
        self._join(spec.name)
        self._open, self._fanned = [spec.name], False
        return self

    def compile(self, *, name: str = "", max_steps: int | None = None) -> Compiled[InT, OutT_co]:
        """Check the whole chain and freeze it into something that runs.

        Raises CompileError with every problem found. The chain stays usable.
        """
        declaration = self._declaration
        sealed = Declaration(
            input_type=declaration.input_type,
            output_type=self._output_type(),
            kind="Chain",
            nodes=dict(declaration.nodes),
            edges=[*declaration.edges, *((end, END) for end in self._open)],
            branches=list(declaration.branches),
            problems=list(declaration.problems),
        )
        if not declaration.nodes:
            sealed.problems.append(
                Problem(
                    code="EMPTY_CHAIN",
                    path=(),
                    message="the chain has no nodes",
                    remedy="add one with .then(...)",
                )
            )
        return Compiled.of(sealed, name=name, trigger=Trigger.ANY, max_steps=max_steps)

    def _output_type(self) -> Any:
        nodes = self._declaration.nodes
        kinds = [nodes[end].output_type for end in self._open if end in nodes]
        return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else Any

    def _node(self, node: Any, name: str | None, *, blocking: bool = False) -> NodeSpec:
        whole: Any = node
        if isinstance(node, Chain):
            node = whole.compile()
        spec = make_node(name or "", node, blocking=blocking)
        if name is None:
            return make_node(self._unique(spec.type_name), node, blocking=blocking)
        if name in self._declaration.nodes or name in (START, END):
            self._problem("DUPLICATE_NODE", f"the name {name!r} is taken", found=name)
            return make_node(self._unique(name), node, blocking=blocking)
        return spec

    def _unique(self, name: str) -> str:
        taken = (START, END, *self._declaration.nodes)
        number = 2
        found = name = name.strip("<>") or "node"
        while found in taken:
            found = f"{name}_{number}"
            number += 1
        return found

    def _join(self, target: str) -> None:
        self._declaration.edges.extend((source, target) for source in self._open)

    def _one_end(self, what: str) -> None:
        if self._fanned:
            self._problem(
                "OPEN_ENDS",
                f"{what} cannot follow directly on {len(self._open)} open ends",
                found=", ".join(self._open),
                remedy="put .passthrough() or a node between",
            )

    def _problem(self, code: str, message: str, *, found: object, remedy: str = "") -> None:
        self._declaration.problems.append(
            Problem(
                code=code, path=tuple(self._open), message=message, found=str(found), remedy=remedy
            )
        )

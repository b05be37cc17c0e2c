"""Plan: the frozen form of a checked declaration, with everything resolved that can be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pyeino.compose._assemble import Assembly
from pyeino.compose._build import make_assembly
from pyeino.compose._check import resolve_types
from pyeino.compose._declaration import END, START, BranchSpec, Declaration, Trigger
from pyeino.compose._guard import Check, make_check
from pyeino.compose._mapping import FieldMap
from pyeino.compose._shapes import FlowCall, ValueCall
from pyeino.compose._spec import NodeSpec
from pyeino.errors import GraphRunError

LineStep = tuple[str, Callable[..., Any], str, Check | None]
"""A node on a line: its name, what to call, how ("async", "sync", "context"), its input check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEdge:
    """Where an output goes, and the check that the static types left open.

    `carries` says that the target is sent the output, `leads` that it may run then: in a workflow
    an edge may do one without the other. `maps` are for people; the target's assembly does them.
    """

    target: int
    check: Check | None
    carries: bool = True
    leads: bool = True
    maps: tuple[FieldMap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBranch:
    """A choice behind a node, its ends resolved to edges."""

    condition: Callable[[Any], Any]
    takes_stream: bool
    is_async: bool
    check: Check | None
    ends: Mapping[Any, PlanEdge]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNode:
    """A node by its index; START is the first of a plan, END the last."""

    index: int
    name: str
    spec: NodeSpec
    value: ValueCall
    flow: FlowCall
    watched_value: ValueCall
    watched_flow: FlowCall
    edges: tuple[PlanEdge, ...]
    branches: tuple[PlanBranch, ...]
    sources: tuple[int, ...]
    marks_ends: bool
    assembly: Assembly | None = None

    @property
    def targets(self) -> tuple[int, ...]:
        """Every node that this one may lead to."""
        found = [edge.target for edge in self.edges]
        for branch in self.branches:
            found.extend(edge.target for edge in branch.ends.values())
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStep:
    """A node of a sequence, with the names whose outputs it is sent and the checks on the way."""

    node: PlanNode
    sources: tuple[tuple[str, Check | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the engine runs.

    `line` holds the nodes from START to END when there is no choice. `walkable` means that every
    node has one edge or one branch, so that a single value can walk through it. `mapped` is a
    workflow's plan. `sequence` holds the nodes in their only order, END last, when each waits for
    the one before it and there is no choice.
    """

    nodes: tuple[PlanNode, ...]
    trigger: Trigger
    max_steps: int
    line: tuple[PlanNode, ...] | None
    line_checks: tuple[Check | None, ...]
    line_steps: tuple[LineStep, ...]
    walkable: bool
    mapped: bool
    sequence: tuple[SequenceStep, ...] | None

    @property
    def end(self) -> int:
        """The index of END."""
        return len(self.nodes) - 1


def make_plan(
    declaration: Declaration,
    *,
    trigger: Trigger,
    max_steps: int | None,
    source_ends: Collection[str] = (),
) -> Plan:
    """Resolve a declaration that `check` has found no problem in."""
    names = [START, *declaration.nodes, END]
    index = {name: position for position, name in enumerate(names)}
    ways = _Ways(declaration, index)
    nodes = tuple(
        _plan_node(
            position,
            declaration.nodes.get(name) or _terminal(name, declaration),
            edges=tuple(ways.edge(one, other) for one, other in declaration.edges if one == name),
            branches=tuple(
                ways.branch(spec) for spec in declaration.branches if spec.source == name
            ),
            sources=tuple(index[other] for other in names if name in declaration.successors(other)),
            marks_ends=name in source_ends,
            assembly=ways.assemblies.get(name),
        )
        for position, name in enumerate(names)
    )
    line = _find_line(nodes)
    checks = () if line is None else tuple(_entry(nodes, node) for node in (nodes[0], *line))
    return Plan(
        nodes=nodes,
        trigger=trigger,
        mapped=declaration.mapped,
        sequence=None if trigger is Trigger.ANY else _find_sequence(nodes),
        max_steps=max_steps or len(declaration.nodes) + 10,
        line=line,
        line_checks=checks,
        walkable=trigger is Trigger.ANY
        and all(len(node.edges) + len(node.branches) == 1 for node in nodes[:-1]),
        line_steps=tuple(
            _line_step(node, check) for node, check in zip(line or (), checks, strict=False)
        ),
    )


class _Ways:
    """The edges and branches of a declaration, with what its types leave to the run."""

    def __init__(self, declaration: Declaration, index: Mapping[str, int]) -> None:
        self._declaration = declaration
        self._index = index
        self._takes, self._gives = resolve_types(declaration)
        self.assemblies: dict[str, Assembly | None] = {}
        if declaration.mapped:
            for name in (*declaration.nodes, END):
                found = make_assembly(declaration, name, self._takes, self._gives)
                self.assemblies[name] = found

    def edge(self, source: str, target: str) -> PlanEdge:
        """The edge from one node to another; the checks of an assembly are its own."""
        check = None
        if self.assemblies.get(target) is None:
            where = f"{source} -> {target}"
            check = make_check(self._gives[source], self._takes[target], where, source=source)
        link = self._declaration.links.get((source, target))
        if link is None:
            return PlanEdge(target=self._index[target], check=check)
        return PlanEdge(
            target=self._index[target],
            check=check,
            carries=bool(link.maps),
            leads=link.control,
            maps=tuple(link.maps),
        )

    def branch(self, spec: BranchSpec) -> PlanBranch:
        """A choice with its ends, which in a workflow are sent nothing."""
        where = f"{spec.source} -> its branch"
        given = self._gives[spec.source]
        return PlanBranch(
            condition=spec.condition,
            takes_stream=spec.takes_stream,
            is_async=spec.is_async,
            check=make_check(given, spec.input_type, where, source=spec.source),
            ends={key: self._end(spec.source, target) for key, target in spec.ends.items()},
        )

    def _end(self, source: str, target: str) -> PlanEdge:
        if self._declaration.mapped:
            return PlanEdge(target=self._index[target], check=None, carries=False)
        return self.edge(source, target)


def _plan_node(
    position: int,
    spec: NodeSpec,
    *,
    edges: tuple[PlanEdge, ...],
    branches: tuple[PlanBranch, ...],
    sources: tuple[int, ...],
    marks_ends: bool,
    assembly: Assembly | None,
) -> PlanNode:
    return PlanNode(
        index=position,
        name=spec.name,
        spec=spec,
        value=spec.value,
        flow=spec.flow,
        watched_value=spec.watched_value,
        watched_flow=spec.watched_flow,
        edges=edges,
        branches=branches,
        sources=sources,
        marks_ends=marks_ends,
        assembly=assembly,
    )


def _entry(nodes: tuple[PlanNode, ...], node: PlanNode) -> Check | None:
    """What makes the value of `node`, on a line, the value of the one that follows it."""
    edge = node.edges[0]
    assembly = nodes[edge.target].assembly
    return edge.check if assembly is None else assembly.of_value(node.name)


def _line_step(node: PlanNode, check: Check | None) -> LineStep:
    plain = node.spec.plain
    if plain is None:
        return (node.name, node.value, "context", check)
    function, is_async = plain
    return (node.name, function, "async" if is_async else "sync", check)


def _terminal(name: str, declaration: Declaration) -> NodeSpec:
    def never(item: Any, context: Any) -> Awaitable[Any]:
        raise GraphRunError(f"{name} is not a node that runs")

    kind = declaration.input_type if name == START else declaration.output_type
    return NodeSpec(
        name=name,
        kind="Terminal",
        type_name="",
        input_type=kind,
        output_type=kind,
        native="",
        value=never,
        flow=never,
        watched_value=never,
        watched_flow=never,
    )


def _find_line(nodes: tuple[PlanNode, ...]) -> tuple[PlanNode, ...] | None:
    """The nodes from START to END, when each has one edge, no branch and one source."""
    line: list[PlanNode] = []
    node, end = nodes[0], len(nodes) - 1
    while True:
        if node.branches or len(node.edges) != 1:
            return None
        if not (node.edges[0].carries and node.edges[0].leads):
            return None
        node = nodes[node.edges[0].target]
        if len(node.sources) != 1 or node.marks_ends:
            return None
        if node.index == end:
            return tuple(line) if line and len(line) == len(nodes) - 2 else None
        line.append(node)


def _find_sequence(nodes: tuple[PlanNode, ...]) -> tuple[SequenceStep, ...] | None:
    """The nodes in the one order in which they can run, when there is one and no branch."""
    if any(node.branches for node in nodes):
        return None
    waiting = {node.index: set(node.sources) for node in nodes}
    steps: list[SequenceStep] = []
    while waiting:
        ready = [index for index, sources in waiting.items() if not sources]
        if len(ready) != 1:
            return None
        following = nodes[ready[0]]
        del waiting[following.index]
        for sources in waiting.values():
            sources.discard(following.index)
        if following.index:
            steps.append(SequenceStep(node=following, sources=_sent(nodes, following)))
    return tuple(steps)


def _sent(nodes: tuple[PlanNode, ...], node: PlanNode) -> tuple[tuple[str, Check | None], ...]:
    return tuple(
        (nodes[source].name, edge.check)
        for source in node.sources
        for edge in nodes[source].edges
        if edge.target == node.index and edge.carries
    )

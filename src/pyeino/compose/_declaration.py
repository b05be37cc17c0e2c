"""Declaration: plain records of what a user declared, before anything is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pyeino.compose._fields import Path
from pyeino.compose._lambda import input_type_of, is_async, takes_stream
from pyeino.compose._mapping import Link
from pyeino.compose._spec import NodeSpec
from pyeino.errors import DeclarationError, Problem

START: Final = "start"
END: Final = "end"


class Trigger(StrEnum):
    """When a node runs: after any of its predecessors, or after all that were not skipped."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchSpec:
    """A choice behind `source`: `condition` gives keys of `ends`, which names the targets."""

    source: str
    condition: Callable[[Any], Any]
    takes_stream: bool
    is_async: bool
    input_type: Any
    ends: Mapping[Any, str]

    @classmethod
    def of(cls, source: str, condition: Any, ends: Mapping[Any, str]) -> BranchSpec:
        """Read from the signature of `condition` how it is asked. Raises DeclarationError."""
        if not callable(condition):
            raise DeclarationError(
                "a branch needs a condition", expected="a function", found=repr(condition)
            )
        return cls(
            source=source,
            condition=condition,
            takes_stream=takes_stream(condition),
            is_async=is_async(condition),
            input_type=input_type_of(condition),
            ends=ends,
        )


@dataclass(slots=True, kw_only=True)
class Declaration:
    """Everything declared so far, in the order of declaration.

    `links` and `values` are those of a workflow, where `mapped` is set: what each of the `edges`
    carries, and constants by target. The ends of its branches are sent no data.
    """

    input_type: Any
    output_type: Any
    kind: str = "Graph"
    nodes: dict[str, NodeSpec] = field(default_factory=dict[str, NodeSpec])
    edges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    branches: list[BranchSpec] = field(default_factory=list[BranchSpec])
    problems: list[Problem] = field(default_factory=list[Problem])
    mapped: bool = False
    links: dict[tuple[str, str], Link] = field(default_factory=dict[tuple[str, str], Link])
    values: dict[str, dict[Path, Any]] = field(default_factory=dict[str, dict[Path, Any]])

    def leads(self, source: str, target: str) -> bool:
        """Whether the edge lets its target run; in a workflow it may carry data only."""
        link = self.links.get((source, target))
        return link is None or link.control

    def successors(self, name: str, *, control: bool = False) -> list[str]:
        """Names that `name` can lead to, by edge or branch, without doubles, in order.

        `control` leaves out those that are only sent data.
        """
        found = [
            target
            for source, target in self.edges
            if source == name and not (control and not self.leads(source, target))
        ]
        for branch in self.branches:
            if branch.source == name:
                found.extend(branch.ends.values())
        return list(dict.fromkeys(found))


def add_node(declaration: Declaration, spec: NodeSpec) -> None:
    """Add a node under its name; a name that cannot be is a problem for `compile()` to tell."""
    if spec.name in (START, END):
        declaration.problems.append(
            Problem(
                code="RESERVED_NAME",
                path=(spec.name,),
                message=f"the node name {spec.name!r} is reserved",
                remedy="choose another name",
            )
        )
    elif spec.name in declaration.nodes:
        declaration.problems.append(
            Problem(
                code="DUPLICATE_NODE",
                path=(spec.name,),
                message=f"there are two nodes named {spec.name!r}",
                remedy="give each node its own name",
            )
        )
    else:
        declaration.nodes[spec.name] = spec

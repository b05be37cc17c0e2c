"""Declaration: plain records of what a user declared, before anything is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pyeino.compose._lambda import input_type_of, is_async, takes_stream
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
    """Everything declared so far, in the order of declaration."""

    input_type: Any
    output_type: Any
    kind: str = "Graph"
    nodes: dict[str, NodeSpec] = field(default_factory=dict[str, NodeSpec])
    edges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    branches: list[BranchSpec] = field(default_factory=list[BranchSpec])
    problems: list[Problem] = field(default_factory=list[Problem])

    def successors(self, name: str) -> list[str]:
        """Names that `name` can lead to, by edge or branch, without doubles, in order."""
        found = [target for source, target in self.edges if source == name]
        for branch in self.branches:
            if branch.source == name:
                found.extend(branch.ends.values())
        return list(dict.fromkeys(found))

"""explain() of a workflow: each node with what it is given, in an order in which it can run."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from pyeino.compose._fields import Path
from pyeino.compose._mapping import FieldMap
from pyeino.compose._plan import Plan, PlanNode


def explain_workflow(plan: Plan, title: str) -> str:
    """Python text; nodes that do not wait for each other stand one below the other."""
    lines = [
        f"async def {title}(start):",
        "    # each line runs as soon as what it names is there, side by side with others",
    ]
    for node in _in_order(plan):
        if node.index == plan.end:
            continue
        for condition in _why(plan, node):
            lines.append(f"    # {condition}")
        if node.index:
            call = "await " if _is_awaited(node) else ""
            given = _given(plan, node)
            lines.append(f"    {identifier(node.name)} = {call}{identifier(node.name)}({given})")
        for branch in node.branches:
            asked = getattr(branch.condition, "__name__", type(branch.condition).__name__)
            call = f"{'await ' if branch.is_async else ''}{identifier(asked)}"
            lines.append(f"    chosen = {call}({identifier(node.name)})  # of {list(branch.ends)}")
    end = plan.nodes[-1]
    lines.extend(f"    # {condition}" for condition in _why(plan, end))
    lines.append(f"    return {_given(plan, end)}")
    return "\n".join(lines) + "\n"


def identifier(name: str) -> str:
    """A name that can stand in code, whatever the user called it."""
    word = re.sub(r"\W", "_", name) or "_"
    return f"_{word}" if word[0].isdigit() or keyword.iskeyword(word) else word


def _in_order(plan: Plan) -> Iterator[PlanNode]:
    """Every node after all that it waits for, else in the order of declaration."""
    waiting = {node.index: set(node.sources) for node in plan.nodes}
    while waiting:
        following = min(index for index, sources in waiting.items() if not sources)
        del waiting[following]
        for sources in waiting.values():
            sources.discard(following)
        yield plan.nodes[following]


def _why(plan: Plan, node: PlanNode) -> Iterator[str]:
    """What lets a node run beyond the names in its line."""
    picked: list[str] = []
    others: list[str] = []
    for source in node.sources:
        other = plan.nodes[source]
        for edge in other.edges:
            if edge.target == node.index and edge.leads:
                others.append(f"after {other.name}")
                if not edge.carries:
                    yield f"waits for {other.name}"
        for branch in other.branches:
            keys = [repr(key) for key, edge in branch.ends.items() if edge.target == node.index]
            if keys:
                picked.append(f"when the branch behind {other.name} chose {' or '.join(keys)}")
    if picked:
        yield f"{'' if others else 'only '}{', or '.join([*picked, *others])}"


def _given(plan: Plan, node: PlanNode) -> str:
    """What is put into a node: `{"net": price.total}`, a path as one reads it."""
    places: dict[Path, str] = {}
    for source in node.sources:
        for edge in plan.nodes[source].edges:
            if edge.target == node.index:
                for mapping in edge.maps:
                    places[mapping.target] = _part(plan.nodes[source].name, mapping)
    constants = {} if node.assembly is None else node.assembly.constants
    places.update({path: repr(value) for path, value in constants.items()})
    return _tree(places)


def _part(source: str, mapping: FieldMap) -> str:
    name = identifier(source)
    if mapping.extract is not None:
        function = getattr(mapping.extract, "__name__", type(mapping.extract).__name__)
        return f"{identifier(function)}({name})"
    return name + "".join(f"[{one!r}]" for one in mapping.source)


def _tree(places: dict[Path, str]) -> str:
    if () in places:
        return places[()]
    inner: dict[str, dict[Path, str]] = {}
    for path, text in places.items():
        inner.setdefault(path[0], {})[path[1:]] = text
    return "{" + ", ".join(f"{name!r}: {_tree(below)}" for name, below in inner.items()) + "}"


def _is_awaited(node: PlanNode) -> bool:
    return node.spec.plain is None or node.spec.plain[1]

"""check(): every problem of a declaration, all at once, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pyeino.compose._declaration import END, START, BranchSpec, Declaration, Trigger
from pyeino.compose._mapping_check import check_mappings
from pyeino.compose._types import Fit, fit, type_name
from pyeino.errors import Problem


def check(
    declaration: Declaration,
    *,
    trigger: Trigger,
    max_steps: int | None,
    source_ends: Collection[str] = (),
) -> list[Problem]:
    """What is wrong with `declaration`; an empty list when it can run."""
    problems = list(declaration.problems)
    problems.extend(_check_options(trigger, max_steps))
    problems.extend(_check_names(declaration))
    problems.extend(_unknown(declaration, "source_ends", source_ends))
    if problems:
        # types and reachability of a graph with unknown names would only repeat them
        return problems
    problems.extend(_check_reach(declaration))
    if declaration.mapped:
        problems.extend(check_mappings(declaration))
        problems.extend(_check_conditions(declaration))
    else:
        problems.extend(_check_types(declaration))
    if trigger is Trigger.ALL:
        problems.extend(_check_loops(declaration))
    return problems


def resolve_types(declaration: Declaration) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each name takes and what it gives; a passthrough gives what its predecessors give."""
    takes: dict[str, Any] = {END: declaration.output_type}
    gives: dict[str, Any] = {START: declaration.input_type}
    for name, spec in declaration.nodes.items():
        takes[name], gives[name] = spec.input_type, spec.output_type
    through = [name for name, spec in declaration.nodes.items() if spec.kind == "Passthrough"]
    for _ in through:  # one round per passthrough settles the longest row of them
        for name in through:
            kinds = [gives[source] for source in _predecessors(declaration, name)]
            known = [kind for kind in kinds if kind is not Any]
            if known and len(known) == len(kinds) and all(kind == known[0] for kind in known):
                gives[name] = known[0]
    return takes, gives


def _predecessors(declaration: Declaration, name: str) -> Iterator[str]:
    for source, target in declaration.edges:
        if target == name:
            yield source
    for branch in declaration.branches:
        if name in branch.ends.values():
            yield branch.source


def _check_options(trigger: Trigger, max_steps: int | None) -> Iterator[Problem]:
    if max_steps is None:
        return
    if trigger is Trigger.ALL:
        yield Problem(
            code="MAX_STEPS_UNUSED",
            path=(),
            message='max_steps has no meaning with trigger="all"',
            remedy="leave it out: a graph without cycles ends by itself",
        )
    elif max_steps < 1:
        yield Problem(
            code="MAX_STEPS_RANGE",
            path=(),
            message="max_steps is out of range",
            expected="at least 1",
            found=str(max_steps),
        )


def _check_names(declaration: Declaration) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for source, target in declaration.edges:
        yield from _check_ends(declaration, source, [target])
        if (source, target) in seen:
            yield Problem(
                code="DUPLICATE_EDGE",
                path=(source, target),
                message=f"the edge {source} -> {target} is there twice",
                remedy="drop one of them",
            )
        seen.add((source, target))
    for branch in declaration.branches:
        yield from _check_ends(declaration, branch.source, branch.ends.values())
        if not branch.ends:
            yield Problem(
                code="EMPTY_BRANCH",
                path=(branch.source,),
                message=f"the branch behind {branch.source!r} has no ends",
                remedy="name the nodes that the condition may pick",
            )
    leading = [edge for edge in declaration.edges if declaration.leads(*edge)]
    sources = {source for source, _ in leading}
    sources.update(branch.source for branch in declaration.branches)
    if START not in sources:
        yield Problem(
            code="NO_START",
            path=(START,),
            message="nothing leads out of START",
            remedy="add an edge from START to the first node",
        )
    targets = {target for _, target in leading}
    for branch in declaration.branches:
        targets.update(branch.ends.values())
    if END not in targets:
        yield Problem(
            code="NO_END",
            path=(END,),
            message="nothing leads to END",
            remedy="add an edge from the last node to END",
        )


def _check_ends(declaration: Declaration, source: str, targets: Iterable[str]) -> Iterator[Problem]:
    targets = list(targets)
    if source == END:
        yield Problem(code="END_AS_SOURCE", path=(END,), message="END leads nowhere")
    if START in targets:
        yield Problem(
            code="START_AS_TARGET", path=(source, START), message="nothing leads to START"
        )
    yield from _unknown(declaration, source, (source, *targets))


def _unknown(declaration: Declaration, where: str, names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        if name not in declaration.nodes and name not in (START, END):
            yield Problem(
                code="UNKNOWN_NODE",
                path=(where,) if name == where else (where, name),
                message=f"there is no node {name!r}",
                expected=f"one of {[START, *declaration.nodes, END]}",
                found=repr(name),
                remedy="add the node, or mend the name",
            )


def _check_reach(declaration: Declaration) -> Iterator[Problem]:
    names = (START, *declaration.nodes)
    controlled = {name: declaration.successors(name, control=True) for name in names}
    reached = _closure([START], controlled)
    forward = {name: declaration.successors(name) for name in names}
    backward: dict[str, list[str]] = {}
    for source, targets in forward.items():
        for target in targets:
            backward.setdefault(target, []).append(source)
    leading = _closure([END], backward)
    for name in declaration.nodes:
        if name not in reached:
            yield Problem(
                code="UNREACHABLE",
                path=(name,),
                message=f"no way leads from START to {name!r}",
                remedy="add an edge to it, or drop the node",
            )
        elif name not in leading:
            yield Problem(
                code="DEAD_END",
                path=(name,),
                message=f"no way leads from {name!r} to END",
                remedy="add an edge from it towards END, or drop the node",
            )


def _closure(names: list[str], steps: dict[str, list[str]]) -> set[str]:
    found = set(names)
    waiting = list(names)
    while waiting:
        for following in steps.get(waiting.pop(), ()):
            if following not in found:
                found.add(following)
                waiting.append(following)
    return found


def _check_types(declaration: Declaration) -> Iterator[Problem]:
    takes, gives = resolve_types(declaration)
    for source, target in declaration.edges:
        if fit(gives[source], takes[target]) is Fit.NO:
            yield _mismatch((source, target), gives[source], takes[target])
    for branch in declaration.branches:
        given = gives[branch.source]
        yield from _check_condition(branch, given)
        for target in dict.fromkeys(branch.ends.values()):
            if fit(given, takes[target]) is Fit.NO:
                yield _mismatch((branch.source, target), given, takes[target])


def _check_conditions(declaration: Declaration) -> Iterator[Problem]:
    """The conditions of a workflow, whose branches send their ends nothing."""
    _, gives = resolve_types(declaration)
    for branch in declaration.branches:
        yield from _check_condition(branch, gives[branch.source])


def _check_condition(branch: BranchSpec, given: Any) -> Iterator[Problem]:
    if fit(given, branch.input_type) is Fit.NO:
        yield Problem(
            code="BRANCH_TYPE",
            path=(branch.source,),
            message=f"the branch condition does not take what {branch.source!r} gives",
            expected=type_name(branch.input_type),
            found=type_name(given),
            remedy="annotate the condition with the type it is given",
        )


def _mismatch(path: tuple[str, str], given: Any, wanted: Any) -> Problem:
    source, target = path
    return Problem(
        code="TYPE_MISMATCH",
        path=path,
        message=f"{target!r} does not take what {source!r} gives",
        expected=type_name(wanted),
        found=type_name(given),
        remedy="put a node between them that converts, or mend the annotations",
    )


def _check_loops(declaration: Declaration) -> Iterator[Problem]:
    for loop in find_loops(declaration):
        yield Problem(
            code="LOOP",
            path=tuple(loop),
            message=f"a loop cannot wait for all its predecessors: {' -> '.join(loop)}",
            remedy='break the loop, or compile with trigger="any"',
        )


def find_loops(declaration: Declaration) -> list[list[str]]:
    """Each loop that a depth-first walk meets: the names along it, the first again at the end."""
    loops: list[list[str]] = []
    done: set[str] = set()
    for root in declaration.nodes:
        if root in done:
            continue
        path = [root]
        walks = [iter(declaration.successors(root))]
        while walks:
            following = next(walks[-1], None)
            if following is None:
                done.add(path.pop())
                walks.pop()
            elif following in path:
                loops.append([*path[path.index(following) :], following])
            elif following not in done and following in declaration.nodes:
                path.append(following)
                walks.append(iter(declaration.successors(following)))
    return loops

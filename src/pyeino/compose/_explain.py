"""explain(): a plan as the asyncio code that one would write by hand for it."""

from __future__ import annotations

from pyeino.compose._explain_workflow import explain_workflow, identifier
from pyeino.compose._plan import Plan, PlanNode

_LONGEST = 200
"""Lines after which a graph is explained as a table of steps instead."""


def explain(plan: Plan, *, name: str) -> str:
    """Python text of what the engine does in value mode.

    Lines of nodes and branches are written out; a graph with loops or parallel ways is written
    as the step loop that the engine runs, with each node's successors.
    """
    title = identifier(name or "run")
    if plan.mapped:
        return explain_workflow(plan, title)
    lines = [f"async def {title}(value):"]
    if _is_tree(plan):
        written = _write_from(plan, plan.nodes[0], "    ")
        if len(written) <= _LONGEST:
            return "\n".join([*lines, *written]) + "\n"
    return "\n".join([*lines, *_write_loop(plan)]) + "\n"


def _is_tree(plan: Plan) -> bool:
    """Whether every node has either one edge or one branch, and no way leads back."""
    if any(len(node.edges) + len(node.branches) != 1 for node in plan.nodes[:-1]):
        return False
    return not _has_loop(plan, plan.nodes[0], frozenset())


def _has_loop(plan: Plan, node: PlanNode, above: frozenset[int]) -> bool:
    if node.index in above:
        return True
    inside = above | {node.index}
    return any(_has_loop(plan, plan.nodes[target], inside) for target in node.targets)


def _write_from(plan: Plan, node: PlanNode, indent: str) -> list[str]:
    lines: list[str] = []
    while True:
        if 0 < node.index < plan.end:
            lines.append(indent + _call(node))
        if node.index == plan.end:
            return [*lines, f"{indent}return value"]
        if node.branches:
            break
        edge = node.edges[0]
        if edge.check is not None:
            lines.append(f"{indent}check_type(value)  # the types on this edge are open")
        node = plan.nodes[edge.target]
    branch = node.branches[0]
    lines.append(
        f"{indent}choice = {'await ' if branch.is_async else ''}{_of(branch.condition)}(value)"
    )
    for key, edge in branch.ends.items():
        lines.append(f"{indent}if choice == {key!r}:")
        lines.extend(_write_from(plan, plan.nodes[edge.target], indent + "    "))
    return lines


def _write_loop(plan: Plan) -> list[str]:
    lines = [
        "    inbox = {}  # what has arrived, by node",
        f"    {_deliver(plan, plan.nodes[0])}",
    ]
    if plan.trigger == "any":
        lines.append(f"    for step in range({plan.max_steps}):")
        lines.append('        if "end" in inbox: return merge(inbox["end"])')
        lines.append(
            "        ready, inbox = inbox, {}  # every node that was sent something, in parallel"
        )
    else:
        lines.append("    while True:")
        lines.append('        if "end" in inbox: return merge(inbox["end"])')
        lines.append(
            "        ready = pop_complete(inbox)  # as soon as no predecessor is waited for"
        )
    for node in plan.nodes[1:-1]:
        lines.append(f"        if {node.name!r} in ready:")
        lines.append(f"            value = merge(ready[{node.name!r}])")
        lines.append(f"            {_call(node)}")
        lines.append(f"            {_deliver(plan, node)}")
    return lines


def _deliver(plan: Plan, node: PlanNode) -> str:
    targets = [repr(plan.nodes[edge.target].name) for edge in node.edges]
    targets += [
        f"*{'await ' if branch.is_async else ''}{_of(branch.condition)}(value)"
        for branch in node.branches
    ]
    return f"send(inbox, value, to=[{', '.join(targets)}])"


def _call(node: PlanNode) -> str:
    spec = node.spec
    called = identifier(node.name)
    if spec.kind == "Passthrough":
        return f"pass  # {called}"
    if spec.kind == "ChatModel":
        return f"value = await {called}.generate(value)"
    if spec.kind == "ChatTemplate":
        return f"value = {called}.format(value)"
    if spec.nested is not None:
        return f"value = await {called}.invoke(value)"
    if spec.plain is not None and not spec.plain[1]:
        return f"value = {called}(value)"
    return f"value = await {called}(value)  # {spec.native}"


def _of(function: object) -> str:
    return identifier(getattr(function, "__name__", type(function).__name__))

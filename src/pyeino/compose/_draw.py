"""draw(): a plan as Mermaid text, without any network."""

from __future__ import annotations

from pyeino.compose._plan import Plan, PlanEdge


def draw(plan: Plan, *, name: str) -> str:
    """Mermaid flowchart of a plan; nested graphs are drawn as boxes inside."""
    lines = ["flowchart TD"]
    if name:
        lines.insert(0, f"---\ntitle: {_text(name)}\n---")
    _draw_into(lines, plan, prefix="n", indent="    ")
    return "\n".join(lines) + "\n"


def _draw_into(lines: list[str], plan: Plan, *, prefix: str, indent: str) -> None:
    for node in plan.nodes:
        key = f"{prefix}{node.index}"
        inner = getattr(node.spec.nested, "plan", None)
        if node.index in (0, plan.end):
            lines.append(f'{indent}{key}(["{node.name.upper()}"])')
        elif isinstance(inner, Plan):
            lines.append(f'{indent}subgraph {key}["{_text(node.name)}"]')
            _draw_into(lines, inner, prefix=f"{key}_", indent=indent + "    ")
            lines.append(f"{indent}end")
        else:
            label = f"{_text(node.name)}<br/><small>{_text(node.spec.kind)}</small>"
            lines.append(f'{indent}{key}["{label}"]')
    for node in plan.nodes:
        key = f"{prefix}{node.index}"
        lines.extend(f"{indent}{key} {_arrow(edge)} {prefix}{edge.target}" for edge in node.edges)
        for branch in node.branches:
            lines.extend(
                f'{indent}{key} -. "{_text(str(choice))}" .-> {prefix}{edge.target}'
                for choice, edge in branch.ends.items()
            )


def _arrow(edge: PlanEdge) -> str:
    """A thick arrow is control alone, one with a round head data alone; fields are its label."""
    if not edge.carries:
        return "==>"
    head = "-->" if edge.leads else "--o"
    fields = "; ".join(_text(str(one)) for one in edge.maps if one.source or one.target)
    return f'{head}|"{fields}"|' if fields else head


def _text(text: str) -> str:
    """A label that cannot break out of its quotes or carry markup."""
    escapes = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"}
    return "".join(escapes.get(letter, letter) for letter in text if letter.isprintable())

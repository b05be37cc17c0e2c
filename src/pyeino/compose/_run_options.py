"""From the options of a run to its context, refusing what cannot be meant."""

from __future__ import annotations

from pyeino.compose._context import RunContext
from pyeino.compose._plan import Plan
from pyeino.compose._runnable import RunOptions
from pyeino.errors import DeclarationError


def context_of(options: RunOptions, plan: Plan) -> RunContext:
    """The context of an outermost run of `plan`.

    Raises DeclarationError for numbers out of range and for paths that lead to no node.
    """
    if options.max_steps is not None and options.max_steps < 1:
        raise DeclarationError(
            "max_steps is out of range", expected="at least 1", found=str(options.max_steps)
        )
    if options.timeout is not None and not options.timeout > 0:
        raise DeclarationError(
            "timeout is out of range", expected="more than 0 seconds", found=str(options.timeout)
        )
    for entry in options.components:
        if entry.path is not None:
            _check_path(entry.path, plan)
    for designated in options.node_callbacks:
        _check_path(designated.path, plan)
    return RunContext(
        handlers=options.callbacks,
        components=options.components,
        designated=options.node_callbacks,
        max_steps=options.max_steps,
    )


def _check_path(path: tuple[str, ...], plan: Plan) -> None:
    where: Plan | None = plan
    for depth, name in enumerate(path):
        known = {} if where is None else {node.name: node for node in where.nodes[1:-1]}
        if name not in known:
            raise DeclarationError(
                f"the options of the run name a node that is not there: {' > '.join(path)}",
                expected=f"one of {sorted(known)}" if known else "no further name: it is no graph",
                found=repr(name),
                where=" > ".join(path[:depth]) or "the outermost graph",
                remedy="mend the path: names from the outermost graph inwards",
            )
        inner = getattr(known[name].spec.nested, "plan", None)
        where = inner if isinstance(inner, Plan) else None
    if not path:
        raise DeclarationError(
            "the options of the run have an empty path",
            expected="at least one name",
            remedy="leave the path out to mean every node",
        )

"""What one Jinja2 rendering may cost, and where the counting is put into a template.

Jinja2's sandbox guards what a template may touch, not how much it may use: `{% set x = x ~ x %}`
forty times is a terabyte. So every value that a template makes is measured, every turn of a loop
and every call of a macro is counted, and all output is added up. The counting calls are put into
the parsed template, before Jinja2 compiles it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from jinja2 import TemplateSyntaxError, Undefined, nodes
from jinja2.visitor import NodeTransformer

from pyeino.errors import TemplateError

MAX_OUTPUT = 1_000_000  # characters of one rendered text
MAX_WORK = 5_000_000  # characters and members that the values of one rendering may hold
MAX_SECONDS = 1.0  # of processor time, so that a busy machine changes nothing
_CHECK_EVERY = 4_096

BodyT = TypeVar("BodyT", nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)

_LOADING = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


class Budget:
    """What is left of one rendering's output, work and time."""

    __slots__ = ("_deadline", "_output", "_work")

    def __init__(self) -> None:
        self._output = MAX_OUTPUT
        self._work = MAX_WORK
        self._deadline = time.thread_time() + MAX_SECONDS

    def emit(self, characters: int) -> None:
        """Count output, also output that goes into a macro or a `set` block first."""
        self._output -= characters
        if self._output < 0:
            raise TemplateError(
                "the rendered text is too long", expected=f"at most {MAX_OUTPUT:,} characters"
            )

    def spend(self, amount: int) -> None:
        """Count work, and see whether the time is over."""
        self._work -= amount
        if self._work < 0:
            raise TemplateError(
                "rendering makes values that are too large",
                expected=f"at most {MAX_WORK:,} characters and members in all",
            )
        if time.thread_time() > self._deadline:
            raise TemplateError(
                "rendering takes too long", expected=f"at most {MAX_SECONDS:g} s of processor time"
            )

    def measure(self, value: object) -> None:
        """Spend as much as `value` holds, counting what is shared as often as it would be read."""
        pending: list[object] = [value]
        amount = 0
        while pending:
            one = pending.pop()
            if isinstance(one, str | bytes):
                amount += len(one)
            elif isinstance(one, Undefined) and one is not value:
                str(one)  # raises: inside a list a missing value would be printed as text
            elif isinstance(one, Mapping):
                members = cast("Mapping[object, object]", one)
                pending.extend(members.keys())
                pending.extend(members.values())
            elif isinstance(one, list | tuple | set | frozenset):
                pending.extend(cast("list[object]", one))
            amount += 1
            if amount > _CHECK_EVERY:
                self.spend(amount)
                amount = 0
        self.spend(amount)


budget_of_rendering: ContextVar[Budget] = ContextVar("pyeino_template_budget")


class CountingTransformer(NodeTransformer):
    """Puts the counting calls into a parsed template and refuses what would load another one."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Refuse loading statements, then go on as usual."""
        if isinstance(node, _LOADING):
            kind = {"FromImport": "from"}.get(type(node).__name__, type(node).__name__.lower())
            raise TemplateSyntaxError(f"the statement {kind!r} is disabled", node.lineno)
        return super().visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.For:
        """Count each turn of a loop and the plain text that it writes."""
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        """Count each call of a macro and the plain text that it writes."""
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        """Count each call of a call block's body."""
        return self._counted(node)

    def visit_Block(self, node: nodes.Block) -> nodes.Block:
        """Count each writing of a block, for `self.name()` repeats it."""
        return self._counted(node)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        """Measure a list that the template makes."""
        return self._measured(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        """Measure a dict that the template makes."""
        return self._measured(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        """Measure a tuple that the template makes, not one that it unpacks into."""
        return self._measured(node) if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Join text through the environment, which measures first."""
        self.generic_visit(node)
        return _call("joined_text", node.nodes, node.lineno)

    def _measured(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return _call("measured", [node], node.lineno)

    def _counted(self, node: BodyT) -> BodyT:
        self.generic_visit(node)
        plain = sum(
            len(data.data)
            for statement in node.body
            for data in _outputs(statement).find_all(nodes.TemplateData)
        )
        count = _call("count_turn", [nodes.Const(plain)], node.lineno)
        node.body.insert(0, nodes.ExprStmt(count, lineno=node.lineno))
        return node


def _outputs(statement: nodes.Node) -> nodes.Node:
    """`statement` in a wrapper, as find_all looks at children only."""
    return nodes.Scope([statement])


def _call(method: str, arguments: list[Any], line: int) -> nodes.Call:
    target = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(target, arguments, [], None, None, lineno=line)

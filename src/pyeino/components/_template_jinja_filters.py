"""The filters that a prompt may use: an allow list, each measured before and after its work."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, pass_environment
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from pyeino.components._template_jinja_limits import budget_of_rendering
from pyeino.errors import TemplateError

_FROM_JINJA = (
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
    "wordwrap",
)
_MAX_INDENT = 200


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """Filters by name; whatever is not here is unknown to a template."""
    filters = {name: _measured(FILTERS[name]) for name in _FROM_JINJA}
    own: dict[str, Callable[..., Any]] = {
        "indent": _indent,
        "join": _join,
        "replace": _replace,
        "tojson": _tojson,
    }
    return {**filters, **own}


def _measured(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)  # keeps the marks that say which first argument Jinja2 passes
    def measured(*args: Any, **kwargs: Any) -> Any:
        budget = budget_of_rendering.get()
        for value in (*args, *kwargs.values()):
            if not isinstance(value, Environment | EvalContext | Context):
                budget.measure(value)
        result = function(*args, **kwargs)
        budget.measure(result)
        return result

    return measured


@pass_environment
def _join(
    environment: Environment, value: Iterable[Any], d: str = "", attribute: str | None = None
) -> str:
    budget = budget_of_rendering.get()
    read = make_attrgetter(environment, attribute) if attribute is not None else None
    texts: list[str] = []
    for item in value:
        budget.measure(item)
        text = str(read(item) if read else item)
        budget.spend(len(text) + len(d))
        texts.append(text)
    return str(d).join(texts)


def _replace(value: object, old: str, new: str, count: int | None = None) -> str:
    budget = budget_of_rendering.get()
    budget.measure(value)
    text = str(value)
    times = text.count(old) if count is None else min(text.count(old), count)
    budget.spend(len(text) + times * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _indent(value: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    margin = width if isinstance(width, str) else " " * min(width, _MAX_INDENT + 1)
    if len(margin) > _MAX_INDENT:
        raise TemplateError("the indent is too wide", expected=f"at most {_MAX_INDENT} characters")
    budget = budget_of_rendering.get()
    budget.measure(value)
    lines = str(value).split("\n")
    budget.spend(len(lines) * len(margin))
    return "\n".join(
        margin + line if (number or first) and (line or blank) else line
        for number, line in enumerate(lines)
    )


def _tojson(value: object, indent: int | None = None) -> str:
    """Plain JSON: a prompt is not a web page, so `<` stays `<`."""
    budget = budget_of_rendering.get()
    budget.measure(value)
    text = json.dumps(value, ensure_ascii=False, indent=None if indent is None else min(indent, 8))
    budget.spend(len(text))
    return text

"""Jinja2 templates: sandboxed to data, bounded in output, work and time.

A template sees fields, keys and items of its variables and a short list of methods and filters. It
calls no function of the caller, reads no other attribute, and loads no other template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    meta,
    nodes,
    pass_context,
)
from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from pyeino.components._template_jinja_filters import allowed_filters
from pyeino.components._template_jinja_limits import (
    Budget,
    CountingTransformer,
    budget_of_rendering,
)
from pyeino.components._template_lookup import declared_fields, known_names, type_of
from pyeino.errors import TemplateError

_MAX_SOURCE = 200_000
_MAX_INTEGER_BITS = 4_096
_TEXT_METHODS = (
    "capitalize",
    "count",
    "endswith",
    "find",
    "isdigit",
    "lower",
    "lstrip",
    "removeprefix",
    "removesuffix",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
)
_METHODS: dict[type[Any], frozenset[str]] = {
    str: frozenset(_TEXT_METHODS),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}
_CALLED_AS_THEY_ARE = (BlockReference, LoopContext, Macro, Undefined)
_READ_BY_JINJA = (LoopContext, Macro, Namespace, Undefined)


@dataclass(frozen=True, slots=True, kw_only=True)
class JinjaText:
    """A compiled Jinja2 text; `where` names it in errors."""

    template: Template
    variables: tuple[str, ...]
    where: str

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text for `variables`; TemplateError when one is missing or a bound is passed."""
        token = budget_of_rendering.set(Budget())
        try:
            return self.template.render(dict(variables))
        except UndefinedError as error:
            raise TemplateError(
                f"a value is missing: {error}",
                where=self.where,
                found=f"the keys {known_names(variables)}",
            ) from error
        except TemplateError as error:
            error.where = error.where or self.where
            raise
        except Exception as error:
            raise TemplateError(f"the template failed: {error}", where=self.where) from error
        finally:
            budget_of_rendering.reset(token)


def parse_jinja(text: str, *, where: str) -> JinjaText:
    """Compile `text`; TemplateError says what cannot be parsed and in which line."""
    if len(text) > _MAX_SOURCE:
        raise TemplateError(
            "the template is too long", where=where, expected=f"at most {_MAX_SOURCE:,} characters"
        )
    environment = _environment()
    try:
        names = meta.find_undeclared_variables(environment.parse(text))
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"the Jinja2 template cannot be parsed: {error.message}",
            where=f"{where} line {error.lineno}",
        ) from error
    except (JinjaError, RecursionError, SyntaxError, ValueError) as error:
        raise TemplateError(
            f"the Jinja2 template cannot be compiled: {error}", where=where
        ) from error
    return JinjaText(template=template, variables=tuple(sorted(names)), where=where)


class _PromptEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's strictest sandbox, cut down to data and with everything counted."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            optimized=False,  # folding constants at compile time would escape the counting
            finalize=_finalize,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.filters = cast("Any", allowed_filters())
        self.globals.clear()
        self.globals["range"] = cast("Any", _range)
        self.globals["namespace"] = Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        return cast("nodes.Template", CountingTransformer().visit(parsed))

    def count_turn(self, plain: int) -> None:
        """One turn of a loop or call of a macro that writes `plain` characters of plain text."""
        budget = budget_of_rendering.get()
        budget.emit(plain)
        budget.spend(1)

    def measured(self, value: Any) -> Any:
        """A value that the template made, after counting it."""
        budget_of_rendering.get().measure(value)
        return value

    def joined_text(self, *values: object) -> str:
        """What `~` makes."""
        budget = budget_of_rendering.get()
        for value in values:
            budget.measure(value)
        return "".join([str(value) for value in values])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse operations that are far larger than their operands; measure the others."""
        _refuse_explosion(operator, left, right)
        return self.measured(super().call_binop(context, operator, left, right))

    def is_safe_callable(self, obj: Any) -> bool:
        """Macros, loops, our own counting, and the listed methods of plain values."""
        if isinstance(obj, _CALLED_AS_THEY_ARE) or obj is _range or obj is Namespace:
            return True
        owner: Any = getattr(obj, "__self__", None)
        if owner is self or isinstance(owner, LoopContext):
            return True
        return getattr(obj, "__name__", "") in _methods_of(owner)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: a listed method, a key, or a declared field."""
        if attribute.startswith("_"):
            return self.unsafe_undefined(obj, attribute)
        kind = type_of(obj)
        if issubclass(kind, _READ_BY_JINJA) or attribute in _methods_of(obj):
            return super().getattr(obj, attribute)
        if _has_key(obj, attribute) or _is_block_namespace(obj):
            return obj[attribute]
        if attribute in (declared_fields(obj) or ()):
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`: a key of a mapping, an index of a sequence, else as `obj.argument`."""
        kind = type_of(obj)
        if issubclass(kind, Mapping | Sequence):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass  # not a key: the name of a method or field, perhaps
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=str(argument))


def _methods_of(value: object) -> frozenset[str]:
    return _METHODS.get(type_of(value), frozenset())


def _has_key(value: Any, key: str) -> bool:
    return issubclass(type_of(value), Mapping) and key in value


@cache
def _environment() -> _PromptEnvironment:
    return _PromptEnvironment()


@pass_context
def _finalize(_context: Context, value: object) -> object:
    """Count a value on its way out; taking the context keeps Jinja2 from doing it once only."""
    budget = budget_of_rendering.get()
    if not isinstance(value, str):
        budget.measure(value)
        value = str(value)
    budget.emit(len(value))
    return value


def _range(*args: int) -> range:
    """`range` of at most 100,000 numbers."""
    numbers = range(*args)
    if len(numbers) > 100_000:
        raise TemplateError("the range is too long", expected="at most 100,000 numbers")
    return numbers


def _refuse_explosion(operator: str, left: Any, right: Any) -> None:
    if operator == "%" and isinstance(left, str | bytes):
        raise SecurityError("formatting with % is disabled; join texts with ~ instead")
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        grown = bits * max(right, 0) if operator == "**" else bits + right.bit_length()
        if operator in ("*", "**") and grown > _MAX_INTEGER_BITS:
            raise SecurityError("the number is too large")
    if operator == "*":
        for value, times in ((left, right), (right, left)):
            if issubclass(type_of(value), Sequence) and isinstance(times, int):
                budget_of_rendering.get().spend(_length(value) * max(times, 0))


def _length(value: Any) -> int:
    return len(value)


def _is_block_namespace(value: object) -> bool:
    """Whether `value` is what Jinja2 calls `self`: this template's blocks by name."""
    kind = type(value)
    return kind.__name__ == "TemplateReference" and kind.__module__ == "jinja2.runtime"

"""The three ways to write a template text, behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, get_args

from pyeino.components._template_fstring import parse_fstring
from pyeino.components._template_go import parse_go
from pyeino.errors import DeclarationError, MissingDependencyError

TemplateFormat: TypeAlias = Literal["fstring", "jinja2", "gotemplate"]
"""How the texts of a prompt are written."""


class TextTemplate(Protocol):
    """A parsed text that can be rendered any number of times, from any thread."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables that the text uses."""
        ...

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text for `variables`; TemplateError when one is missing."""
        ...


def parse_text(text: str, *, format: TemplateFormat, where: str) -> TextTemplate:
    """Parse `text`; `where` names it in errors.

    Raises TemplateError for a text that cannot be parsed, DeclarationError for an unknown format,
    MissingDependencyError when Jinja2 is asked for and not installed.
    """
    if format == "fstring":
        return parse_fstring(text, where=where)
    if format == "gotemplate":
        return parse_go(text, where=where)
    if format == "jinja2":
        try:
            from pyeino.components._template_jinja import parse_jinja
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("jinja2", "markupsafe"):
                raise
            raise MissingDependencyError("jinja2", extra="jinja2") from error
        return parse_jinja(text, where=where)
    raise DeclarationError(
        "unknown template format",
        expected=" or ".join(repr(name) for name in get_args(TemplateFormat)),
        found=repr(format),
    )

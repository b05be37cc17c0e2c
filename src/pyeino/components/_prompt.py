"""PromptTemplate: messages with gaps, filled in for each call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from pyeino.components._template_format import TemplateFormat, TextTemplate, parse_text
from pyeino.components._template_lookup import known_names
from pyeino.errors import DeclarationError, TemplateError
from pyeino.schema import InputPart, Message, Role, TextPart, ToolSearchResultPart

_ROLES = tuple(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class MessagesPlaceholder:
    """The place where the messages of variable `key` go, as they are: a history, for instance.

    A missing variable is a TemplateError; with `optional=True` it stands for no messages.
    """

    key: str
    optional: bool = False


PromptPart: TypeAlias = Message | MessagesPlaceholder | tuple[str, str]
"""What a prompt is made of: a message, a placeholder, or (role, text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartTexts:
    """The texts of one input part that have gaps, by field name."""

    position: int
    texts: tuple[tuple[str, TextTemplate], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _MessageTexts:
    """A message and the texts of it that are rendered."""

    message: Message
    content: TextTemplate
    parts: tuple[_PartTexts, ...]
    holds_maps: bool


class PromptTemplate:
    """Messages with gaps; `format` fills them in and returns new messages.

    Made by `from_messages`, which parses every text at once. A template never changes and may be
    used from many tasks and threads.
    """

    __slots__ = ("_items", "_optional", "_variables")

    def __init__(self, items: tuple[_MessageTexts | MessagesPlaceholder, ...]) -> None:
        self._items = items
        needed: dict[str, None] = {}
        optional: dict[str, None] = {}
        for item in items:
            if isinstance(item, MessagesPlaceholder):
                (optional if item.optional else needed)[item.key] = None
                continue
            for text in _texts(item):
                needed.update(dict.fromkeys(text.variables))
        self._variables = tuple(needed)
        self._optional = tuple(key for key in optional if key not in needed)

    @classmethod
    def from_messages(
        cls, *parts: PromptPart, format: TemplateFormat = "fstring"
    ) -> PromptTemplate:
        """A template of messages, placeholders and (role, text) pairs, in this order.

        `format` says how gaps are written: `{name}` ("fstring"), `{{ name }}` ("jinja2", needs the
        extra of that name) or `{{.name}}` ("gotemplate", fields only). Rendered are the content of
        each message and the text, url and base64 data of its user input parts; parts and reasoning
        of a model are left as they are. Raises TemplateError for a text that cannot be parsed.
        """
        return cls(
            tuple(_prepare(part, format, f"part {number}") for number, part in enumerate(parts))
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that `format` needs, in order of appearance."""
        return self._variables

    @property
    def optional_variables(self) -> tuple[str, ...]:
        """Names of optional placeholders that `format` can do without."""
        return self._optional

    def format(self, variables: Mapping[str, Any]) -> list[Message]:
        """New messages with every gap filled in; neither template nor variables are changed.

        Values that the template does not name are ignored. Raises TemplateError naming the missing
        variable, the part of the template that needs it, and the variables that were given.
        """
        if not isinstance(variables, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may send anything
            raise TemplateError(
                "a prompt is filled in from a mapping of names to values",
                expected="a mapping",
                found=type(variables).__name__,
            )
        messages: list[Message] = []
        for number, item in enumerate(self._items):
            if isinstance(item, MessagesPlaceholder):
                messages.extend(_placed(item, variables, f"part {number}"))
            else:
                messages.append(_render(item, variables))
        return messages


def _texts(item: _MessageTexts) -> list[TextTemplate]:
    return [item.content, *(text for part in item.parts for _, text in part.texts)]


def _prepare(
    part: PromptPart, format: TemplateFormat, where: str
) -> _MessageTexts | MessagesPlaceholder:
    if isinstance(part, MessagesPlaceholder):
        return part
    message = part if isinstance(part, Message) else _message_of(part, where)
    place = f"{where} ({message.role.value})"
    parts: list[_PartTexts] = []
    for position, piece in enumerate(message.user_input_multi_content):
        texts = tuple(
            (field, parse_text(text, format=format, where=f"{place} parts[{position}].{field}"))
            for field, text in _rendered_fields(piece)
        )
        if texts:
            parts.append(_PartTexts(position=position, texts=texts))
    content = parse_text(message.content, format=format, where=place)
    holds_maps = bool(
        message.extra
        or message.tool_calls
        or message.user_input_multi_content
        or message.assistant_output_multi_content
    )
    return _MessageTexts(
        message=message, content=content, parts=tuple(parts), holds_maps=holds_maps
    )


def _message_of(part: tuple[str, str], where: str) -> Message:
    if type(part) is not tuple or [isinstance(one, str) for one in part] != [True, True]:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may send anything
        raise DeclarationError(
            "this cannot be a part of a prompt",
            where=where,
            expected="a Message, a MessagesPlaceholder or (role, text)",
            found=repr(part)[:80],
        )
    role, text = part
    if role not in _ROLES:
        raise DeclarationError(
            "unknown role in a prompt",
            where=where,
            expected=" or ".join(repr(name) for name in _ROLES),
            found=repr(role),
        )
    return Message(role=Role(role), content=text)


def _rendered_fields(part: InputPart) -> list[tuple[str, str]]:
    """The fields of `part` that may have gaps; base64 without a brace is left alone, it is long."""
    if isinstance(part, ToolSearchResultPart):
        return []
    if isinstance(part, TextPart):
        return [("text", part.text)]
    fields = [("url", part.url)] if part.url else []
    return [*fields, ("base64_data", part.base64_data)] if "{" in part.base64_data else fields


def _render(item: _MessageTexts, variables: Mapping[str, Any]) -> Message:
    # A caller may write into the maps of a message that it was handed; the template keeps its own.
    message = copy.deepcopy(item.message) if item.holds_maps else item.message
    parts = list(message.user_input_multi_content)
    for part in item.parts:
        rendered = {field: text.render(variables) for field, text in part.texts}
        parts[part.position] = msgspec.structs.replace(parts[part.position], **rendered)
    return msgspec.structs.replace(
        message,
        content=item.content.render(variables),
        user_input_multi_content=tuple(parts),
        extra=message.extra or {},
    )


def _placed(item: MessagesPlaceholder, variables: Mapping[str, Any], where: str) -> list[Message]:
    if item.key not in variables:
        if item.optional:
            return []
        raise TemplateError(
            f"the messages of placeholder {item.key!r} are missing",
            where=where,
            expected=f"a list of messages under {item.key!r}",
            found=f"the keys {known_names(variables)}",
            remedy="pass them, or make the placeholder optional",
        )
    value: Any = variables[item.key]
    if type(value) not in (list, tuple):
        raise _not_messages(item, value, where)
    messages: list[Message] = []
    for one in value:
        if not isinstance(one, Message):
            raise _not_messages(item, one, f"{where}, item {len(messages)}")
        messages.append(one)
    return messages


def _not_messages(item: MessagesPlaceholder, found: Any, where: str) -> TemplateError:
    return TemplateError(
        f"only messages can stand in for placeholder {item.key!r}",
        where=where,
        expected="a list or tuple of Message",
        found=type(found).__name__,
    )

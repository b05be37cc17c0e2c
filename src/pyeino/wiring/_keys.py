"""The keys of the settings tree, read from its types."""

from __future__ import annotations

import difflib
import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from pyeino.monitoring import mask_fields, mask_text
from pyeino.wiring._tree import DURATION, SECRET, Settings

PREFIX = "PYEINO_"
FILE_SUFFIX = "_FILE"
ORIGINS = "origins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: its path, what it holds and its default. `plain` is the type without null."""

    path: str
    annotation: Any
    plain: Any
    default: Any
    metas: tuple[msgspec.Meta, ...]
    nullable: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets this key."""
        return PREFIX + self.path.upper().replace(".", "__")

    @property
    def is_duration(self) -> bool:
        """Whether the value is a duration in seconds."""
        return any((meta.extra or {}).get("kind") == DURATION for meta in self.metas)

    @property
    def is_secret(self) -> bool:
        """Whether the value may be read from a file, and is never shown."""
        return any((meta.extra or {}).get("kind") == SECRET for meta in self.metas)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of text."""
        return get_origin(self.plain) is tuple

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping with keys of its own."""
        return get_origin(self.plain) is dict

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that are possible, when there is a list of them."""
        return get_args(self.plain) if get_origin(self.plain) is Literal else ()

    def expected(self) -> str:
        """What a value has to be, in words."""
        text = self._expected_plain()
        return f"{text}, or null" if self.nullable else text

    def _expected_plain(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        low, high = self._bounds()
        if self.is_duration:
            least = "at most" if low == 0 else "more than 0 and at most"
            return f"a duration such as 30s, 5m or 0.5 (seconds), {least} {high} s"
        if self.is_list:
            return "a list of text"
        if self.is_mapping:
            return "a mapping"
        if self.plain is bool:
            return "true or false"
        if self.plain is str:
            pattern = next((meta.pattern for meta in self.metas if meta.pattern), None)
            return f"text that matches {pattern}" if pattern else "text"
        kind = "a whole number" if self.plain is int else "a number"
        if low is not None and high is not None:
            return f"{kind} from {low} to {high}"
        return f"{kind} of at least {low}" if low is not None else kind

    def _bounds(self) -> tuple[int | float | None, int | float | None]:
        low = next((meta.ge for meta in self.metas if meta.ge is not None), None)
        high = next((meta.le for meta in self.metas if meta.le is not None), None)
        return low, high

    def shown(self, value: Any) -> str:
        """`value` for a human's eyes: secrets masked, text quoted, at most 80 characters."""
        if self.is_secret and value:
            return masked_secret(value) if isinstance(value, str) else "***"
        if isinstance(value, dict):
            value = mask_fields(cast("dict[str, Any]", value))
        text = mask_text(value if isinstance(value, str) else _as_json(value))
        text = f"{text[:80]}…" if len(text) > 80 else text
        return repr(text) if isinstance(value, str) else text


def masked_secret(value: str) -> str:
    """A secret as it may be shown: a URL without its password, anything else as `***`."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        return "***"
    # To the last "@": a password that should have been quoted may hold one, and a "/", too.
    sign_in, at, place = rest.rpartition("@")
    user = sign_in.partition(":")[0]
    hidden = f"{user}:***@" if ":" in sign_in else f"{sign_in}{at}"
    return mask_text(f"{scheme}://{hidden}{place}")


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


@cache
def all_keys() -> dict[str, Key]:
    """Every key by its path, in the order of the tree."""
    return {key.path: key for key in _walk(Settings, "")}


@cache
def sections() -> frozenset[str]:
    """The path of every section."""
    found: set[str] = set()
    for path in all_keys():
        parts = path.split(".")
        found.update(".".join(parts[:count]) for count in range(1, len(parts)))
    return frozenset(found)


def find_key(path: str) -> tuple[Key, str] | None:
    """The key at `path` and what is left of the path inside its mapping; None when unknown."""
    key = all_keys().get(path)
    if key is not None:
        return key, ""
    for own in all_keys().values():
        if own.is_mapping and path.startswith(f"{own.path}."):
            return own, path[len(own.path) + 1 :]
    return None


def nearest(path: str) -> str:
    """The known key most like `path`; "" when none is."""
    known = list(all_keys())
    sections = sorted({key.rpartition(".")[0] for key in known} - {""})
    if "." not in path and (near := difflib.get_close_matches(path, sections, n=1, cutoff=0.75)):
        return near[0]  # the name of a whole section
    found = difflib.get_close_matches(path, known, n=1, cutoff=0.6)
    if not found:  # the right name in the wrong section
        name = path.rpartition(".")[2]
        by_name = {key.rpartition(".")[2]: key for key in reversed(known)}
        close = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.75)
        found = [by_name[close[0]]] if close else []
    return found[0] if found else ""


def _walk(struct: type[msgspec.Struct], prefix: str) -> list[Key]:
    hints = get_type_hints(struct, include_extras=True)
    keys: list[Key] = []
    for field in msgspec.structs.fields(struct):
        if field.name == ORIGINS:
            continue
        annotation = hints[field.name]
        path = f"{prefix}{field.name}"
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            keys.extend(_walk(annotation, f"{path}."))
            continue
        no_default = field.default is msgspec.NODEFAULT  # a mapping: its default is made anew
        keys.append(_make_key(path, annotation, {} if no_default else field.default))
    return keys


def _make_key(path: str, annotation: Any, default: Any) -> Key:
    plain, nullable = annotation, False
    if get_origin(plain) in (Union, types.UnionType):
        (plain,) = [one for one in get_args(plain) if one is not type(None)]
        nullable = True
    metas: tuple[msgspec.Meta, ...] = ()
    if get_origin(plain) is Annotated:
        plain, *rest = get_args(plain)
        metas = tuple(one for one in rest if isinstance(one, msgspec.Meta))
    return Key(
        path=path,
        annotation=annotation,
        plain=plain,
        default=default,
        metas=metas,
        nullable=nullable,
    )

"""Whether what one node gives fits what the next one takes, as far as annotations tell."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, is_typeddict

_IMPLIED_ITEMS: dict[Any, tuple[Any, ...]] = {str: (str,), bytes: (int,), bytearray: (int,)}


class Fit(Enum):
    """How a given type fits a wanted one."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


def fit(given: Any, wanted: Any) -> Fit:
    """Compare two annotations: YES always fits, NO never does, MAYBE is checked on the value."""
    given, wanted = plain(given), plain(wanted)
    if wanted is Any or wanted is object or given == wanted:
        return Fit.YES
    if given is Any or given is object:
        return Fit.MAYBE
    given_options, wanted_options = options_of(given), options_of(wanted)
    if len(given_options) > 1:
        fits = {fit(option, wanted) for option in given_options}
        return fits.pop() if len(fits) == 1 else Fit.MAYBE
    if len(wanted_options) > 1:
        fits = {fit(given, option) for option in wanted_options}
        return next((found for found in (Fit.YES, Fit.MAYBE) if found in fits), Fit.NO)
    return _fit_single(given, wanted)


def plain(annotation: Any) -> Any:
    """An annotation without Annotated, NewType, Literal and type variables."""
    if annotation is None:
        return type(None)
    if isinstance(annotation, (str, typing.ForwardRef)):
        return Any
    if isinstance(annotation, typing.TypeVar):
        return plain(annotation.__bound__) if annotation.__bound__ else Any
    if isinstance(annotation, typing.NewType):
        return plain(annotation.__supertype__)
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return plain(get_args(annotation)[0])
    if origin is Literal:
        kinds: set[Any] = {type(value) for value in get_args(annotation)}
        return _union(tuple(kinds))
    return annotation


def value_fits(value: Any, wanted: Any) -> bool:
    """Whether `value` can be of type `wanted`, looking at its class and not at its content."""
    wanted = plain(wanted)
    for option in options_of(wanted):
        base = _base(plain(option))
        if base is Any or base is object:
            return True
        if base is float and isinstance(value, int):
            return True
        try:
            if isinstance(value, base):
                return True
        except TypeError:  # a Protocol that cannot be tested at run time
            return True
    return False


def type_name(annotation: Any) -> str:
    """How an annotation reads in an error: `list[Message]`, `str`, `Any`."""
    if annotation is type(None) or annotation is None:
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def options_of(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(plain(option) for option in get_args(annotation))
    return (annotation,)


def _base(annotation: Any) -> Any:
    if is_typeddict(annotation):
        return dict
    return get_origin(annotation) or annotation


def _fit_single(given: Any, wanted: Any) -> Fit:
    given_base, wanted_base = _base(given), _base(wanted)
    if wanted_base is Any or given_base is Any:
        return Fit.MAYBE
    if wanted_base is float and given_base is int:
        return Fit.YES
    if not isinstance(given_base, type) or not isinstance(wanted_base, type):
        return Fit.MAYBE
    if _is_protocol(wanted_base):
        return _fit_protocol(given_base, wanted_base)
    if not _is_subclass(given_base, wanted_base):
        # a value of a wider static type may still be of the narrower one when it arrives
        return Fit.MAYBE if _is_subclass(wanted_base, given_base) else Fit.NO
    return _fit_arguments(given, wanted)


def _fit_arguments(given: Any, wanted: Any) -> Fit:
    given_args, wanted_args = get_args(given), get_args(wanted)
    if not wanted_args or is_typeddict(given) or is_typeddict(wanted):
        return Fit.YES
    if not given_args:
        given_args = _IMPLIED_ITEMS.get(given, ())
    if not given_args:
        return Fit.MAYBE
    if _base(given) is tuple and _base(wanted) is not tuple:
        given_args = _tuple_items(given_args)
    if len(given_args) != len(wanted_args):
        return Fit.MAYBE
    found = Fit.YES
    for one, other in zip(given_args, wanted_args, strict=True):
        if one is Ellipsis or other is Ellipsis:
            continue
        inner = fit(one, other)
        if inner is Fit.NO:
            return Fit.NO
        if inner is Fit.MAYBE:
            found = Fit.MAYBE
    return found


def _tuple_items(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    items = tuple(argument for argument in arguments if argument is not Ellipsis)
    return (_union(items),) if items else (Any,)


def _union(kinds: tuple[Any, ...]) -> Any:
    union = kinds[0]
    for kind in kinds[1:]:
        union = union | kind
    return union


def _fit_protocol(given: type, wanted: type) -> Fit:
    members = getattr(wanted, "__protocol_attrs__", None) or _protocol_members(wanted)
    return Fit.YES if all(hasattr(given, member) for member in members) else Fit.MAYBE


def _protocol_members(protocol: type) -> set[str]:
    names: set[str] = set()
    for base in protocol.__mro__[:-1]:
        if _is_protocol(base):
            names.update(base.__annotations__)
            names.update(name for name in vars(base) if not name.startswith("_"))
    return names


def _is_protocol(candidate: type) -> bool:
    return bool(getattr(candidate, "_is_protocol", False)) and candidate is not typing.Protocol


def _is_subclass(one: type, other: type) -> bool:
    try:
        if issubclass(one, other):
            return True
    except TypeError:
        return True
    # a TypedDict-like dict is as good as a Mapping
    return one is dict and other in (Mapping, collections.abc.MutableMapping)

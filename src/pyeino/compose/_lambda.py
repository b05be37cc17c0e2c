"""Lambda: a plain function as a node, in whichever of the four shapes it is written."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
)
from typing import Any, Generic, TypeVar, get_args, get_origin

from pyeino.errors import DeclarationError
from pyeino.streams import Stream

InT = TypeVar("InT")
OutT = TypeVar("OutT")

_STREAMS: tuple[Any, ...] = (Stream, AsyncIterator, AsyncIterable, AsyncGenerator)
_AWAITABLES: tuple[Any, ...] = (Awaitable, Coroutine)
_SHAPES = {  # (takes a stream, gives a stream)
    (False, False): "invoke",
    (False, True): "stream",
    (True, False): "collect",
    (True, True): "transform",
}


class Lambda(Generic[InT, OutT]):
    """Up to four functions that do the same thing in different shapes; the rest are derived.

    invoke: `async (value) -> value`, or a sync function (run inline: for cheap glue).
    stream: `(value) -> async iterator`; collect: `async (stream) -> value`;
    transform: `(stream) -> async iterator`. A stream that is handed in is closed by the engine.
    `input_type` and `output_type` are read from the annotations when they are not given; a
    function without annotations is checked at run time only. `component` is the kind under which
    handlers are told of it: name one, such as "Retriever", when it does such a component's work.
    """

    __slots__ = (
        "collect",
        "component",
        "input_type",
        "invoke",
        "is_async",
        "output_type",
        "stream",
        "transform",
        "type_name",
    )

    def __init__(
        self,
        *,
        invoke: Callable[[InT], Any] | None = None,
        stream: Callable[[InT], AsyncIterator[OutT]] | None = None,
        collect: Callable[[Stream[InT]], Awaitable[OutT]] | None = None,
        transform: Callable[[Stream[InT]], AsyncIterator[OutT]] | None = None,
        input_type: Any = None,
        output_type: Any = None,
        type_name: str = "",
        component: str = "Lambda",
    ) -> None:
        given = [part for part in (invoke, stream, collect, transform) if part is not None]
        if not given:
            raise DeclarationError(
                "a Lambda needs at least one of its four shapes",
                expected="invoke, stream, collect or transform",
                found="none of them",
            )
        self.invoke = invoke
        self.stream = stream
        self.collect = collect
        self.transform = transform
        self.is_async = invoke is None or is_async(invoke)
        first = _Signature(given[0])
        self.input_type = first.input_type if input_type is None else input_type
        self.output_type = first.output_type if output_type is None else output_type
        self.type_name = type_name or _name_of(given[0])
        self.component = component


def make_lambda(function: Callable[..., Any], *, blocking: bool = False) -> Lambda[Any, Any]:
    """Read the shape of `function` from its signature.

    A parameter annotated `Stream[...]` takes a stream, an async generator or a return annotation
    `AsyncIterator[...]`/`Stream[...]` gives one. `blocking=True` runs a sync function in a worker
    thread. Raises DeclarationError for a function that takes no value.
    """
    signature = _Signature(function)
    if blocking:
        if signature.takes_stream or signature.gives_stream or is_async(function):
            raise DeclarationError(
                f"{_name_of(function)} cannot be blocking",
                expected="a plain function from value to value",
                found="an async or streaming function",
                remedy="drop blocking=True: async code does not block the loop",
            )
        function = functools.partial(asyncio.to_thread, function)
    shapes: dict[str, Any] = {_SHAPES[signature.takes_stream, signature.gives_stream]: function}
    return Lambda(
        input_type=signature.input_type,
        output_type=signature.output_type,
        type_name=signature.name,
        **shapes,
    )


def takes_stream(function: Callable[..., Any]) -> bool:
    """Whether the first parameter of `function` is annotated as a Stream."""
    return _Signature(function).takes_stream


def input_type_of(function: Callable[..., Any]) -> Any:
    """The type of the value (or of the chunks) that `function` takes; Any when it does not say."""
    return _Signature(function).input_type


def output_type_of(function: Callable[..., Any]) -> Any:
    """The type of the value that `function` gives; Any when it does not say."""
    return _Signature(function).output_type


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await."""
    bare = _bare(function)
    if inspect.iscoroutinefunction(bare) or bare is asyncio.to_thread:
        return True
    call = getattr(bare, "__call__", None)  # noqa: B004 - an instance with an async __call__
    return inspect.iscoroutinefunction(call) or get_origin(_hints(bare).get("return")) in (
        _AWAITABLES
    )


class _Signature:
    """What a function takes and gives, read from its annotations."""

    __slots__ = ("gives_stream", "input_type", "name", "output_type", "takes_stream")

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = _hints(_bare(function))
        taken = hints.get(_first_parameter(function), Any)
        given = hints.get("return", Any)
        if get_origin(given) in _AWAITABLES:
            given = get_args(given)[-1]
        self.name = _name_of(function)
        self.takes_stream = _is_stream(taken)
        self.gives_stream = inspect.isasyncgenfunction(_target(function)) or _is_stream(given)
        self.input_type = _item(taken) if self.takes_stream else taken
        self.output_type = _item(given) if self.gives_stream else given


def _first_parameter(function: Callable[..., Any]) -> str:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin such as str.upper
        return ""
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    takers = [parameter for parameter in parameters if parameter.kind in positional]
    required = [
        parameter
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if not takers or len(required) > 1 or (required and required[0] is not takers[0]):
        raise DeclarationError(
            f"{_name_of(function)} cannot be a node",
            expected="a function of one value (further parameters need defaults)",
            found=f"{_name_of(function)}{inspect.signature(function)}",
            remedy="bind the other parameters with functools.partial",
        )
    return takers[0].name


def _is_stream(annotation: Any) -> bool:
    return annotation in _STREAMS or get_origin(annotation) in _STREAMS


def _item(annotation: Any) -> Any:
    arguments = get_args(annotation)
    return arguments[0] if arguments else Any


def _bare(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _target(function: Callable[..., Any]) -> Any:
    bare = _bare(function)
    if inspect.isroutine(bare) or inspect.isclass(bare):
        return bare
    return getattr(bare, "__call__", bare)  # noqa: B004 - the method of a callable object


def _name_of(function: Callable[..., Any]) -> str:
    bare = _bare(function)
    return getattr(bare, "__name__", type(bare).__name__)


def _hints(function: Any) -> dict[str, Any]:
    """Annotations by name, each resolved by itself: one that cannot be resolved counts as Any."""
    if inspect.isclass(function):
        hints = _hints(function.__init__)
        return {**hints, "return": function}
    target = inspect.unwrap(_target(function))
    names = getattr(target, "__globals__", {})
    if isinstance(target, types.MethodType):
        names = target.__func__.__globals__
    local = _closure(target)
    found: dict[str, Any] = {}
    for name, annotation in getattr(target, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found.update(typing.get_type_hints(holder, names, local, include_extras=True))
        except (NameError, TypeError, AttributeError, SyntaxError):
            found[name] = Any
    return found


def _closure(target: Any) -> dict[str, Any]:
    code = getattr(target, "__code__", None)
    cells = getattr(target, "__closure__", None)
    if code is None or not cells:
        return {}
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found

"""with_fallback: when a component fails, the next one answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from pyeino.components._model import ModelOptions
from pyeino.components._wrapping import Around, ComponentT, Open, Request, Run, wrap
from pyeino.errors import AppError, DeclarationError, ExternalError, RateLimitError, ValidationError

T = TypeVar("T")


def may_fall_back(error: Exception) -> bool:
    """True for every error but a ValidationError: a wrong request is wrong for all.

    A prompt that is too long for one model may fit another one (CONTEXT_LENGTH_EXCEEDED).
    """
    return not isinstance(error, ValidationError) or error.code == "CONTEXT_LENGTH_EXCEEDED"


def with_fallback(
    component: ComponentT,
    *others: ComponentT,
    when: Callable[[Exception], bool] = may_fall_back,
) -> ComponentT:
    """`component`, and in its place each of `others` in turn while the one before it fails.

    `when` says which errors lead on; any other one is raised as it is. A stream changes over only
    while nothing of it has been given. The option `model` names a model of the first component
    and is not passed on to the others. When all have failed, ExternalError FALLBACKS_FAILED is
    raised, whose `cause` is a group of all errors in order; if each of them was a RateLimitError
    it is a RateLimitError with the least `retry_after`. Raises DeclarationError without `others`.
    """
    if not others:
        raise DeclarationError("with_fallback needs something to fall back to", found="no others")
    for other in others:
        wrap(other, _CHECK)  # refuses what is no component, before the first call needs it
    return wrap(component, _Fallback((component, *others), when))


class _Fallback(Around):
    __slots__ = ("_components", "_when")

    def __init__(self, components: Sequence[Any], when: Callable[[Exception], bool]) -> None:
        self._components = components
        self._when = when

    async def call(self, request: Request, run: Run[T]) -> T:
        failures: list[Exception] = []
        for component in self._components:
            try:
                return await run(component, _options(request, failures))
            except Exception as error:
                if not self._leads_on(error, failures):
                    raise
        raise _all_failed(failures)

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        failures: list[Exception] = []
        for component in self._components:
            begun = False
            try:
                async with open_(component, _options(request, failures)) as source:
                    async for chunk in source:
                        begun = True
                        yield chunk
                return
            except Exception as error:
                if begun or not self._leads_on(error, failures):
                    raise
        raise _all_failed(failures)

    def _leads_on(self, error: Exception, failures: list[Exception]) -> bool:
        """Keep `error` if the next one may answer; else let it tell of those before it."""
        if self._when(error):
            failures.append(error)
            return True
        if failures:
            error.add_note(f"after these failed: {', '.join(map(_code, failures))}")
        return False


_CHECK = _Fallback((), may_fall_back)


def _options(request: Request, failures: Sequence[Exception]) -> Any:
    options = request.options
    if failures and isinstance(options, ModelOptions) and options.model is not None:
        return msgspec.structs.replace(options, model=None)
    return options


def _all_failed(failures: list[Exception]) -> AppError:
    message = f"All {len(failures)} components failed"
    cause = ExceptionGroup(message, failures)
    codes = [_code(error) for error in failures]
    limits = [error for error in failures if isinstance(error, RateLimitError)]
    if len(limits) < len(failures):
        return ExternalError("FALLBACKS_FAILED", message, metadata={"failures": codes}, cause=cause)
    waits = [error.metadata.get("retry_after") for error in limits]
    wait = min((wait for wait in waits if isinstance(wait, int | float)), default=1)
    return RateLimitError(
        "FALLBACKS_FAILED",
        message,
        metadata={"failures": codes, "retry_after": wait},
        cause=cause,
    )


def _code(error: Exception) -> str:
    return error.code if isinstance(error, AppError) else type(error).__name__

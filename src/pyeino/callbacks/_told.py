"""told(): the moments of a call that no graph makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from pyeino.callbacks._handler import Handler, RunInfo

InT = TypeVar("InT")
OutT = TypeVar("OutT")


async def told(
    call: Callable[[InT], Awaitable[OutT]],
    given: InT,
    info: RunInfo,
    *,
    handlers: Sequence[Handler],
) -> OutT:
    """Await `call(given)` and tell `handlers` of it as a graph would; the first is outermost."""
    if not handlers:
        return await call(given)
    tokens = [(handler, handler.on_start(info, given)) for handler in reversed(handlers)][::-1]
    try:
        with ExitStack() as scopes:
            for handler, token in tokens:
                scope: Any = handler.scope(token)
                if scope is not None:
                    scopes.enter_context(scope)
            output = await call(given)
    except Exception as error:
        for handler, token in tokens:
            handler.on_error(info, error, token)
        raise
    except BaseException:
        for handler, token in tokens:
            handler.on_cancel(info, token)
        raise
    for handler, token in tokens:
        handler.on_end(info, output, token)
    return output

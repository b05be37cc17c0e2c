"""with_timeout: calls that take too long end with InternalError TIMEOUT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pyeino.components._wrapping import Around, ComponentT, Open, Request, Run, wrap
from pyeino.errors import DeclarationError, InternalError

T = TypeVar("T")


def with_timeout(
    component: ComponentT,
    *,
    total: float | None = None,
    first_chunk: float | None = None,
    stall: float | None = None,
) -> ComponentT:
    """`component` whose calls take at most so many seconds.

    `total` bounds a whole call; for a stream it runs from the first read to the end, and the time
    that its reader takes counts. `first_chunk` bounds the wait for the first chunk of a stream,
    `stall` the wait for each later one; there the reader's own time does not count. What takes
    longer is cancelled, and InternalError TIMEOUT (504) is raised, with `limit` (which of the
    three) and `seconds` in its metadata. Raises DeclarationError without a bound, or one ≤ 0.
    """
    bounds = {"total": total, "first_chunk": first_chunk, "stall": stall}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if not given or not all(bound > 0 for bound in given.values()):
        raise DeclarationError(
            "with_timeout needs a bound",
            expected="at least one of total, first_chunk and stall, in seconds above 0",
            found=str(given or "none"),
        )
    return wrap(component, _Timeout(component, given))


@dataclass(frozen=True, slots=True)
class _Limit:
    """The moment (in the loop's time) at which a wait ends, and which bound says so."""

    at: float
    name: str


class _Timeout(Around):
    __slots__ = ("_bounds", "_component")

    def __init__(self, component: Any, bounds: dict[str, float]) -> None:
        self._component = component
        self._bounds = bounds

    async def call(self, request: Request, run: Run[T]) -> T:
        total = self._from_now("total")
        scope = asyncio.timeout_at(None if total is None else total.at)
        try:
            async with scope:
                return await run(self._component, request.options)
        except TimeoutError as error:
            raise self._told(total, scope, error) from error.__cause__

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        total = self._from_now("total")
        name = "first_chunk"
        async with open_(self._component, request.options) as source:
            while True:
                bounds = [bound for bound in (total, self._from_now(name)) if bound is not None]
                nearest = min(bounds, key=lambda bound: bound.at, default=None)
                scope = asyncio.timeout_at(None if nearest is None else nearest.at)
                try:
                    async with scope:
                        chunk = await anext(source)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise self._told(nearest, scope, error) from error.__cause__
                yield chunk
                name = "stall"

    def _from_now(self, name: str) -> _Limit | None:
        seconds = self._bounds.get(name)
        return (
            None if seconds is None else _Limit(asyncio.get_running_loop().time() + seconds, name)
        )

    def _told(self, limit: _Limit | None, scope: asyncio.Timeout, error: TimeoutError) -> Exception:
        """What is raised: ours when our bound was hit, else the component's own error."""
        if limit is None or not scope.expired():
            return error
        seconds = self._bounds[limit.name]
        return InternalError(
            "TIMEOUT",
            f"The call took longer than allowed ({limit.name}: {seconds:g} s)",
            metadata={"limit": limit.name, "seconds": seconds},
            http_status=504,
        )

"""Scrapes: the metrics of all processes as one, whose counters never go back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from pyeino.monitoring import Metrics, MetricsExport, merge_exports
from pyeino.processes._child import Child

_EVERY = 1.0
"""Seconds between two looks: what a process that is killed has measured since then is lost."""


class Scrapes:
    """Adds up what the living children measure, what the ended ones have, and `own`.

    Each sum is made of what every child has said last, and that stays with the child's end. So a
    sum that somebody has read never shrinks, however a child ends.
    """

    def __init__(self, own: Metrics, children: Callable[[], Sequence[Child]]) -> None:
        self._own = own
        self._children = children
        self._retired = MetricsExport(families=())
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[MetricsExport] | None = None

    async def collect(self) -> MetricsExport:
        """All that was measured until this call. Those who wait at the same time share a look."""
        if self._next is None:
            self._next = asyncio.create_task(self._look(), name="collect metrics")
        return await asyncio.shield(self._next)

    def retire(self, child: Child) -> None:
        """Keep the counts of a child that has ended."""
        if child.last is not None:
            self._retired = merge_exports([self._retired, child.last.retired()])
            child.last = None

    async def watch(self) -> None:
        """Look every second, until cancelled, so that little is lost with a process."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.collect()

    async def aclose(self) -> None:
        """End a look that is under way."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait((self._next,))

    async def _look(self) -> MetricsExport:
        async with self._looking:
            self._next = None  # whoever comes from now on may have counted more
            await asyncio.gather(*(child.refresh() for child in self._children()))
            living = [child.last for child in self._children() if child.last is not None]
            return merge_exports([self._own.export(), self._retired, *living])

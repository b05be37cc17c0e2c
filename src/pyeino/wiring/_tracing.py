"""Tracing from settings: made in a thread, flushed and closed in one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pyeino.monitoring import Logger, Metrics, Tracing
from pyeino.wiring._tree import Settings

_LAST_SECONDS = 5.0


async def open_tracing(
    settings: Settings, stack: AsyncExitStack, *, logger: Logger, metrics: Metrics
) -> Tracing | None:
    """The tracing of `settings`, flushed and closed by `stack`; None when it is off.

    Raises MissingDependencyError without the extra `tracing`. A collector that is not there is
    said in the log and counted, and is no error.
    """
    if not settings.tracing.enabled:
        return None

    def tell(problem: str) -> None:
        logger.warn("Spans could not be exported", problem=problem)

    def make() -> Tracing:
        tracing = settings.tracing
        return Tracing.otlp(
            tracing.endpoint,
            headers={name: str(value) for name, value in tracing.headers.items()},
            service_name=tracing.service_name,
            sample_ratio=tracing.sample_ratio,
            capture_content=tracing.capture_content,
            on_drop=metrics.inc_spans_dropped,
            on_failure=tell,
        )

    found = await asyncio.to_thread(make)  # the first import of the SDK reads many files
    # Joins the exporter's thread, so not in the loop.
    stack.push_async_callback(asyncio.to_thread, found.close, _LAST_SECONDS)
    return found

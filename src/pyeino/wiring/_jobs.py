"""Where jobs wait and where files are kept, as the settings say: embedded, or on servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from pyeino.errors import AppError, MissingDependencyError
from pyeino.integrations.files import LocalBlobStore
from pyeino.monitoring import Logger, Metrics
from pyeino.retrieval import INGEST_QUEUE
from pyeino.stores import BlobStore, Queue, QueueOptions
from pyeino.wiring._tree import Settings

Probe = Callable[[], Awaitable[None]]

# A worker that dies delays its document by this at most; one that lives extends its lease.
INGEST_OPTIONS: Final = QueueOptions(visibility_timeout=10.0)
_POOL_SIZE: Final = 8
_COUNT_EVERY: Final = 2.0


class QueueScope(Protocol):
    """A tenant of a database that keeps queues, too."""

    def queue(self, name: str, *, options: QueueOptions | None = None) -> Queue:
        """The queue of this name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """The queue of ingestion jobs, the files they speak of, and the probes of both."""

    queue: Queue
    blobs: BlobStore
    probes: dict[str, Probe] = field(default_factory=dict[str, Probe])


async def open_jobs(settings: Settings, stack: AsyncExitStack, *, scope: QueueScope) -> Jobs:
    """Queue and file storage of `settings`, closed by `stack`.

    Raises ExternalError REDIS_UNREACHABLE, STORAGE_UNREACHABLE and their like when a server does
    not give what the settings name, or a folder cannot be used.
    """
    probes: dict[str, Probe] = {}
    queue = await _open_queue(settings, stack, scope, probes)
    stack.push_async_callback(queue.close)
    blobs = await _open_storage(settings, probes)
    stack.push_async_callback(blobs.close)
    return Jobs(queue=queue, blobs=blobs, probes=probes)


async def _open_queue(
    settings: Settings, stack: AsyncExitStack, scope: QueueScope, probes: dict[str, Probe]
) -> Queue:
    if not settings.queue.url:
        return scope.queue(INGEST_QUEUE, options=INGEST_OPTIONS)
    try:
        from pyeino.integrations.redis import RedisDatabase
    except ImportError as error:
        if isinstance(error, MissingDependencyError):
            raise
        raise MissingDependencyError("redis", extra="redis") from error
    server = await stack.enter_async_context(
        await RedisDatabase.open(
            settings.queue.url, pool_size=_POOL_SIZE, wait_seconds=settings.redis.timeout
        )
    )
    probes["queue"] = server.check
    return server.queue(INGEST_QUEUE, options=INGEST_OPTIONS)


async def _open_storage(settings: Settings, probes: dict[str, Probe]) -> BlobStore:
    if not settings.uses_s3:
        return await LocalBlobStore.open(settings.storage_folder)
    from pyeino.integrations.s3 import S3BlobStore

    store = await S3BlobStore.open(settings.storage.url)
    probes["storage"] = store.check
    return store


@asynccontextmanager
async def counted_queue(queue: Queue, *, metrics: Metrics, logger: Logger) -> AsyncGenerator[None]:
    """Shows the length of `queue` in the metrics for as long as the `async with`."""
    counting = asyncio.create_task(_count(queue, metrics, logger), name="queue length")
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.wait([counting])


async def _count(queue: Queue, metrics: Metrics, logger: Logger) -> None:
    known = True
    while True:
        try:
            length = float((await queue.counts()).length)
        except AppError as error:
            if known:
                logger.warn("The length of the queue is not known", error=error)
            known, length = False, float("nan")
        else:
            known = True
        metrics.set_queue_length(INGEST_QUEUE, length)
        await asyncio.sleep(_COUNT_EVERY)

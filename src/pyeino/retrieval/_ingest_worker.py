"""IngestWorker: takes documents from the queue and puts them into the index."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pyeino.concurrency import Job, WorkerPool
from pyeino.errors import AppError, NotFoundError
from pyeino.retrieval._document_writer import DocumentWriter, Written
from pyeino.schema import Document
from pyeino.stores import BlobStore, Lease, Queue

INGEST_QUEUE: Final = "ingest"
"""The name of the queue that ingestion jobs wait in."""

_WAIT: Final = 30.0
_RETRY_AFTER: Final = 1.0
_LONGEST_RETRY: Final = 60.0
_GIVING_BACK: Final = 5.0


class IngestJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document in the file storage that belongs into an index; `model` made its vectors."""

    key: str
    location: str
    source: str
    index: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOutcome:
    """What became of a job; `failure` is "" when its document is in the index.

    `again` says that it failed for a passing reason and will be tried once more, later.
    """

    job_id: str
    source: str
    failure: str = ""
    again: bool = False
    passages: int = 0
    embedded: int = 0


class _RefusedError(Exception):
    """The job can never be done; its text says why."""


class IngestWorker:
    """Does ingestion jobs, `workers` at once, each at least once and kept while it is worked on.

    A job whose worker dies is done by another one, or later, when its lease is over. What can
    never be read becomes a dead letter at once, any other failure is tried again, with longer and
    longer pauses, until the queue gives up. A job that is cancelled is given back at once.
    """

    def __init__(
        self, writer: DocumentWriter, *, queue: Queue, blobs: BlobStore, workers: int = 2
    ) -> None:
        if workers < 1:
            raise ValueError("workers must be at least 1")
        self._writer = writer
        self._queue = queue
        self._blobs = blobs
        self._workers = workers
        # Often enough that one extension may fail.
        self._keep_every = queue.options.visibility_timeout / 3

    async def run(
        self,
        *,
        stop: asyncio.Event,
        on_outcome: Callable[[IngestOutcome], None],
        on_trouble: Callable[[Exception], None] | None = None,
    ) -> None:
        """Work until `stop` is set; what is being done then is finished.

        With `on_trouble`, failures of the queue or of whatever stores passages are told to it and
        work goes on; without it they are raised, once the job has been given back.
        """

        async def consume(number: int) -> None:
            await self._consume(stop, on_outcome, on_trouble)

        async with WorkerPool[int, None](self._workers) as pool:
            for number in range(self._workers):
                pool.submit(Job(id=f"ingest worker {number}", data=number, fn=consume))
            results = pool.results()
            for _ in range(self._workers):
                result = await anext(results)
                if result.error is not None:
                    raise result.error

    async def _consume(
        self,
        stop: asyncio.Event,
        on_outcome: Callable[[IngestOutcome], None],
        on_trouble: Callable[[Exception], None] | None,
    ) -> None:
        while not stop.is_set():
            try:
                lease = await self._receive(stop)
                if lease is not None:
                    on_outcome(await self._do(lease, patient=on_trouble is not None))
            except AppError as error:
                if on_trouble is None:
                    raise
                on_trouble(error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_AFTER):
                        await stop.wait()

    async def _receive(self, stop: asyncio.Event) -> Lease | None:
        """The next message; None as soon as `stop` is set, or when none came for a while."""
        receiving = asyncio.ensure_future(self._queue.receive(wait=_WAIT))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([receiving, stopping], return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving.done() else None
        finally:
            for task in (receiving, stopping):
                task.cancel()
            await asyncio.wait([receiving, stopping])

    async def _do(self, lease: Lease, *, patient: bool) -> IngestOutcome:
        source = ""
        try:
            job = _decode(lease)
            source = job.source
            async with self._kept(lease):
                written = await self._index(job)
        except _RefusedError as refused:
            await self._queue.reject(lease, reason=str(refused))
            return IngestOutcome(job_id=lease.id, source=source, failure=str(refused))
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError, AppError):
                async with asyncio.timeout(_GIVING_BACK):
                    await self._queue.nack(lease, reason="its worker was stopped")
            raise
        except Exception as error:
            delay = min(_LONGEST_RETRY, _RETRY_AFTER * 2 ** (lease.attempts - 1)) if patient else 0
            reason = str(error) or type(error).__name__
            await self._queue.nack(lease, delay=delay, reason=reason)
            if not patient:
                raise
            return IngestOutcome(job_id=lease.id, source=source, failure=reason, again=True)
        await self._queue.ack(lease)
        return IngestOutcome(
            job_id=lease.id,
            source=source,
            passages=written.passages,
            embedded=written.embedded,
        )

    async def _index(self, job: IngestJob) -> Written:
        if job.model != self._writer.model:
            raise _RefusedError(
                f"it was put in for the embedder {job.model!r}, this worker has "
                f"{self._writer.model!r}: give both the same rag.embedding settings"
            )
        try:
            data = await self._blobs.get(job.key)
        except NotFoundError as error:
            raise _RefusedError("its file is not in the file storage any more") from error
        digest = hashlib.sha256(data).hexdigest()
        # A job that was done, but whose worker died before it could say so, comes again.
        for known in await self._writer.store.documents(index=job.index, under=job.location):
            if known.location == job.location and self._writer.is_current(known, digest):
                return Written(passages=known.passages, embedded=0)
        return await self._writer.write(
            await self._cut(job, data),
            location=job.location,
            source=job.source,
            content_digest=digest,
            index=job.index,
        )

    async def _cut(self, job: IngestJob, data: bytes) -> Sequence[Document]:
        try:
            return await self._writer.cut(Path(job.source), data)
        except Exception as error:
            raise _RefusedError(str(error) or type(error).__name__) from error

    @contextlib.asynccontextmanager
    async def _kept(self, lease: Lease) -> AsyncGenerator[None]:
        """Extends the lease for as long as the `async with`."""
        keeping = asyncio.ensure_future(self._keep(lease))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _keep(self, lease: Lease) -> None:
        held = True
        while held:
            await asyncio.sleep(self._keep_every)
            # When the queue is in trouble the lease may end: then the job is done twice.
            with contextlib.suppress(AppError):
                held = await self._queue.extend(lease)


def _decode(lease: Lease) -> IngestJob:
    try:
        return msgspec.json.decode(lease.payload, type=IngestJob)
    except msgspec.DecodeError as error:
        raise _RefusedError(f"it is no ingestion job: {error}") from error
